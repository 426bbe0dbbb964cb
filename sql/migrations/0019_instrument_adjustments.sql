-- Adjusted bars without a look at all bars. What made the views slow was one question: which session was an instrument's
-- first since an ex-date. The answer is the same until bars or factors are loaded, so a load ends by writing it down
-- (champion/warehouse/adjustments.py).

-- What the bars of an instrument are adjusted by, with dividends and without; the latest ex-date comes first.
create table if not exists champion_market.instrument_adjustments
(
    dividends Bool,
    instrument_id String,
    ex_dates Array(Date),
    first_sessions Array(Date),
    price_factors Array(Float64),
    volume_factors Array(Float64)
)
engine = MergeTree
order by (dividends, instrument_id);

-- The same, worked out from all bars.
create or replace view champion_market.instrument_adjustments_now as
with
    known as (
        select arrayJoin([false, true]) as dividends, instrument_id, kind, ex_date, price_factor, volume_factor
        from champion_market.adjustment_factors
        where ex_date <= (select max(trade_date) from champion_market.normalized_equity_ohlc)
    ),

    traded as (
        select instrument_id, groupArray(trade_date) as sessions, min(trade_date) as first_session
        from champion_market.normalized_equity_ohlc
        where series in ('EQ', 'BE', 'BZ', 'SM', 'ST') and instrument_id in (select instrument_id from known)
        group by instrument_id
    ),

    factors as (
        select
            known.dividends as dividends,
            known.instrument_id as instrument_id,
            arraySort(
                factor -> (-toInt32(factor.1), factor.2, factor.3),
                groupArray((known.ex_date, known.price_factor, known.volume_factor))
            ) as listed,
            any(traded.sessions) as sessions
        from known
        inner join traded on known.instrument_id = traded.instrument_id
        where known.ex_date >= traded.first_session and (known.dividends or known.kind <> 'dividend')
        group by known.dividends, known.instrument_id
    )

select
    dividends,
    instrument_id,
    arrayMap(factor -> factor.1, listed) as ex_dates,
    arrayMap(ex -> greatest(ex, arrayMin(arrayFilter(day -> day >= ex, sessions))), ex_dates) as first_sessions,
    arrayMap(factor -> factor.2, listed) as price_factors,
    arrayMap(factor -> factor.3, listed) as volume_factors
from factors;
