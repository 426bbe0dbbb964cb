-- The symbols of each instrument, oldest first, with the first and last session of each symbol, and its ISINs.
-- Parameters:
--   symbol String = '': any symbol that an instrument had; empty for all instruments
with
    bars as (
        select instrument_id, symbol, isin, trade_date
        from champion_market.equity_ohlc
    ),

    chosen as (
        select distinct instrument_id
        from bars
        where {symbol:String} in ('', symbol)
    ),

    final as (
        select
            instrument_id,
            symbol,
            min(trade_date) as first_session,
            max(trade_date) as last_session,
            count() as sessions,
            arraySort(groupUniqArray(isin)) as isins
        from bars
        where instrument_id in (select instrument_id from chosen)
        group by instrument_id, symbol
    )

select *
from final
order by instrument_id, first_session, symbol
