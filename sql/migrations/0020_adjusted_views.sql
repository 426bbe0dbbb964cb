-- The adjusted views over what is written down of factors and first sessions (0019).

-- Bars of company shares in the scale of the last session loaded; its parameter `dividends` says whether these count.
-- Prices are divided by the product of the price factors that come after the bar and rounded to 1/10,000 rupee, volume
-- is multiplied by that of the volume factors and rounded; a product of 1 changes nothing. prev_close is a price of the
-- instrument's bar before: to it also comes what lies between the two, so that an action counts up to the first bar
-- since its ex-date. The latest factor is multiplied first, as champion/adjust.py does: floats then agree to the bit.
create or replace view champion_market.equity_scaled as
with
    bars as (
        select *
        from champion_market.normalized_equity_ohlc final
        where series in ('EQ', 'BE', 'BZ', 'SM', 'ST')
    ),

    actions as (
        select instrument_id, ex_dates, first_sessions, price_factors, volume_factors
        from champion_market.instrument_adjustments
        where dividends = {dividends:Bool}
    ),

    scaled as (
        select
            bars.*,
            empty(ex_dates) as plain,
            if(plain, 1, arrayProduct((x, ex) -> if(ex > bars.trade_date, x, 1), price_factors, ex_dates)) as divisor,
            if(plain, 1, arrayProduct((x, first) -> if(first >= bars.trade_date, x, 1), price_factors, first_sessions))
                as divisor_before,
            if(plain, 1, arrayProduct((x, ex) -> if(ex > bars.trade_date, x, 1), volume_factors, ex_dates))
                as volume_factor,
            if(ex_dates[1] > bars.trade_date, ex_dates[1], null) as latest
        from bars
        left join actions on bars.instrument_id = actions.instrument_id
    )

select
    * except (plain, divisor, divisor_before, volume_factor, latest) replace (
        if(divisor <> 1, round(open / divisor, 4), open) as open,
        if(divisor <> 1, round(high / divisor, 4), high) as high,
        if(divisor <> 1, round(low / divisor, 4), low) as low,
        if(divisor <> 1, round(close / divisor, 4), close) as close,
        if(divisor <> 1, round(last_price / divisor, 4), last_price) as last_price,
        if(divisor <> 1, round(settlement_price / divisor, 4), settlement_price) as settlement_price,
        if(divisor_before <> 1, round(prev_close / divisor_before, 4), prev_close) as prev_close,
        if(volume_factor <> 1, toInt64(round(volume * volume_factor)), volume) as volume,
        divisor as adjustment_factor,
        latest as adjustment_date
    ),
    volume_factor
from scaled;
