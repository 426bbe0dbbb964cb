"""The warehouse on the real embedded engine: migrations against contracts, loads, readers beside writers, crashes."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from subprocess import PIPE
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import polars as pl
import pytest
from filelock import FileLock
from pydantic import SecretStr

from champion import contracts, warehouse
from champion.contracts.rules import rule_constraint
from champion.errors import ContractError, WarehouseError
from champion.settings import Settings
from champion.warehouse import access, fingerprint, migrations, queries, retention, snapshot, statements

RAW, NORMALIZED = "raw_equity_ohlc", "normalized_equity_ohlc"
FEATURES, PREDICTIONS, QUARANTINE = "features_equity_indicators", "predictions_equity_scores", "quarantine_equity_ohlc"
DELIVERY, INDEX = "normalized_equity_delivery", "normalized_index_ohlc"
ACTIONS, MASTER = "normalized_corporate_actions", "normalized_symbol_master"
TABLES = (RAW, NORMALIZED, FEATURES, PREDICTIONS, QUARANTINE, DELIVERY, INDEX, ACTIONS, MASTER)
JANUARY, SESSIONS = date(2024, 1, 1), (date(2024, 1, 15), date(2024, 1, 16))
SYMBOLS = ("ACME", "BETA", "M&M", "ZED'S")
COUNT, ALL = "select count() from {}", "select * from {}"
INGESTED = datetime(2024, 2, 1, 12, 30, 0, 123000, tzinfo=UTC)


def typed(name: str, rows: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=contracts.load(name).polars_schema)


def envelope(session: date, entity: str) -> dict[str, object]:
    return {
        "event_id": uuid.uuid5(uuid.NAMESPACE_URL, f"{session} {entity}").bytes,
        "event_time": datetime(session.year, session.month, session.day, 10, 0, tzinfo=UTC),
        "ingest_time": INGESTED,
        "source": "nse_cm_udiff",
        "schema_version": "1.0.0",
        "entity_id": entity,
    }


def normalized(sessions: tuple[date, ...] = SESSIONS, bump: float = 0.0) -> pl.DataFrame:
    rows = []
    for session in sessions:
        for number, symbol in enumerate(SYMBOLS, start=1):
            close = 100.25 * number + session.day + bump
            rows.append(
                envelope(session, f"NSE:{symbol}")
                | {
                    "instrument_id": f"NSE:{symbol}",
                    "symbol": symbol,
                    "exchange": "NSE",
                    "isin": None if symbol == "BETA" else f"INE00000{number}",
                    "instrument_type": "STK",
                    "series": None if symbol == "ZED'S" else "EQ",
                    "trade_date": session,
                    "prev_close": close * (0.9, 1.25, 0.95, 2.0)[number - 1],
                    "open": close,
                    "high": close + 1,
                    "low": close - 1,
                    "close": close,
                    "last_price": None,
                    "settlement_price": close,
                    "volume": 1000 * number,
                    "turnover": close * 1000 * number,
                    "trades": None if number == 1 else 10 * number,
                    "adjustment_factor": 1.0,
                    "adjustment_date": None,
                    "is_trading_day": True,
                }
            )
    return typed(NORMALIZED, rows)


def raw() -> pl.DataFrame:
    known = {"Sgmt": "CM", "Src": "NSE", "FinInstrmTp": "STK", "OpnPric": 10.0, "TtlTradgVol": 2**53 + 1, "Rmks": None}
    return typed(
        RAW,
        [
            envelope(session, f"{symbol}:EQ:NSE") | known | {"TradDt": session, "TckrSymb": symbol, "SctySrs": "EQ"}
            for session in SESSIONS
            for symbol in SYMBOLS
        ],
    )


def features(sessions: tuple[date, ...] = SESSIONS) -> pl.DataFrame:
    return typed(
        FEATURES,
        [
            {
                "instrument_id": f"NSE:{symbol}",
                "symbol": symbol,
                "trade_date": session,
                "feature_timestamp": datetime(session.year, session.month, session.day, 10, 0, tzinfo=UTC),
                "feature_version": "v1",
                "sma_5": 101.125,
                "rsi_14": None if symbol == "ACME" else 55.5,
                "obv": -(2**60) - 1,
            }
            for session in sessions
            for symbol in SYMBOLS
        ],
    )


def predictions() -> pl.DataFrame:
    return typed(
        PREDICTIONS,
        [
            envelope(SESSIONS[0], f"NSE:{symbol}")
            | {
                "instrument_id": f"NSE:{symbol}",
                "symbol": symbol,
                "trade_date": SESSIONS[0],
                "model_name": "equity_price_predictor",
                "model_version": version,
                "model_run_id": "f00d",
                "feature_version": "v1",
                "horizon": 5,
                "score": 1 / (rank + version),
                "rank": rank,
            }
            for version in (1, 2)
            for rank, symbol in enumerate(SYMBOLS, start=1)
        ],
    )


def quarantine() -> pl.DataFrame:
    row = {"session": SESSIONS[0], "stage": "raw", "row": "a,b", "source": "nse_cm_udiff", "source_file": "f.csv"}
    row |= {"source_sha256": "00", "ingest_time": INGESTED}
    reasons: tuple[list[str], ...] = (["low_le_high", "series_is_named"], [])
    return typed(QUARANTINE, [row | {"row_number": n, "reasons": why} for n, why in enumerate(reasons, start=2)])


def delivery() -> pl.DataFrame:
    known = {"symbol": "ACME", "exchange": "NSE", "trade_date": SESSIONS[0], "volume": 3}
    delivered = {"delivered_volume": 1, "delivered_share": 1 / 3, "average_price": 10.05, "trades": 2}
    equity = envelope(SESSIONS[0], "NSE:ACME") | known | delivered | {"instrument_id": "NSE:ACME", "series": "EQ"}
    return typed(
        DELIVERY,
        [equity, envelope(SESSIONS[0], "NSE:ACME:TB") | known | {"instrument_id": "NSE:ACME:TB", "series": "TB"}],
    )


def index() -> pl.DataFrame:
    known = {"exchange": "NSE", "trade_date": SESSIONS[0]}
    full = {"open": 1.0, "high": 2.5, "low": 0.5, "close": 2.0, "volume": 7, "turnover": 47981700000.0}
    levels = {"NIFTY 50": full | {"points_change": -0.5, "dividend_yield": 1.41}, "NIFTY ALPHA": {"close": 3.25}}
    return typed(
        INDEX,
        [
            envelope(SESSIONS[0], f"NSE:{name}") | known | {"index_id": f"NSE:{name}", "index_name": name} | level
            for name, level in levels.items()
        ],
    )


def actions() -> pl.DataFrame:
    row = envelope(SESSIONS[0], "NSE:ACME") | {"list_date": SESSIONS[0], "instrument_id": "NSE:ACME", "symbol": "ACME"}
    row |= {"listed_symbol": "ACME", "series": "EQ", "ex_date": SESSIONS[1], "detail": "1:2", "purpose": "Bonus 1:2"}
    row |= {"covers_from": SESSIONS[0], "covers_to": SESSIONS[1], "known_at": INGESTED, "source_sha256": "00"}
    factors = {"bonus": 1.5, "rights": None}
    return typed(ACTIONS, [row | {"kind": kind, "price_factor": factor} for kind, factor in factors.items()])


def master() -> pl.DataFrame:
    row = envelope(SESSIONS[0], "NSE:ACME") | {"symbol": "ACME", "exchange": "NSE", "company": "Acme Ltd"}
    row |= {
        "instrument_id": "NSE:ACME",
        "series": "EQ",
        "isin": "INE000001",
        "known_at": INGESTED,
        "source_sha256": "00",
    }
    face_values = {SESSIONS[0]: None, SESSIONS[1]: 2.0}
    return typed(MASTER, [row | {"list_date": day, "face_value": value} for day, value in face_values.items()])


FRAMES = {RAW: raw, NORMALIZED: normalized, FEATURES: features, PREDICTIONS: predictions, QUARANTINE: quarantine}
FRAMES |= {DELIVERY: delivery, INDEX: index, ACTIONS: actions, MASTER: master}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """One workspace, migrated, with January 2024 of every table."""
    made = Settings(home=tmp_path_factory.mktemp("it's a {home}, 100%") / "ws")
    with warehouse.writer(made) as client:
        assert len(warehouse.migrate(client)) == len(migrations.shipped())
        for name, frame in FRAMES.items():
            result = warehouse.load_month(client, contracts.load(name), JANUARY, frame(), f"{name} 1")
            assert result == warehouse.LoadResult(name, "202401", frame().height, skipped=False)
    return made


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Settings]:
    """A workspace of one test's own, migrated."""
    made = Settings(home=tmp_path / "ws")
    with warehouse.writer(made) as client:
        warehouse.migrate(client)
    yield made
    assert not [path for path in (made.home / "snapshots").iterdir() if path.name != "guard"], "snapshots were left"


def count(settings: Settings, table: str) -> int:
    return int(warehouse.sql(settings, COUNT.format(table)).item())


def python(settings: Settings, code: str) -> subprocess.Popen[str]:
    """Start a process that runs `code` with this file's builders at hand."""
    head = f"""
        import importlib.util, sys, time
        from pathlib import Path
        spec = importlib.util.spec_from_file_location("builders", {__file__!r})
        builders = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(builders)
        from champion import contracts, warehouse
        from champion.settings import Settings
        settings = Settings(home=Path({str(settings.home)!r}))
        bars = contracts.load("normalized_equity_ohlc")
    """
    text = textwrap.dedent(head) + textwrap.dedent(code)
    return subprocess.Popen([sys.executable, "-c", text], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True)


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    assert line.strip() == word, line + process.stderr.read()


class Front(BaseHTTPRequestHandler):
    """ClickHouse's HTTP interface, as far as the client uses it, before the embedded engine: no server can be had here.

    It answers what it is sent; what a real server may do differently (users, time-outs, replication) it cannot show.
    """

    engine: Any
    protocol_version = "HTTP/1.1"
    _transport = frozenset({"query", "database", "query_id", "session_id", "client_protocol_version"})

    def log_message(self, *_: object) -> None:
        """Say nothing: standard output is the parent's."""

    def do_POST(self) -> None:
        """Run the statement of a request."""
        sent = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body, status = self._body(), 200
        try:
            answer = self._answer(sent, body)
        except RuntimeError as error:
            answer, status = str(error).encode(), 404
        self.send_response(status)
        if status != 200:
            self.send_header("X-ClickHouse-Exception-Code", "1")
        self.send_header("X-ClickHouse-Format", "TabSeparated")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, sent: dict[str, str], body: bytes) -> bytes:
        if "database" in sent:
            self.engine.query(f"use {sent['database']}")
        if "query" not in sent and body.startswith(b"INSERT"):  # the client's own format: statement and data in one
            statement, _, body = body.partition(b" FORMAT Native\n")
            sent["query"] = f"{statement.decode()} FORMAT Native"
        if "query" not in sent:
            bound = {name.removeprefix("param_"): value for name, value in sent.items() if name.startswith("param_")}
            return bytes(self.engine.query(body.decode(), "TabSeparated", params=bound).bytes())
        with NamedTemporaryFile() as file:
            file.write(body)
            file.flush()
            settings = ", ".join(f"{name} = '{value}'" for name, value in sent.items() if name not in self._transport)
            insert, _, form = sent["query"].rpartition("FORMAT")
            target = f"{insert} from infile '{file.name}' settings {settings} format {form}"
            return bytes(self.engine.query(target).bytes())


def serve(folder: Path) -> None:
    """Serve `folder` on a free port until the process is killed; print the port."""
    import chdb  # noqa: PLC0415 - in the server's process only

    Front.engine = chdb.connect(str(folder))  # type: ignore[no-untyped-call]
    server = HTTPServer(("127.0.0.1", 0), Front)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


# Contracts and tables


@pytest.mark.parametrize("name", TABLES)
def test_table_has_the_columns_types_and_order_of_its_contract(settings: Settings, name: str) -> None:
    columns = warehouse.sql(
        settings,
        "select name, type, default_kind from system.columns where database = 'champion_market' and table = {t:String} "
        "order by position",
        {"t": name},
    )
    contract = contracts.load(name).clickhouse_columns
    found = dict(columns.select("name", "type").iter_rows())
    assert list(found.items())[: len(contract)] == list(contract.items())
    extra = columns[len(contract) :]
    assert extra.filter(pl.col("default_kind") != "DEFAULT").is_empty()
    assert extra["name"].to_list() == (["computed_at"] if name == FEATURES else [])


@pytest.mark.parametrize("name", TABLES)
def test_table_has_exactly_the_rules_of_its_contract_as_constraints(settings: Settings, name: str) -> None:
    ddl = warehouse.sql(settings, f"show create table {name}").item()
    found = re.findall(r"CONSTRAINT (\w+) CHECK (.*?),?\n", ddl)
    # ClickHouse prints expressions in its own spelling: let it spell the contract's the same way.
    wanted = []
    for rule, text in contracts.load(name).rules.items():
        expression = rule_constraint(rule, text).partition(" CHECK ")[2]
        spelled = warehouse.sql(
            settings, "select formatQuerySingleLine({q:String})", {"q": f"select {expression}"}
        ).item()
        wanted.append((rule, spelled.removeprefix("SELECT ")))
    assert found == wanted


def test_tables_are_partitioned_sorted_and_indexed_as_the_specification_says(settings: Settings) -> None:
    tables = warehouse.sql(
        settings,
        "select name, engine, partition_key, sorting_key from system.tables "
        "where database = 'champion_market' and engine like '%MergeTree'",
    )
    found = {row[0]: row[1:] for row in tables.iter_rows()}
    assert found[RAW] == ("MergeTree", "toYYYYMM(TradDt)", "TckrSymb, TradDt, event_time")
    assert found[NORMALIZED] == ("ReplacingMergeTree", "toYYYYMM(trade_date)", "symbol, trade_date, instrument_id")
    assert found[FEATURES] == ("MergeTree", "toYYYYMM(trade_date)", "symbol, trade_date, feature_timestamp")
    assert found[DELIVERY] == ("ReplacingMergeTree", "toYYYYMM(trade_date)", "symbol, trade_date, instrument_id")
    assert found[INDEX] == ("ReplacingMergeTree", "toYYYYMM(trade_date)", "index_id, trade_date")
    assert found[ACTIONS][1:] == ("toYYYYMM(list_date)", "list_date, instrument_id, ex_date, kind")
    assert found[MASTER][1:] == ("toYYYYMM(list_date)", "list_date, symbol")
    indices = warehouse.sql(settings, "select name, type from system.data_skipping_indices order by name")
    assert indices.rows() == [("idx_isin", "bloom_filter"), ("idx_isin_norm", "bloom_filter"), ("idx_volume", "minmax")]


def test_the_symbol_master_is_the_latest_list(settings: Settings) -> None:
    found = warehouse.sql(settings, "select symbol, exchange, company_name, face_value from symbol_master")
    assert found.rows() == [("ACME", "NSE", "Acme Ltd", 2.0)]


# Values


@pytest.mark.parametrize("name", TABLES)
def test_every_value_arrives(settings: Settings, name: str) -> None:
    contract = contracts.load(name)
    sent = FRAMES[name]().sort(contract.key)
    stored = warehouse.sql(settings, ALL.format(name))
    got = stored.sort(contract.key).select(list(contract.polars_schema))
    if "event_id" in sent.columns:
        texts = [str(uuid.UUID(bytes=value)) for value in sent["event_id"]]
        assert got["event_id"].to_list() == texts
        sent, got = sent.drop("event_id"), got.drop("event_id")
    assert got.to_dicts() == sent.to_dicts()
    unsigned = {column for column, dtype in got.schema.items() if dtype != sent.schema[column]}
    assert unsigned <= {"is_trading_day"}


def test_fingerprints_of_polars_and_clickhouse_agree_and_notice_a_swap(settings: Settings) -> None:
    with warehouse.reader(settings) as client:
        for name in TABLES:
            contract = contracts.load(name)
            assert fingerprint.of_frame(contract, FRAMES[name]()) == fingerprint.of_table(client, contract, name)
    contract, rows = contracts.load(NORMALIZED), normalized()
    same = fingerprint.of_frame(contract, rows)
    assert fingerprint.of_frame(contract, rows.sample(fraction=1.0, shuffle=True, seed=1)) == same
    swapped = rows.with_columns(volume=pl.Series([rows["volume"][1], rows["volume"][0], *rows["volume"][2:]]))
    changed = fingerprint.of_frame(contract, swapped)
    assert [column for column in same if same[column] != changed[column]] == ["volume"]


def test_null_and_zero_have_different_fingerprints() -> None:
    contract, rows = contracts.load(NORMALIZED), normalized()
    zero = fingerprint.of_frame(contract, rows.with_columns(last_price=pl.lit(0.0)))
    assert zero["last_price"] != fingerprint.of_frame(contract, rows)["last_price"]


# Loads


def test_files_of_a_month_load_like_their_frame(fresh: Settings, tmp_path: Path) -> None:
    contract, files = contracts.load(NORMALIZED), []
    for session in SESSIONS:
        path = tmp_path / "lake {a,b}*?" / f"day={session.day}" / "part-00000.parquet"
        path.parent.mkdir(parents=True)
        frame = normalized((session,))
        # The older file was written before an optional field was added.
        (frame.drop("adjustment_date") if session == SESSIONS[0] else frame).write_parquet(path)
        files.append(path)
    with warehouse.writer(fresh) as client:
        assert warehouse.load_month(client, contract, JANUARY, files, "1").rows == 8
        assert fingerprint.of_table(client, contract, NORMALIZED) == fingerprint.of_frame(contract, normalized())


def test_a_replay_is_skipped_and_a_correction_replaces_the_month(fresh: Settings) -> None:
    contract = contracts.load(NORMALIZED)
    with warehouse.writer(fresh) as client:
        warehouse.load_month(client, contract, JANUARY, normalized(), "1")
        warehouse.load_month(client, contract, date(2024, 2, 1), normalized((date(2024, 2, 1),)), "1")
        assert warehouse.load_month(client, contract, date(2024, 1, 31), normalized(), "1").skipped
        again = warehouse.load_month(client, contract, JANUARY, normalized(), "1", force=True)
        assert (again.rows, again.skipped) == (8, False)
        assert warehouse.frame(client, COUNT.format(NORMALIZED)).item() == 12
        corrected = normalized(SESSIONS[:1], bump=1.0).filter(pl.col("symbol") != "BETA")
        assert warehouse.load_month(client, contract, JANUARY, corrected, "2").rows == 3
        stored = warehouse.frame(client, ALL.format(NORMALIZED) + " where trade_date < '2024-02-01' order by symbol")
        assert stored.select("symbol", "close").rows() == corrected.select("symbol", "close").sort("symbol").rows()
        assert warehouse.load_month(client, contract, JANUARY, [], "3").rows == 0
        assert warehouse.frame(client, COUNT.format(NORMALIZED)).item() == 4
        assert warehouse.load_month(client, contract, JANUARY, [], "3").skipped


def test_rows_that_vanished_from_the_table_are_loaded_again(fresh: Settings) -> None:
    contract = contracts.load(NORMALIZED)
    with warehouse.writer(fresh) as client:
        warehouse.load_month(client, contract, JANUARY, normalized(), "1")
        client.command(f"alter table champion_market.{NORMALIZED} drop partition 202401")
        assert not warehouse.load_month(client, contract, JANUARY, normalized(), "1").skipped


def test_replaced_parts_do_not_pile_up(fresh: Settings) -> None:
    contract = contracts.load(NORMALIZED)
    for _ in range(3):
        with warehouse.writer(fresh) as client:
            for number in range(4):
                bars = normalized(bump=float(number))
                warehouse.load_month(client, contract, JANUARY, bars, f"{number}")
    parts = warehouse.sql(fresh, f"select active, rows from system.parts where table = '{NORMALIZED}'")
    assert parts.filter(pl.col("active") == 0).is_empty()
    assert parts["rows"].sum() == 8
    with warehouse.reader(fresh) as client:
        assert fingerprint.of_table(client, contract, NORMALIZED) == fingerprint.of_frame(
            contract, normalized(bump=3.0)
        )


def test_refused_loads_leave_the_month_as_it_was(fresh: Settings) -> None:
    contract, good = contracts.load(NORMALIZED), normalized()
    refused = {
        "1 of 8 rows are of other months, as 2024-03-01": good.with_columns(
            trade_date=pl.when(pl.int_range(pl.len()) == 0).then(date(2024, 3, 1)).otherwise("trade_date")
        ),
        "16 rows share their key": pl.concat([good, good]),
        "low_le_high": good.with_columns(low=pl.col("high") + 1),
    }
    with warehouse.writer(fresh) as client:
        warehouse.load_month(client, contract, JANUARY, good, "1")
        for message, frame in refused.items():
            with pytest.raises(WarehouseError, match=message) as caught:
                warehouse.load_month(client, contract, JANUARY, frame, "2")
            assert len(str(caught.value)) < 600
        with pytest.raises(ContractError, match="null in fields that may not be"):
            warehouse.load_month(
                client, contract, JANUARY, good.with_columns(close=pl.lit(None, dtype=pl.Float64)), "2"
            )
        with pytest.raises(WarehouseError, match="16 bytes"):
            warehouse.load_month(client, contract, JANUARY, good.with_columns(event_id=pl.lit(b"short")), "2")
        assert fingerprint.of_table(client, contract, NORMALIZED) == fingerprint.of_frame(contract, good)
        assert warehouse.load_month(client, contract, JANUARY, good, "1").skipped
        assert warehouse.frame(client, "show tables like 'staging%'").is_empty()


def test_retention_follows_the_settings_and_refuses_older_rows(fresh: Settings) -> None:
    contract, today = contracts.load(NORMALIZED), datetime.now(UTC).date()
    keeping = fresh.model_copy(update={"normalized_years": 3})
    first_kept = date(today.year - 3, today.month, 1)
    last_expired = first_kept - timedelta(days=1)
    with warehouse.writer(fresh) as client:
        assert warehouse.keeps_from(client, NORMALIZED) is None
        for session in (last_expired, first_kept):
            warehouse.load_month(client, contract, session, normalized((session,)), "1")
        assert warehouse.apply_retention(client, keeping) == {NORMALIZED: 3, DELIVERY: 3, INDEX: 3}
        assert warehouse.apply_retention(client, keeping) == {}
        assert (retention.years(client, NORMALIZED), warehouse.keeps_from(client, NORMALIZED)) == (3, first_kept)
        kept = warehouse.frame(client, ALL.format(NORMALIZED))
        assert set(kept["trade_date"]) == {first_kept}
        assert warehouse.load_month(client, contract, first_kept, normalized((first_kept,)), "1").skipped
        with pytest.raises(WarehouseError, match=f"4 rows are older than {first_kept}"):
            warehouse.load_month(client, contract, last_expired, normalized((last_expired,)), "1")
        assert warehouse.apply_retention(client, fresh) == {NORMALIZED: None, DELIVERY: None, INDEX: None}
        assert retention.years(client, NORMALIZED) is None
        assert not warehouse.load_month(client, contract, last_expired, normalized((last_expired,)), "1").skipped


def test_a_killed_load_is_undone_and_a_rerun_loads(fresh: Settings) -> None:
    contract, old, new = contracts.load(NORMALIZED), normalized(), normalized(SESSIONS[:1], bump=2.0)
    before, after = (fingerprint.of_frame(contract, frame) for frame in (old, new))
    with warehouse.writer(fresh) as client:
        warehouse.load_month(client, contract, JANUARY, old, "old")
    loop = """
        with warehouse.writer(settings) as client:
            while True:
                new = builders.normalized(builders.SESSIONS[:1], bump=2.0)
                warehouse.load_month(client, bars, builders.JANUARY, new, "new", force=True)
                print("loaded", flush=True)
    """
    for _ in range(2):
        with python(fresh, loop) as process:
            wait_for(process, "loaded")
            time.sleep(random.uniform(0.0, 0.3))  # noqa: S311 - any instant will do
            process.kill()
        with warehouse.reader(fresh) as client:
            assert fingerprint.of_table(client, contract, NORMALIZED) == before
    with warehouse.writer(fresh) as client:
        assert fingerprint.of_table(client, contract, NORMALIZED) == before
        assert warehouse.load_month(client, contract, JANUARY, old, "old").skipped
        assert not warehouse.load_month(client, contract, JANUARY, new, "new").skipped
        assert fingerprint.of_table(client, contract, NORMALIZED) == after
        assert warehouse.frame(client, "show tables like 'staging%'").is_empty()
    assert count(fresh, NORMALIZED) == 4


def test_a_month_that_was_being_swapped_is_loaded_again(fresh: Settings) -> None:
    """What a server that died within a swap leaves: both versions, and a month marked unknown."""
    contract, old, new = contracts.load(NORMALIZED), normalized(), normalized(SESSIONS[:1], bump=2.0)
    with warehouse.writer(fresh) as client:
        warehouse.load_month(client, contract, JANUARY, old, "old")
        client.command(f"insert into {NORMALIZED} select * from {NORMALIZED}")
        client.command("create table staging_normalized_equity_ohlc_202401 as normalized_equity_ohlc")
        client.command("insert into loads select dataset, partition, '', 0, loaded_at from loads")
        for digest, frame in (("old", old), ("new", new)):
            assert not warehouse.load_month(client, contract, JANUARY, frame, digest).skipped
            assert fingerprint.of_table(client, contract, NORMALIZED) == fingerprint.of_frame(contract, frame)
        assert warehouse.frame(client, "show tables like 'staging%'").is_empty()


# Readers and writers


def test_write_and_read_by_turns_in_one_process(fresh: Settings) -> None:
    contract = contracts.load(NORMALIZED)
    for number, session in enumerate((date(2024, 1, 2), date(2024, 2, 2), date(2024, 3, 4)), start=1):
        with warehouse.writer(fresh) as client:
            warehouse.load_month(client, contract, session, normalized((session,)), "1")
            assert count(fresh, NORMALIZED) == 4 * number, "a reader inside a writer sees what was written"
        assert count(fresh, NORMALIZED) == 4 * number


def test_readers_do_not_wait_for_a_writer_and_see_whole_months(fresh: Settings) -> None:
    contract = contracts.load(NORMALIZED)
    with warehouse.writer(fresh) as client:
        warehouse.load_month(client, contract, JANUARY, normalized(), "1")
    busy = """
        with warehouse.writer(settings) as client:
            print("writing", flush=True)
            for month in range(2, 12):
                session = builders.date(2024, month, 5)
                warehouse.load_month(client, bars, session, builders.normalized((session,)), "1")
            print("written", flush=True)
            sys.stdin.readline()
            time.sleep(1.5)
    """
    with python(fresh, busy) as process:
        wait_for(process, "writing")
        seen = [count(fresh, NORMALIZED) for _ in range(3)]
        wait_for(process, "written")
        seen.append(count(fresh, NORMALIZED))
        with pytest.raises(WarehouseError, match=f"still being written after 0.1 s, by process {process.pid} "):
            warehouse.writer(fresh, wait=0.1).__enter__()
    assert seen == [8, 8, 8, 8], "a reader sees the warehouse as it was before the writer began"
    assert count(fresh, NORMALIZED) == 48


def test_threads_take_turns(fresh: Settings) -> None:
    contract, failures = contracts.load(NORMALIZED), list[BaseException]()

    def work(month: int) -> None:
        session = date(2024, month, 5)
        try:
            with warehouse.writer(fresh) as client:
                warehouse.load_month(client, contract, session, normalized((session,)), "1")
            warehouse.sql(fresh, "select 1")
        except BaseException as error:  # noqa: BLE001 - reported below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(month,)) for month in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert count(fresh, NORMALIZED) == 16


def test_a_reader_cannot_become_a_writer(settings: Settings, tmp_path: Path) -> None:
    with warehouse.reader(settings), pytest.raises(WarehouseError, match="still reading"), warehouse.writer(settings):
        pass
    other = Settings(home=tmp_path)
    with warehouse.reader(settings), pytest.raises(WarehouseError, match="still reading"), warehouse.reader(other):
        pass
    assert count(settings, NORMALIZED) == 8


def test_a_killed_readers_snapshot_is_swept(fresh: Settings) -> None:
    with python(
        fresh, 'with warehouse.reader(settings):\n    print("open", flush=True)\n    sys.stdin.readline()'
    ) as process:
        wait_for(process, "open")
        folder = fresh.home / "snapshots"
        assert len(list(folder.glob("*.lock"))) == 1
        count(fresh, NORMALIZED)
        assert len(list(folder.glob("*.lock"))) == 1, "a living reader keeps its snapshot"
        process.kill()
    count(fresh, NORMALIZED)  # the fixture checks that nothing is left


def test_a_writer_that_never_publishes_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "warehouse"
    path.mkdir()
    with FileLock(snapshot.writer_lock(path)), pytest.raises(WarehouseError, match="no snapshot"):
        snapshot.private(path, wait=0.1).__enter__()


def test_an_empty_workspace_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="champion warehouse migrate"):
        warehouse.sql(Settings(home=tmp_path / "ws"), "select 1")


def test_an_unreachable_server_is_a_warehouse_error_without_the_password(tmp_path: Path) -> None:
    away = Settings(home=tmp_path, warehouse_dsn=SecretStr("clickhouse://me:hunter2@127.0.0.1:9/champion_market"))
    with pytest.raises(WarehouseError, match="CHAMPION_WAREHOUSE_DSN") as caught:
        warehouse.sql(away, "select 1")
    assert "hunter2" not in str(caught.value)


def test_a_server_is_migrated_loaded_and_asked_like_the_embedded_engine(tmp_path: Path) -> None:
    with python(Settings(home=tmp_path), f"builders.serve(Path({str(tmp_path / 'server')!r}))") as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        dsn = SecretStr(f"clickhouse://default@127.0.0.1:{port}/champion_market?compress=false")
        served = Settings(home=tmp_path / "ws", warehouse_dsn=dsn)
        try:
            with warehouse.writer(served) as client:
                assert len(warehouse.migrate(client)) == len(migrations.shipped())
                for name, frame in FRAMES.items():
                    contract = contracts.load(name)
                    assert warehouse.load_month(client, contract, JANUARY, frame(), "1").rows == frame().height
                    assert warehouse.load_month(client, contract, JANUARY, frame(), "1").skipped
                    assert fingerprint.of_table(client, contract, name) == fingerprint.of_frame(contract, frame())
                broken = normalized().with_columns(low=pl.col("high") + 1)
                with pytest.raises(WarehouseError, match="low_le_high"):
                    warehouse.load_month(client, contracts.load(NORMALIZED), JANUARY, broken, "2")
            assert count(served, "equity_ohlc") == 8
            for name, bound in PARAMETERS.items():
                assert warehouse.sql(served, queries.load(name), bound).height > 0
            assert not served.home.exists(), "a server leaves nothing in the workspace"
        finally:
            process.kill()


# Migrations


def test_migrations_are_applied_once_and_may_not_change(tmp_path: Path) -> None:
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


def test_every_shipped_statement_may_run_twice(settings: Settings) -> None:
    for migration in migrations.shipped():
        for statement in statements.split(migration.text):
            code = re.sub(r"--[^\n]*\n", "", statement).strip()
            repeatable = (
                r"(create (table if not exists|or replace view)|drop table if exists if empty) champion_market\."
            )
            assert re.match(repeatable, code), code
    with warehouse.writer(settings) as client:
        for migration in migrations.shipped():
            for statement in statements.split(migration.text):
                client.command(statement)
    assert count(settings, NORMALIZED) == 8


# Queries


PARAMETERS: dict[str, dict[str, object]] = {
    "symbol_history": {"symbol": "ZED'S", "start": SESSIONS[0], "end": SESSIONS[1]},
    "session_cross_section": {"session": SESSIONS[0]},
    "movers": {"session": SESSIONS[0], "rows": 3, "min_turnover": 0},
    "volume_leaders": {"session": SESSIONS[0], "rows": 2},
    "liquidity": {"start": SESSIONS[0], "end": SESSIONS[1], "min_sessions": 2},
    "predictions_of_session": {"session": SESSIONS[0], "model": "equity_price_predictor"},
}


def test_every_named_query_is_tested_and_says_what_it_answers() -> None:
    assert queries.names() == sorted(PARAMETERS)
    for name in queries.names():
        lines = queries.load(name).splitlines()
        assert lines[0].startswith("-- ")
        assert lines[1].startswith("-- Parameters: ")
        assert set(re.findall(r"(\w+) \(", lines[1])) >= set(PARAMETERS[name]) - {"end", "min_sessions"}
    with pytest.raises(WarehouseError, match="no query is named 'nope'; there are: liquidity, movers"):
        queries.load("nope")


def test_named_queries_answer(settings: Settings) -> None:
    got = {name: warehouse.sql(settings, queries.load(name), bound) for name, bound in PARAMETERS.items()}
    bars = normalized(SESSIONS[:1])
    assert got["symbol_history"]["close"].to_list() == [100.25 * 4 + 15, 100.25 * 4 + 16]
    assert got["session_cross_section"]["symbol"].to_list() == list(SYMBOLS)
    assert got["session_cross_section"]["rsi_14"].to_list() == [None, 55.5, 55.5, 55.5]
    assert got["movers"]["symbol"].to_list() == ["ZED'S", "BETA", "ACME"]
    moves = (bars["close"] / bars["prev_close"] - 1).abs().sort(descending=True).head(3)
    assert got["movers"]["simple_return"].abs().to_list() == pytest.approx(moves.to_list())
    assert got["volume_leaders"].select("symbol", "volume", "volume_rank").rows() == [
        ("ZED'S", 4000, 1),
        ("M&M", 3000, 2),
    ]
    assert got["liquidity"]["share_of_sessions"].to_list() == [1.0] * 4
    medians = normalized().group_by("instrument_id").agg(pl.col("turnover").median()).sort("turnover", descending=True)
    assert got["liquidity"]["median_turnover"].to_list() == pytest.approx(medians["turnover"].to_list())
    assert got["predictions_of_session"]["model_version"].unique().to_list() == [2]
    assert got["predictions_of_session"]["rank"].to_list() == [1, 2, 3, 4]


def test_views_count_final_rows_only(fresh: Settings) -> None:
    later = normalized(bump=3.0).with_columns(ingest_time=pl.col("ingest_time") + pl.duration(hours=1))
    with warehouse.writer(fresh) as client:
        warehouse.load_month(client, contracts.load(NORMALIZED), JANUARY, normalized(), "1")
        # What a streaming insert beside the loads would do: the same keys again, later.
        columns = [column for column in later.columns if column != "event_id"]
        client.insert_arrow(f"champion_market.{NORMALIZED}", later.select(columns).to_arrow())
        assert warehouse.frame(client, COUNT.format(NORMALIZED)).item() == 16
        bars = warehouse.frame(client, "select * from equity_ohlc")
        summary = warehouse.frame(client, "select * from equity_ohlc_daily_summary order by trade_date")
        leaders = warehouse.frame(client, "select * from equity_volume_leaders order by trade_date, volume_rank")
    assert sorted(bars["close"].to_list()) == sorted(later["close"].to_list())
    wanted = (
        later.group_by("trade_date", "exchange")
        .agg(
            pl.len(), pl.col("volume").sum(), pl.col("turnover").sum(),
            pl.col("close").mean(), pl.col("high").max(), pl.col("low").min(),
        )
        .sort("trade_date")
    )  # fmt: skip
    for got, expected in zip(summary.rows(), wanted.rows(), strict=True):
        assert got[:4] == expected[:4]
        assert got[4:] == pytest.approx(expected[4:])
    assert leaders["symbol"].to_list() == list(reversed(SYMBOLS)) * 2
    assert leaders["pct_change"].to_list()[-1] == pytest.approx(100 / 0.9 - 100)


def test_the_leaders_are_a_hundred_per_session(fresh: Settings) -> None:
    one = normalized(SESSIONS[:1]).head(1)
    names = [f"S{number:03d}" for number in range(130)]
    many = pl.concat(
        one.with_columns(symbol=pl.lit(name), instrument_id=pl.lit(name), volume=pl.lit(number, dtype=pl.Int64))
        for number, name in enumerate(names)
    )
    with warehouse.writer(fresh) as client:
        warehouse.load_month(client, contracts.load(NORMALIZED), JANUARY, many, "1")
        leaders = warehouse.frame(client, "select symbol from equity_volume_leaders order by volume_rank")
    assert leaders["symbol"].to_list() == names[:29:-1]


def test_uuid_enum_and_low_cardinality_come_as_text(settings: Settings) -> None:
    got = warehouse.sql(
        settings,
        "select cast('b', 'Enum8(\\'a\\' = 1, \\'b\\' = 2)') as e, toInt8(3) as i, toLowCardinality('x') as l, "
        "toUUID('6af613b6-569c-5c22-9c37-2ed93f31d3af') as u, cast(null, 'Nullable(UUID)') as n -- remark",
    )
    assert got.rows() == [("b", 3, "x", "6af613b6-569c-5c22-9c37-2ed93f31d3af", None)]
    assert got.schema["i"] == pl.Int8
    assert got.schema["n"] == pl.String


def test_parameters_are_bound_not_pasted(settings: Settings) -> None:
    text = "select {s:String} as s, {d:Date} as d, {l:Array(String)} as l where 'a%' like '%'"
    sent = {"s": "'; drop table x; --", "d": date(2024, 1, 15), "l": ["a'b", "c"]}
    assert warehouse.sql(settings, text, sent).to_dicts() == [sent]
    with pytest.raises(WarehouseError, match=r"no parameters \['x'\]"):
        warehouse.sql(settings, "select 1", {"x": 1})
    with pytest.raises(WarehouseError, match="Substitution `s` is not set"):
        warehouse.sql(settings, "select {s:String}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("drop table normalized_equity_ohlc", "this statement is a DropQuery"),
        ("with 1 as x insert into loads select x", "this statement is a InsertQuery"),
        ("select 1; select 2", "this text holds 2"),
        ("-- nothing", "this text holds 0"),
        ("selec 1", "the query was refused: .*Syntax error"),
        ("select * from nowhere", "the query was refused: .*nowhere"),
    ],
)
def test_other_statements_are_refused_in_one_line(settings: Settings, text: str, message: str) -> None:
    with pytest.raises(WarehouseError, match=message) as caught:
        warehouse.sql(settings, text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("text", ["show tables", "describe loads", "explain select 1", "exists loads", "select 1;"])
def test_reading_statements_are_answered(settings: Settings, text: str) -> None:
    assert warehouse.sql(settings, text).height > 0


# Access


def test_access_statements_are_sql_and_the_embedded_engine_refuses_them(settings: Settings) -> None:
    roles = " ".join(access.statements())
    assert all(role in roles for role in ("analyst", "pipeline_writer", "data_admin"))
    with warehouse.reader(settings) as client:
        for statement in access.statements():
            assert client.query(f"explain ast {statement}").result_rows
        with pytest.raises(WarehouseError, match="a server is needed"):
            access.apply_access(client)
