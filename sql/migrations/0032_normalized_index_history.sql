-- Histories of indices from files of the index provider, one partition per date of first reading; each file has some of the values.
create table if not exists champion_market.normalized_index_history
(
    event_id UUID,
    event_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    ingest_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    source LowCardinality(String),
    schema_version LowCardinality(String),
    entity_id String codec(ZSTD(1)),
    index_id String codec(ZSTD(1)),
    index_name String codec(ZSTD(1)),
    trade_date Date codec(Delta, ZSTD(1)),
    open Nullable(Float64) codec(ZSTD(1)),
    high Nullable(Float64) codec(ZSTD(1)),
    low Nullable(Float64) codec(ZSTD(1)),
    close Nullable(Float64) codec(ZSTD(1)),
    total_return Nullable(Float64) codec(ZSTD(1)),
    price_earnings Nullable(Float64) codec(ZSTD(1)),
    price_book Nullable(Float64) codec(ZSTD(1)),
    dividend_yield Nullable(Float64) codec(ZSTD(1)),
    list_date Date codec(Delta, ZSTD(1)),
    known_at DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    source_sha256 String codec(ZSTD(1)),
    constraint levels_are_not_negative check ifNull(open >= 0 and high >= 0 and low >= 0 and close >= 0 and total_return >= 0, true),
    constraint yield_is_not_negative check ifNull(dividend_yield >= 0, true),
    constraint numbers_are_known check ifNull(isFinite(open), true) and ifNull(isFinite(high), true) and ifNull(isFinite(low), true) and ifNull(isFinite(close), true) and ifNull(isFinite(total_return), true) and ifNull(isFinite(price_earnings), true) and ifNull(isFinite(price_book), true) and ifNull(isFinite(dividend_yield), true)
)
engine = ReplacingMergeTree(ingest_time)
partition by toYYYYMM(list_date)
order by (list_date, index_id, trade_date, source_sha256)
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456;
