"""Quality gates: each measures what it says, and a failed error gate stops publication."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from champion import contracts
from champion.errors import QualityGateError
from champion.lake import Lake
from champion.pipeline import quality
from champion.settings import Settings

START, END = date(2024, 6, 3), date(2024, 7, 31)
BARS = "normalized_equity_ohlc"


def gate(gates: pl.DataFrame, name: str) -> dict[str, object]:
    return gates.filter(pl.col("gate") == name).row(0, named=True)


@pytest.fixture
def damaged(ingested: Settings, tmp_path: Path) -> Lake:
    """A lake with the sessions of June, to be damaged."""
    lake = Lake(tmp_path / "lake")
    source = Lake(ingested.lake)
    for session in source.sessions(BARS, START, END):
        lake.write(BARS, session, source.scan(BARS, session, session).collect(), {"file": "copied"})
    return lake


def rewrite(lake: Lake, session: date, *changes: pl.Expr) -> None:
    frame = lake.scan(BARS, session, session).with_columns(*changes).collect()
    lake.write(BARS, session, frame, {"file": "damaged"})


def test_sound_sessions_pass(ingested: Settings) -> None:
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


def test_no_sessions_at_all_are_an_error(damaged: Lake) -> None:
    with pytest.raises(QualityGateError, match="no sessions in the lake"):
        quality.check(damaged, date(2030, 1, 1), date(2030, 1, 2))
