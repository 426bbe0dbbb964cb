-- The members of an index on a date, with the evidence for each membership; no rows outside the covered dates.
-- Parameters:
--   index String = 'NIFTY 50': the index
--   session Date = (select max(trade_date) from champion_market.normalized_equity_ohlc): the date
with
    final as (
        select
            index_name,
            symbol,
            instrument_id,
            isin,
            company,
            member_from,
            from_basis,
            from_after,
            member_until,
            until_basis,
            until_after
        from champion_market.index_members
        where index_name = upper({index:String})
            and {session:Date} between covered_from and covered_until
            and {session:Date} >= member_from
            and ifNull({session:Date} < member_until, true)
    )

select *
from final
order by symbol, company
