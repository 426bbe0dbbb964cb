-- Lot sizes of derivatives by expiry month, one partition per list as the exchange published it; without a row there is no such expiry.
create table if not exists champion_market.normalized_fo_lots
(
    event_id UUID,
    event_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    ingest_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    source LowCardinality(String),
    schema_version LowCardinality(String),
    entity_id String codec(ZSTD(1)),
    instrument_id Nullable(String) codec(ZSTD(1)),
    symbol String codec(ZSTD(1)),
    underlying String codec(ZSTD(1)),
    kind LowCardinality(String),
    expiry_month Date codec(Delta, ZSTD(1)),
    lot_size Int64 codec(ZSTD(1)),
    list_date Date codec(Delta, ZSTD(1)),
    known_at DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    source_sha256 String codec(ZSTD(1)),
    constraint symbol_is_named check ifNull(symbol <> '', true),
    constraint kind_is_known check ifNull(kind IN ('index', 'security'), true),
    constraint lot_is_positive check ifNull(lot_size > 0, true)
)
engine = ReplacingMergeTree(ingest_time)
partition by toYYYYMM(list_date)
order by (list_date, symbol, expiry_month)
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456;
