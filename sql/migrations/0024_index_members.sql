-- Constituents of indices with their industry, one row per line of each published list, by the date of the list.
create table if not exists champion_market.normalized_index_constituents
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
    constraint symbol_is_named check ifNull(symbol <> '', true),
    constraint isin_is_named check ifNull(isin <> '', true),
    constraint dates_are_in_order check ifNull(as_of_from <= list_date, true)
)
engine = ReplacingMergeTree(ingest_time)
partition by toYYYYMM(list_date)
order by (list_date, index_name, symbol)
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456;

-- Dated changes of indices: the index provider's register, press releases, and confirmations that a list was unchanged.
create table if not exists champion_market.normalized_index_changes
(
    event_id UUID,
    event_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    ingest_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    source LowCardinality(String),
    schema_version LowCardinality(String),
    entity_id String codec(ZSTD(1)),
    list_date Date codec(Delta, ZSTD(1)),
    index_name LowCardinality(String),
    effective Date codec(Delta, ZSTD(1)),
    change LowCardinality(String),
    subject String codec(ZSTD(1)),
    symbol Nullable(String) codec(ZSTD(1)),
    instrument_id Nullable(String) codec(ZSTD(1)),
    company Nullable(String) codec(ZSTD(1)),
    announced Nullable(Date) codec(Delta, ZSTD(1)),
    reference Nullable(String) codec(ZSTD(1)),
    known_at DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    source_sha256 String codec(ZSTD(1)),
    constraint change_is_known check ifNull(change in ('in', 'out', 'none'), true),
    constraint changes_have_a_subject check ifNull(subject <> '' or change = 'none', true)
)
engine = ReplacingMergeTree(ingest_time)
partition by toYYYYMM(list_date)
order by (list_date, index_name, effective, change, subject)
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456;

-- Members of indices by period, derived from lists, register and press releases; the latest list_date holds them all.
create table if not exists champion_market.normalized_index_members
(
    event_id UUID,
    event_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    ingest_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    source LowCardinality(String),
    schema_version LowCardinality(String),
    entity_id String codec(ZSTD(1)),
    list_date Date codec(Delta, ZSTD(1)),
    index_name LowCardinality(String),
    subject String codec(ZSTD(1)),
    instrument_id Nullable(String) codec(ZSTD(1)),
    symbol Nullable(String) codec(ZSTD(1)),
    isin Nullable(String) codec(ZSTD(1)),
    company Nullable(String) codec(ZSTD(1)),
    seen_on Date codec(Delta, ZSTD(1)),
    member_from Date codec(Delta, ZSTD(1)),
    member_until Nullable(Date) codec(Delta, ZSTD(1)),
    from_basis LowCardinality(String),
    from_after Nullable(Date) codec(Delta, ZSTD(1)),
    until_basis LowCardinality(Nullable(String)),
    until_after Nullable(Date) codec(Delta, ZSTD(1)),
    covered_from Date codec(Delta, ZSTD(1)),
    covered_until Date codec(Delta, ZSTD(1)),
    constraint period_is_not_empty check ifNull(member_from < member_until, true),
    constraint intervals_end_at_their_date check ifNull(from_after < member_from, true),
    constraint bases_are_known check ifNull(from_basis in ('list', 'register', 'press release', 'between lists', 'renamed'), true)
)
engine = ReplacingMergeTree(ingest_time)
partition by toYYYYMM(list_date)
order by (list_date, index_name, member_from, subject)
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456;

-- Industry and sector of companies by period, derived from index lists; the latest list_date holds them all.
create table if not exists champion_market.normalized_sectors
(
    event_id UUID,
    event_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    ingest_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    source LowCardinality(String),
    schema_version LowCardinality(String),
    entity_id String codec(ZSTD(1)),
    list_date Date codec(Delta, ZSTD(1)),
    instrument_id String codec(ZSTD(1)),
    symbol String codec(ZSTD(1)),
    isin String codec(ZSTD(1)),
    company String codec(ZSTD(1)),
    industry LowCardinality(Nullable(String)),
    scheme LowCardinality(Nullable(String)),
    sector LowCardinality(String),
    sector_from Date codec(Delta, ZSTD(1)),
    sector_until Nullable(Date) codec(Delta, ZSTD(1)),
    constraint period_is_not_empty check ifNull(sector_from < sector_until, true),
    constraint sector_is_named check ifNull(sector <> '', true)
)
engine = ReplacingMergeTree(ingest_time)
partition by toYYYYMM(list_date)
order by (list_date, isin, symbol, sector_from)
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456;

-- The members of indices and the sectors of companies, from the lists read last.
create or replace view champion_market.index_members as
select * from champion_market.normalized_index_members final
where list_date = (select max(list_date) from champion_market.normalized_index_members);

create or replace view champion_market.company_sectors as
select * from champion_market.normalized_sectors final
where list_date = (select max(list_date) from champion_market.normalized_sectors);
