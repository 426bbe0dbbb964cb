-- Securities with a new 52-week high or low in a session, by the exchange's daily bundle.
create table if not exists champion_market.normalized_week52_extremes
(
    event_id UUID,
    event_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    ingest_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    source LowCardinality(String),
    schema_version LowCardinality(String),
    entity_id String codec(ZSTD(1)),
    instrument_id Nullable(String) codec(ZSTD(1)),
    symbol Nullable(String) codec(ZSTD(1)),
    exchange LowCardinality(String),
    series LowCardinality(Nullable(String)),
    security_name String codec(ZSTD(1)),
    trade_date Date codec(Delta, ZSTD(1)),
    side LowCardinality(String),
    price Float64 codec(ZSTD(1)),
    previous_price Nullable(Float64) codec(ZSTD(1)),
    constraint side_is_known check ifNull(side IN ('high', 'low'), true),
    constraint prices_are_positive check ifNull(price > 0 and previous_price > 0, true),
    constraint numbers_are_known check ifNull(isFinite(price), true) and ifNull(isFinite(previous_price), true)
)
engine = ReplacingMergeTree(ingest_time)
partition by toYear(trade_date)
order by (security_name, trade_date, side, price)
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 10485760, index_granularity = 1024;
