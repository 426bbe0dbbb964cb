-- Securities that hit their price band in a session, by the exchange's daily bundle.
create table if not exists champion_market.normalized_circuit_hits
(
    event_id UUID,
    event_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    ingest_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    source LowCardinality(String),
    schema_version LowCardinality(String),
    entity_id String codec(ZSTD(1)),
    instrument_id String codec(ZSTD(1)),
    symbol String codec(ZSTD(1)),
    exchange LowCardinality(String),
    series LowCardinality(String),
    security_name Nullable(String) codec(ZSTD(1)),
    trade_date Date codec(Delta, ZSTD(1)),
    side LowCardinality(String),
    index_flag LowCardinality(Nullable(String)),
    index idx_instrument instrument_id type minmax granularity 1,
    constraint side_is_known check ifNull(side IN ('high', 'low'), true)
)
engine = ReplacingMergeTree(ingest_time)
partition by toYear(trade_date)
order by (symbol, trade_date, series, side)
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 10485760, index_granularity = 1024;
