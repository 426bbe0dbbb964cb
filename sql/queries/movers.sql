-- The instruments of one session that moved most against their previous close, up or down.
-- Parameters:
--   session Date = (select max(trade_date) from champion_market.normalized_equity_ohlc): the session
--   rows UInt32 = 20: how many of them
--   min_turnover Float64 = 1e6: rupees; thin trading moves prices most
with
    bars as (
        select *
        from champion_market.equity_ohlc
        where trade_date = {session:Date} and turnover >= {min_turnover:Float64} and prev_close > 0
    ),

    final as (
        select
            trade_date,
            symbol,
            series,
            prev_close,
            close,
            close / prev_close - 1 as simple_return,
            volume,
            turnover
        from bars
    )

select *
from final
order by abs(simple_return) desc, symbol
limit {rows:UInt32}
