"""The explorer notebooks run on workspaces in every state, and in kernels, cell by cell with nbval."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from explorers import NEED_RUNS, NOTEBOOKS, explore
from models import trained

from champion import warehouse
from champion.lake import Lake
from champion.pipeline.feature_store.build import build_features
from champion.pipeline.ingest import quality
from champion.pipeline.models.score import score_session
from champion.settings import Settings
from champion.tracking import promotion, runs

FIRST, LEARNT_TO, LAST = date(2024, 4, 1), date(2024, 7, 31), date(2024, 8, 30)


@pytest.fixture(scope="module")
def workspace(modelled: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The workspace with models and scores, and the findings of its quality gates, as after a backfill."""
    home = tmp_path_factory.mktemp("explorers") / "home"
    shutil.copytree(modelled.home, home)
    lake = Lake(home / "lake")
    sessions = lake.sessions("normalized_equity_ohlc")
    quality.record(lake, sessions[0], sessions[-1], quality.check(lake, sessions[0], sessions[-1]))
    return Settings(home=home, archive=modelled.archive)


@pytest.mark.timeout(1800)
def test_the_explorers_run(workspace: Settings, tmp_path: Path) -> None:
    """In reverse order: `failures` has the other, so a notebook that needs what another one imported fails in one."""
    explore([one for one in reversed(NOTEBOOKS) if one not in NEED_RUNS], workspace, tmp_path)


def test_welcome_notebook_runs_on_a_new_workspace(tmp_path: Path) -> None:
    explore(["welcome"], Settings(home=tmp_path / "nothing yet"), tmp_path)


def training(made: Settings) -> None:
    """A model is being trained for the first time."""
    build_features(Lake(made.lake), FIRST, LAST)
    runs.open_run(made, "equity-price-prediction", "training", tags={"champion.notebook": "training"})


def challenger_alone(made: Settings) -> None:
    """The first model waits for its promotion; the warehouse has tables and no rows."""
    trained(made, "logistic", FIRST, LEARNT_TO)
    with warehouse.writer(made) as client:
        warehouse.migrate(client)
    warehouse.close()


def no_outcome_known(made: Settings) -> None:
    """The champion scored the last session only, and has no challenger."""
    decision = promotion.Decision(promote=False, reasons=("a test",))
    promotion.promote(made, 1, decision, reason="a test", force=True)
    score_session(made, LAST)


STATES: tuple[Callable[[Settings], None], ...] = (training, challenger_alone, no_outcome_known)


@pytest.fixture(scope="module")
def growing(known: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A copy of the known workspace; the tests bring it from state to state in order."""
    made = known.model_copy(update={"home": tmp_path_factory.mktemp("growing") / "home"})
    shutil.copytree(known.home, made.home)
    return made


def failures(settings: Settings) -> dict[str, list[str]]:
    """Return the failed cells of all explorers on a workspace; see `explorer_cells`."""
    script = Path(__file__).parents[1] / "explorer_cells.py"
    command = [sys.executable, str(script), *NOTEBOOKS]
    variables = {**os.environ, **settings.environment(), "MPLBACKEND": "Agg"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True, timeout=900)
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def test_every_explorer_runs_on_an_empty_workspace(tmp_path: Path) -> None:
    assert failures(Settings(home=tmp_path / "nothing yet")) == {}


def test_every_explorer_runs_on_bars_alone(ingested: Settings) -> None:
    assert failures(ingested) == {}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_every_explorer_runs_in_a_state_of_its_models(growing: Settings, state: Callable[[Settings], None]) -> None:
    """The states follow each other; a single test first passes through the earlier ones."""
    for number, step in enumerate(STATES[: STATES.index(state) + 1]):
        done = growing.home / f"state-{number}"
        if not done.exists():
            step(growing)
            done.touch()
    assert failures(growing) == {}
