"""Carried state in a lake equals a rebuild after corrections, actions, renames, losses and interruptions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from waiting import PATIENCE

from champion import features
from champion.contracts.datasets import BARS, FACTORS, FEATURES
from champion.lake import Lake
from champion.pipeline.feature_store import fingerprints, state, strategies
from champion.pipeline.feature_store.build import build_features, stale_sessions
from champion.pipeline.ingest import corporate_actions
from champion.pipeline.ingest.bars import equity_bars
from champion.settings import Settings

STATE = features.find("v1").state_contract
SPLIT = date(2024, 4, 8)  # of the simulated archive: a bonus and a split in one row


@pytest.fixture(scope="module")
def lake(ingested: Settings, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Bars and actions of a market with gaps: some list late, halt over a split, or trade every third session."""
    home = ingested.model_copy(update={"home": tmp_path_factory.mktemp("state") / "home"})
    shutil.copytree(ingested.lake, home.lake)
    corporate_actions.refresh(home)
    made = Lake(home.lake)
    names = equity_bars(made).select("instrument_id").unique().collect()["instrument_id"].sort().to_list()
    number = pl.col("instrument_id").replace_strict(names, range(len(names)), default=3, return_dtype=pl.Int64)
    for row, session in enumerate(made.sessions(BARS)):
        dropped = (
            ((number % 5 == 0) & (session < date(2024, 4, 12)))
            | ((number % 5 == 1) & (date(2024, 3, 20) <= session < date(2024, 4, 15)))
            | ((number % 5 == 2) & (row % 3 != 0))
        )
        bars = made.scan(BARS, session, session).collect()
        made.write(BARS, session, bars.filter(~dropped), {"file": "with gaps"})
    return made


@pytest.fixture
def copy(lake: Lake, tmp_path: Path) -> Callable[[str], Lake]:
    def copied(name: str) -> Lake:
        return Lake(Path(shutil.copytree(lake.root, tmp_path / name)))

    return copied


def span(lake: Lake, first: int, last: int) -> tuple[date, date]:
    """Return two sessions by their distance from that of the split."""
    sessions = lake.sessions(BARS)
    middle = sessions.index(SPLIT)
    return sessions[middle + first], sessions[middle + last]


def same(left: Lake, right: Lake) -> None:
    """Assert that features and the last state are the same, byte for byte."""
    assert left.sessions(FEATURES) == right.sessions(FEATURES)
    assert left.digest(FEATURES) == right.digest(FEATURES)
    last = left.sessions(STATE)[-1]
    assert right.sessions(STATE)[-1] == last
    assert left.digest(STATE, last) == right.digest(STATE, last)


def rewrite(lake: Lake, session: date, *changes: pl.Expr) -> None:
    bars = lake.scan(BARS, session, session).collect()
    lake.write(BARS, session, bars.with_columns(*changes), {"file": f"corrected {session}"})


def corrected(lake: Lake, session: date) -> str:
    """Correct the volume of one share and return which."""
    name: str = equity_bars(lake, session, session).select("instrument_id").sort("instrument_id").collect().item(3, 0)
    rewrite(
        lake,
        session,
        pl.when(pl.col("instrument_id") == name).then(pl.col("volume") + 7).otherwise("volume").alias("volume"),
    )
    return name


def like_a_rebuild(lake: Lake, start: date, end: date, *ways_taken: str) -> None:
    """Build by exactly these strategies, and assert that a rebuild of the same bars and actions gives the same."""
    other = Lake(Path(shutil.copytree(lake.root, lake.root.with_name("rebuild"))))
    assert build_features(lake, start, end).strategies == ways_taken
    assert build_features(other, start, end, from_state=False).strategies == ("rebuilt",)
    same(lake, other)
    assert stale_sessions(lake, end) == stale_sessions(other, end)
    assert lake.verify(FEATURES) == []


def test_building_session_by_session_equals_a_rebuild(copy: Callable[[str], Lake]) -> None:
    daily, whole = copy("daily"), copy("whole")
    start, end = span(daily, -6, 12)
    build_features(whole, start, end, from_state=False)
    for number, session in enumerate(daily.sessions(BARS, start, end)):
        assert build_features(daily, session, session).strategies == (("advanced",) if number else ("rebuilt",))
    same(daily, whole)
    assert len(daily.sessions(STATE)) == state.KEPT
    assert daily.verify(STATE) == []


def test_several_new_sessions_advance_and_very_many_rebuild(copy: Callable[[str], Lake]) -> None:
    lake = copy("lake")
    start, first = span(lake, -6, -6)
    build_features(lake, start, first)
    like_a_rebuild(lake, start, span(lake, 0, 4)[1], "advanced")
    assert build_features(lake, start, span(lake, 0, 30)[1]).strategies == ("rebuilt",)


def test_a_late_correction_recomputes_one_instrument(copy: Callable[[str], Lake]) -> None:
    lake = copy("lake")
    start, end = span(lake, -8, 8)
    build_features(lake, start, end)
    session = span(lake, -3, 0)[0]
    name = corrected(lake, session)
    build = fingerprints.plan(lake, end, features.find("v1"), corporate_actions.known_factors(lake))
    bars = equity_bars(lake, end=end).select(features.required()).collect()
    assert strategies._touched(build, state.read_state(build, end), bars, end) == [name]
    before = lake.scan(FEATURES).collect()
    like_a_rebuild(lake, start, end, "repaired")
    changed = lake.scan(FEATURES).collect().join(before, on=before.columns, how="anti", nulls_equal=True)
    assert changed["instrument_id"].unique().to_list() == [name]
    assert changed["trade_date"].min() == session


def test_a_recent_correction_advances_from_earlier_state(copy: Callable[[str], Lake]) -> None:
    lake = copy("lake")
    start, end = span(lake, -8, 8)
    build_features(lake, start, span(lake, 0, 3)[1])
    for session in lake.sessions(BARS, span(lake, 4, 4)[0], end):
        build_features(lake, session, session)
    corrected(lake, lake.sessions(BARS, end=end)[-2])
    like_a_rebuild(lake, start, end, "advanced")


def test_removed_and_renamed_bars_are_repaired(copy: Callable[[str], Lake]) -> None:
    lake = copy("lake")
    start, end = span(lake, -8, 8)
    build_features(lake, start, end)
    sessions = lake.sessions(BARS, end=end)
    names = equity_bars(lake, sessions[-9], sessions[-9]).select("instrument_id").collect()["instrument_id"].sort()
    gone = lake.scan(BARS, sessions[-9], sessions[-9]).filter(pl.col("instrument_id") != names[0]).collect()
    lake.write(BARS, sessions[-9], gone, {"file": "one less"})
    renamed = pl.col("instrument_id").replace({names[1]: "NSE:RENAMED"})
    for session in sessions[-14:]:
        rewrite(lake, session, renamed.alias("instrument_id"))
    like_a_rebuild(lake, start, end, "repaired")


def test_a_late_and_a_withdrawn_action_are_repaired(copy: Callable[[str], Lake]) -> None:
    lake = copy("lake")
    start, end = span(lake, -8, 8)
    build_features(lake, start, end)
    read = lake.sessions(FACTORS)[-1]
    factors = lake.scan(FACTORS).collect()
    split = pl.col("ex_date") == SPLIT
    other = equity_bars(lake, SPLIT, SPLIT).select("instrument_id").collect().item(0, 0)
    moved = factors.filter(split).with_columns(instrument_id=pl.lit(other), ex_date=pl.lit(span(lake, -2, 0)[0]))
    lake.write(FACTORS, read, pl.concat([factors.filter(~split), moved]), {"list": "another"})
    like_a_rebuild(lake, start, end, "repaired")


def test_features_of_two_histories_are_not_mixed(copy: Callable[[str], Lake]) -> None:
    lake = copy("lake")
    start, end = span(lake, -8, 8)
    build_features(lake, start, end)
    corrected(lake, span(lake, -6, 0)[0])
    build_features(lake, span(lake, -2, 0)[0], end)  # only the later ones: those before keep the other past
    corrected(lake, span(lake, -5, 0)[0])
    like_a_rebuild(lake, start, end, "rebuilt")


class _StoppedError(Exception):
    """The build was stopped."""


def test_a_build_stopped_half_way_is_rebuilt(copy: Callable[[str], Lake]) -> None:
    lake = copy("lake")
    start, end = span(lake, -8, 8)
    build_features(lake, start, end)
    corrected(lake, span(lake, -6, 0)[0])

    def stop(done: int, _: int, __: str) -> None:
        if done == 5:
            raise _StoppedError

    with pytest.raises(_StoppedError):
        build_features(lake, start, end, progress=stop)
    assert len(stale_sessions(lake, end)) > 5
    like_a_rebuild(lake, start, end, "rebuilt")


@pytest.mark.parametrize("lost", ["state", "its file", "one feature group"])
def test_lost_state_or_features_are_rebuilt(copy: Callable[[str], Lake], lost: str) -> None:
    lake = copy("lake")
    start, end = span(lake, -3, 3)
    build_features(lake, start, span(lake, 0, 2)[1])
    last = lake.sessions(STATE)[-1]
    match lost:
        case "state":
            shutil.rmtree(lake.files(STATE, last)[0].parent)
        case "its file":
            lake.files(STATE, last)[0].write_bytes(b"")
        case _:
            shutil.rmtree(lake.files(FEATURES, SPLIT, SPLIT, "volume")[0].parent)
    like_a_rebuild(lake, start, end, "rebuilt")


PROGRAM = """
import sys
from datetime import date
from pathlib import Path
from champion import features
from champion.lake import Lake
from champion.pipeline.ingest.bars import equity_bars
from champion.pipeline.feature_store.build import build_features
lake, start, end = Lake(Path(sys.argv[1])), date(2023, 12, 4), date(2023, 12, 8)
own = features.find("ideas:OWN")
assert build_features(lake, start, date(2023, 12, 6), feature_set="ideas:OWN").strategies == ("rebuilt",)
assert build_features(lake, start, end, feature_set="ideas:OWN").strategies == ("advanced",)
whole = features.build(equity_bars(lake, end=end).collect(), own)
kept = lake.scan(own.contract).collect().sort("instrument_id", "trade_date").select(whole.columns)
assert kept.height
assert kept.equals(whole.filter(whole["trade_date"] >= start)), (kept, whole)
"""
READER = """
import sys
from pathlib import Path
from champion.lake import Lake
lake = Lake(Path(sys.argv[1]))
assert lake.scan("features_own_ideas").collect().height > 10
assert lake.verify("features_own_ideas") == lake.unknown_files() == []
"""
IDEAS = """
import polars as pl
from champion.features import ALPHA158, Feature, FeatureSet
mean = pl.col("close") / pl.col("close").rolling_max(20)
ranks = tuple(feature for feature in ALPHA158.features if feature.name == "RANK10")
to_top = Feature("to_top", "trend", 20, pl.Float64(), "Close over its highest.", mean)
OWN = FeatureSet("own_ideas", "ideas1", (to_top, *ranks))
"""
AGAIN = """
import sys
from datetime import date
from pathlib import Path
from champion.lake import Lake
from champion.pipeline.feature_store.build import build_features
built = build_features(Lake(Path(sys.argv[1])), date(2023, 12, 4), date(2023, 12, 8), feature_set="ideas:OWN")
print(built.totals["written"])
"""


def test_a_custom_feature_set_is_built_read_and_checked_for_changes(
    copy: Callable[[str], Lake], tmp_path: Path
) -> None:
    lake, module = copy("lake"), tmp_path / "ideas.py"

    def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
        here = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
        command = [sys.executable, "-c", program, str(lake.root)]
        return subprocess.run(command, env=here, capture_output=True, text=True, check=False, timeout=PATIENCE)

    module.write_text(IDEAS)
    first = run(PROGRAM, tmp_path)
    assert first.returncode == 0, first.stderr
    elsewhere = run(READER, tmp_path / "nothing")  # where the module cannot be imported
    assert elsewhere.returncode == 0, elsewhere.stderr
    assert run(AGAIN, tmp_path).stdout == "0\n"
    module.write_text(IDEAS.replace("rolling_max(20)", "rolling_max(19)"))  # nobody raised a version
    assert run(AGAIN, tmp_path).stdout == "5\n"
    module.write_text(IDEAS.replace("to_top", "to_highest"))
    assert "own_ideas_v1.avsc holds other features (to_highest, to_top)" in run(AGAIN, tmp_path).stderr
    unknown = run(AGAIN.replace("ideas:OWN", "ideas:MINE"), tmp_path)
    assert "module 'ideas' has no attribute 'MINE'; write module:NAME" in unknown.stderr
