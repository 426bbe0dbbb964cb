-- How much of each instrument's volume was delivered. A row of the same key with a later ingest_time replaces the earlier.
-- Columns, types and constraints are those of schemas/normalized_equity_delivery_v1.avsc; a test holds them to it.
create table if not exists champion_market.normalized_equity_delivery
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
    trade_date Date codec(Delta, ZSTD(1)),
    volume Int64 codec(ZSTD(1)),
    delivered_volume Nullable(Int64) codec(ZSTD(1)),
    delivered_share Nullable(Float64) codec(ZSTD(1)),
    average_price Nullable(Float64) codec(ZSTD(1)),
    trades Nullable(Int64) codec(ZSTD(1)),
    constraint volume_is_not_negative check ifNull(volume >= 0, true),
    constraint delivered_is_part_of_volume check ifNull(delivered_volume >= 0 and delivered_volume <= volume, true),
    constraint share_is_a_share check ifNull(delivered_share >= 0 and delivered_share <= 1, true),
    constraint average_price_is_positive check ifNull(average_price > 0, true),
    constraint trades_are_not_negative check ifNull(trades >= 0, true)
)
engine = ReplacingMergeTree(ingest_time)
partition by toYYYYMM(trade_date)
order by (symbol, trade_date, instrument_id)
-- Months stay in compact parts, ten files each: a snapshot links every file.
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456;
