-- Registry of listed symbols. The key replaces the unique index that ClickHouse does not have: a row of the same
-- exchange and symbol with a later last_updated replaces the earlier one.
create table if not exists champion_market.symbol_master
(
    symbol String,
    exchange LowCardinality(String),
    isin String,
    company_name String,
    sector LowCardinality(String),
    industry LowCardinality(String),
    instrument_type LowCardinality(String),
    series LowCardinality(String),
    face_value Nullable(Float64),
    listing_date Nullable(Date),
    delisting_date Nullable(Date),
    is_active Bool default true,
    last_updated DateTime default now()
)
engine = ReplacingMergeTree(last_updated)
order by (exchange, symbol);
