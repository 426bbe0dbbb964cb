"""Kept training frames: the same values as a new frame, another file for other data or code, and safe files."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from threading import Barrier
from typing import Any

import polars as pl
import pytest
from typing_extensions import override

from champion.contracts.datasets import BARS, FEATURES
from champion.errors import LakeError
from champion.lake import Lake
from champion.modeling.universe import Universe, find
from champion.pipeline.feature_store import builder_code
from champion.pipeline.feature_store.build import build_features
from champion.pipeline.feature_store.frame_cache import FrameCache
from champion.pipeline.ingest import quality
from champion.pipeline.models import frames
from champion.pipeline.reference import universe_lists
from champion.settings import Settings
from champion.settings.quality_limits import Limits

HORIZON, ALL = 5, find("all")
FRAME = pl.DataFrame({"symbol": ["A", None, "B&C"] * 200, "rank": [0.1 + 0.2, None, -0.25] * 200})
KILLED = """
import os, signal, sys
from pathlib import Path
import polars as pl
from champion.pipeline.feature_store.frame_cache import FrameCache

def kill(event, _):
    if event == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(kill)
FrameCache(Path(sys.argv[1]), 10**6).get(lambda: {"bars": "1"}, lambda: sys.audit("build") or pl.DataFrame({"a": [1]}))
"""


@pytest.fixture(scope="module")
def workspace(modelled: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("frames") / "home"
    shutil.copytree(modelled.lake, home / "lake")
    return modelled.model_copy(update={"home": home})


@pytest.fixture(scope="module")
def days(workspace: Settings) -> list[date]:
    return Lake(workspace.lake).sessions(FEATURES)[-70:]


@pytest.fixture
def cache(tmp_path: Path) -> FrameCache:
    return FrameCache(tmp_path / "frames", 1_000_000)


def get(cache: FrameCache, frame: pl.DataFrame = FRAME, **made_from: str) -> tuple[pl.DataFrame, bool]:
    """Return what the cache returns for some inputs, and whether it built it."""
    built: list[int] = []

    def build() -> pl.DataFrame:
        built.append(1)
        return frame

    return cache.get(lambda: made_from, build), bool(built)


@dataclass(frozen=True)
class ReadLake(Lake):
    """The same lake; `read` has the datasets whose rows were scanned or counted."""

    read: set[str] = field(default_factory=set, compare=False)

    @override
    def scan(self, name: str, *arguments: Any, **options: Any) -> pl.LazyFrame:
        self.read.add(name)
        return Lake.scan(self, name, *arguments, **options)

    @override
    def rows(self, name: str, *arguments: Any, **options: Any) -> int:
        self.read.add(name)
        return Lake.rows(self, name, *arguments, **options)


def failed() -> pl.DataFrame:
    raise LakeError("no sessions")


def test_a_kept_frame_equals_a_new_one_and_belongs_to_its_terms_and_data(workspace: Settings, days: list[date]) -> None:
    lake, files = Lake(workspace.lake), FrameCache.of(workspace).files
    terms: dict[str, Any] = {"horizon": HORIZON, "universe": ALL, "limits": Limits.of(workspace)}

    def kept(**changed: Any) -> pl.DataFrame:
        return frames.kept_training_frame(workspace, days[0], days[-1], **{**terms, **changed})

    new = frames.training_frame(lake, days[0], days[-1], **terms)
    for _ in range(2):
        found = kept()
        assert found.schema == new.schema
        assert found.equals(new)
        assert len(files()) == 1
    assert kept(returns="price")["forward_return"].equals(new["price_return"])
    others: list[dict[str, Any]] = [{"universe": Universe(min_age=60)}, {"limits": None}]
    for number, changed in enumerate(others, start=3):
        kept(**changed)
        assert len(files()) == number
    frames.kept_training_frame(workspace.model_copy(update={"frames_gb": 0}), days[0], days[-5], **terms)
    assert len(files()) == 4

    session = days[-9]
    bars = lake.scan(BARS, session, session).collect()
    more = pl.when(pl.int_range(pl.len()) % 2 == 0).then(3).otherwise(1)
    lake.write(BARS, session, bars.with_columns(pl.col("volume", "turnover") * more), {"corrected": "volumes"})
    with pytest.raises(LakeError, match="no current features"):
        kept()
    build_features(lake, days[0], days[-1])
    corrected = kept()
    assert not corrected.equals(new)
    assert corrected.equals(frames.training_frame(lake, days[0], days[-1], **terms))


def test_kept_recomputed_inputs_equal_new_ones(workspace: Settings, days: list[date]) -> None:
    some = [days[40], days[-1]]
    new = frames.recompute_inputs(Lake(workspace.lake), some, universe=ALL)
    before = len(FrameCache.of(workspace).files())
    for _ in range(2):
        assert frames.kept_recomputed_inputs(workspace, some, universe=ALL).equals(new)
        assert len(FrameCache.of(workspace).files()) == before + 1
    assert set(new["trade_date"]) == set(some)


def test_every_dataset_that_a_frame_is_built_from_is_part_of_its_name(workspace: Settings, days: list[date]) -> None:
    for universe in (ALL, find("main_board")):
        lake = ReadLake(workspace.lake)
        frames.training_frame(lake, days[0], days[-1], horizon=HORIZON, universe=universe, limits=Limits.of(workspace))
        named = frames._made_from(lake, universe, frames.FEATURE_SET, {})
        assert named is not None
        assert lake.read <= {*named, FEATURES, *quality.CHECKED}, universe.text
        recomputed = ReadLake(workspace.lake)
        frames.recompute_inputs(recomputed, days[-1:], universe=universe)
        assert recomputed.read <= named.keys()
    assert universe_lists.datasets(ALL) == ()


def test_code_of_a_frame_is_all_that_its_module_imports() -> None:
    found = builder_code.sources(frames.__name__)
    for path in found.values():
        for node in ast.walk(ast.parse(path.read_text())):
            names = [one.name for one in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            package = getattr(node, "module", None)
            for name in [*names, *([package, *(f"{package}.{one}" for one in names)] if package else [])]:
                assert builder_code._file(name) is None or name in found or not name.startswith("champion"), name


def test_a_file_beside_the_checkout_with_its_name_is_no_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "desk"
    (root / "champion").mkdir(parents=True)
    (root / "champion/__init__.py").touch()
    (tmp_path / "desk.py").touch()
    monkeypatch.setattr(builder_code, "_ROOT", root)
    assert builder_code.sources("champion") == {"champion": root / "champion/__init__.py"}


def test_a_damaged_file_is_built_again(cache: FrameCache) -> None:
    assert get(cache, bars="1")[1]
    (path,) = cache.files()
    whole = path.read_bytes()
    damages = [
        b"",
        whole[:-1],
        whole + b"\0",
        *(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in (0, 99, -9)),
    ]
    for damaged in damages:
        path.write_bytes(damaged)
        found, built = get(cache, bars="1")
        assert built
        assert found.equals(FRAME)
        assert path.read_bytes() == whole
    found, built = get(cache, bars="1")
    assert (found.equals(FRAME), built) == (True, False)
    path.rename(path.with_name("0" * 64 + path.name[64:]))  # the file of other inputs is not read
    assert get(cache, bars="1")[1]


def test_a_frame_whose_inputs_change_while_it_is_built_is_not_kept(cache: FrameCache) -> None:
    inputs = {"bars": "1"}

    def corrected() -> pl.DataFrame:
        inputs["bars"] = "2"
        return FRAME

    assert cache.get(lambda: dict(inputs), corrected).equals(FRAME)
    assert cache.files() == []
    with pytest.raises(LakeError, match="no sessions"):
        cache.get(lambda: inputs, failed)
    assert cache.files() == []
    assert get(cache, bars="2")[1]


def test_processes_that_need_one_frame_build_it_once(cache: FrameCache) -> None:
    start, built = Barrier(4), list[bool]()

    def ask() -> pl.DataFrame:
        start.wait()
        found, was_built = get(cache, bars="1")
        built.append(was_built)
        return found

    with ThreadPoolExecutor(4) as pool:
        found = [future.result() for future in [pool.submit(ask) for _ in range(4)]]
    assert all(frame.equals(FRAME) for frame in found)
    assert (sum(built), len(cache.files())) == (1, 1)


@pytest.mark.parametrize("event", ["build", "os.rename"])
def test_a_killed_builder_leaves_no_frame_and_no_lock(cache: FrameCache, event: str) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, str(cache.folder), event], check=False)
    assert ended.returncode == -9
    assert cache.files() == []
    assert [get(cache, bars="1")[1] for _ in range(2)] == [True, False]
    assert [path.name for path in cache.folder.iterdir() if path.suffix != ".parquet"] == [".lock"]


def test_frames_that_were_not_used_for_the_longest_time_make_room(cache: FrameCache) -> None:
    get(cache, bars="1")
    size = cache.size()
    small = FrameCache(cache.folder, 2 * size)
    get(small, bars="2")
    assert not get(small, bars="1")[1]  # used again: now 2 is the older one
    get(small, bars="3")
    assert [get(small, bars=name)[1] for name in ("1", "3", "2")] == [False, False, True]
    assert small.size() <= small.limit
    tiny = FrameCache(cache.folder, size - 1)
    assert get(tiny, bars="4")[1]
    assert get(tiny, bars="4")[1], "larger than the limit: not kept"
    assert small.trim(0) == 2


def test_a_folder_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    broken = FrameCache(tmp_path / "file" / "frames", 1_000_000)
    assert [get(broken, bars="1")[1] for _ in range(2)] == [True, True]
