"""`%%sql` in a real notebook kernel, while a flow loads the warehouse."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from jupyter_client.manager import KernelManager
from waiting import PATIENCE
from warehouse_rows import JANUARY, NORMALIZED, normalized, python, wait_for

from champion import contracts, magic, warehouse
from champion.errors import UsageError
from champion.settings import Settings


def test_sql_cell_reads_while_a_flow_loads(fresh: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with warehouse.writer(fresh) as client:
        warehouse.load_month(client, contracts.load(NORMALIZED), JANUARY, normalized(), "1")
    flow = """
        sys.stdin.readline()
        with warehouse.writer(settings) as client:
            for month in (2, 3, 4):
                session = builders.date(2024, month, 5)
                warehouse.load_month(client, bars, session, builders.normalized((session,)), "1")
            print("loaded", flush=True)
            sys.stdin.readline()
    """
    monkeypatch.setenv("CHAMPION_HOME", str(fresh.home))
    kernel = KernelManager()
    kernel.start_kernel()
    notebook = kernel.blocking_client()
    notebook.start_channels()
    printed: list[str] = []

    def output(message: dict[str, dict[str, object]]) -> None:
        content = message["content"]
        frames = "\n".join(content.get("traceback", []))  # type: ignore[arg-type]
        printed.append(str(content.get("text") or content.get("data") or frames))

    def run(cell: str) -> str:
        printed.clear()
        notebook.execute_interactive(cell, timeout=PATIENCE, output_hook=output)
        return "".join(printed)

    where = "where symbol in {names:Array(String)} and trade_date >= {start:Date}"
    ask = f"%%sql bars <<\nselect symbol, close from equity_ohlc\n{where}"
    try:
        with python(fresh, flow) as process:
            notebook.wait_for_ready(timeout=PATIENCE)
            run("%load_ext champion\nimport champion as ch\nfrom datetime import date\nimport polars as pl")
            run("start, names = date(2024, 1, 16), pl.Series(['ACME', 'BETA'])")
            run(ask)
            assert "[('ACME', 116.25), ('BETA', 216.5)]" in run("sorted(bars.rows())")
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
            wait_for(process, "loaded")
            run(ask)
            assert "2" in run("bars.height"), "the flow has not ended: the kernel reads what was there before"
            process.communicate("end\n")
        run(ask)
        assert "8" in run("bars.height")
        assert "20" in run("%sql select count() from equity_ohlc where trade_date > {start:Date} - 40")
        for asked, answer in {
            "%sql select {nowhere:Int8}": "UsageError: %%sql: no variable nowhere in this notebook",
            "%%sql\ndrop table loads": "WarehouseError: this statement is a DropQuery",
            "%%sql\nselect nothing from nowhere": "WarehouseError: ",
            "ch.publish(metric={'rows': 1})": "UsageError: publish does not take metric; it takes metrics, figures",
            "ch.publish({'rows': 1})": "UsageError: publish does not take a dict without a name",
            "ch.publish(metrics=[1])": "UsageError: metrics is a list; publish takes a dict by name",
            "ch.publish(tables={'a': bars.lazy()})": "UsageError: table 'a' is a LazyFrame",
            "ch.publish(figures={'a': 1})": "UsageError: figure 'a' is a int",
        }.items():
            result = run(asked)
            assert result.startswith(answer)
            assert "\n" not in result.strip()
    finally:
        notebook.stop_channels()
        kernel.shutdown_kernel()


def test_sql_cell_result_needs_one_valid_name() -> None:
    assert magic.split_target(" leaders <<  ") == ("leaders", "")
    with pytest.raises(UsageError, match="one name before <<"):
        magic.split_target("a b <<")


def test_sql_cell_parameters_are_notebook_variables() -> None:
    text = "select {day:Date}, { symbols : Array(String) } -- not {this:Int8}"
    names = {"day": date(2024, 1, 15), "symbols": pl.Series(["A"]), "other": 1}
    assert magic.parameter_values(text, names) == {"day": date(2024, 1, 15), "symbols": ["A"]}
    with pytest.raises(UsageError, match="no variable unknown, also in this notebook"):
        magic.parameter_values("select {unknown:Int8}, {also:Int8}, {other:Int8}, '{quoted:Int8}'", names)
