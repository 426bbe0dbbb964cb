"""India's time zone has one definition."""

from __future__ import annotations

import ast
from pathlib import Path

from champion.base import clock

ROOT = Path(__file__).resolve().parents[2]


def test_indias_time_zone_is_defined_once() -> None:
    files = [*(ROOT / "champion").rglob("*.py"), *(ROOT / "flows").rglob("*.py")]
    nodes = [(path, node) for path in files for node in ast.walk(ast.parse(path.read_text()))]
    named = [path for path, node in nodes if isinstance(node, ast.Constant) and node.value == clock.INDIA.key]
    assert [path.name for path in named] == ["clock.py"]
