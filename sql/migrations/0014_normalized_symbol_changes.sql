-- Symbol changes, every list the exchange published; the latest holds them all.
-- Columns, types and constraints are those of schemas/normalized_symbol_changes_v1.avsc; a test holds them to it.
create table if not exists champion_market.normalized_symbol_changes
(
    event_id UUID,
    event_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    ingest_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    source LowCardinality(String),
    schema_version LowCardinality(String),
    entity_id String codec(ZSTD(1)),
    list_date Date codec(Delta, ZSTD(1)),
    before String codec(ZSTD(1)),
    after String codec(ZSTD(1)),
    session Date codec(Delta, ZSTD(1)),
    source_sha256 String codec(ZSTD(1)),
    constraint symbols_are_named check ifNull(before <> '' and after <> '', true)
)
engine = ReplacingMergeTree(ingest_time)
partition by toYYYYMM(list_date)
order by (list_date, before, after, session)
-- Months stay in compact parts, ten files each: a snapshot links every file.
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456;
