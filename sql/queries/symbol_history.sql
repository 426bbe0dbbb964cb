-- The bars of the instruments that had a symbol, oldest first, including bars under earlier and later symbols.
-- Parameters:
--   symbol String: any symbol that the instrument had
--   start Date = '1970-01-01': the first session
--   end Date = '2149-06-06': the last session
with
    instruments as (
        select distinct instrument_id
        from champion_market.normalized_equity_ohlc
        where symbol = {symbol:String}
    ),

    bars as (
        select *
        from champion_market.equity_ohlc
        where instrument_id in (select instrument_id from instruments)
            and trade_date between {start:Date} and {end:Date}
    ),

    final as (
        select
            trade_date,
            instrument_id,
            symbol,
            series,
            isin,
            open,
            high,
            low,
            close,
            prev_close,
            volume,
            turnover,
            trades
        from bars
    )

select *
from final
order by trade_date, series, instrument_id
