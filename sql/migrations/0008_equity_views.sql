-- Plain views over final rows: a materialized view would count a replayed row twice, and summing its averages,
-- maxima and minima would be wrong.

-- The bars as they stand: one row per instrument and session.
create or replace view champion_market.equity_ohlc as
select *
from champion_market.normalized_equity_ohlc final;

-- One row per session and exchange.
create or replace view champion_market.equity_ohlc_daily_summary as
select
    trade_date,
    exchange,
    count() as total_symbols,
    sum(volume) as total_volume,
    sum(turnover) as total_turnover,
    avg(close) as avg_close_price,
    max(high) as max_high_price,
    min(low) as min_low_price
from champion_market.normalized_equity_ohlc final
group by trade_date, exchange;

-- The 100 instruments of each session with the most shares traded; ties go to the earlier symbol.
create or replace view champion_market.equity_volume_leaders as
select
    trade_date,
    symbol,
    exchange,
    volume,
    turnover,
    close,
    (close - prev_close) / nullIf(prev_close, 0) * 100 as pct_change,
    row_number() over (partition by trade_date order by volume desc, symbol, instrument_id) as volume_rank
from champion_market.normalized_equity_ohlc final
where volume > 0
qualify volume_rank <= 100;
