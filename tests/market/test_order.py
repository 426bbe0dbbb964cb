"""Any order gives the same lake: files and lists shuffled, repeated, interrupted, in slices of the range.

The archive is small and mean: it crosses from legacy to UDiFF; four renames, two of which the exchange's list does not
have and one that nothing but the list tells; one session without a bhavcopy but with a full report; and a broken bar.
"""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import polars as pl
import pytest
from hypothesis import Phase, example, given, settings as hypothesis_settings, strategies as st

from champion import contracts
from champion.base.atomic_files import sha256
from champion.lake import Lake
from champion.market.equity_bars import EQUITY_SERIES
from champion.pipeline.feature_store.build import build_features
from champion.pipeline.ingest import corporate_actions, symbol_changes, symbol_master
from champion.pipeline.ingest.fetch import FetchedFile, fetch, staged
from champion.pipeline.ingest.ingest import ingest
from champion.pipeline.ingest.rename_instruments import rename_instruments
from champion.settings import Settings
from champion.simulate import SimulatedArchive, publish
from champion.sources.publications import bhavcopy_paths, delivery_paths

START, END = date(2023, 12, 27), date(2024, 1, 9)
SESSIONS, FILES = 10, 30
RENAMED = (
    ("HUGLIFIN", "HUGLIBANK", date(2024, 1, 1)),  # and another ISIN on the same date: only the list can tell
    ("KOSIFIN", "KOSIBANK", date(2024, 1, 4)),
    ("549IND", "549LTD", date(2024, 1, 5)),  # 549 until 2024-01-01, which the list knows
)
LISTED = "Hugli Finance Limited,HUGLIFIN,HUGLIBANK,01-JAN-2024\n"
WITHOUT_BHAVCOPY, BROKEN = date(2024, 1, 3), date(2024, 1, 8)
STAGES = ("changes", "identify", "masters", "actions", "features")
LAW = hypothesis_settings(
    max_examples=8,
    phases=(Phase.explicit, Phase.generate),  # to shrink a failure would take minutes
)
MEMORY = next((folder for folder in ("/dev/shm",) if Path(folder).is_dir()), None)  # noqa: S108 - Linux has it
"""A folder in memory: each lake is flushed thousands of times and exists for a second."""


class Interrupted(Exception):
    """Interrupts an ingestion."""


@dataclass(frozen=True)
class Slice:
    """Files ingested in one go, by number, and after how many of them it is interrupted, if at all."""

    files: Sequence[int]
    until: int | None = None


Step: TypeAlias = Slice | str


SLICES = st.builds(
    Slice,
    st.lists(st.integers(0, FILES - 1), min_size=3, max_size=FILES // 3, unique=True),
    st.none() | st.integers(1, 4),
)
HISTORIES = st.lists(SLICES, min_size=2, max_size=3).flatmap(lambda slices: st.permutations([*slices, *STAGES]))
"""The steps before a lake is brought up to date: slices of files and all stages, in any order."""


@pytest.fixture(scope="module")
def mean(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A workspace with all files and lists in staging; its lake is not used."""
    archive = publish(tmp_path_factory.mktemp("archive"), instruments=12, start=START, end=END)
    for before, after, since in RENAMED:
        for session in archive.sessions:
            if session >= since:
                rewrite(archive, session, partial(re.sub, rf"(?m)(^|,){before}(?=,)", rf"\g<1>{after}"))
    changes = archive.root / symbol_changes.PATH
    changes.write_text(changes.read_text() + LISTED)
    rewrite(archive, BROKEN, without_a_high)
    for path in bhavcopy_paths(WITHOUT_BHAVCOPY)[:-1]:
        (archive.root / path).unlink(missing_ok=True)
    settings = Settings(home=tmp_path_factory.mktemp("mean"), archive=str(archive.root))
    assert len(fetch(settings, START, END).staged) == FILES
    assert len(archive.sessions) == SESSIONS
    happen(settings, ["changes", "masters", "actions"])
    return settings


def rewrite(archive: SimulatedArchive, session: date, change: Callable[[str], str]) -> None:
    """Change the text of a session's best bhavcopy and of its full report."""
    for name in (bhavcopy_paths(session)[0], delivery_paths(session)[0]):
        path = archive.root / name
        if path.suffix == ".csv":
            path.write_text(change(path.read_text()))
        elif path.exists():
            with zipfile.ZipFile(path) as packed:
                (member,) = packed.namelist()
                text = packed.read(member).decode()
            with zipfile.ZipFile(path, "w") as packed:
                packed.writestr(member, change(text))


def without_a_high(text: str) -> str:
    """Exchange high and low in the first bar of a UDiFF file; leave other files."""
    header, first, *rest = text.splitlines(keepends=True)
    if not header.startswith("TradDt"):
        return text
    cells = first.split(",")
    cells[15], cells[16] = cells[16], cells[15]
    return "".join([header, ",".join(cells), *rest])


def happen(settings: Settings, steps: Iterable[Step]) -> None:
    lake, files = Lake(settings.lake), staged(settings, START, END)
    stages: dict[str, Callable[[], object]] = {
        "changes": lambda: symbol_changes.refresh(settings),
        "actions": lambda: corporate_actions.refresh(settings),
        "masters": lambda: symbol_master.refresh(settings),
        "identify": lambda: rename_instruments(settings),
        "features": lambda: build_features(lake, START, END),
    }
    for step in steps:
        if isinstance(step, Slice):
            ingest_some(lake, [files[number] for number in step.files], step.until)
        else:
            stages[step]()


def ingest_some(lake: Lake, files: Sequence[FetchedFile], until: int | None) -> None:
    def report(done: int, _asked: int, _what: str) -> None:
        if done == until:
            raise Interrupted

    with suppress(Interrupted):
        ingest(lake, files, report)


def contents(settings: Settings) -> dict[str, str]:
    """Return the SHA-256 of every file of the lake, and the digest of every dataset.

    Carried state is left out: it is a cache of the builds that happened, and says nothing that features do not.
    """
    lake = Lake(settings.lake)
    files = (path for path in lake.root.rglob("*") if path.is_file() and path.suffix != ".lock")
    kept = {str(path.relative_to(lake.root)): sha256(path) for path in files if "_state/" not in str(path)}
    return kept | {name: lake.digest(name) for name in contracts.names() if not name.endswith("_state")}


CLOSING = ("identify", "masters", "actions", "features")
"""The last stages of every run; `identify` comes first, because it decides the names."""
EVERYTHING = Slice(range(FILES))


@pytest.fixture(scope="module")
def straight(mean: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A workspace that was ingested in order, without interruption."""
    return after(mean, ["changes", EVERYTHING, *CLOSING], tmp_path_factory.mktemp("straight"))


def after(mean: Settings, steps: Iterable[Step], home: Path) -> Settings:
    settings = mean.model_copy(update={"home": home})
    shutil.copytree(mean.staging, settings.staging)
    happen(settings, steps)
    return settings


def test_the_files_contain_the_difficult_cases(straight: Settings) -> None:
    lake = Lake(straight.lake)
    renamed = lake.scan("normalized_equity_ohlc", END, END).filter(pl.col("instrument_id") != "NSE:" + pl.col("symbol"))
    assert sorted(
        renamed.filter(pl.col("series").is_in(EQUITY_SERIES)).select("symbol", "instrument_id").collect().rows()
    ) == [
        ("549LTD", "NSE:549"),
        ("HUGLIBANK", "NSE:HUGLIFIN"),
        ("KOSIBANK", "NSE:KOSIFIN"),
    ]
    assert lake.scan("quarantine_equity_ohlc").select("session").collect()["session"].to_list() == [BROKEN]
    sources = lake.scan("normalized_equity_ohlc").group_by("source").agg(pl.col("trade_date").n_unique()).collect()
    assert dict(sources.rows()) == {"nse_cm_legacy": 3, "nse_cm_full": 1, "nse_cm_udiff": 6}


@LAW
@given(HISTORIES, st.permutations(range(FILES)), st.booleans())
@example(steps=[Slice([number]) for number in reversed(range(0, FILES, 3))], order=list(range(FILES)), late=True)
def test_any_order_gives_the_same_lake(
    mean: Settings, straight: Settings, steps: list[Step], order: list[int], late: bool
) -> None:
    ends: list[Step] = [Slice(order), "changes"] if late else ["changes", Slice(order)]
    expected = contents(straight)
    with TemporaryDirectory(dir=MEMORY) as home:
        found = contents(after(mean, [*steps, *ends, *CLOSING], Path(home)))
    assert sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)) == []
