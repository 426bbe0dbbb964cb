-- What an instrument is, when it traded, and whether it still trades: the columns that the registry of symbols lacked.
-- The rules are those of champion/market/reference/kind_rules.py, written by `instrument_kind.clickhouse()`, and the
-- statuses those of champion/market/reference/life.py; a test compares both. A change of the rules is a new migration.

alter table champion_market.normalized_symbol_master add column if not exists instrument_kind LowCardinality(Nullable(String));
alter table champion_market.normalized_symbol_master add column if not exists sector LowCardinality(Nullable(String));
alter table champion_market.normalized_symbol_master add column if not exists industry LowCardinality(Nullable(String));

-- One row per instrument that has a bar; each load updates it, so that queries need not read all bars.
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
    listed_on Nullable(Date),
    status LowCardinality(String),
    status_since Nullable(Date),
    is_active Bool
)
engine = MergeTree
order by instrument_id;

-- The same, computed from all bars and lists.
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
            min(trade_date) as first_session,
            max(trade_date) as last_session
        from champion_market.normalized_equity_ohlc
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
                code = '-' and match(series, '^(BE|BL|BZ|EQ)$') and match(symbol, 'DVR(EQS)?$'), 'dvr',
                code = '-' and match(series, '^(SM|ST|SZ)$'), 'equity',
                code = '-' and match(series, '^(IL|IT)$'), 'equity',
                code = '-' and match(series, '^(GB)$'), 'gold_bond',
                code = '-' and match(series, '^(GS|SG|TB)$'), 'government',
                code = '-' and match(series, '^(MF)$'), 'fund',
                code = '-' and match(series, '^(IV|RR)$'), 'reit_invit',
                code = '-' and match(series, '^(P[0-9]|Q[0-9])$'), 'preference',
                code = '-' and match(series, '^(W[0-9])$'), 'warrant',
                code = '-' and match(series, '^(E[0-9]|X[0-9])$'), 'partly_paid',
                code = '-' and match(series, '^(DR)$'), 'depositary_receipt',
                code = '-' and match(series, '^(N[0-9A-Z]|Y[0-9A-Z]|Z[0-9A-Z]|D[0-9]|HC)$'), 'debt',
                code = '-' and match(series, '^(BO)$'), 'unknown',
                code = '-' and match(series, '^(BE|BZ|BL|EQ|T0)$'), 'unknown',
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

    final as (
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
            last_listed_on as listed_on,
            multiIf(
                arrayCount(day -> day > ended, held) < 40, 'active',
                newest > ended and last_list = newest, 'suspended',
                newest > ended and (
                    last_list > toDate(0) or instrument_kind = 'equity' and series in ('EQ', 'BE', 'BZ')
                ), 'delisted',
                'inactive'
            ) as status,
            if(status = 'active', null, arrayFirst(day -> day > ended, held)) as status_since,
            status = 'active' as is_active
        from spans
        inner join kinds on spans.instrument_id = kinds.instrument_id
        left join lists on spans.instrument_id = lists.instrument_id
    )

select *
from final;

-- A warehouse that has bars needs the rows before its next load.
insert into champion_market.instruments
select *
from champion_market.instruments_now
where (select count() from champion_market.instruments) = 0;

-- The registry of symbols: every instrument in a series of shares, traded or listed. What the exchange's list of shares
-- gives is from the newest list that has it. is_active is null for a listed share without a bar.
create or replace view champion_market.symbol_master as
with
    lists as (
        select *
        from champion_market.normalized_symbol_master final
        order by list_date desc
        limit 1 by instrument_id
    ),

    traded as (
        select *
        from champion_market.instruments
        where countSubstrings(instrument_id, ':') = 1
    ),

    final as (
        select
            traded.symbol as symbol,
            traded.exchange as exchange,
            traded.isin as isin,
            nullIf(lists.company, '') as company_name,
            lists.sector as sector,
            lists.industry as industry,
            traded.instrument_kind as instrument_type,
            traded.instrument_id as instrument_id,
            traded.series as series,
            lists.face_value as face_value,
            lists.market_lot as market_lot,
            traded.listed_on as listing_date,
            if(traded.status = 'delisted', traded.status_since, null) as delisting_date,
            toNullable(traded.is_active) as is_active,
            toNullable(traded.status) as status,
            toNullable(traded.first_session) as first_session,
            toNullable(traded.last_session) as last_session,
            nullIf(lists.known_at, toDateTime64(0, 3, 'UTC')) as last_updated
        from traded
        left join lists on traded.instrument_id = lists.instrument_id
        union all
        select
            symbol,
            exchange,
            isin,
            company,
            sector,
            industry,
            ifNull(instrument_kind, 'unknown'),
            instrument_id,
            series,
            face_value,
            market_lot,
            listed_on,
            null,
            null,
            null,
            null,
            null,
            known_at
        from lists
        where list_date = (select max(list_date) from champion_market.normalized_symbol_master)
            and instrument_id not in (select instrument_id from traded)
    )

select *
from final;
