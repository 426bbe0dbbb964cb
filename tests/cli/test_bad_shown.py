"""Hostile data is plain text in terminals, Prefect, figures, SQL and exports."""

from __future__ import annotations

import ast
import io
import re
import zipfile
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hostile import HOSTILE

from champion import plots
from champion.cli.terminal import console
from champion.errors import (
    UsageError,
    WarehouseError,
)
from champion.lake import Lake
from champion.pipeline.ingest.fetch import fetch, staged
from champion.pipeline.ingest.ingest import ingest
from champion.pipeline.maintenance.load_warehouse import load
from champion.settings import Settings
from champion.simulate import publish
from champion.sources import container, decisions
from champion.warehouse import migrations
from champion.warehouse.engine import client, query
from flows import summary

ROOT = Path(__file__).resolve().parents[2]
SESSION = date(2024, 7, 2)


@pytest.mark.parametrize("text", HOSTILE)
def test_terminal_output_escapes_control_characters(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    console.table(text, [text], [[text], [f"{text}\x1b[2J"]])
    console.show({text: text, "one": f"\x1b]0;{text}\x07"}, as_json=False)
    console.print_error(UsageError(f"{text}\x1b[2J\u202e"))
    printed = "".join(capsys.readouterr())
    assert "\x1b" not in printed
    assert "\x07" not in printed
    assert "\u202e" not in printed
    assert printed.count(text) >= 4


def test_prefect_summary_escapes_markup() -> None:
    page = summary.markdown(
        "a", "failed", 1.0, {t: t for t in HOSTILE}, "# x\n\n[a](javascript:b) ![i](http://h)", "ab12"
    )
    assert "<script" not in page.replace("\\<script", "")
    assert "[a]" not in page
    assert "![" not in page
    assert len(page.splitlines()) == 8 + len(HOSTILE), "a value is one line of the table"


def test_names_in_figures_are_not_rendered_as_formulas() -> None:
    names = [*HOSTILE[:6], "$x^{$", "a\nb"]
    rows = {
        "symbol": names,
        "close": [11.0] * len(names),
        "prev_close": [10.0] * len(names),
        "turnover": [3e7] * len(names),
    }
    frame = pl.DataFrame(rows).with_columns(trade_date=pl.lit(SESSION), instrument_id="symbol")
    for figure in (plots.market_map(frame), plots.movers(frame)):
        figure.savefig(io.BytesIO(), format="png", dpi=30)


def test_no_market_data_is_exported_as_csv() -> None:
    """A spreadsheet would run `=cmd|...` from a symbol, so Champion writes only simulated files as CSV."""
    calls = [
        path.relative_to(ROOT).as_posix()
        for folder in ("champion", "flows")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if re.search("csv|excel", text := path.read_text())
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute)
        and (node.attr in {"write_csv", "to_csv", "sink_csv", "write_excel"} or ast.unparse(node) == "csv.writer")
    ]
    # The first two compute digests; decisions refuse text that starts like a formula.
    expected = [
        "champion/features/custom.py",
        "champion/pipeline/models/looks.py",
        "champion/simulate/files.py",
        "champion/sources/decisions.py",
    ]
    assert sorted(set(calls)) == expected
    with pytest.raises(UsageError, match="formula"):
        decisions.append(Path("never.csv"), "ACME", SESSION, 2.0, "=cmd|' /C calc'!A0", "asha")


def test_hostile_symbols_and_paths_are_data_and_queries_write_no_files(tmp_path: Path) -> None:
    archive = publish(tmp_path / "a'b", instruments=len(HOSTILE), start=date(2024, 7, 1), end=SESSION)
    (file,) = archive.root.rglob("BhavCopy_NSE_CM_*_20240702_F_0000.csv.zip")
    header, *lines = container.text("a.csv.zip", file.read_bytes()).splitlines()
    named = [line.split(",") for line in lines]
    shares = [fields for fields in named if fields[8] == "EQ"]
    for fields, symbol in zip(shares, HOSTILE, strict=False):
        fields[7] = symbol
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.csv", "\n".join([header, *map(",".join, named), ""]))
    settings = Settings(home=tmp_path / "it's [a] {b,c} * %20 #\"; $x `é", archive=str(archive.root))
    fetch(settings, SESSION, SESSION)
    ingest(Lake(settings.lake), staged(settings, SESSION, SESSION)).require_complete()
    assert Lake(settings.lake).verify("normalized_equity_ohlc") == []
    with client.writer(settings) as engine:
        migrations.migrate(engine)
    load(settings, SESSION, SESSION)
    question = "select close from equity_ohlc where symbol = {symbol:String}"
    asked = HOSTILE[: len(shares)]
    assert [query.sql(settings, question, {"symbol": symbol}).height for symbol in asked] == [1] * len(asked)
    for hidden in (
        "select 1 into outfile",
        "select $a$'$a$ INTO/**/OUTFILE",
        "explain select 1 into\noutfile",
        "show tables into outfile",
    ):
        with pytest.raises(WarehouseError, match="writes a file"):
            query.sql(settings, f"{hidden} '{tmp_path}/x.csv'")
    assert query.sql(settings, "select 'into outfile' as x")["x"].item() == "into outfile"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a'b", settings.home.name])
