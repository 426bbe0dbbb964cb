-- The shares of one session that moved most since their previous bar, adjusted for splits and bonuses.
-- Parameters:
--   session Date = (select max(trade_date) from champion_market.normalized_equity_ohlc): the session
--   rows UInt32 = 20: the number of shares
--   min_turnover Float64 = 1e6: the least turnover, in rupees, as prices move most in thin trading
--   kinds String = 'equity': the kinds of instruments, as equity,fund; see the table instruments
with
    bars as (
        select *
        from champion_market.equity_adjusted
        where trade_date = {session:Date}
            and turnover >= {min_turnover:Float64}
            and prev_close > 0
            and instrument_id in (
                select instrument_id
                from champion_market.instruments
                where has(splitByChar(',', {kinds:String}), instrument_kind)
            )
    ),

    -- without first sessions, whose previous close is the issue price; the first loaded session is not a listing
    listed as (
        select distinct instrument_id
        from champion_market.normalized_equity_ohlc
        where trade_date < {session:Date}
            or trade_date = (select min(trade_date) from champion_market.normalized_equity_ohlc)
    ),

    -- prices in the scale of the session: the close as traded, and the adjusted previous close
    final as (
        select
            trade_date,
            symbol,
            series,
            round(prev_close * adjustment_factor, 4) as prev_close,
            round(close * adjustment_factor, 4) as close,
            bars.close / bars.prev_close - 1 as simple_return,
            volume,
            turnover
        from bars
        where instrument_id in (select instrument_id from listed)
    )

select *
from final
order by abs(simple_return) desc, symbol
limit {rows:UInt32}
