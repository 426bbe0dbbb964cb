-- The name in the list of corporate actions (schema 1.3.0).
alter table champion_market.normalized_corporate_actions add column if not exists company Nullable(String) codec(ZSTD(1));

-- The registry of symbols with names that the list of shares lacks, by the rule of
-- champion/market/reference/company_names.py; a test compares both.
create or replace view champion_market.symbol_master as
with
    lists as (
        select *
        from champion_market.normalized_symbol_master final
        order by list_date desc
        limit 1 by instrument_id
    ),

    companies as (
        select
            instrument_id,
            -- a tuple, because argMax skips null
            argMax((nullIf(sector, 'Unknown'), industry), (sector_from, isin)) as known
        from champion_market.company_sectors
        where sector_until is null
        group by instrument_id
    ),

    published as (
        select instrument_id, company as name, 'index list' as label, list_date as day, true as is_whole
        from champion_market.normalized_index_constituents
        union all
        select instrument_id, company, 'corporate actions', list_date, true
        from champion_market.normalized_corporate_actions
        union all
        select instrument_id, security_name, 'price bands', trade_date, true
        from champion_market.normalized_price_bands
        union all
        select instrument_id, security_name, 'circuit hits', trade_date, false
        from champion_market.normalized_circuit_hits
        union all
        select instrument_id, security_name, '52-week extremes', trade_date, false
        from champion_market.normalized_week52_extremes
    ),

    names as (
        select assumeNotNull(instrument_id) as instrument_id, argMax((name, label), (is_whole, day, name, label)) as known
        from published
        where instrument_id is not null and ifNull(name, '') <> ''
        group by instrument_id
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
            coalesce(nullIf(lists.company, ''), nullIf(names.known.1, '')) as company_name,
            companies.known.1 as sector,
            companies.known.2 as industry,
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
            nullIf(lists.known_at, toDateTime64(0, 3, 'UTC')) as last_updated,
            if(lists.company <> '', 'list of shares', nullIf(names.known.2, '')) as company_source
        from traded
        left join lists on traded.instrument_id = lists.instrument_id
        left join companies on traded.instrument_id = companies.instrument_id
        left join names on traded.instrument_id = names.instrument_id
        union all
        select
            symbol,
            exchange,
            isin,
            company,
            companies.known.1,
            companies.known.2,
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
            known_at,
            'list of shares'
        from lists
        left join companies on lists.instrument_id = companies.instrument_id
        where list_date = (select max(list_date) from champion_market.normalized_symbol_master)
            and instrument_id not in (select instrument_id from traded)
    )

select *
from final;
