"""Roles, users, audit, backup and restore."""

from __future__ import annotations

import re
import shutil
import time
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
import warehouse_server
from pydantic import SecretStr
from waiting import PATIENCE
from warehouse_rows import FRAMES, JANUARY, NORMALIZED, count, normalized, python, served, wait_for

from champion import contracts, warehouse
from champion.base import clock
from champion.errors import WarehouseError
from champion.pipeline.operations.activity import activity
from champion.settings import Settings
from champion.warehouse import adjustment_cache, backup, fingerprint, parts, queries, roles
from champion.warehouse.engine.database import Executor, refusals

PASSWORD = SecretStr("it's a \\ long one")


def grants() -> dict[str, list[str]]:
    """Return the grants of each role in `roles.sql`."""
    found: dict[str, list[str]] = {}
    for statement in roles.statements()[1:]:
        match = re.fullmatch(r"(grant .+) to (\w+)( with grant option)?", statement)
        assert match, statement
        found.setdefault(match[2], []).append(match[1] + (match[3] or ""))
    return found


def test_access_statements_are_sql_and_the_embedded_engine_refuses_them(loaded: Settings) -> None:
    assert set(grants()) == {"analyst", "pipeline_writer", "data_admin"}
    with warehouse.reader(loaded) as client:
        for statement in roles.statements() + roles.user_statements("asha", "analyst", PASSWORD):
            assert client.query(f"explain ast {statement}").result_rows
        with pytest.raises(WarehouseError, match="a server is needed"):
            roles.apply_access(client)
        with pytest.raises(WarehouseError, match="a server is needed") as caught:
            roles.add_user(client, "asha", "analyst", PASSWORD)
        assert "long one" not in str(caught.value)
        with pytest.raises(WarehouseError, match="has no query log"):
            roles.audit(client)


@pytest.mark.parametrize(
    ("user", "role", "password", "message"),
    [
        ("a b", "analyst", PASSWORD, "letters, digits"),
        ("asha", "root", PASSWORD, "the roles are analyst, pipeline_writer, data_admin"),
        ("asha", "analyst", SecretStr("short"), "needs at least 12"),
    ],
)
def test_invalid_users_are_refused(user: str, role: roles.Role, password: SecretStr, message: str) -> None:
    with pytest.raises(WarehouseError, match=message) as caught:
        roles.user_statements(user, role, password)
    assert "short" not in str(caught.value)


def test_roles_have_exactly_their_rights_and_the_audit_lists_statements(migrated: Settings, tmp_path: Path) -> None:
    contract, table = contracts.load(NORMALIZED), f"champion_market.{NORMALIZED}"

    def refused(client: Executor, *statements: str) -> None:
        for statement in statements:
            with pytest.raises(WarehouseError, match="Not enough privileges"), refusals("asking"):
                client.command(statement)

    everything = warehouse_server.configured(tmp_path / "all")
    shutil.copytree(migrated.warehouse, tmp_path / "server", symlinks=True)
    with served(tmp_path, everything) as settings, warehouse.writer(settings) as client:
        warehouse.load_month(client, contract, JANUARY, normalized(), "1")
    loader = warehouse_server.configured(tmp_path / "loader", grants()["pipeline_writer"])
    with served(tmp_path, loader) as settings, warehouse.writer(settings) as client:
        assert warehouse.load_month(client, contract, JANUARY, normalized(bump=1.0), "2").rows == 8
        adjustment_cache.refresh(client)
        parts.merge(client, NORMALIZED)
        assert fingerprint.of_table(client, contract, NORMALIZED) == fingerprint.of_frame(
            contract, normalized(bump=1.0)
        )
        refused(
            client,
            f"drop table {table}",
            f"alter table {table} add column x Int8",
            "create table champion_market.x as loads",
        )
    asker = warehouse_server.configured(tmp_path / "asker", grants()["analyst"])
    with served(tmp_path, asker) as settings, warehouse.reader(settings) as client:
        assert queries.run(settings, "movers", {"min_turnover": 0}).height == 3
        refused(client, f"insert into {table} select * from {table}", f"drop table {table}", f"optimize table {table}")
    admin = warehouse_server.configured(tmp_path / "admin", grants()["data_admin"])
    with served(tmp_path, admin) as settings, warehouse.writer(settings) as client:
        assert warehouse.migrate(client) == []
        client.command("create table champion_market.x as loads")
        refused(client, "create database y", "create user z")
        told, patience = pl.DataFrame(), time.monotonic() + PATIENCE
        while not any("create database y" in query for query in told.get_column("query", default=pl.Series([""]))):
            assert time.monotonic() < patience, told
            time.sleep(0.2)
            told = roles.audit(client, rows=1000)
        today = clock.today()
        asked = activity(settings, today - timedelta(days=1), today, user="default").events.filter(source="warehouse")
    refused_query = told.filter(pl.col("query").str.starts_with("create database y"))
    assert "Not enough privileges" in refused_query["exception"][0]
    assert set(told["user"]) == {"default"}
    refused_event = asked.filter(pl.col("what") == "create database y").row(0, named=True)
    assert refused_event["outcome"] == "refused"
    assert abs(refused_event["at"] - clock.now()).total_seconds() < 3600, "in UTC, whatever the server's time zone"
    assert told["event_time"].is_sorted(descending=True)


def test_server_backs_up_and_restores(migrated: Settings, tmp_path: Path) -> None:
    shutil.copytree(migrated.warehouse, tmp_path / "server", symlinks=True)
    config = warehouse_server.configured(tmp_path / "config")
    place = f"File('{tmp_path}/config/backups/monday')"
    contract = contracts.load(NORMALIZED)
    with served(tmp_path, config) as settings:
        with warehouse.writer(settings) as client:
            warehouse.load_month(client, contract, JANUARY, normalized(), "1")
        assert backup.backup(settings, place).place == place
        with pytest.raises(WarehouseError, match="backup to File"):
            backup.backup(settings, place)
        with pytest.raises(WarehouseError, match="a server takes Disk"):
            backup.backup(settings, "monday")
        with warehouse.writer(settings) as client:
            client.command("drop database champion_market sync")
        assert backup.restore(settings, place).place == place
        with warehouse.reader(settings) as client:
            assert fingerprint.of_table(client, contract, NORMALIZED) == fingerprint.of_frame(contract, normalized())
            assert count(settings, "equity_ohlc") == 8


def test_backup_during_a_write_can_be_restored(fresh: Settings, tmp_path: Path) -> None:
    contract, place = contracts.load(NORMALIZED), tmp_path / "backups" / "monday"
    with warehouse.writer(fresh) as client:
        for name, frame in FRAMES.items():
            warehouse.load_month(client, contracts.load(name), JANUARY, frame(), "1")
    busy = """
        with warehouse.writer(settings) as client:
            warehouse.load_month(client, bars, builders.JANUARY, builders.normalized(bump=5.0), "2")
            print("written", flush=True)
            sys.stdin.readline()
    """
    with python(fresh, busy) as process:
        wait_for(process, "written")
        made = backup.backup(fresh, str(place))
        process.communicate("\n")
    assert made.files == sum(path.is_file() for path in (place / "warehouse").rglob("*") if not path.is_symlink())
    with warehouse.reader(fresh) as client:
        assert fingerprint.of_table(client, contract, NORMALIZED) == fingerprint.of_frame(
            contract, normalized(bump=5.0)
        )
    with pytest.raises(WarehouseError, match="it exists already"):
        backup.backup(fresh, str(place))
    shutil.rmtree(fresh.warehouse)
    assert backup.restore(fresh, str(place)).files == made.files
    with warehouse.reader(fresh) as client:
        for name, frame in FRAMES.items():
            known = contracts.load(name)
            assert fingerprint.of_table(client, known, name) == fingerprint.of_frame(known, frame())
    with warehouse.writer(fresh) as client:
        assert warehouse.load_month(client, contract, JANUARY, normalized(), "1").skipped
        with pytest.raises(WarehouseError, match="leave that `with` block"):
            backup.restore(fresh, str(place))


def test_damaged_backup_restores_nothing(fresh: Settings, tmp_path: Path) -> None:
    place = tmp_path / "backup"
    backup.backup(fresh, str(place))
    largest = max((path for path in place.rglob("*.bin")), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1] + b"x")
    with pytest.raises(WarehouseError, match="1 file is missing or changed"):
        backup.restore(fresh, str(place))
    (place / "BACKUP.json").unlink()
    with pytest.raises(WarehouseError, match="not a complete backup"):
        backup.restore(fresh, str(place))
    assert count(fresh, NORMALIZED) == 0


def test_killed_restore_leaves_the_warehouse_unchanged(fresh: Settings, tmp_path: Path) -> None:
    place = tmp_path / "backup"
    backup.backup(fresh, str(place))
    with warehouse.writer(fresh) as client:
        warehouse.load_month(client, contracts.load(NORMALIZED), JANUARY, normalized(), "1")
    killed = """
        from champion.warehouse.engine import embedded
        with embedded.replace_folder(settings.warehouse, 10):
            settings.warehouse.mkdir()
            print("half", flush=True)
            time.sleep(900)
    """
    with python(fresh, killed) as process:
        wait_for(process, "half")
        process.kill()
    assert count(fresh, NORMALIZED) == 8
    with pytest.raises(WarehouseError, match="not a complete backup"):
        backup.restore(fresh, str(tmp_path / "nowhere"))
    backup.restore(fresh, str(place))
    assert count(fresh, NORMALIZED) == 0
