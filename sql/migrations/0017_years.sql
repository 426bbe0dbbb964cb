-- Years instead of months, and granules of 1,024 rows instead of 8,192. A question for one symbol reads a granule of
-- every column in every partition it touches: a year of one symbol cost twelve of them, twenty years 240. Measured on
-- 10 million bars (benchmarks/README.md), such questions take a fifth to a tenth of what they took.
-- A full year is a wide part, of which a question about all symbols reads just the columns it names.
-- A symbol's rows lie together, and so do those of its instrument: a range of instrument_id a granule finds them.
--
-- Each table is copied into one of the new shape, which then takes its name. Interrupted anywhere, the file runs again.

drop table if exists champion_market.reshaped_raw_equity_ohlc sync;
create table if not exists champion_market.reshaped_raw_equity_ohlc as champion_market.raw_equity_ohlc
engine = MergeTree
partition by toYear(TradDt)
order by (TckrSymb, TradDt, event_time)
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 10485760, index_granularity = 1024;
insert into champion_market.reshaped_raw_equity_ohlc select * from champion_market.raw_equity_ohlc settings max_partitions_per_insert_block = 0;
exchange tables champion_market.reshaped_raw_equity_ohlc and champion_market.raw_equity_ohlc;
drop table if exists champion_market.reshaped_raw_equity_ohlc sync;

drop table if exists champion_market.reshaped_normalized_equity_ohlc sync;
create table if not exists champion_market.reshaped_normalized_equity_ohlc as champion_market.normalized_equity_ohlc
engine = ReplacingMergeTree(ingest_time)
partition by toYear(trade_date)
order by (symbol, trade_date, instrument_id)
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 10485760, index_granularity = 1024;
alter table champion_market.reshaped_normalized_equity_ohlc add index if not exists idx_instrument instrument_id type minmax granularity 1;
insert into champion_market.reshaped_normalized_equity_ohlc select * from champion_market.normalized_equity_ohlc settings max_partitions_per_insert_block = 0;
exchange tables champion_market.reshaped_normalized_equity_ohlc and champion_market.normalized_equity_ohlc;
drop table if exists champion_market.reshaped_normalized_equity_ohlc sync;

drop table if exists champion_market.reshaped_normalized_equity_delivery sync;
create table if not exists champion_market.reshaped_normalized_equity_delivery as champion_market.normalized_equity_delivery
engine = ReplacingMergeTree(ingest_time)
partition by toYear(trade_date)
order by (symbol, trade_date, instrument_id)
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 10485760, index_granularity = 1024;
alter table champion_market.reshaped_normalized_equity_delivery add index if not exists idx_instrument instrument_id type minmax granularity 1;
insert into champion_market.reshaped_normalized_equity_delivery select * from champion_market.normalized_equity_delivery settings max_partitions_per_insert_block = 0;
exchange tables champion_market.reshaped_normalized_equity_delivery and champion_market.normalized_equity_delivery;
drop table if exists champion_market.reshaped_normalized_equity_delivery sync;

drop table if exists champion_market.reshaped_normalized_index_ohlc sync;
create table if not exists champion_market.reshaped_normalized_index_ohlc as champion_market.normalized_index_ohlc
engine = ReplacingMergeTree(ingest_time)
partition by toYear(trade_date)
order by (index_id, trade_date)
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 10485760, index_granularity = 1024;
insert into champion_market.reshaped_normalized_index_ohlc select * from champion_market.normalized_index_ohlc settings max_partitions_per_insert_block = 0;
exchange tables champion_market.reshaped_normalized_index_ohlc and champion_market.normalized_index_ohlc;
drop table if exists champion_market.reshaped_normalized_index_ohlc sync;

drop table if exists champion_market.reshaped_features_equity_indicators sync;
create table if not exists champion_market.reshaped_features_equity_indicators as champion_market.features_equity_indicators
engine = MergeTree
partition by toYear(trade_date)
order by (symbol, trade_date, feature_timestamp)
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 10485760, index_granularity = 1024;
alter table champion_market.reshaped_features_equity_indicators add index if not exists idx_instrument instrument_id type minmax granularity 1;
insert into champion_market.reshaped_features_equity_indicators select * from champion_market.features_equity_indicators settings max_partitions_per_insert_block = 0;
exchange tables champion_market.reshaped_features_equity_indicators and champion_market.features_equity_indicators;
drop table if exists champion_market.reshaped_features_equity_indicators sync;

drop table if exists champion_market.reshaped_predictions_equity_scores sync;
create table if not exists champion_market.reshaped_predictions_equity_scores as champion_market.predictions_equity_scores
engine = ReplacingMergeTree(ingest_time)
partition by toYear(trade_date)
order by (symbol, trade_date, instrument_id, model_name, model_version)
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 10485760, index_granularity = 1024;
alter table champion_market.reshaped_predictions_equity_scores add index if not exists idx_instrument instrument_id type minmax granularity 1;
insert into champion_market.reshaped_predictions_equity_scores select * from champion_market.predictions_equity_scores settings max_partitions_per_insert_block = 0;
exchange tables champion_market.reshaped_predictions_equity_scores and champion_market.predictions_equity_scores;
drop table if exists champion_market.reshaped_predictions_equity_scores sync;
