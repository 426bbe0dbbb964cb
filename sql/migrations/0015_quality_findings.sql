-- Suspicious bars: kept and published, but somebody should look.
-- Columns, types and constraints are those of schemas/quality_findings_v1.avsc; a test holds them to it.
create table if not exists champion_market.quality_findings
(
    session Date codec(Delta, ZSTD(1)),
    gate LowCardinality(String),
    instrument_id String codec(ZSTD(1)),
    symbol String codec(ZSTD(1)),
    series LowCardinality(Nullable(String)),
    value Float64 codec(ZSTD(1)),
    detail String codec(ZSTD(1)),
    constraint gate_is_named check ifNull(gate <> '', true)
)
engine = MergeTree
partition by toYYYYMM(session)
order by (session, gate, instrument_id)
-- Months stay in compact parts, ten files each: a snapshot links every file.
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456;
