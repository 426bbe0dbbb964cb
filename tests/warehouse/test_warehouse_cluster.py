"""The warehouse on a cluster: all replicas execute each statement, with replicated tables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError
from warehouse_rows import FRAMES, JANUARY, count, python

from champion import contracts, warehouse
from champion.errors import WarehouseError
from champion.settings import Settings
from champion.warehouse import fingerprint, migrations, roles
from champion.warehouse.engine import cluster, statements
from champion.warehouse.engine.database import refusals

OURS = "our-cluster"
SHIPPED = [statement for migration in migrations.shipped() for statement in statements.split(migration.text)]
TTL = "modify ttl toStartOfMonth(trade_date) + interval 37 month settings materialize_ttl_after_modify = 0"
LOADS = (  # other statements of a load; the test with a real server fails if one is missing here
    "drop table if exists champion_market.staging_x_202401 sync",
    "create table champion_market.staging_x_202401 as champion_market.x",
)
ONE_SERVER = ("insert into", "alter table")  # a replicated table passes the change on
DDL = (*migrations._BOOTSTRAP, *SHIPPED, *roles.statements(), *LOADS)


def test_rendering_adds_only_cluster_and_replication(tmp_path: Path) -> None:
    with warehouse.writer(Settings(home=tmp_path)) as client:

        def formatted(statement: str) -> str:
            """Return a statement as ClickHouse formats it."""
            query = "select formatQuerySingleLine({text:String})"
            return str(client.query(query, parameters={"text": statement}).result_rows[0][0])

        for statement in DDL:
            if statement.startswith(ONE_SERVER):
                assert cluster.render(statement, OURS) == statement
                continue
            before, after = formatted(statement), formatted(cluster.render(statement, OURS))
            assert after.count(f" ON CLUSTER `{OURS}`") == 1, after
            assert after.count("ENGINE = Replicated") == len(re.findall(r"ENGINE = \w*MergeTree", before)), after
            assert after.replace(f" ON CLUSTER `{OURS}`", "").replace("ENGINE = Replicated", "ENGINE = ") == before


def test_user_is_created_on_all_replicas(tmp_path: Path) -> None:
    said = [
        cluster.render(text, OURS) for text in roles.user_statements("asha", "analyst", SecretStr("a; long 'word'"))
    ]
    assert said[-1] == f"alter user asha on cluster '{OURS}' default role analyst"
    with warehouse.writer(Settings(home=tmp_path)) as client:
        for text in said:
            query = "select formatQuerySingleLine({text:String})"
            assert f" ON CLUSTER `{OURS}`" in client.query(query, parameters={"text": text}).result_rows[0][0]


def test_every_table_is_replicated() -> None:
    rendered = " ".join(cluster.render(statement, OURS) for statement in DDL)
    engines = set(re.findall(r"engine\s*=\s*(\w+)", rendered))
    assert engines == {"Atomic", "ReplicatedMergeTree", "ReplicatedReplacingMergeTree"}


@pytest.mark.parametrize(
    "statement",
    [
        "alter table champion_market.x replace partition 202401 from champion_market.staging",
        f"alter table champion_market.x {TTL}",
        "insert into champion_market.loads select 1",
        "truncate table if exists champion_market.instrument_adjustments sync",
        "optimize table champion_market.x partition id '202401' final",
        "select 'create table x (a Int8) engine = MergeTree'",
        "exists database champion_market",
    ],
)
def test_statements_that_replicated_tables_pass_on_go_to_one_server(statement: str) -> None:
    assert cluster.render(statement, OURS) == statement


def test_strings_and_comments_are_not_parsed_as_statements() -> None:
    text = "create table t -- engine = MergeTree\n(a String default 'engine = MergeTree') engine = MergeTree order by a"
    assert cluster.render(text, OURS) == (
        f"create table t on cluster '{OURS}' -- engine = MergeTree\n"
        "(a String default 'engine = MergeTree') engine = ReplicatedMergeTree order by a"
    )
    plain = "create table t (a Int8) engine = Log"
    assert cluster.render(plain, OURS).endswith("engine = Log")


def test_unknown_kind_of_statement_is_refused() -> None:
    with pytest.raises(WarehouseError, match=r"\['undrop', 'table', 't'\] is not known"):
        cluster.render("undrop table t", OURS)


def test_executor_adds_the_cluster_and_leaves_the_client_unchanged(fresh: Settings) -> None:
    statement = "create table t (a Int8) engine = MergeTree order by a"
    with warehouse.writer(fresh) as client:
        executor = cluster.ClusterExecutor(client, OURS)
        with pytest.raises(WarehouseError, match=OURS), refusals("creating t"):
            executor.command(statement)
        client.command(statement)
        assert executor.query("select count() from t").result_rows == [(0,)]
        executor.database = "default"
        assert client.database == "default"


def test_cluster_needs_a_server() -> None:
    with pytest.raises(ValidationError, match="CHAMPION_WAREHOUSE_DSN"):
        Settings(home="x", warehouse_cluster=OURS)
    dsn = SecretStr("clickhouse://localhost/x")
    with pytest.raises(ValidationError, match="pattern"):
        Settings(home="x", warehouse_dsn=dsn, warehouse_cluster="it's")


def test_unknown_cluster_and_unreplicated_tables_are_refused(tmp_path: Path) -> None:
    serve = f"import warehouse_server; warehouse_server.serve(Path({str(tmp_path / 'server')!r}))"
    with python(Settings(home=tmp_path), serve) as process:
        try:
            assert process.stdout is not None
            dsn = f"clickhouse://default@127.0.0.1:{process.stdout.readline().strip()}/x?compress=false"
            away = Settings(home=tmp_path / "ws", warehouse_dsn=SecretStr(dsn), warehouse_cluster=OURS)
            with pytest.raises(WarehouseError, match=rf"no cluster '{OURS}'.*it knows none"):
                warehouse.writer(away).__enter__()
            with warehouse.writer(away.model_copy(update={"warehouse_cluster": None})) as client:
                client.command("create database champion_market engine = Atomic")
                client.command("create table champion_market.bars (a Int8) engine = MergeTree order by a")
            with pytest.raises(WarehouseError, match=r"without a cluster: bars \(1 tables\) are on this server alone"):
                warehouse.writer(away).__enter__()
        finally:
            process.kill()


@pytest.fixture
def real() -> Iterator[Settings]:
    """A real server, named by the environment and empty before and after the test."""
    dsn, name = os.environ.get("CHAMPION_TEST_CLICKHOUSE_DSN"), os.environ.get("CHAMPION_TEST_CLICKHOUSE_CLUSTER")
    if not dsn:
        pytest.skip("no ClickHouse server: set CHAMPION_TEST_CLICKHOUSE_DSN to one that may be emptied")
    settings = Settings(home="nowhere", warehouse_dsn=SecretStr(dsn), warehouse_cluster=name)
    with warehouse.writer(settings) as client:
        assert not client.command("exists database champion_market"), "that server holds a warehouse: name another"
        try:
            yield settings
        finally:
            client.command("drop database if exists champion_market sync")


def test_real_server_is_migrated_and_loaded(real: Settings) -> None:
    with warehouse.writer(real) as client:
        assert len(warehouse.migrate(client)) == len(migrations.shipped())
        assert warehouse.migrate(client) == []
        for name, frame in FRAMES.items():
            contract = contracts.load(name)
            for digest in "12":  # the second replaces the first
                assert warehouse.load_month(client, contract, JANUARY, frame(), digest).rows == frame().height
            assert warehouse.load_month(client, contract, JANUARY, frame(), "2").skipped
            assert fingerprint.of_table(client, contract, name) == fingerprint.of_frame(contract, frame())
        plain = client.query(
            "select name from system.tables where database = 'champion_market' and engine like '%MergeTree' "
            "and engine not like 'Replicated%' and engine not like 'Shared%'"
        ).result_rows
        assert (plain == []) == (real.warehouse_cluster is not None)
    assert count(real, "equity_ohlc") == 8
