-- Rows refused on their way in, with the rules that refused them.
-- Columns, types and constraints are those of schemas/quarantine_equity_ohlc_v1.avsc; a test holds them to it.
create table if not exists champion_market.quarantine_equity_ohlc
(
    session Date codec(Delta, ZSTD(1)),
    stage LowCardinality(String),
    row_number Int64 codec(ZSTD(1)),
    reasons Array(String) codec(ZSTD(1)),
    row String codec(ZSTD(1)),
    source LowCardinality(String),
    source_file String codec(ZSTD(1)),
    source_sha256 String codec(ZSTD(1)),
    ingest_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    constraint has_a_reason check ifNull(stage <> '', true)
)
engine = MergeTree
partition by toYYYYMM(session)
order by (session, stage, row_number)
-- Months stay in compact parts, ten files each: a snapshot links every file.
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456;
