-- The shares of one session that moved most since their bar before, up or down, adjusted for splits and bonuses.
-- Parameters:
--   session Date = (select max(trade_date) from champion_market.normalized_equity_ohlc): the session
--   rows UInt32 = 20: how many of them
--   min_turnover Float64 = 1e6: rupees; thin trading moves prices most
with
    -- of shares and fund units: a rights entitlement has ISIN security type 20 and a symbol in -RE
    bars as (
        select *
        from champion_market.equity_adjusted
        where trade_date = {session:Date}
            and turnover >= {min_turnover:Float64}
            and prev_close > 0
            and not match(symbol, '-RE[0-9]*$')
            and not (startsWith(ifNull(isin, ''), 'INE') and substring(ifNull(isin, ''), 8, 2) = '20')
    ),

    -- not on their first session, when the close before is the issue price; the first session loaded is no listing
    listed as (
        select distinct instrument_id
        from champion_market.normalized_equity_ohlc
        where trade_date < {session:Date}
            or trade_date = (select min(trade_date) from champion_market.normalized_equity_ohlc)
    ),

    -- prices in the scale of the session: the close as traded, and the close before it made comparable
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
