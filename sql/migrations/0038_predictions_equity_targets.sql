-- Target weights of a model's portfolio for the session after trade_date, and why the other instruments have none.
create table if not exists champion_market.predictions_equity_targets
(
    event_id UUID,
    event_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    ingest_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    source LowCardinality(String),
    schema_version LowCardinality(String),
    entity_id String codec(ZSTD(1)),
    instrument_id String codec(ZSTD(1)),
    symbol String codec(ZSTD(1)),
    trade_date Date codec(Delta, ZSTD(1)),
    following Date codec(Delta, ZSTD(1)),
    model_name LowCardinality(String),
    model_version Int32 codec(ZSTD(1)),
    decided_on Date codec(Delta, ZSTD(1)),
    previous_on Nullable(Date) codec(Delta, ZSTD(1)),
    series LowCardinality(Nullable(String)),
    close Nullable(Float64) codec(ZSTD(1)),
    score Nullable(Float64) codec(ZSTD(1)),
    rank Nullable(Int64) codec(ZSTD(1)),
    weight Float64 codec(ZSTD(1)),
    previous_weight Float64 codec(ZSTD(1)),
    action LowCardinality(String),
    excluded_by LowCardinality(Nullable(String)),
    band_kind LowCardinality(String),
    band_percent Nullable(Int64) codec(ZSTD(1)),
    fo_ban LowCardinality(String),
    warnings Nullable(String) codec(ZSTD(1)),
    index idx_instrument instrument_id type minmax granularity 1,
    constraint weights_are_shares check ifNull(weight >= 0 and weight <= 1 and previous_weight >= 0 and previous_weight <= 1, true),
    constraint rank_is_positive check ifNull(rank >= 1, true),
    constraint action_is_known check ifNull(action in ('buy', 'sell', 'hold', 'none'), true),
    constraint a_weight_or_a_reason check ifNull((weight > 0 and excluded_by is null) or (weight = 0 and excluded_by is not null), true),
    constraint band_is_known_or_unknown check ifNull(band_kind in ('fixed', 'dynamic', 'unknown'), true),
    constraint ban_is_known_or_unknown check ifNull(fo_ban in ('yes', 'no', 'unknown'), true),
    constraint numbers_are_known check ifNull(isFinite(close), true) and ifNull(isFinite(score), true) and ifNull(isFinite(weight), true) and ifNull(isFinite(previous_weight), true)
)
engine = ReplacingMergeTree(ingest_time)
partition by toYear(trade_date)
order by (symbol, trade_date, instrument_id, model_version)
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 10485760, index_granularity = 1024;

-- The targets of each session as they stand, of the version that published them last.
create or replace view champion_market.equity_targets as
with last as (
    select trade_date, argMax(model_version, (ingest_time, model_version)) as model_version
    from champion_market.predictions_equity_targets final
    group by trade_date
)

select *
from champion_market.predictions_equity_targets final
where (trade_date, model_version) in (select trade_date, model_version from last);
