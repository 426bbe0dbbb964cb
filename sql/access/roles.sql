-- Roles of a shared server. Give one to a user with: grant analyst to somebody.
create role if not exists analyst, pipeline_writer, data_admin;

-- Reads everything, writes nothing.
grant select, show on champion_market.* to analyst;

-- Loads: staging tables, inserts, the swap of a month. It cannot drop or change what the migrations made.
grant select, show, insert on champion_market.* to pipeline_writer;
grant alter delete on champion_market.* to pipeline_writer;
grant create table, drop table on champion_market.staging_* to pipeline_writer;
grant truncate on champion_market.instrument_adjustments to pipeline_writer;
grant optimize on champion_market.* to pipeline_writer;

-- Migrations, retention and everything else in the database, and may pass its rights on.
grant all on champion_market.* to data_admin with grant option;
grant create database on champion_market.* to data_admin;
