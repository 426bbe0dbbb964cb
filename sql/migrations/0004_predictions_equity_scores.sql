-- Scores of registered models for the sessions that follow trade_date.
-- Columns, types and constraints are those of schemas/predictions_equity_scores_v1.avsc; a test holds them to it.
create table if not exists champion_market.predictions_equity_scores
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
    model_name LowCardinality(String),
    model_version Int32 codec(ZSTD(1)),
    model_run_id LowCardinality(String),
    feature_version LowCardinality(String),
    horizon Int32 codec(ZSTD(1)),
    score Float64 codec(ZSTD(1)),
    rank Int64 codec(ZSTD(1)),
    constraint score_is_a_probability check ifNull(score >= 0 and score <= 1, true),
    constraint rank_is_positive check ifNull(rank >= 1, true)
)
engine = ReplacingMergeTree(ingest_time)
partition by toYYYYMM(trade_date)
order by (symbol, trade_date, instrument_id, model_name, model_version)
-- Months stay in compact parts, ten files each: a snapshot links every file.
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456;
