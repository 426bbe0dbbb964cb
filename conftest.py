"""What examples in docstrings ask of a workspace: `ch.scan`, `ch.sql` and their like find a small, invented one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from warehouse_rows import FRAMES, JANUARY, NORMALIZED, SESSIONS

from champion import contracts, warehouse, workspace
from champion.contracts.datasets import BAN_LIST, INDEX_BARS, INDEX_MEMBERS, LOTS, PRICE_BANDS, SECTORS
from champion.lake import Lake
from champion.settings import Settings
from champion.warehouse import adjustment_cache

ASKING = frozenset(
    f"champion.{name}"
    for name in (
        "workspace",
        "pipeline.ingest.adjusted_bars",
        "pipeline.ingest.symbol_master",
        "pipeline.models.portfolio",
        "pipeline.reference.as_known",
        "pipeline.reference.benchmarks",
    )
)
"""The modules whose examples read the workspace; all others make what they need."""


@pytest.fixture(scope="session")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A workspace with four invented shares on two sessions, in the lake and in the warehouse."""
    made = Settings(home=tmp_path_factory.mktemp("documented"))
    bars = FRAMES[NORMALIZED]()
    for session in SESSIONS:
        Lake(made.lake).write(NORMALIZED, session, bars.filter(trade_date=session), {"file": str(session)})
    for name in (INDEX_BARS, INDEX_MEMBERS, SECTORS, PRICE_BANDS, BAN_LIST, LOTS):
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
