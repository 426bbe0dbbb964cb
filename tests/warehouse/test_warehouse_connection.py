"""A connection is not used after an error or an interruption, and a query has limits of time and memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE
from typing import Any

import psutil
import pytest
from waiting import PATIENCE
from warehouse_rows import python, served, wait_for

from champion import warehouse
from champion.errors import WarehouseError
from champion.settings import Settings

SMALL = "settings max_block_size = 1000, max_threads = 1"
FAILING = [
    f"select number + 100 as x, throwIf(number = 150000) as t from numbers(200000) {SMALL}",
    f"select number + 100 as x from numbers(200000) where throwIf(number = 150000) = 0 {SMALL}",
    f"select toFloat64(if(number < 90000, '1', 'x')) as x from numbers(100000) {SMALL}",
    "select intDiv(1, number - number) as x from numbers(10)",
    "select toDate('x' || toString(number)) as x from numbers(10)",
    "select number from numbers(1000000000) settings max_rows_to_read = 1000",
    "select groupArray(number) from numbers(10000000) settings max_memory_usage = 10000000",
    "selec 1",
    "select * from nowhere",
]
LONG = "select count() from numbers(1000000000000) where not ignore(sipHash64(number))"
RIGHT = "select number as x, throwIf(number = 9) as t from numbers(3)"


def _streamed(client: Any, text: str) -> object:
    with client.query_rows_stream(text) as rows:
        return list(rows)


ASK: dict[str, Callable[[Any, str], object]] = {
    "query": lambda client, text: client.query(text).result_rows,
    "query_arrow": lambda client, text: client.query_arrow(text).to_pydict(),
    "command": lambda client, text: client.command(text),
    "insert": lambda client, text: client.command(f"insert into rows (x) select x from ({text.replace(SMALL, '')})"),
    "stream": _streamed,
}


@pytest.mark.parametrize("way", ASK)
def test_next_answer_after_a_failed_query_is_right(loaded: Settings, way: str) -> None:
    with warehouse.reader(loaded) as client:
        for text in FAILING:
            with pytest.raises(Exception):  # noqa: B017, PT011 - each way of asking has its own error
                ASK[way](client, text)
            assert client.query(RIGHT).result_rows == [(0, 0), (1, 0), (2, 0)], text
            assert client.query_arrow(RIGHT).num_rows == 3, text
            assert client.command("select 7") == 7, text
            assert client.command("select currentDatabase()") == "champion_market"
            assert client.command("select getSetting('readonly')") == 2


def test_writer_continues_after_a_failed_query_and_keeps_its_rows(fresh: Settings) -> None:
    with warehouse.writer(fresh) as client:
        client.command(
            "create table rows (x UInt64, y UInt8 materialized throwIf(x = 7)) engine = MergeTree order by x"
        )
        for text in FAILING:
            with pytest.raises(Exception):  # noqa: B017, PT011
                client.query(text)
            client.command("insert into rows (x) values (1)")
            assert client.query(RIGHT).result_rows == [(0, 0), (1, 0), (2, 0)], text
        with pytest.raises(Exception, match="throwIf"):
            client.insert("rows", [[7]], column_names=["x"])
        assert client.command("select count() from rows") == len(FAILING)
    assert warehouse.sql(fresh, "select count() from rows").item() == len(FAILING)


def test_settings_of_a_failed_call_do_not_persist(loaded: Settings) -> None:
    with warehouse.reader(loaded) as client:
        before = client.command("select toString(getSetting('max_threads'))")
        with pytest.raises(Exception):  # noqa: B017, PT011
            client.command("select throwIf(1)", settings={"max_threads": 7})
        assert client.command("select toString(getSetting('max_threads'))") == before


def test_server_client_has_a_new_session_after_an_error(tmp_path: Path) -> None:
    with served(tmp_path) as settings, warehouse.reader(settings) as executor:
        client: Any = executor
        sessions = {client.get_client_setting("session_id")}
        for text in FAILING[:3]:
            with pytest.raises(Exception):  # noqa: B017, PT011
                client.query_arrow(text)
            assert client.command("select 7") == 7
            sessions.add(client.get_client_setting("session_id"))
        assert len(sessions) == 4
        with pytest.raises(WarehouseError, match="the query was refused"):
            warehouse.sql(settings, FAILING[0])


@pytest.mark.parametrize(
    ("limits", "text", "message"),
    [
        ({"query_seconds": 1}, LONG, "CHAMPION_QUERY_SECONDS"),
        ({"query_memory": 50}, "select groupArray(number) from numbers(100000000)", "CHAMPION_QUERY_MEMORY"),
        ({"query_memory": 50}, "select number from numbers(100000000)", "CHAMPION_QUERY_MEMORY"),
    ],
)
def test_query_has_limits(loaded: Settings, limits: dict[str, int], text: str, message: str) -> None:
    limited = loaded.model_copy(update=limits)
    with pytest.raises(WarehouseError, match=message):
        warehouse.sql(limited, text)
    assert warehouse.sql(limited, RIGHT).height == 3


RUNNING = (
    "select count() from system.processes where query like '%numbers(1000000000000)%' and query not like '%processes%'"
)
EMBEDDED = """
    for mode in (warehouse.reader, warehouse.writer):
        try:
            with mode(settings) as client:
                try:
                    print("asking", flush=True)
                    client.query(LONG)
                except KeyboardInterrupt:
                    print(client.query(RIGHT).result_rows, client.command(RUNNING), flush=True)
                    raise
        except KeyboardInterrupt:
            print("interrupted", warehouse.sql(settings, RIGHT).height, flush=True)
"""
SERVED = """
    with warehouse.reader(settings) as client:
        try:
            print("asking", flush=True)
            client.query(LONG)
        except KeyboardInterrupt:
            while client.command(RUNNING):
                time.sleep(0.1)
            print("interrupted", client.query(RIGHT).result_rows, flush=True)
"""


def _interrupt(process: subprocess.Popen[str], busy: psutil.Process) -> None:
    """Interrupt `process` after `busy` has used one second of CPU for its query."""
    before = sum(busy.cpu_times()[:2])
    while sum(busy.cpu_times()[:2]) < before + 1 and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)


def test_interruption_stops_the_query_and_the_next_answer_is_right(fresh: Settings) -> None:
    code = f"LONG, RIGHT, RUNNING = {LONG!r}, {RIGHT!r}, {RUNNING!r}\n{textwrap.dedent(EMBEDDED)}"
    with python(fresh, code) as process:
        for _ in range(2):
            wait_for(process, "asking")
            _interrupt(process, psutil.Process(process.pid))
            wait_for(process, "[(0, 0), (1, 0), (2, 0)] 0")
            wait_for(process, "interrupted 3")
        assert process.wait(timeout=PATIENCE) == 0


def test_interruption_stops_the_query_of_a_server(tmp_path: Path) -> None:
    with served(tmp_path) as settings:
        dsn = settings.warehouse_dsn.get_secret_value() if settings.warehouse_dsn else ""
        (server,) = [c for c in psutil.Process().children() if "warehouse_server" in " ".join(c.cmdline())]
        code = f"""
            from pydantic import SecretStr
            settings = settings.model_copy(update={{"warehouse_dsn": SecretStr({dsn!r})}})
            LONG, RIGHT, RUNNING = {LONG!r}, {RIGHT!r}, {RUNNING!r}
        """
        with python(settings, textwrap.dedent(code) + textwrap.dedent(SERVED)) as process:
            wait_for(process, "asking")
            _interrupt(process, server)
            wait_for(process, "interrupted [(0, 0), (1, 0), (2, 0)]")
            assert process.wait(timeout=PATIENCE) == 0


def test_sql_command_can_be_interrupted(loaded: Settings) -> None:
    command = [sys.executable, "-m", "champion", "sql", LONG]
    variables = os.environ | {"CHAMPION_HOME": str(loaded.home)}
    with subprocess.Popen(command, env=variables, stdout=PIPE, stderr=PIPE, text=True) as process:
        busy = psutil.Process(process.pid)
        while not any(thread.user_time > 1 for thread in busy.threads()[1:]):  # the query's own thread
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in said


def test_sql_command_prints_every_type_as_json(loaded: Settings) -> None:
    text = (
        "select toFixedString('E', 2) as f, map('a', unhex('41')) as m, interval 1 day as i, toInt128(5) as x,"
        " inf as z, toDateTime('2024-01-01 10:00:00', 'Asia/Kolkata') as d, tuple(toFixedString('a', 1)) as t"
    )
    command = [sys.executable, "-m", "champion", "sql", "--json", text]
    variables = os.environ | {"CHAMPION_HOME": str(loaded.home)}
    shown = subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout
    row: dict[str, object] = {"f": "4500", "m": {"a": "A"}, "i": "1 day, 0:00:00", "x": 5, "z": None}
    assert json.loads(shown) == [row | {"d": "2024-01-01 10:00:00+05:30", "t": {"1": "61"}}]
