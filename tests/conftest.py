"""What tests share: one simulated archive, one workspace built from it, and the real files where they are."""

from __future__ import annotations

import os
import pickle
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import TypeVar

import hypothesis
import pytest
from chromium import browser, page  # noqa: F401 - fixtures
from copies import copied, with_warehouse
from filelock import FileLock
from models import trained
from warehouse_rows import FRAMES, JANUARY

from champion import contracts, features, warehouse
from champion.contracts import catalog
from champion.lake import Lake
from champion.pipeline.feature_store.build import build_features
from champion.pipeline.ingest import corporate_actions, symbol_changes
from champion.pipeline.ingest.fetch import fetch, staged
from champion.pipeline.ingest.ingest import ingest
from champion.pipeline.ingest.rename_instruments import rename_instruments
from champion.pipeline.models.score import score_session
from champion.settings import Settings
from champion.simulate import SimulatedArchive, publish
from champion.tracking import promotion, registry
from champion.warehouse import adjustment_cache, migrations

hypothesis.settings.register_profile("suite", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("suite")  # the same examples each time: what one change broke, it broke

T = TypeVar("T")
START, END = date(2023, 11, 1), date(2024, 8, 30)
LONGEST = (
    "demo serve recovery_drills postgresql browser explorers flows warehouse_routes coverage kill "
    "own_features isolation standing current_directory roundtrip warehouse_client warehouse_access "
    "seal models lake_s3 own_training retain promotion order outcomes mlflow_login docs"
).split()
FIRST_FEATURES, LEARNT_TO, SCORED_FROM = date(2024, 2, 1), date(2024, 7, 31), date(2024, 8, 8)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first, so that processes which take file after file end at about the same time."""
    places = {f"test_{name}.py": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end of a run what was skipped, grouped by its reason."""
    reasons = Counter[str]()
    files: dict[str, set[str]] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        reasons[reason] += 1
        files.setdefault(reason, set()).add(Path(report.nodeid.split("::")[0]).name)
    if reasons:
        terminalreporter.section("skipped")
    for reason, count in reasons.most_common():
        tests = "1 test" if count == 1 else f"{count} tests"
        terminalreporter.write_line(f"{tests} in {', '.join(sorted(files[reason]))}: {reason}")


@pytest.fixture(scope="session")
def nse() -> Path:
    """The folder of real exchange files; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("CHAMPION_NSE", Path(__file__).resolve().parents[2] / "shared" / "nse"))
    if not folder.is_dir():
        pytest.skip("no real exchange files: set CHAMPION_NSE to a mirror of the archive")
    return folder


@pytest.fixture(scope="session")
def nse_products() -> Path:
    """The folder of real lists and derivatives files; tests that need it skip where it is absent."""
    shared = Path(__file__).resolve().parents[2] / "shared" / "nse_products"
    folder = Path(os.environ.get("CHAMPION_NSE_PRODUCTS", shared))
    if not folder.is_dir():
        pytest.skip("no real exchange lists: set CHAMPION_NSE_PRODUCTS to a folder of them")
    return folder


Once = Callable[[str, Callable[[Path], T]], T]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once[T]:
    """Return a function that builds what the processes of a run share: the first to need it builds, the others wait.

    It takes a name and a function of an empty folder, and returns what this function returned.
    """
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def built(name: str, build: Callable[[Path], T]) -> T:
        folder, result = shared / name, shared / f"{name}.pickle"
        with FileLock(shared / f"{name}.lock"):
            if not result.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a process that failed at it
                folder.mkdir()
                result.write_bytes(pickle.dumps(build(folder)))
        found: T = pickle.loads(result.read_bytes())
        return found

    return built


@pytest.fixture(scope="session")
def archive(once: Once[SimulatedArchive]) -> SimulatedArchive:
    """A simulated archive that crosses from legacy to UDiFF, and from one UDiFF header to the other."""
    return once("archive", lambda folder: publish(folder, instruments=20, start=START, end=END, signal=1.0))


@pytest.fixture(scope="session")
def ingested(archive: SimulatedArchive, once: Once[Settings], tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A workspace with the whole simulated archive in its lake; tests only read it."""

    def build(folder: Path) -> Settings:
        settings = Settings(home=folder / "home", archive=str(archive.root))
        fetch(settings, START, END)
        symbol_changes.refresh(settings)
        ingest(Lake(settings.lake), staged(settings, START, END)).require_complete()
        rename_instruments(settings).require_complete()
        return settings

    return copied(once("ingested", build), tmp_path_factory.mktemp("ingested"))


@pytest.fixture(scope="session")
def known(ingested: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The ingested workspace with its corporate actions; tests only read it."""
    made = copied(ingested, tmp_path_factory.mktemp("known"))
    assert corporate_actions.refresh(made).outcome == "written"
    return made


@pytest.fixture(scope="session")
def modelled(known: Settings, once: Once[Settings], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The known workspace with features, two versions of the model, a champion and its scores; tests only read it.

    At the end of the session it must hold what it held at first: tests of other files that ran before or after in the
    same process would otherwise see what one test added.
    """

    def build(folder: Path) -> Settings:
        made = copied(known, folder)
        lake = Lake(made.lake)
        build_features(lake, FIRST_FEATURES, END)
        for model in ("logistic", "sklearn.naive_bayes.GaussianNB"):
            trained(made, model, FIRST_FEATURES, LEARNT_TO)
        promotion.promote(made, 1, promotion.Decision(promote=False, reasons=("a test",)), reason="a test", force=True)
        for session in lake.sessions("features_equity_indicators", SCORED_FROM, END):
            assert score_session(made, session).written
        return made

    made = copied(once("modelled", build), tmp_path_factory.mktemp("modelled"))
    before = _content(made)
    yield made
    assert _content(made) == before, "a test changed the shared workspace; it must copy it first"


def _content(made: Settings) -> dict[str, object]:
    """Return what a workspace with models holds: lake, versions, alias, ledger and runs."""
    lake = Lake(made.lake)
    return {
        "lake": {name: lake.digest(name) for name in contracts.names() if lake.sessions(name)},
        "versions": [(version.number, version.run_id, version.tags) for version in registry.versions(made)],
        "champion": registry.alias_of(made, registry.CHAMPION),
        "ledgers": [(made.home / name).read_bytes() for name in ("promotions.jsonl", "trials.jsonl")],
        "runs": sorted(str(path.relative_to(made.home)) for path in made.home.glob("mlflow/artifacts/*/*")),
    }


@pytest.fixture(scope="module", autouse=True)
def _own_sets_of_the_module() -> Iterator[None]:
    """Remove the feature sets, and the folders of contracts, that tests of a module add to the whole process."""
    known, folders = dict(features.FEATURE_SETS), dict(catalog._FOLDERS)
    yield
    features.FEATURE_SETS.clear()
    features.FEATURE_SETS.update(known)
    catalog._FOLDERS.clear()
    catalog._FOLDERS.update(folders)
    contracts.load.cache_clear()


@pytest.fixture
def settings(archive: SimulatedArchive, tmp_path: Path) -> Settings:
    """An empty workspace on the simulated archive."""
    return Settings(home=tmp_path / "home", archive=str(archive.root))


@pytest.fixture(scope="session")
def migrated(once: Once[Settings]) -> Settings:
    """A workspace with an empty warehouse, which no test opens: a copy is made in no time."""

    def build(folder: Path) -> Settings:
        made = Settings(home=folder / "ws")
        with warehouse.writer(made) as client:
            assert len(warehouse.migrate(client)) == len(migrations.shipped())
        warehouse.close()
        return made

    return once("migrated", build)


@pytest.fixture(scope="session")
def loaded(migrated: Settings, once: Once[Settings], tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A workspace with a warehouse: migrated, January 2024 in every table; tests only read it."""

    def build(folder: Path) -> Settings:
        made = with_warehouse(Settings(home=folder / "ws"), migrated)
        with warehouse.writer(made) as client:
            for name, frame in FRAMES.items():
                result = warehouse.load_month(client, contracts.load(name), JANUARY, frame(), f"{name} 1")
                assert result == warehouse.LoadResult(name, "202401", frame().height, skipped=False, route="arrow")
            assert adjustment_cache.refresh(client)
        warehouse.close()
        return made

    folder = tmp_path_factory.mktemp("it's a {home}, 100%") / "ws"
    return Settings(home=shutil.copytree(once("loaded", build).home, folder, symlinks=True))


@pytest.fixture
def fresh(migrated: Settings, tmp_path: Path) -> Iterator[Settings]:
    """An empty warehouse of one test's own, migrated."""
    made = with_warehouse(Settings(home=tmp_path / "ws"), migrated)
    yield made
    warehouse.close()
    assert not [path for path in (made.home / "snapshots").iterdir() if path.name != "guard"], "snapshots were left"
