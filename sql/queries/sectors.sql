-- The industry and sector of each company on a date; a company that was in no list by then has no row.
-- Parameters:
--   session Date = (select max(trade_date) from champion_market.normalized_equity_ohlc): the date
with
    final as (
        select symbol, instrument_id, isin, company, industry, scheme, sector, sector_from
        from champion_market.company_sectors
        where {session:Date} >= sector_from
            and ifNull({session:Date} < sector_until, true)
    )

select *
from final
order by symbol
