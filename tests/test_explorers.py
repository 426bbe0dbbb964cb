"""The explorer notebooks, run cell by cell by nbval on a workspace of the simulated archive."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from explorers import NEED_RUNS, NOTEBOOKS, explore

from champion.lake import Lake
from champion.pipeline import quality
from champion.settings import Settings


@pytest.fixture(scope="module")
def workspace(modelled: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The workspace with models and scores, and the findings of its quality gates, as a backfill would leave it."""
    home = tmp_path_factory.mktemp("explorers") / "home"
    shutil.copytree(modelled.home, home)
    lake = Lake(home / "lake")
    sessions = lake.sessions("normalized_equity_ohlc")
    quality.record(lake, sessions[0], sessions[-1], quality.check(lake, sessions[0], sessions[-1]))
    return Settings(home=home, archive=modelled.archive, tracking_uri=modelled.tracking)


def test_the_explorers_run(workspace: Settings, tmp_path: Path) -> None:
    explore([one for one in NOTEBOOKS if one not in NEED_RUNS], workspace, tmp_path)


def test_a_new_workspace_is_welcomed(tmp_path: Path) -> None:
    explore(["welcome"], Settings(home=tmp_path / "nothing yet"), tmp_path)
