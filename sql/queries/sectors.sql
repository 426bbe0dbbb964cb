-- The industry and sector of each company on a date; a company that was in no list by then has no row. Dates before the
-- first and after the last list are refused.
-- Parameters:
--   session Date = (select max(trade_date) from champion_market.normalized_equity_ohlc): the date
with
    (select max(covered_until) from champion_market.index_members) as last,
    asked as (select min(sector_from) as first, count() as periods from champion_market.company_sectors)

select multiIf(
    periods = 0, 'the warehouse has no index list; run `champion lists refresh`',
    {session:Date} not between first and last,
    concat(
        'the sectors on ', toString({session:Date}), ' are not known: lists cover ', toString(first), ' to ',
        toString(last)
    ),
    ''
) as refusal
from asked;

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
