"""The explorer notebooks, run cell by cell by nbval on a workspace of the simulated archive."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from champion.lake import Lake
from champion.pipeline import quality
from champion.settings import Settings

EXPLORERS = sorted((Path(__file__).resolve().parents[1] / "notebooks" / "explore").glob("*.ipynb"))
CELL_SECONDS = 120


@pytest.fixture(scope="module")
def workspace(modelled: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace with models and scores, and the findings of its quality gates, as a backfill would leave it."""
    home = tmp_path_factory.mktemp("explorers") / "home"
    shutil.copytree(modelled.home, home)
    settings = Settings(home=home, archive=modelled.archive)
    lake = Lake(settings.lake)
    sessions = lake.sessions("normalized_equity_ohlc")
    quality.record(lake, sessions[0], sessions[-1], quality.check(lake, sessions[0], sessions[-1]))
    return home


@pytest.mark.parametrize("notebook", EXPLORERS, ids=lambda path: path.stem)
def test_an_explorer_runs(notebook: Path, workspace: Path, modelled: Settings, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")  # not the project's options: they are for its own tests
    shutil.copy(notebook, tmp_path)
    options = ["-c", "pytest.ini", "-p", "no:cacheprovider", "--nbval-lax", "--nbval-current-env"]
    options += [f"--nbval-cell-timeout={CELL_SECONDS}", "--nbval-kernel-startup-timeout=120", notebook.name]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options],
        env={**os.environ, "CHAMPION_HOME": str(workspace), "CHAMPION_TRACKING_URI": modelled.tracking},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "passed" in done.stdout
