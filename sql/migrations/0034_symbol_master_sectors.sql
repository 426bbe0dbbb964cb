-- The registry of symbols with sector and industry, from the index lists (company_sectors): the list of shares has none.
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
            nullIf(lists.known_at, toDateTime64(0, 3, 'UTC')) as last_updated
        from traded
        left join lists on traded.instrument_id = lists.instrument_id
        left join companies on traded.instrument_id = companies.instrument_id
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
            known_at
        from lists
        left join companies on lists.instrument_id = companies.instrument_id
        where list_date = (select max(list_date) from champion_market.normalized_symbol_master)
            and instrument_id not in (select instrument_id from traded)
    )

select *
from final;
