-- Technical indicators, one wide row per instrument and session.
-- Columns, types and constraints are those of schemas/features_equity_indicators_v1.avsc; a test holds them to it.
create table if not exists champion_market.features_equity_indicators
(
    instrument_id String codec(ZSTD(1)),
    symbol String codec(ZSTD(1)),
    trade_date Date codec(Delta, ZSTD(1)),
    feature_timestamp DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    feature_version LowCardinality(String),
    sma_5 Nullable(Float64) codec(ZSTD(1)),
    sma_10 Nullable(Float64) codec(ZSTD(1)),
    sma_20 Nullable(Float64) codec(ZSTD(1)),
    sma_50 Nullable(Float64) codec(ZSTD(1)),
    sma_100 Nullable(Float64) codec(ZSTD(1)),
    sma_200 Nullable(Float64) codec(ZSTD(1)),
    ema_12 Nullable(Float64) codec(ZSTD(1)),
    ema_26 Nullable(Float64) codec(ZSTD(1)),
    ema_50 Nullable(Float64) codec(ZSTD(1)),
    rsi_14 Nullable(Float64) codec(ZSTD(1)),
    macd Nullable(Float64) codec(ZSTD(1)),
    macd_signal Nullable(Float64) codec(ZSTD(1)),
    macd_histogram Nullable(Float64) codec(ZSTD(1)),
    stochastic_k Nullable(Float64) codec(ZSTD(1)),
    stochastic_d Nullable(Float64) codec(ZSTD(1)),
    bb_upper Nullable(Float64) codec(ZSTD(1)),
    bb_middle Nullable(Float64) codec(ZSTD(1)),
    bb_lower Nullable(Float64) codec(ZSTD(1)),
    bb_width Nullable(Float64) codec(ZSTD(1)),
    atr_14 Nullable(Float64) codec(ZSTD(1)),
    vwap Nullable(Float64) codec(ZSTD(1)),
    obv Nullable(Int64) codec(ZSTD(1)),
    volume_ma_20 Nullable(Float64) codec(ZSTD(1)),
    computed_at DateTime default now(),
    constraint rsi_in_range check ifNull(rsi_14 >= 0 and rsi_14 <= 100, true),
    constraint bands_are_ordered check ifNull(bb_lower <= bb_upper, true),
    constraint atr_is_not_negative check ifNull(atr_14 >= 0, true)
)
engine = MergeTree
partition by toYYYYMM(trade_date)
order by (symbol, trade_date, feature_timestamp)
-- Months stay in compact parts, ten files each: a snapshot links every file.
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456;
