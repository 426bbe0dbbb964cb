-- Returns of the instruments that had a symbol, by session: from closes as traded, adjusted, and with dividends.
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

    adjusted as (
        select *
        from champion_market.equity_adjusted
        where instrument_id in (select instrument_id from instruments)
            and trade_date between {start:Date} and {end:Date}
    ),

    total as (
        select instrument_id, trade_date, close, prev_close
        from champion_market.equity_total_return
        where instrument_id in (select instrument_id from instruments)
            and trade_date between {start:Date} and {end:Date}
    ),

    traded as (
        select instrument_id, trade_date, close, prev_close
        from champion_market.equity_ohlc
        where instrument_id in (select instrument_id from instruments)
            and trade_date between {start:Date} and {end:Date}
    ),

    final as (
        select
            adjusted.trade_date as trade_date,
            adjusted.instrument_id as instrument_id,
            adjusted.symbol as symbol,
            adjusted.close as adjusted_close,
            adjusted.adjustment_factor as adjustment_factor,
            traded.close / nullIf(traded.prev_close, 0) - 1 as return_as_traded,
            adjusted.close / nullIf(adjusted.prev_close, 0) - 1 as simple_return,
            total.close / nullIf(total.prev_close, 0) - 1 as total_return
        from adjusted
        inner join total on adjusted.instrument_id = total.instrument_id and adjusted.trade_date = total.trade_date
        inner join traded on adjusted.instrument_id = traded.instrument_id and adjusted.trade_date = traded.trade_date
    )

select *
from final
order by trade_date, instrument_id
