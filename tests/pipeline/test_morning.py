"""The morning look: what it says of a session, as a page that is safe to open, and in the terminal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from champion.errors import UsageError
from champion.lake import Lake
from champion.pipeline.ingest.adjusted_bars import adjusted_bars
from champion.pipeline.operations.session_report import SessionReport, session_report
from champion.pipeline.operations.session_report_html import render
from champion.pipeline.operations.status import RunLine
from champion.settings import Settings
from champion.tracking.store import run_page

SESSION = date(2024, 8, 27)


@pytest.fixture(scope="module")
def seen(modelled: Settings) -> SessionReport:
    return session_report(modelled, SESSION)


def test_it_counts_the_session_as_its_bars_do(seen: SessionReport, modelled: Settings) -> None:
    bars = Lake(modelled.lake).scan("normalized_equity_ohlc", SESSION, SESSION).collect()
    shares = bars.filter(pl.col("series").is_in(["EQ", "BE", "BZ", "SM", "ST"]))
    adjusted = adjusted_bars(Lake(modelled.lake), end=SESSION).filter(pl.col("trade_date") == SESSION)
    change = adjusted["close"] / adjusted["prev_close"] - 1
    assert (seen.market["shares"], seen.market["advances"]) == (shares.height, (change > 0).sum())
    assert seen.market["turnover"] == pytest.approx(shares["turnover"].cast(pl.Float64).sum())
    best = seen.movers.row(0, named=True)
    assert best["simple_return"] == change.max()


def test_it_tells_of_the_champion_alone_and_of_what_is_known_by_then(seen: SessionReport) -> None:
    assert seen.champion == "version 1"
    assert seen.scores["model_version"].unique().to_list() == [1]
    assert seen.scores["trade_date"].unique().to_list() == [SESSION]
    assert seen.outcomes["label_end"].max() <= SESSION  # type: ignore[operator]
    assert seen.rank_ic.height > 0
    assert set(seen.moved["column"]) > {"rsi_14", "atr_14", "vwap"}
    assert seen.failed == []


def test_the_page_stands_alone_and_runs_nothing(seen: SessionReport, modelled: Settings) -> None:
    page = render(seen, modelled.home)
    assert "Tuesday, 27 August 2024" in page
    assert page.count('src="data:image/png;base64,') == 7
    assert not re.search(r"<script|https?://|onerror=", page)
    assert "default-src 'none'" in page


def test_each_run_leads_to_its_page_where_mlflow_is(seen: SessionReport, modelled: Settings) -> None:
    run = RunLine("2024-08-27 19:00", "daily 2024-08-27", "succeeded", 57.0, "5f0c", "3")
    page = render(replace(seen, runs=[run]), modelled.home, "http://127.0.0.1:5000")
    assert re.findall(r'href="([^"]*)"', page) == [run_page("http://127.0.0.1:5000", "3", "5f0c")]


def test_what_the_data_says_is_text_and_never_markup(seen: SessionReport, modelled: Settings) -> None:
    evil = SessionReport(
        **{name: getattr(seen, name) for name in SessionReport.__dataclass_fields__} | {"champion": "<b>1</b>"}
    )
    assert "<b>1</b>" not in render(evil, modelled.home).replace("<b>&lt;b&gt;1&lt;/b&gt;</b>", "")


def test_a_workspace_without_models_or_features_says_so(ingested: Settings) -> None:
    seen = session_report(ingested)
    assert (seen.champion, seen.scores.height, seen.rank_ic.height, seen.runs) == ("none yet", 0, 0, [])
    assert "none yet" in render(seen, ingested.home)


def test_a_session_there_is_not_is_named_with_the_last(ingested: Settings) -> None:
    with pytest.raises(UsageError, match=r"no session 2024-08-25: the last is 2024-08-30"):
        session_report(ingested, date(2024, 8, 25))


def test_the_command_prints_and_writes_the_page(modelled: Settings, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "champion", "report", str(SESSION), "--html", str(tmp_path / "page.html")]
    variables = {**os.environ, **modelled.environment()}
    said = subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout
    assert "gates passed; champion version 1, rank IC of 2024-08-" in said
    assert (tmp_path / "page.html").stat().st_size > 100_000
    told = json.loads(subprocess.run([*command, "--json"], env=variables, capture_output=True, check=True).stdout)
    assert told["session"] == str(SESSION)
    assert len(told["moved"]) == 8
