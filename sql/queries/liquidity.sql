-- The liquidity of each share: median turnover and volume, and the share of sessions on which it traded.
-- Parameters:
--   start Date = (select max(trade_date) from champion_market.normalized_equity_ohlc) - 90: the first session
--   end Date = (select max(trade_date) from champion_market.normalized_equity_ohlc): the last session
--   min_sessions UInt32 = 20: the least number of sessions on which it traded
--   min_turnover Float64 = 0: the least median turnover, in rupees
--   kinds String = 'equity': the kinds of instruments, as equity,fund; empty for all; see the table instruments
with
    bars as (
        select *
        from champion_market.equity_ohlc
        where trade_date between {start:Date} and {end:Date}
            and ({kinds:String} = '' or instrument_id in (
                select instrument_id
                from champion_market.instruments
                where has(splitByChar(',', {kinds:String}), instrument_kind)
            ))
    ),

    sessions as (
        select uniqExact(trade_date) as held
        from bars
    ),

    final as (
        select
            instrument_id,
            argMax(symbol, trade_date) as last_symbol,
            count() as sessions_traded,
            count() / any(sessions.held) as share_of_sessions,
            quantileExactInclusive(0.5)(turnover) as median_turnover,
            quantileExactInclusive(0.5)(volume) as median_volume
        from bars
        cross join sessions
        group by instrument_id
        having sessions_traded >= {min_sessions:UInt32} and median_turnover >= {min_turnover:Float64}
    )

select *
from final
order by median_turnover desc, instrument_id
