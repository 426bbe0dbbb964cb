-- The bars of one symbol, oldest first.
-- Parameters: symbol (String), start (Date), end (Date), both included.
with
    bars as (
        select *
        from champion_market.equity_ohlc
        where symbol = {symbol:String} and trade_date between {start:Date} and {end:Date}
    ),

    final as (
        select trade_date, symbol, series, isin, open, high, low, close, prev_close, volume, turnover, trades
        from bars
    )

select *
from final
order by trade_date, series
