-- A trading window is no company share: a series for block deals, a buy-back, foreign investors or same-day settlement is
-- a part of the trading in another instrument (window_of). Series SZ is one of the series of shares.
create or replace view champion_market.instruments_now as
with
    (select arraySort(groupUniqArray(trade_date)) from champion_market.normalized_equity_ohlc) as held,
    (select max(list_date) from champion_market.normalized_symbol_master) as newest,

    bars as (
        select
            instrument_id,
            exchange,
            symbol,
            isin,
            series,
            min(spans.first_session) as first_session,
            max(spans.last_session) as last_session
        from champion_market.instrument_spans as spans
        group by instrument_id, exchange, symbol, isin, series
    ),

    lists as (
        select
            instrument_id,
            argMax(symbol, list_date) as listed_symbol,
            argMax(isin, list_date) as listed_isin,
            max(list_date) as last_list,
            argMaxIf(listed_on, list_date, listed_on is not null) as last_listed_on
        from champion_market.normalized_symbol_master
        group by instrument_id
    ),

    evidence as (
        select instrument_id, symbol, ifNull(isin, '') as isin, ifNull(series, '') as series, false as is_list
        from bars
        union all
        select instrument_id, listed_symbol, listed_isin, 'EQ', true
        from lists
        where last_list = newest
    ),

    coded as (
        select
            instrument_id,
            symbol,
            series,
            is_list,
            if(
                match(isin, '^[A-Z]{2}[A-Z0-9]{9}[0-9]$'),
                concat(substring(isin, 1, 3), substring(isin, 8, 2)),
                '-'
            ) as code
        from evidence
    ),

    judged as (
        select
            instrument_id,
            is_list,
            multiIf(
                match(series, '^(BL|BO|IL|T0)$'), 'trading_window',
                code = 'INE01' and match(symbol, 'DVR(EQS)?$'), 'dvr',
                code = 'INE01', 'equity',
                code = 'INE20', 'rights_entitlement',
                code = 'INE03', 'preference',
                code = 'INE04', 'preference',
                code = 'INE07', 'debt',
                code = 'INE08', 'debt',
                code = 'INE11', 'debt',
                code = 'INE24', 'debt',
                code = 'INEA7', 'debt',
                code = 'INE13', 'warrant',
                code = 'INE21', 'depositary_receipt',
                code = 'INE23', 'reit_invit',
                code = 'INE25', 'reit_invit',
                startsWith(code, 'INF'), 'fund',
                startsWith(code, 'IN9') and match(symbol, 'DVR'), 'dvr',
                startsWith(code, 'IN9') and match(series, '^(E[0-9]|X[0-9])$'), 'partly_paid',
                startsWith(code, 'IN9'), 'unknown',
                startsWith(code, 'IN0') and match(series, '^(GB)$'), 'gold_bond',
                startsWith(code, 'IN0'), 'government',
                startsWith(code, 'IN1'), 'government',
                startsWith(code, 'IN2'), 'government',
                startsWith(code, 'IN3'), 'government',
                startsWith(code, 'IN4'), 'government',
                code = '-' and match(symbol, '-RE\\d*$'), 'rights_entitlement',
                code = '-' and match(series, '^(BE|BZ|EQ)$') and match(symbol, 'DVR(EQS)?$'), 'dvr',
                code = '-' and match(series, '^(SM|ST|SZ)$'), 'equity',
                code = '-' and match(series, '^(IT)$'), 'equity',
                code = '-' and match(series, '^(GB)$'), 'gold_bond',
                code = '-' and match(series, '^(GS|SG|TB)$'), 'government',
                code = '-' and match(series, '^(MF)$'), 'fund',
                code = '-' and match(series, '^(IV|RR)$'), 'reit_invit',
                code = '-' and match(series, '^(P[0-9]|Q[0-9])$'), 'preference',
                code = '-' and match(series, '^(W[0-9])$'), 'warrant',
                code = '-' and match(series, '^(E[0-9]|X[0-9])$'), 'partly_paid',
                code = '-' and match(series, '^(DR)$'), 'depositary_receipt',
                code = '-' and match(series, '^(N[0-9A-Z]|Y[0-9A-Z]|Z[0-9A-Z]|D[0-9]|HC)$'), 'debt',
                code = '-' and match(series, '^(BE|BZ|EQ)$'), 'unknown',
                code = '-' and match(series, '^(A[0-9A-Z]|B[0-9A-Z])$'), 'debt',
                'unknown'
            ) as kind
        from coded
    ),

    kinds as (
        select
            instrument_id,
            groupUniqArrayIf(kind, not is_list and kind <> 'unknown') as of_bars,
            anyIf(kind, is_list) as of_list
        from judged
        group by instrument_id
    ),

    spans as (
        select
            instrument_id,
            argMax(bars.exchange, bars.last_session) as last_exchange,
            argMax(bars.symbol, bars.last_session) as last_symbol,
            argMaxIf(bars.isin, bars.last_session, bars.isin is not null) as last_isin,
            argMax(bars.series, bars.last_session) as last_series,
            min(bars.first_session) as began,
            max(bars.last_session) as ended
        from bars
        group by instrument_id
    ),

    shares as (
        select distinct bars.instrument_id as instrument_id, substring(bars.isin, 1, 9) as issuer, began, ended
        from bars
        inner join spans on bars.instrument_id = spans.instrument_id
        inner join kinds on bars.instrument_id = kinds.instrument_id
        where match(ifNull(bars.isin, ''), '^INE[A-Z0-9]{4}01[A-Z0-9]{2}[0-9]$')
            and bars.series in ('EQ', 'BE', 'BZ', 'SM', 'ST', 'SZ')
            and (of_bars = ['equity'] or empty(of_bars) and of_list = 'equity')
    ),

    pairs as (
        select
            old_share.instrument_id as old_id,
            new_share.instrument_id as new_id,
            old_share.ended as old_end,
            new_share.began as new_start
        from shares as old_share
        inner join shares as new_share on old_share.issuer = new_share.issuer
        where old_share.ended < new_share.began
    ),

    edges as (
        select instrument_id, trade_date, any(toFloat64(prev_close)) as published, any(toFloat64(close)) as last_close
        from champion_market.normalized_equity_ohlc
        where (instrument_id, trade_date) in (
            select old_id, old_end from pairs union all select new_id, new_start from pairs
        )
        group by instrument_id, trade_date
    ),

    followed as (
        select distinct old_id, new_id
        from pairs
        inner join edges as old_edge on old_id = old_edge.instrument_id and old_end = old_edge.trade_date
        inner join edges as new_edge on new_id = new_edge.instrument_id and new_start = new_edge.trade_date
        where new_start - old_end <= 180 or abs(new_edge.published / old_edge.last_close - 1) <= 0.001
    ),

    continued as (
        select old_id, new_id
        from followed
        where old_id in (select old_id from followed group by old_id having count() = 1)
            and new_id in (select new_id from followed group by new_id having count() = 1)
    ),

    lives as (
        select
            spans.instrument_id as instrument_id,
            last_exchange as exchange,
            last_symbol as symbol,
            last_isin as isin,
            last_series as series,
            multiIf(
                length(of_bars) = 1, of_bars[1],
                empty(of_bars) and of_list <> '', of_list,
                'unknown'
            ) as instrument_kind,
            began as first_session,
            ended as last_session,
            nullIf(continued.new_id, '') as continued_as,
            last_listed_on as listed_on,
            multiIf(
                instrument_kind = 'trading_window', 'window',
                continued_as is not null, 'continued',
                arrayCount(day -> day > ended, held) < 40, 'active',
                newest > ended and last_list = newest, 'suspended',
                newest > ended and (
                    last_list > toDate(0) or instrument_kind = 'equity' and series in ('EQ', 'BE', 'BZ')
                ), 'delisted',
                'inactive'
            ) as status,
            if(status in ('active', 'window'), null, arrayFirst(day -> day > ended, held)) as status_since,
            status = 'active' as is_active
        from spans
        inner join kinds on spans.instrument_id = kinds.instrument_id
        left join lists on spans.instrument_id = lists.instrument_id
        left join continued on spans.instrument_id = continued.old_id
    ),

    others as (
        select instrument_id, isin
        from lives
        where instrument_kind <> 'trading_window'
    ),

    same as (
        select isin, min(instrument_id) as same_id
        from others
        where isin is not null
        group by isin
    ),

    final as (
        select
            lives.* except (share_id),
            if(
                instrument_kind <> 'trading_window',
                null,
                coalesce(
                    if(share_id in (select instrument_id from others), share_id, null),
                    nullIf(same.same_id, '')
                )
            ) as window_of
        from (
            select
                *,
                arrayStringConcat(arraySlice(splitByChar(':', instrument_id), 1, 2), ':') as share_id
            from lives
        ) as lives
        left join same on lives.isin = same.isin
    )

select *
from final;

-- Instruments of an existing warehouse have the new kind and column at once.
drop table if exists champion_market.instruments sync;

create table if not exists champion_market.instruments
(
    instrument_id String,
    exchange LowCardinality(String),
    symbol String,
    isin Nullable(String),
    series LowCardinality(Nullable(String)),
    instrument_kind LowCardinality(String),
    first_session Date,
    last_session Date,
    continued_as Nullable(String),
    listed_on Nullable(Date),
    status LowCardinality(String),
    status_since Nullable(Date),
    is_active Bool,
    window_of Nullable(String)
)
engine = MergeTree
order by instrument_id;

insert into champion_market.instruments
select * from champion_market.instruments_now
where (select count() from champion_market.instruments) = 0;

-- What the bars of an instrument are adjusted by, worked out from all bars.
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
        where series in ('EQ', 'BE', 'BZ', 'SM', 'ST', 'SZ') and instrument_id in (select instrument_id from known)
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

-- Bars of company shares in the scale of the last session loaded; its parameter `dividends` says whether these count.
-- Prices are divided by the product of the price factors that come after the bar and rounded to 1/10,000 rupee, volume
-- is multiplied by that of the volume factors and rounded; a product of 1 changes nothing. prev_close is a price of the
-- instrument's bar before: to it also comes what lies between the two, so that an action counts up to the first bar
-- since its ex-date. The latest factor is multiplied first, as champion/market/actions/adjustment.py does: floats then
-- agree to the bit.
create or replace view champion_market.equity_scaled as
with
    bars as (
        select *
        from champion_market.normalized_equity_ohlc final
        where series in ('EQ', 'BE', 'BZ', 'SM', 'ST', 'SZ')
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
