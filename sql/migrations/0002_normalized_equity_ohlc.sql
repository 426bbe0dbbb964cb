-- Canonical daily bars. A row of the same key with a later ingest_time replaces the earlier one.
-- Columns, types and constraints are those of schemas/normalized_equity_ohlc_v1.avsc; a test holds them to it.
create table if not exists champion_market.normalized_equity_ohlc
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
    isin Nullable(String) codec(ZSTD(1)),
    instrument_type LowCardinality(Nullable(String)),
    series LowCardinality(Nullable(String)),
    trade_date Date codec(Delta, ZSTD(1)),
    prev_close Nullable(Float64) codec(ZSTD(1)),
    open Float64 codec(ZSTD(1)),
    high Float64 codec(ZSTD(1)),
    low Float64 codec(ZSTD(1)),
    close Float64 codec(ZSTD(1)),
    last_price Nullable(Float64) codec(ZSTD(1)),
    settlement_price Nullable(Float64) codec(ZSTD(1)),
    volume Int64 codec(ZSTD(1)),
    turnover Float64 codec(ZSTD(1)),
    trades Nullable(Int64) codec(ZSTD(1)),
    adjustment_factor Float64 default 1 codec(ZSTD(1)),
    adjustment_date Nullable(Date) codec(Delta, ZSTD(1)),
    is_trading_day Bool,
    index idx_isin_norm isin type bloom_filter granularity 4,
    index idx_volume volume type minmax granularity 1,
    constraint prices_are_positive check ifNull(open > 0 and high > 0 and low > 0 and close > 0, true),
    constraint low_le_high check ifNull(low <= high, true),
    constraint open_in_range check ifNull(low <= open and open <= high, true),
    constraint close_in_range check ifNull(series = 'T0' or (low <= close and close <= high), true),
    constraint volume_is_not_negative check ifNull(volume >= 0, true),
    constraint turnover_is_not_negative check ifNull(turnover >= 0, true),
    constraint factor_is_positive check ifNull(adjustment_factor > 0, true)
)
engine = ReplacingMergeTree(ingest_time)
partition by toYYYYMM(trade_date)
order by (symbol, trade_date, instrument_id)
-- Months stay in compact parts, ten files each: a snapshot links every file.
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456;
