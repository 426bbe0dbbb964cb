-- Roles of a shared server. `champion warehouse access asha --role analyst` gives one to a user.
create role if not exists analyst, pipeline_writer, data_admin;

-- Reads everything, writes nothing.
grant select, show on champion_market.* to analyst;
grant show databases on default.* to analyst; -- the database of a new connection

-- Loads: staging tables, inserts, the swap of a month. It cannot drop or change the objects of the migrations.
grant select, show, insert on champion_market.* to pipeline_writer;
grant show databases on default.* to pipeline_writer;
grant alter delete on champion_market.* to pipeline_writer;
grant create table, drop table on champion_market.staging_* to pipeline_writer;
grant optimize on champion_market.* to pipeline_writer;
grant select on system.parts to pipeline_writer;
grant select on system.tables to pipeline_writer;

-- Migrations, retention and everything else in the database; may pass its rights on, and reads the audit log.
grant all on champion_market.* to data_admin with grant option;
grant create database on champion_market.* to data_admin;
grant show databases on default.* to data_admin;
grant show, select on system.query_log to data_admin;
