-- The shares whose close of a session is at or near their 52-week high, adjusted for corporate actions.
-- Parameters:
--   session Date = (select max(trade_date) from champion_market.normalized_equity_ohlc): the session
--   within Float64 = 0: the greatest distance below the highest close, as 0.02 for 2 percent
--   min_sessions UInt32 = 200: the least number of sessions of the 52 weeks on which they traded
--   kinds String = 'equity': the kinds of instruments, as equity,fund; see the table instruments
with
    bars as (
        select *
        from champion_market.equity_adjusted
        where trade_date between {session:Date} - 363 and {session:Date}
            and instrument_id in (
                select instrument_id
                from champion_market.instruments
                where has(splitByChar(',', {kinds:String}), instrument_kind)
            )
    ),

    years as (
        select
            instrument_id,
            count() as sessions,
            max(close) as highest,
            argMax(trade_date, (close, trade_date)) as highest_on,
            argMax(close, trade_date) as last_close,
            argMax(symbol, trade_date) as last_symbol,
            argMax(volume, trade_date) as last_volume,
            max(trade_date) as last_session
        from bars
        group by instrument_id
    ),

    final as (
        select
            last_symbol as symbol,
            instrument_id,
            last_close as close,
            highest,
            highest_on,
            last_close / highest - 1 as from_high,
            last_volume as volume,
            sessions
        from years
        where
            last_session = {session:Date}
            and sessions >= {min_sessions:UInt32}
            and last_close >= highest * (1 - {within:Float64})
    )

select *
from final
order by from_high desc, symbol
