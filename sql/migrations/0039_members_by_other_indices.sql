-- The indices whose lists or changes date a membership, if those of the index itself do not (schema 1.1.0).
alter table champion_market.normalized_index_members add column if not exists from_index LowCardinality(Nullable(String)) after until_after;
alter table champion_market.normalized_index_members add column if not exists until_index LowCardinality(Nullable(String)) after from_index;

-- A view keeps the columns that its tables had when it was created.
create or replace view champion_market.index_members as
select * from champion_market.normalized_index_members final
where list_date = (select max(list_date) from champion_market.normalized_index_members);
