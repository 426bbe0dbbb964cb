"""An installed wheel carries schemas, SQL, notebooks and flows, and works outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from champion.cli.terminal import pages

ROOT = Path(__file__).resolve().parents[2]


def test_an_installed_wheel_works_elsewhere(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("champion-*.whl")
    target = tmp_path / "installed"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(target),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    variables = {**os.environ, "PYTHONPATH": str(target), "CHAMPION_HOME": str(tmp_path / "home")}
    script = """
import champion, flows
from champion import contracts
from champion.base import package_data
from champion.runner import notebook
from champion.warehouse import migrations, queries
assert "raw_equity_ohlc" in contracts.names()
assert {"ingest", "features", "training", "quality", "scoring"} <= set(notebook.names())
assert migrations.shipped() and queries.names()
from champion.cli.terminal import pages
print(champion.__file__, package_data.folder("sql"), *sorted(pages.pages()))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=variables, check=True, capture_output=True, text=True
    )
    shipped = target / "champion" / "_data"
    assert done.stdout.split() == [
        str(target / "champion" / "__init__.py"),
        str(shipped / "sql"),
        *sorted(pages.pages()),
    ]
    assert pages.page("restore") == (shipped / "docs" / "howto" / "restore.md").read_text(encoding="utf-8")
