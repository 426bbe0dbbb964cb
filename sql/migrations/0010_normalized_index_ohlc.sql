-- Daily index levels. A row of the same key with a later ingest_time replaces the earlier one.
-- Columns, types and constraints are those of schemas/normalized_index_ohlc_v1.avsc; a test holds them to it.
create table if not exists champion_market.normalized_index_ohlc
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
    open Nullable(Float64) codec(ZSTD(1)),
    high Nullable(Float64) codec(ZSTD(1)),
    low Nullable(Float64) codec(ZSTD(1)),
    close Float64 codec(ZSTD(1)),
    points_change Nullable(Float64) codec(ZSTD(1)),
    volume Nullable(Int64) codec(ZSTD(1)),
    turnover Nullable(Float64) codec(ZSTD(1)),
    price_earnings Nullable(Float64) codec(ZSTD(1)),
    price_book Nullable(Float64) codec(ZSTD(1)),
    dividend_yield Nullable(Float64) codec(ZSTD(1)),
    constraint levels_are_not_negative check ifNull(open >= 0 and high >= 0 and low >= 0 and close >= 0, true),
    constraint low_le_high check ifNull(low <= high, true),
    constraint volume_is_not_negative check ifNull(volume >= 0, true),
    constraint turnover_is_not_negative check ifNull(turnover >= 0, true)
)
engine = ReplacingMergeTree(ingest_time)
partition by toYYYYMM(trade_date)
order by (index_id, trade_date)
-- Months stay in compact parts, ten files each: a snapshot links every file.
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456;
