-- Listed shares, every list the exchange published.
-- Columns, types and constraints are those of schemas/normalized_symbol_master_v1.avsc; a test holds them to it.
create table if not exists champion_market.normalized_symbol_master
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
    exchange LowCardinality(String),
    company String codec(ZSTD(1)),
    series LowCardinality(String),
    listed_on Nullable(Date) codec(Delta, ZSTD(1)),
    isin String codec(ZSTD(1)),
    face_value Nullable(Float64) codec(ZSTD(1)),
    paid_up_value Nullable(Float64) codec(ZSTD(1)),
    market_lot Nullable(Int64) codec(ZSTD(1)),
    known_at DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    source_sha256 String codec(ZSTD(1)),
    constraint symbol_is_named check ifNull(symbol <> '', true),
    constraint face_value_is_positive check ifNull(face_value > 0, true),
    constraint market_lot_is_positive check ifNull(market_lot > 0, true),
    constraint paid_up_value_is_not_negative check ifNull(paid_up_value >= 0, true)
)
engine = ReplacingMergeTree(ingest_time)
partition by toYYYYMM(list_date)
order by (list_date, symbol)
-- Months stay in compact parts, ten files each: a snapshot links every file.
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456;

-- The registry was a table that nothing of ours filled: it goes only where it is empty, and under its name stands the
-- latest list. One that somebody filled by hand stops this migration: move it away by `rename table`.
drop table if exists if empty champion_market.symbol_master;
create or replace view champion_market.symbol_master as
select
    symbol,
    exchange,
    isin,
    company as company_name,
    instrument_id,
    series,
    face_value,
    market_lot,
    listed_on as listing_date,
    known_at as last_updated
from champion_market.normalized_symbol_master final
where list_date = (select max(list_date) from champion_market.normalized_symbol_master);
