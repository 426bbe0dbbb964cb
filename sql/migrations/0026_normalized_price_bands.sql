-- Price bands as published after a session; they apply to the next session.
create table if not exists champion_market.normalized_price_bands
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
    band_kind LowCardinality(String),
    band_percent Nullable(Int64) codec(ZSTD(1)),
    surveillance LowCardinality(Nullable(String)),
    index idx_instrument instrument_id type minmax granularity 1,
    constraint band_is_known check ifNull(band_percent IN (2, 5, 10, 20, 40), true),
    constraint kind_is_known check ifNull(band_kind IN ('fixed', 'dynamic'), true),
    constraint fixed_has_percent check ifNull((band_kind = 'fixed' AND band_percent IS NOT NULL) OR (band_kind = 'dynamic' AND band_percent IS NULL), true)
)
engine = ReplacingMergeTree(ingest_time)
partition by toYear(trade_date)
order by (symbol, trade_date, series)
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 10485760, index_granularity = 1024;
