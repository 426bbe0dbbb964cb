-- The members of an index on a date, with the evidence for each membership; dates that no list covers are refused.
-- Parameters:
--   index String = 'NIFTY 50': the index; blanks, hyphens, case and former names count as in ch.members
--   session Date = (select max(trade_date) from champion_market.normalized_equity_ohlc): the date
with
    asked as (
        select
            arraySort(groupUniqArray(index_name)) as names,
            arraySort(each -> editDistance(each, upper({index:String})), names)[1] as near,
            minIf(covered_from, index_name = upper({index:String})) as first,
            maxIf(covered_until, index_name = upper({index:String})) as last
        from champion_market.index_members
    )

select multiIf(
    empty(names), 'the warehouse has no index list; run `champion lists refresh`',
    not has(names, upper({index:String})),
    concat(
        'no list of index ', upper({index:String}), ': ',
        if(editDistance(near, upper({index:String})) <= 2, concat('did you mean ', near, '? There'), 'there'),
        ' are lists of ', arrayStringConcat(arraySlice(names, 1, 12), ', '),
        if(length(names) > 12, concat(' and ', toString(length(names) - 12), ' more'), '')
    ),
    {session:Date} not between first and last,
    concat(
        'the members of ', upper({index:String}), ' on ', toString({session:Date}), ' are not known: lists cover ',
        toString(first), ' to ', toString(last)
    ),
    ''
) as refusal
from asked;

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
            from_index,
            member_until,
            until_basis,
            until_after,
            until_index
        from champion_market.index_members
        where index_name = upper({index:String})
            and {session:Date} between covered_from and covered_until
            and {session:Date} >= member_from
            and ifNull({session:Date} < member_until, true)
    )

select *
from final
order by symbol, company
