-- The instruments of one session that moved most against their previous close, up or down.
-- Parameters: session (Date), rows (UInt32), min_turnover (Float64, rupees; thin trading moves prices most).
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
