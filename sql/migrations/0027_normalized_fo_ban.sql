-- Securities in the F&O ban period, one row per security and trade date. A session with a file and without rows has no ban.
create table if not exists champion_market.normalized_fo_ban
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
    trade_date Date codec(Delta, ZSTD(1)),
    serial Int64 codec(ZSTD(1)),
    index idx_instrument instrument_id type minmax granularity 1,
    constraint serial_is_positive check ifNull(serial >= 1, true)
)
engine = ReplacingMergeTree(ingest_time)
partition by toYear(trade_date)
order by (symbol, trade_date)
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 10485760, index_granularity = 1024;
