-- First and last session of each instrument by calendar year, symbol, ISIN and series. A load stores them for the years
-- that it changed (champion/warehouse/adjustment_cache.py), so that kinds and lives cost a read of these years' bars.
create table if not exists champion_market.instrument_spans
(
    year UInt16,
    instrument_id String,
    exchange LowCardinality(String),
    symbol String,
    isin Nullable(String),
    series LowCardinality(Nullable(String)),
    first_session Date,
    last_session Date
)
engine = MergeTree
partition by year
order by (instrument_id, symbol);

-- The same, computed from the bars.
create or replace view champion_market.instrument_spans_now as
select
    toYear(trade_date) as year,
    instrument_id,
    exchange,
    symbol,
    isin,
    series,
    min(trade_date) as first_session,
    max(trade_date) as last_session
from champion_market.normalized_equity_ohlc
group by year, instrument_id, exchange, symbol, isin, series;

insert into champion_market.instrument_spans
select * from champion_market.instrument_spans_now
where (select count() from champion_market.instrument_spans) = 0;
