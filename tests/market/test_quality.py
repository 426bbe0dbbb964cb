"""Quality gates: their values, the stop of publication by a failed error gate, and accepted findings."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from champion import contracts
from champion.errors import QualityGateError, UsageError
from champion.lake import Lake
from champion.modeling.universe import find
from champion.pipeline.feature_store.build import build_features
from champion.pipeline.ingest import quality
from champion.pipeline.maintenance import load_warehouse
from champion.pipeline.models import frames
from champion.pipeline.models.score import score_session
from champion.settings import Settings
from champion.settings.quality_limits import Limits

START, END = date(2024, 6, 3), date(2024, 7, 31)
BARS = "normalized_equity_ohlc"


def gate(gates: pl.DataFrame, name: str) -> dict[str, object]:
    return gates.filter(pl.col("gate") == name).row(0, named=True)


@pytest.fixture
def damaged(ingested: Settings, tmp_path: Path) -> Lake:
    """A lake with the sessions of June, which tests damage."""
    lake = Lake(tmp_path / "lake")
    source = Lake(ingested.lake)
    for session in source.sessions(BARS, START, END):
        lake.write(BARS, session, source.scan(BARS, session, session).collect(), {"file": "copied"})
    return lake


def rewrite(lake: Lake, session: date, *changes: pl.Expr) -> None:
    frame = lake.scan(BARS, session, session).with_columns(*changes).collect()
    lake.write(BARS, session, frame, {"file": "damaged"})


def test_valid_sessions_pass(ingested: Settings) -> None:
    verdict = quality.check(Lake(ingested.lake), START, END, as_of=date(2024, 8, 1))
    assert verdict.failed == []
    assert gate(verdict.gates, "freshness")["value"] == 1.0
    quality.require(verdict.gates)


def test_missing_values_stop_publication(damaged: Lake) -> None:
    session = damaged.sessions(BARS)[0]
    rewrite(damaged, session, pl.when(pl.col("symbol") != pl.col("symbol").min()).then("isin").alias("isin"))
    verdict = quality.check(damaged, START, END)  # one row of one session among many
    assert gate(verdict.gates, "completeness")["detail"] == f"least complete: isin on {session}"
    with pytest.raises(QualityGateError, match=r"completeness is 0\."):
        quality.require(verdict.gates)


def test_impossible_prices_stop_publication(damaged: Lake) -> None:
    rewrite(damaged, damaged.sessions(BARS)[0], pl.col("close") * 1e6, pl.col("high") * 1e6)
    with pytest.raises(QualityGateError, match="validity"):
        quality.require(quality.check(damaged, START, END).gates)


def test_too_many_refused_rows_stop_publication(damaged: Lake) -> None:
    session = damaged.sessions(BARS)[0]
    refused = pl.DataFrame(
        [{"session": session, "stage": "raw", "row_number": n, "reasons": ["x"], "row": ""} for n in range(40)],
        schema=contracts.load("quarantine_equity_ohlc").polars_schema,
    ).with_columns(
        pl.lit("s").alias("source"),
        pl.lit("f").alias("source_file"),
        pl.lit("0").alias("source_sha256"),
        pl.datetime(2024, 6, 3, time_unit="ms", time_zone="UTC").alias("ingest_time"),
    )
    damaged.write("quarantine_equity_ohlc", session, refused, {"file": "a"})
    with pytest.raises(QualityGateError, match=r"40 of \d+ rows in quarantine"):
        quality.require(quality.check(damaged, START, END).gates)


def test_turnover_that_does_not_fit_volume_is_a_warning(damaged: Lake) -> None:
    rewrite(damaged, damaged.sessions(BARS)[0], pl.col("turnover") * 100)
    verdict = quality.check(damaged, START, END)
    assert gate(verdict.gates, "consistency")["passed"] is False
    quality.require(verdict.gates)


def test_half_a_session_is_a_warning(damaged: Lake) -> None:
    last = damaged.sessions(BARS)[-1]
    half = damaged.scan(BARS, last, last).head(8).collect()
    damaged.write(BARS, last, half, {"file": "damaged"})
    found = gate(quality.check(damaged, START, END).gates, "row_count")
    assert found["passed"] is False
    assert str(last) in str(found["detail"])


def test_an_old_last_session_is_a_warning(ingested: Settings) -> None:
    verdict = quality.check(Lake(ingested.lake), START, END, as_of=date(2024, 9, 1))
    assert gate(verdict.gates, "freshness")["passed"] is False


def test_an_empty_lake_is_an_error(damaged: Lake) -> None:
    with pytest.raises(QualityGateError, match="no sessions in the lake"):
        quality.check(damaged, date(2030, 1, 1), date(2030, 1, 2))


def shorten(lake: Lake, session: date, rows: int = 8) -> None:
    """Remove rows of a session, as in a special session of an hour or a truncated file."""
    lake.write(BARS, session, lake.scan(BARS, session, session).head(rows).collect(), {"file": f"cut to {rows}"})


def test_sessions_are_not_compared_across_a_hole(ingested: Settings, tmp_path: Path) -> None:
    """Half of the shares change across the hole, as over six years."""
    lake, source = Lake(tmp_path / "lake"), Lake(ingested.lake)
    for session in source.sessions(BARS, START, END):
        early = session < date(2024, 7, 1)
        moved = session - timedelta(days=2000 if early else 0)
        rows = source.scan(BARS, session, session).with_columns(trade_date=pl.lit(moved)).collect()
        lake.write(BARS, moved, rows.head(9) if early else rows, {"file": "copied"})
    first = lake.sessions(BARS, date(2024, 7, 1))[0]
    verdict = quality.check(lake, first, first)
    quality.require(verdict)
    assert gate(verdict.gates, "universe_churn")["detail"] == "too few sessions to compare"
    assert gate(verdict.gates, "continuity")["passed"] is True
    with pytest.raises(QualityGateError, match="universe_churn"):  # the same step, were it not a hole
        quality.require(quality.check(lake, first, first, limits=Limits(hole_days=10_000)))
    second, last = lake.sessions(BARS, first)[1], lake.sessions(BARS)[-1]
    shorten(lake, last)
    with pytest.raises(QualityGateError, match=f"row_count:{last}"):  # beyond the hole they are judged as ever
        quality.require(quality.check(lake, second, last))


def test_limits_are_settings(damaged: Lake) -> None:
    last = damaged.sessions(BARS)[-1]
    shorten(damaged, last, 13)
    assert not gate(quality.check(damaged, START, END).gates, "row_count")["passed"]
    wide = Limits.of(Settings(quality_row_count=0.9, quality_churn=0.9))
    assert quality.check(damaged, START, END, limits=wide).failed == []
    assert Limits.of(Settings()) == Limits()


def test_an_acceptance_covers_only_its_finding(damaged: Lake) -> None:
    sessions = damaged.sessions(BARS)
    shorten(damaged, sessions[20])
    with pytest.raises(QualityGateError, match="champion quality accept") as stopped:
        quality.require_passed(damaged, START, END)
    keys = quality.check(damaged, START, END).open_keys
    assert keys == [
        f"row_count:{sessions[20]}",
        f"universe_churn:{sessions[20]}",
        f"universe_churn:{sessions[21]}",
    ]
    assert all(key in str(stopped.value) for key in keys)
    made = quality.accept(damaged, keys[:2], " a session of an hour ")
    assert made["reason"].unique().to_list() == ["a session of an hour"]
    assert made["accepted_by"].str.len_chars().min() > 0  # type: ignore[operator]
    with pytest.raises(QualityGateError, match=f"FINDING is one of {keys[2]}"):
        quality.require_passed(damaged, START, END)
    quality.accept(damaged, keys[2:], "the day after it")
    quality.require_passed(damaged, START, END)
    verdict = quality.check(damaged, START, END)
    assert str(gate(verdict.gates, "row_count")["detail"]).endswith("; 1 accepted")
    assert quality.record(damaged, START, END, verdict) >= len(keys)
    states = quality.recorded(damaged).filter(severity="error")
    assert states.select("key", "state").rows() == [(key, "accepted") for key in keys]
    assert quality.accepted(damaged).height == len(keys)
    shorten(damaged, sessions[30])
    with pytest.raises(QualityGateError, match=f"row_count:{sessions[30]}"):  # another session is not covered
        quality.require_passed(damaged, START, END)


def test_an_acceptance_does_not_cover_a_worse_value(damaged: Lake) -> None:
    session = damaged.sessions(BARS)[20]
    shorten(damaged, session, 12)
    quality.accept(damaged, quality.check(damaged, START, END).open_keys, "a short session")
    quality.require_passed(damaged, START, END)
    shorten(damaged, session, 5)
    with pytest.raises(QualityGateError, match=f"row_count:{session}"):
        quality.require_passed(damaged, START, END)
    quality.accept(damaged, quality.check(damaged, START, END).open_keys, "shorter still")
    quality.require_passed(damaged, START, END)
    kept = quality.accepted(damaged).filter(gate="row_count")
    assert kept["reason"].to_list() == ["a short session", "shorter still"], "rows are only added"


@pytest.mark.parametrize(
    ("key", "reason", "says"),
    [
        ("row_count:2024-07-01", "", "needs --reason"),
        ("row_count:2024-07-01", "  ", "needs --reason"),
        ("row_count", "why", "is not a finding: write it as row_count:2025-08-06"),
        ("row_count:2024-07-01", "why", "is no finding of session 2024-07-01: "),
        ("row_count:2030-01-01", "why", "the lake has no session 2030-01-01"),
    ],
)
def test_an_invalid_acceptance_is_refused(damaged: Lake, key: str, reason: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        quality.accept(damaged, [key], reason)
    assert quality.accepted(damaged).is_empty()


def test_a_failed_gate_stops_every_path(modelled: Settings, tmp_path: Path) -> None:
    """Build, train, score and load refuse a failed session and those after it."""
    mine = modelled.model_copy(update={"home": tmp_path / "home"})
    shutil.copytree(modelled.home, mine.home)
    lake = Lake(mine.lake)
    sessions = lake.sessions(BARS)
    shorten(lake, sessions[-2])
    limits = Limits()
    asked: dict[str, Any] = {"horizon": 5, "universe": find("all"), "limits": limits}
    paths: dict[str, Callable[[], object]] = {
        "build": lambda: build_features(lake, sessions[-2], sessions[-2], limits=limits),
        "build what follows": lambda: build_features(lake, sessions[-1], sessions[-1], limits=limits),
        "train": lambda: frames.training_frame(lake, sessions[-9], sessions[-1], **asked),
        "score": lambda: score_session(mine, sessions[-1]),
        "load": lambda: load_warehouse.load(mine, sessions[-2], sessions[-1], gated=True),
    }
    for path in paths.values():
        with pytest.raises(QualityGateError, match=f"row_count:{sessions[-2]}"):
            path()
    build_features(lake, sessions[-3], sessions[-3], limits=limits)  # what came before passes
    quality.accept(lake, quality.check(lake, sessions[-2], sessions[-1]).open_keys, "an hour's session")
    assert build_features(lake, sessions[-2], sessions[-1], limits=limits).totals["written"] == 2


ROOT = Path(__file__).resolve().parents[2]
_CALL = re.compile(r"\b(?:build_features|(?:kept_)?training_frame)\((?:[^()]|\([^()]*\))*\)")
_FOLDERS = ("champion/cli", "flows", "notebooks", "notebooks/explore")
PATHS = [path for folder in _FOLDERS for path in (ROOT / folder).iterdir() if path.suffix in {".py", ".ipynb"}]


def test_every_path_evaluates_the_gates() -> None:
    """Commands, flows and notebooks pass the limits of the settings when they build features or train."""
    calls = {(path.name, call) for path in PATHS for call in _CALL.findall(path.read_text())}
    assert len(calls) >= 4
    assert [call for call in calls if "limits=" not in call[1]] == []
