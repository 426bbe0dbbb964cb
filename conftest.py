"""What all tests share: threads that wait passively, rare garbage collection while tests are collected, a workspace.

In examples in docstrings, `ch.scan`, `ch.sql` and their like find a small, invented workspace.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest
from warehouse_rows import FRAMES, JANUARY, NORMALIZED, SESSIONS

from champion import contracts, warehouse, workspace
from champion.contracts.datasets import BAN_LIST, INDEX_BARS, INDEX_MEMBERS, LOTS, PRICE_BANDS, SECTORS, TARGETS
from champion.lake import Lake
from champion.settings import Settings
from champion.warehouse import adjustment_cache

# As in kernels; read when scikit-learn is imported. Spinning threads of several test processes take each other's time.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
_EVERY = gc.get_threshold()
gc.set_threshold(50_000, 10, 10)  # to import all modules creates 700,000 objects, which stay

ASKING = frozenset(
    f"champion.{name}"
    for name in (
        "workspace",
        "pipeline.feature_store.risk_model",
        "pipeline.ingest.adjusted_bars",
        "pipeline.ingest.symbol_master",
        "pipeline.models.index_comparison",
        "pipeline.models.looks",
        "pipeline.models.portfolio",
        "pipeline.models.portfolio_report",
        "pipeline.models.trials",
        "pipeline.reference.as_known",
        "pipeline.reference.benchmarks",
        "pipeline.targets.published",
    )
)
"""The modules whose examples read the workspace; all others make what they need."""


def pytest_collection_finish() -> None:
    """Collect garbage as usual from here on, without the objects that stay: to look at these takes half a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_EVERY)


@pytest.fixture(scope="session")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A workspace with four invented shares on two sessions, in the lake and in the warehouse."""
    made = Settings(home=tmp_path_factory.mktemp("documented"))
    bars = FRAMES[NORMALIZED]()
    for session in SESSIONS:
        Lake(made.lake).write(NORMALIZED, session, bars.filter(trade_date=session), {"file": str(session)})
    for name in (INDEX_BARS, INDEX_MEMBERS, SECTORS, PRICE_BANDS, BAN_LIST, LOTS, TARGETS):
        Lake(made.lake).write(name, SESSIONS[0], FRAMES[name](), {"sample": name})
    with warehouse.writer(made) as client:
        warehouse.migrate(client)
        warehouse.load_month(client, contracts.load(NORMALIZED), JANUARY, bars, "docstrings")
        adjustment_cache.refresh(client)
    return made


@pytest.fixture(autouse=True)
def _workspace(request: pytest.FixtureRequest) -> Iterator[None]:
    """Open the small workspace around an example that asks one, and leave everything as it was."""
    if not (isinstance(request.node, pytest.DoctestItem) and request.node.dtest.globs["__name__"] in ASKING):
        yield
        return
    home: Settings = request.getfixturevalue("documented")
    before = os.environ.get("CHAMPION_HOME")
    os.environ["CHAMPION_HOME"] = str(home.home)
    workspace.settings.cache_clear()
    yield
    warehouse.close()
    os.environ.pop("CHAMPION_HOME")
    if before is not None:
        os.environ["CHAMPION_HOME"] = before
    workspace.settings.cache_clear()
