-- Bars that can be compared across corporate actions: what champion/adjust.py does, as plain views over final rows, so
-- that a new list of actions adjusts everything with its load.

-- The factors believed now: those of the latest list, as far as there are any.
create or replace view champion_market.adjustment_factors as
select
    instrument_id,
    symbol,
    ex_date,
    kind,
    basis,
    assumeNotNull(price_factor) as price_factor,
    ifNull(volume_factor, 1) as volume_factor,
    detail,
    purpose,
    known_at
from champion_market.normalized_adjustment_factors final
where
    list_date = (select max(list_date) from champion_market.normalized_adjustment_factors)
    and normalized_adjustment_factors.price_factor is not null;

-- Bars of company shares in the scale of the last session loaded; its parameter `dividends` says whether these count.
-- Prices are divided by the product of the price factors that come after the bar and rounded to 1/10,000 rupee, volume
-- is multiplied by that of the volume factors and rounded; a product of 1 changes nothing. prev_close is a price of the
-- instrument's bar before: to it also comes what lies between the two, so that an action counts up to the first bar
-- since its ex-date. The latest factor is multiplied first, as champion/adjust.py does: floats then agree to the bit.
create or replace view champion_market.equity_scaled as
with
    bars as (
        select *
        from champion_market.equity_ohlc
        where series in ('EQ', 'BE', 'BZ', 'SM', 'ST')
    ),

    known as (
        select instrument_id, ex_date, price_factor, volume_factor
        from champion_market.adjustment_factors
        where
            ({dividends:Bool} or kind <> 'dividend')
            and ex_date <= (select max(trade_date) from champion_market.normalized_equity_ohlc)
    ),

    traded as (
        select instrument_id, groupArray(trade_date) as sessions, min(trade_date) as first_session
        from champion_market.normalized_equity_ohlc
        where series in ('EQ', 'BE', 'BZ', 'SM', 'ST') and instrument_id in (select instrument_id from known)
        group by instrument_id
    ),

    factors as (
        select
            known.instrument_id as instrument_id,
            arraySort(
                factor -> (-toInt32(factor.1), factor.2, factor.3),
                groupArray((known.ex_date, known.price_factor, known.volume_factor))
            ) as listed,
            any(traded.sessions) as sessions
        from known
        inner join traded on known.instrument_id = traded.instrument_id
        where known.ex_date >= traded.first_session
        group by known.instrument_id
    ),

    actions as (
        select
            instrument_id,
            arrayMap(factor -> factor.1, listed) as ex_dates,
            arrayMap(ex -> greatest(ex, arrayMin(arrayFilter(day -> day >= ex, sessions))), ex_dates) as first_sessions,
            arrayMap(factor -> factor.2, listed) as price_factors,
            arrayMap(factor -> factor.3, listed) as volume_factors
        from factors
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

-- Adjusted for splits, bonuses, consolidations, rights issues and demergers.
create or replace view champion_market.equity_adjusted as
select *
from champion_market.equity_scaled(dividends = false);

-- Adjusted for dividends too: the changes of these prices are what an owner earned.
create or replace view champion_market.equity_total_return as
select *
from champion_market.equity_scaled(dividends = true);
