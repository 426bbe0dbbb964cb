-- The same rows as before, in a twentieth of the time: ClickHouse computes a part of a query again wherever its name
-- occurs, with all its own parts, so each part is named at most three times here.
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

    -- One row for each instrument; what makes it a share of an issuer is in `issuers`.
    traded as (
        select
            instrument_id,
            argMax(bars.exchange, bars.last_session) as last_exchange,
            argMax(bars.symbol, bars.last_session) as last_symbol,
            argMaxIf(bars.isin, bars.last_session, bars.isin is not null) as last_isin,
            argMax(bars.series, bars.last_session) as last_series,
            min(bars.first_session) as began,
            max(bars.last_session) as ended,
            groupUniqArrayIf(
                substring(ifNull(bars.isin, ''), 1, 9),
                match(ifNull(bars.isin, ''), '^INE[A-Z0-9]{4}01[A-Z0-9]{2}[0-9]$')
                    and bars.series in ('EQ', 'BE', 'BZ', 'SM', 'ST', 'SZ')
            ) as issuers
        from bars
        group by instrument_id
    ),

    shares as (
        select
            issuer,
            groupArray((instrument_id, began, ended)) as members
        from (
            select traded.instrument_id as instrument_id, began, ended, arrayJoin(issuers) as issuer
            from traded
            inner join kinds on traded.instrument_id = kinds.instrument_id
            where of_bars = ['equity'] or empty(of_bars) and of_list = 'equity'
        )
        group by issuer
        having count() > 1
    ),

    pairs as (
        select distinct pair.1.1 as old_id, pair.2.1 as new_id, pair.1.3 as old_end, pair.2.2 as new_start
        from (
            select
                arrayJoin(
                    arrayFlatten(arrayMap(older -> arrayMap(newer -> (older, newer), members), members))
                ) as pair
            from shares
        )
        where pair.1.3 < pair.2.2
    ),

    ends as (
        select
            old_id,
            new_id,
            new_start - old_end as days,
            arrayJoin([(old_id, old_end, true), (new_id, new_start, false)]) as place
        from pairs
    ),

    followed as (
        select
            old_id,
            new_id,
            anyIf(toFloat64(edges.close), place.3) as last_close,
            anyIf(toFloat64(edges.prev_close), not place.3) as published
        from (
            select instrument_id, trade_date, prev_close, close
            from champion_market.normalized_equity_ohlc
            where (instrument_id, trade_date) in (select place.1, place.2 from ends)
        ) as edges
        inner join ends on edges.instrument_id = place.1 and edges.trade_date = place.2
        group by old_id, new_id
        having uniq(place.3) = 2 and (any(days) <= 180 or abs(published / last_close - 1) <= 0.001)
    ),

    continued as (
        select old_id, new_id
        from (
            select
                old_id,
                new_id,
                count() over (partition by old_id) as successors,
                count() over (partition by new_id) as predecessors
            from followed
        )
        where successors = 1 and predecessors = 1
    ),

    lives as (
        select
            traded.instrument_id as instrument_id,
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
            status = 'active' as is_active,
            arrayStringConcat(arraySlice(splitByChar(':', instrument_id), 1, 2), ':') as share_id
        from traded
        inner join kinds on traded.instrument_id = kinds.instrument_id
        left join lists on traded.instrument_id = lists.instrument_id
        left join continued on traded.instrument_id = continued.old_id
    )

select
    * except (share_id, share_trades, same_id),
    if(
        instrument_kind <> 'trading_window',
        null,
        coalesce(if(share_trades, share_id, null), if(isin is null, null, nullIf(same_id, '')))
    ) as window_of
from (
    select
        *,
        countIf(instrument_id = share_id and instrument_kind <> 'trading_window') over (partition by share_id) > 0
            as share_trades,
        minIf(instrument_id, instrument_kind <> 'trading_window') over (partition by isin) as same_id
    from lives
);
