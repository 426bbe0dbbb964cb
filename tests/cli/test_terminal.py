"""Output of commands: tables fit the terminal, no literal markup, one time zone, singular and plural agree."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from rich.cells import cell_len

from champion.cli.terminal import tables
from champion.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
TABLES = (
    *("status", "report", "models list", "models history", "notebook list", "lake ls", "audit --since 2020-01-01"),
    *("trials", "lists ls", "lists daily", "doctor", "docs", "schema check", "schema show normalized_equity_ohlc"),
)
SENTENCES = (
    "sql --list",
    "lake retain --dry-run",
    "models compare 2 1",
    "lineage back predictions_equity_scores 2024-08-30",
)
COMMANDS = (*TABLES, *SENTENCES)
PROSE = (
    "not asked: ",
    "MLflow's pages",
    "Champion workspace ",
    "paper account: ",
)  # lines that are not wrapped, so that they can be copied
RUN = """
import contextlib, io, json, sys
from champion.cli.app import app
found = {}
for command in json.loads(sys.argv[1]):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        app(command.split())
    found[command] = printed.getvalue()
sys.stdout.write(json.dumps(found))
"""
TEXTS = st.text("ab1 ._/日é", max_size=40)
WORD = st.from_regex(r"[a-z0-9]{1,15}", fullmatch=True)


@pytest.fixture(scope="module")
def printed(modelled: Settings) -> dict[str, str]:
    """The output of each command in a terminal of 80 columns."""
    variables = {**os.environ, **modelled.environment(), "COLUMNS": "80"}
    arguments = [sys.executable, "-c", RUN, json.dumps(COMMANDS)]
    done = subprocess.run(arguments, env=variables, capture_output=True, text=True, check=True, timeout=900)
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_shows_markup(printed: dict[str, str], command: str) -> None:
    assert printed[command].strip()
    assert not re.search(r"\[/?(dim|bold|red|green|yellow|italic)?\]", printed[command])


@pytest.mark.parametrize("command", TABLES)
def test_tables_fit_80_columns(printed: dict[str, str], command: str) -> None:
    wide = [
        line for line in printed[command].splitlines() if cell_len(line.rstrip()) > 80 and not line.startswith(PROSE)
    ]
    assert wide == []


def test_times_are_in_india_and_dates_are_whole(printed: dict[str, str]) -> None:
    for command in ("status", "models list", "models history", "notebook list", "audit --since 2020-01-01"):
        assert "UTC" not in printed[command]
        assert "IST" in printed[command]
    versions = printed["models list"]
    assert len(re.findall(r"\b20\d\d-\d\d-\d\d\b", versions)) == 4  # two dates each of two versions
    assert "nothing yet in " in printed["status"]


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), max_size=5), st.integers(8, 100))
def test_columns_fit_the_width_or_none_is_returned(rows: list[tuple[str, str, str]], room: int) -> None:
    found = tables.widths(["at", "name", "why"], rows, room)
    if found is None:
        return
    assert sum(found) + 4 <= room
    for row in rows:
        for cell, width in zip(row, found, strict=True):
            lines = tables.wrapped(cell, max(width, 2)).splitlines()
            assert all(cell_len(line) <= max(width, 2) for line in lines)
            assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", cell)


@given(st.lists(st.tuples(WORD, WORD, st.lists(WORD, max_size=6).map(" ".join)), min_size=1, max_size=5))
def test_words_are_not_split_if_columns_fit(rows: list[tuple[str, str, str]]) -> None:
    found = tables.widths(["at", "name", "why"], rows, 80)
    assert found is not None, "three words of 15 fit 80 columns"
    for row in rows:
        for cell, width in zip(row, found, strict=True):
            assert tables.wrapped(cell, width).split() == cell.split()


NOUNS = (
    "actions bars bytes cells changes checks columns days errors events features files findings folders gates hours "
    "instruments lines months names notebooks objects parameters partitions parts processes revisions rows runs "
    "sessions shares statements symbols trials versions years"
)


def test_no_message_puts_a_count_before_a_plural() -> None:
    """Write `quantity(number, "session")` of champion.base.counting: "1 sessions were refused" is wrong."""
    plural = re.compile(rf" (\w+ )?({NOUNS.replace(' ', '|')})\b|.*\w\(s\)")
    found = []
    for path in sorted([*(ROOT / "champion").rglob("*.py"), *(ROOT / "flows").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            pairs = zip(node.values, node.values[1:], strict=False) if isinstance(node, ast.JoinedStr) else ()
            found += [
                f"{path.relative_to(ROOT)}:{value.lineno}: {ast.unparse(value.value)}{str(text.value)[:30]}"
                for value, text in pairs
                if isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant)
                if plural.match(str(text.value)) and is_count(value.value)
            ]
    assert found == []


def is_count(value: ast.expr) -> bool:
    """Whether an expression may be 1: a constant in capitals is larger, and a name is not a number."""
    name = ast.unparse(value)
    constant = name.rpartition(".")[2].strip("_").isupper() or name.startswith("len(_")
    texts = {"old", "uri", "table", "n", "max_bytes", "without_password(uri)", "name", "_title(feature_set, feature)"}
    return not constant and name not in texts and not name.startswith(("', '.join(", "quantity("))
