-- Index levels of the market activity report, one row per index and session; India VIX and equal-weighted indices are among them.
create table if not exists champion_market.normalized_market_activity
(
    event_id UUID,
    event_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    ingest_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    source LowCardinality(String),
    schema_version LowCardinality(String),
    entity_id String codec(ZSTD(1)),
    index_id String codec(ZSTD(1)),
    index_name String codec(ZSTD(1)),
    exchange LowCardinality(String),
    trade_date Date codec(Delta, ZSTD(1)),
    previous_close Nullable(Float64) codec(ZSTD(1)),
    open Nullable(Float64) codec(ZSTD(1)),
    high Nullable(Float64) codec(ZSTD(1)),
    low Nullable(Float64) codec(ZSTD(1)),
    close Float64 codec(ZSTD(1)),
    points_change Nullable(Float64) codec(ZSTD(1)),
    constraint levels_are_not_negative check ifNull(open >= 0 and high >= 0 and low >= 0 and close >= 0, true),
    constraint low_le_high check ifNull(low <= high, true),
    constraint numbers_are_known check ifNull(isFinite(previous_close), true) and ifNull(isFinite(open), true) and ifNull(isFinite(high), true) and ifNull(isFinite(low), true) and ifNull(isFinite(close), true) and ifNull(isFinite(points_change), true)
)
engine = ReplacingMergeTree(ingest_time)
partition by toYear(trade_date)
order by (index_id, trade_date)
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 10485760, index_granularity = 1024;
