-- Verdicts on corporate actions: what was read, what moves no price, what a person must decide (schemas 1.2.0 and 1.1.0).
alter table champion_market.normalized_corporate_actions add column if not exists verdict LowCardinality(Nullable(String));
alter table champion_market.normalized_corporate_actions add column if not exists percent Nullable(Float64) codec(ZSTD(1));
alter table champion_market.normalized_adjustment_factors add column if not exists verdict LowCardinality(Nullable(String));
alter table champion_market.normalized_adjustment_factors add column if not exists gap Nullable(Float64) codec(ZSTD(1));
