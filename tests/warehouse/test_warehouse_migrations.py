"""Migrations: applied once, never changed, repeatable."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from warehouse_rows import NORMALIZED, count

from champion import warehouse
from champion.errors import WarehouseError
from champion.settings import Settings
from champion.warehouse import migrations
from champion.warehouse.engine import statements
from champion.warehouse.engine.database import Executor


def test_migrations_are_applied_once_and_must_not_change(tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    folder.mkdir()
    first = folder / "0001_one.sql"
    first.write_text("create table if not exists champion_market.one (a Int8) engine = MergeTree order by a;")
    with warehouse.writer(Settings(home=tmp_path / "ws")) as client:
        assert migrations.applied(client) == []
        assert [m.name for m in migrations.pending(client, folder)] == ["one"]
        assert [m.name for m in migrations.migrate(client, folder)] == ["one"]
        assert migrations.migrate(client, folder) == []
        second = folder / "0002_two.sql"
        second.write_text(
            "create table if not exists champion_market.two (a Int8) engine = MergeTree order by a;\n"
            "create table if not exists champion_market.bad (a Nonsense) engine = MergeTree order by a;"
        )
        with pytest.raises(WarehouseError, match=r"0002_two: .*Nonsense"):
            migrations.migrate(client, folder)
        assert [m.number for m in migrations.pending(client, folder)] == [2], "half a migration is still pending"
        second.write_text(second.read_text().replace("Nonsense", "Int8"))
        assert [m.number for m in migrations.migrate(client, folder)] == [2]
        assert [(m.number, m.name) for m in migrations.applied(client)] == [(1, "one"), (2, "two")]
        first.write_text(first.read_text() + " ")
        with pytest.raises(WarehouseError, match="0001_one changed after it was applied"):
            migrations.pending(client, folder)
        first.unlink()
        with pytest.raises(WarehouseError, match="expected 1 to 1 without gaps"):
            migrations.pending(client, folder)
        second.unlink()
        with pytest.raises(WarehouseError, match="does not know"):
            migrations.pending(client, folder)


def test_every_statement_of_a_migration_can_run_twice(loaded: Settings, tmp_path: Path) -> None:
    """A killed migration runs again as a whole, on the tables of the one before it.

    A new warehouse, which needs fewer statements, becomes the same.
    """
    for migration in migrations.shipped():
        for statement in statements.split(migration.text):
            code = re.sub(r"--[^\n]*\n", "", statement).strip()
            repeatable = (
                r"(create (table if not exists|or replace view)|drop table if exists( if empty)?) champion_market\."
                r"|(alter table|insert into|exchange tables) champion_market\.reshaped_"  # dropped and created again
                r"|alter table champion_market\.\w+ add column if not exists "
                r"|alter table champion_market\.\w+ add constraint if not exists "
                r"|insert into champion_market\.(?P<table>\w+)\s.*\s"
                r"where \(select count\(\) from champion_market\.(?P=table)\) = 0$"
            )
            assert re.match(repeatable, code, re.DOTALL), code
    with warehouse.writer(Settings(home=tmp_path)) as client:
        client.command("create database champion_market")
        for migration in migrations.shipped():
            for statement in [*statements.split(migration.text)] * 2:
                client.command(statement)
        whole = _definitions(client)
    with warehouse.writer(loaded) as client:
        assert _definitions(client) == whole
        for migration in migrations.shipped()[-2:]:
            for statement in statements.split(migration.text):
                client.command(statement)
    assert count(loaded, NORMALIZED) == 8


def _definitions(client: Executor) -> dict[str, str]:
    """Return how each table and view is defined, but for its own identifier and the ledger of migrations."""
    text = "select name, create_table_query from system.tables where database = 'champion_market'"
    found = {name: re.sub("UUID '[^']+'", "", query) for name, query in client.query(text).result_rows}
    found.pop("schema_migrations", None)
    return found


def test_instruments_of_a_loaded_warehouse_survive_the_migration_to_spans(loaded: Settings) -> None:
    instruments = "select * from champion_market.instruments order by instrument_id"
    with warehouse.writer(loaded) as client:
        before = warehouse.frame(client, instruments)
        client.command("drop table champion_market.instrument_spans sync")  # as before migration 33
        for migration in migrations.shipped()[32:]:
            for statement in statements.split(migration.text):
                client.command(statement)
        assert before.height == 4
        assert warehouse.frame(client, instruments).equals(before)
