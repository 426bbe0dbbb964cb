-- Feature set technical, one wide row per instrument and session.
-- Columns, types and constraints are those of schemas/features_equity_technical_v1.avsc; a test holds them to it.
-- Partitions and granules are those of 0018_years.sql.
create table if not exists champion_market.features_equity_technical
(
    instrument_id String codec(ZSTD(1)),
    symbol String codec(ZSTD(1)),
    trade_date Date codec(Delta, ZSTD(1)),
    feature_timestamp DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    feature_version LowCardinality(String),
    cdl_2crows Nullable(Int32) codec(ZSTD(1)),
    cdl_3blackcrows Nullable(Int32) codec(ZSTD(1)),
    cdl_3inside Nullable(Int32) codec(ZSTD(1)),
    cdl_3linestrike Nullable(Int32) codec(ZSTD(1)),
    cdl_3outside Nullable(Int32) codec(ZSTD(1)),
    cdl_3starsinsouth Nullable(Int32) codec(ZSTD(1)),
    cdl_3whitesoldiers Nullable(Int32) codec(ZSTD(1)),
    cdl_abandonedbaby Nullable(Int32) codec(ZSTD(1)),
    cdl_advanceblock Nullable(Int32) codec(ZSTD(1)),
    cdl_belthold Nullable(Int32) codec(ZSTD(1)),
    cdl_breakaway Nullable(Int32) codec(ZSTD(1)),
    cdl_closingmarubozu Nullable(Int32) codec(ZSTD(1)),
    cdl_concealbabyswall Nullable(Int32) codec(ZSTD(1)),
    cdl_counterattack Nullable(Int32) codec(ZSTD(1)),
    cdl_darkcloudcover Nullable(Int32) codec(ZSTD(1)),
    cdl_doji Nullable(Int32) codec(ZSTD(1)),
    cdl_dojistar Nullable(Int32) codec(ZSTD(1)),
    cdl_dragonflydoji Nullable(Int32) codec(ZSTD(1)),
    cdl_engulfing Nullable(Int32) codec(ZSTD(1)),
    cdl_eveningdojistar Nullable(Int32) codec(ZSTD(1)),
    cdl_eveningstar Nullable(Int32) codec(ZSTD(1)),
    cdl_gapsidesidewhite Nullable(Int32) codec(ZSTD(1)),
    cdl_gravestonedoji Nullable(Int32) codec(ZSTD(1)),
    cdl_hammer Nullable(Int32) codec(ZSTD(1)),
    cdl_hangingman Nullable(Int32) codec(ZSTD(1)),
    cdl_harami Nullable(Int32) codec(ZSTD(1)),
    cdl_haramicross Nullable(Int32) codec(ZSTD(1)),
    cdl_highwave Nullable(Int32) codec(ZSTD(1)),
    cdl_hikkake Nullable(Int32) codec(ZSTD(1)),
    cdl_hikkakemod Nullable(Int32) codec(ZSTD(1)),
    cdl_homingpigeon Nullable(Int32) codec(ZSTD(1)),
    cdl_identical3crows Nullable(Int32) codec(ZSTD(1)),
    cdl_inneck Nullable(Int32) codec(ZSTD(1)),
    cdl_invertedhammer Nullable(Int32) codec(ZSTD(1)),
    cdl_kicking Nullable(Int32) codec(ZSTD(1)),
    cdl_kickingbylength Nullable(Int32) codec(ZSTD(1)),
    cdl_ladderbottom Nullable(Int32) codec(ZSTD(1)),
    cdl_longleggeddoji Nullable(Int32) codec(ZSTD(1)),
    cdl_longline Nullable(Int32) codec(ZSTD(1)),
    cdl_marubozu Nullable(Int32) codec(ZSTD(1)),
    cdl_matchinglow Nullable(Int32) codec(ZSTD(1)),
    cdl_mathold Nullable(Int32) codec(ZSTD(1)),
    cdl_morningdojistar Nullable(Int32) codec(ZSTD(1)),
    cdl_morningstar Nullable(Int32) codec(ZSTD(1)),
    cdl_onneck Nullable(Int32) codec(ZSTD(1)),
    cdl_piercing Nullable(Int32) codec(ZSTD(1)),
    cdl_rickshawman Nullable(Int32) codec(ZSTD(1)),
    cdl_risefall3methods Nullable(Int32) codec(ZSTD(1)),
    cdl_separatinglines Nullable(Int32) codec(ZSTD(1)),
    cdl_shootingstar Nullable(Int32) codec(ZSTD(1)),
    cdl_shortline Nullable(Int32) codec(ZSTD(1)),
    cdl_spinningtop Nullable(Int32) codec(ZSTD(1)),
    cdl_stalledpattern Nullable(Int32) codec(ZSTD(1)),
    cdl_sticksandwich Nullable(Int32) codec(ZSTD(1)),
    cdl_takuri Nullable(Int32) codec(ZSTD(1)),
    cdl_tasukigap Nullable(Int32) codec(ZSTD(1)),
    cdl_thrusting Nullable(Int32) codec(ZSTD(1)),
    cdl_tristar Nullable(Int32) codec(ZSTD(1)),
    cdl_unique3river Nullable(Int32) codec(ZSTD(1)),
    cdl_upsidegap2crows Nullable(Int32) codec(ZSTD(1)),
    cdl_xsidegap3methods Nullable(Int32) codec(ZSTD(1)),
    swing_high Nullable(Float64) codec(ZSTD(1)),
    swing_low Nullable(Float64) codec(ZSTD(1)),
    last_swing_high Nullable(Float64) codec(ZSTD(1)),
    last_swing_high_age Nullable(Int32) codec(ZSTD(1)),
    close_to_swing_high Nullable(Float64) codec(ZSTD(1)),
    last_swing_low Nullable(Float64) codec(ZSTD(1)),
    last_swing_low_age Nullable(Int32) codec(ZSTD(1)),
    close_to_swing_low Nullable(Float64) codec(ZSTD(1)),
    resistance Nullable(Float64) codec(ZSTD(1)),
    resistance_touches Nullable(Int32) codec(ZSTD(1)),
    resistance_age Nullable(Int32) codec(ZSTD(1)),
    close_to_resistance Nullable(Float64) codec(ZSTD(1)),
    support Nullable(Float64) codec(ZSTD(1)),
    support_touches Nullable(Int32) codec(ZSTD(1)),
    support_age Nullable(Int32) codec(ZSTD(1)),
    close_to_support Nullable(Float64) codec(ZSTD(1)),
    pivot Nullable(Float64) codec(ZSTD(1)),
    pivot_r1 Nullable(Float64) codec(ZSTD(1)),
    pivot_r2 Nullable(Float64) codec(ZSTD(1)),
    pivot_r3 Nullable(Float64) codec(ZSTD(1)),
    pivot_s1 Nullable(Float64) codec(ZSTD(1)),
    pivot_s2 Nullable(Float64) codec(ZSTD(1)),
    pivot_s3 Nullable(Float64) codec(ZSTD(1)),
    close_to_pivot Nullable(Float64) codec(ZSTD(1)),
    channel_middle_20 Nullable(Float64) codec(ZSTD(1)),
    channel_slope_20 Nullable(Float64) codec(ZSTD(1)),
    channel_width_20 Nullable(Float64) codec(ZSTD(1)),
    channel_position_20 Nullable(Float64) codec(ZSTD(1)),
    channel_middle_60 Nullable(Float64) codec(ZSTD(1)),
    channel_slope_60 Nullable(Float64) codec(ZSTD(1)),
    channel_width_60 Nullable(Float64) codec(ZSTD(1)),
    channel_position_60 Nullable(Float64) codec(ZSTD(1)),
    donchian_upper_20 Nullable(Float64) codec(ZSTD(1)),
    donchian_lower_20 Nullable(Float64) codec(ZSTD(1)),
    donchian_position_20 Nullable(Float64) codec(ZSTD(1)),
    supertrend Nullable(Float64) codec(ZSTD(1)),
    supertrend_direction Nullable(Int32) codec(ZSTD(1)),
    close_to_supertrend Nullable(Float64) codec(ZSTD(1)),
    ichimoku_tenkan Nullable(Float64) codec(ZSTD(1)),
    ichimoku_kijun Nullable(Float64) codec(ZSTD(1)),
    ichimoku_span_a Nullable(Float64) codec(ZSTD(1)),
    ichimoku_span_b Nullable(Float64) codec(ZSTD(1)),
    ichimoku_chikou Nullable(Float64) codec(ZSTD(1)),
    close_to_kijun Nullable(Float64) codec(ZSTD(1)),
    tenkan_to_kijun Nullable(Float64) codec(ZSTD(1)),
    close_to_cloud Nullable(Float64) codec(ZSTD(1)),
    cloud_width Nullable(Float64) codec(ZSTD(1)),
    computed_at DateTime default now(),
    index idx_instrument instrument_id type minmax granularity 1,
    constraint support_is_below_resistance check ifNull(support < resistance, true),
    constraint levels_are_touched_twice check ifNull(resistance_touches >= 2 and support_touches >= 2, true),
    constraint direction_is_a_sign check ifNull(supertrend_direction = 1 or supertrend_direction = -1, true),
    constraint lower_is_not_above_upper check ifNull(donchian_lower_20 <= donchian_upper_20, true),
    constraint swings_are_confirmed check ifNull(last_swing_high_age >= 5 and last_swing_low_age >= 5, true),
    constraint numbers_are_known check
        ifNull(isFinite(swing_high), true) and ifNull(isFinite(swing_low), true)
        and ifNull(isFinite(last_swing_high), true) and ifNull(isFinite(close_to_swing_high), true)
        and ifNull(isFinite(last_swing_low), true) and ifNull(isFinite(close_to_swing_low), true)
        and ifNull(isFinite(resistance), true) and ifNull(isFinite(close_to_resistance), true)
        and ifNull(isFinite(support), true) and ifNull(isFinite(close_to_support), true)
        and ifNull(isFinite(pivot), true) and ifNull(isFinite(pivot_r1), true) and ifNull(isFinite(pivot_r2), true)
        and ifNull(isFinite(pivot_r3), true) and ifNull(isFinite(pivot_s1), true) and ifNull(isFinite(pivot_s2), true)
        and ifNull(isFinite(pivot_s3), true) and ifNull(isFinite(close_to_pivot), true)
        and ifNull(isFinite(channel_middle_20), true) and ifNull(isFinite(channel_slope_20), true)
        and ifNull(isFinite(channel_width_20), true) and ifNull(isFinite(channel_position_20), true)
        and ifNull(isFinite(channel_middle_60), true) and ifNull(isFinite(channel_slope_60), true)
        and ifNull(isFinite(channel_width_60), true) and ifNull(isFinite(channel_position_60), true)
        and ifNull(isFinite(donchian_upper_20), true) and ifNull(isFinite(donchian_lower_20), true)
        and ifNull(isFinite(donchian_position_20), true) and ifNull(isFinite(supertrend), true)
        and ifNull(isFinite(close_to_supertrend), true) and ifNull(isFinite(ichimoku_tenkan), true)
        and ifNull(isFinite(ichimoku_kijun), true) and ifNull(isFinite(ichimoku_span_a), true)
        and ifNull(isFinite(ichimoku_span_b), true) and ifNull(isFinite(ichimoku_chikou), true)
        and ifNull(isFinite(close_to_kijun), true) and ifNull(isFinite(tenkan_to_kijun), true)
        and ifNull(isFinite(close_to_cloud), true) and ifNull(isFinite(cloud_width), true)
)
engine = MergeTree
partition by toYear(trade_date)
order by (symbol, trade_date, feature_timestamp)
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 10485760, index_granularity = 1024;
