"""Every promise in the table of docs/security.md names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`(tests/[\w/]*test_\w+\.py)(?:::(test_\w+))?`")


def rows() -> list[list[str]]:
    lines = (ROOT / "docs" / "security.md").read_text(encoding="utf-8").splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("| who | what they try |"))
    found = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return found


def test_every_row_has_four_filled_columns() -> None:
    assert len(rows()) > 20
    for row in rows():
        assert len(row) == 4, row
        assert all(row), row
        assert NAMED.search(row[3]), row
        assert not NAMED.sub("", row[3]).strip(" ,"), f"tests alone stand in the last column: {row[3]}"


def test_every_test_named_on_the_page_exists() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    for file, name in NAMED.findall(text):
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert not name or name in defined, f"{file}::{name}"


def test_each_kind_of_attacker_has_rows() -> None:
    strangers = {row[0].partition(":")[0] for row in rows()}
    assert strangers >= {
        "another account of the machine", "the network", "a hostile archive", "a hostile file", "a hostile folder",
    }  # fmt: skip
