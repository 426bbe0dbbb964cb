-- The audit log: statements that started in the last days, newest first, including refused ones.
-- Parameters: days (UInt16), rows (UInt32).
select
    toDateTime64(event_time, 3, 'UTC') as event_time,
    user,
    toString(type) as outcome,
    query_kind,
    query,
    tables,
    query_duration_ms,
    read_rows,
    written_rows,
    exception
from system.query_log
where
    event_date >= today() - {days:UInt16}
    and type <> 'QueryStart'
    and is_initial_query
order by event_time desc, query_id
limit {rows:UInt32}
