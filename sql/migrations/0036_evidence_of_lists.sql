-- Earlier versions of index lists that a corrected file of the same date replaced, one row per line.
create table if not exists champion_market.normalized_index_list_revisions
(
    event_id UUID,
    event_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    ingest_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    source LowCardinality(String),
    schema_version LowCardinality(String),
    entity_id String codec(ZSTD(1)),
    list_date Date codec(Delta, ZSTD(1)),
    as_of_from Nullable(Date) codec(Delta, ZSTD(1)),
    index_name LowCardinality(String),
    instrument_id String codec(ZSTD(1)),
    symbol String codec(ZSTD(1)),
    isin String codec(ZSTD(1)),
    company String codec(ZSTD(1)),
    industry LowCardinality(Nullable(String)),
    sector LowCardinality(String),
    series LowCardinality(String),
    is_dummy Bool,
    known_at DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    source_sha256 String codec(ZSTD(1)),
    replaced_at DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    constraint symbol_is_named check ifNull(symbol <> '', true),
    constraint isin_is_named check ifNull(isin <> '', true),
    constraint dates_are_in_order check ifNull(as_of_from <= list_date, true)
)
engine = ReplacingMergeTree(ingest_time)
partition by toYYYYMM(list_date)
order by (list_date, index_name, source_sha256, symbol)
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456;

-- Decisions that a list of an index counts no longer, or counts again, each with its reason and author; rows are only added.
create table if not exists champion_market.normalized_index_list_decisions
(
    event_id UUID,
    event_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    ingest_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    source LowCardinality(String),
    schema_version LowCardinality(String),
    entity_id String codec(ZSTD(1)),
    list_date Date codec(Delta, ZSTD(1)),
    index_name LowCardinality(String),
    of_date Date codec(Delta, ZSTD(1)),
    of_sha256 String codec(ZSTD(1)),
    decision LowCardinality(String),
    reason String codec(ZSTD(1)),
    who String codec(ZSTD(1)),
    known_at DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    constraint decision_is_known check ifNull(decision in ('withdraw', 'reinstate'), true),
    constraint reason_is_given check ifNull(reason <> '' and who <> '', true)
)
engine = ReplacingMergeTree(ingest_time)
partition by toYYYYMM(list_date)
order by (list_date, index_name, of_date, of_sha256, known_at)
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456;

-- Lists and dated changes of indices that are not used, each with the reason; the latest list_date holds them all.
create table if not exists champion_market.normalized_index_contradictions
(
    event_id UUID,
    event_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    ingest_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    source LowCardinality(String),
    schema_version LowCardinality(String),
    entity_id String codec(ZSTD(1)),
    list_date Date codec(Delta, ZSTD(1)),
    index_name LowCardinality(String),
    kind LowCardinality(String),
    dated Date codec(Delta, ZSTD(1)),
    subject String codec(ZSTD(1)),
    basis LowCardinality(String),
    reason String codec(ZSTD(1)),
    content_before Nullable(Date) codec(Delta, ZSTD(1)),
    constraint kind_is_known check ifNull(kind in ('list', 'in', 'out'), true)
)
engine = ReplacingMergeTree(ingest_time)
partition by toYYYYMM(list_date)
order by (list_date, index_name, kind, dated, subject, basis)
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456;

-- Files of index lists, changes of indices, lots and index histories that were refused whole, one row per file and reason.
create table if not exists champion_market.quarantine_reference_lists
(
    list_date Date codec(Delta, ZSTD(1)),
    path String codec(ZSTD(1)),
    source_sha256 String codec(ZSTD(1)),
    reason String codec(ZSTD(1)),
    ingest_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    constraint has_a_reason check ifNull(reason <> '', true)
)
engine = ReplacingMergeTree(ingest_time)
partition by toYYYYMM(list_date)
order by (list_date, path, source_sha256, reason)
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456;

-- The lists and changes of indices that are not used, as derived with the present members.
create or replace view champion_market.index_contradictions as
select * from champion_market.normalized_index_contradictions final
where list_date = (select max(list_date) from champion_market.normalized_index_members);

-- The index lists that count no longer: the last decision about each file, unless it was reinstated.
create or replace view champion_market.withdrawn_index_lists as
with
    last_decisions as (
        select *
        from champion_market.normalized_index_list_decisions final
        order by known_at desc
        limit 1 by index_name, of_date, of_sha256
    )

select *
from last_decisions
where decision = 'withdraw';
