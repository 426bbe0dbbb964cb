-- What each month of each table was loaded from. The last row written for a month is the true one; an empty digest
-- means that the month was being replaced.
create table if not exists champion_market.loads
(
    dataset LowCardinality(String),
    partition UInt32,
    digest String,
    rows UInt64,
    loaded_at DateTime64(3, 'UTC')
)
engine = ReplacingMergeTree
order by (dataset, partition);
