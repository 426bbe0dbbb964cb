-- How much each instrument trades: median turnover and volume, and the share of sessions on which it traded.
-- Parameters: start (Date), end (Date), both included; min_sessions (UInt32).
with
    bars as (
        select *
        from champion_market.equity_ohlc
        where trade_date between {start:Date} and {end:Date}
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
        having sessions_traded >= {min_sessions:UInt32}
    )

select *
from final
order by median_turnover desc, instrument_id
