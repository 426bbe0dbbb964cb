-- What corporate actions do to prices and volumes, every list the exchange published.
-- Columns, types and constraints are those of schemas/normalized_adjustment_factors_v1.avsc; a test holds them to it.
create table if not exists champion_market.normalized_adjustment_factors
(
    event_id UUID,
    event_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    ingest_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    source LowCardinality(String),
    schema_version LowCardinality(String),
    entity_id String codec(ZSTD(1)),
    list_date Date codec(Delta, ZSTD(1)),
    instrument_id String codec(ZSTD(1)),
    symbol String codec(ZSTD(1)),
    ex_date Date codec(Delta, ZSTD(1)),
    kind LowCardinality(String),
    basis LowCardinality(String),
    price_factor Nullable(Float64) codec(ZSTD(1)),
    volume_factor Nullable(Float64) codec(ZSTD(1)),
    prev_close Nullable(Float64) codec(ZSTD(1)),
    detail String codec(ZSTD(1)),
    reason Nullable(String) codec(ZSTD(1)),
    purpose String codec(ZSTD(1)),
    known_at DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    source_sha256 String codec(ZSTD(1)),
    constraint factors_are_positive check ifNull(price_factor > 0 and volume_factor > 0, true),
    constraint a_factor_or_a_reason check ifNull(price_factor is not null or reason is not null, true)
)
engine = ReplacingMergeTree(ingest_time)
partition by toYYYYMM(list_date)
order by (list_date, instrument_id, ex_date, kind)
-- Months stay in compact parts, ten files each: a snapshot links every file.
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456;
