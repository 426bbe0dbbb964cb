"""The session report: its content, its page, which must be safe to open, and its command."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner
from warehouse_rows import FRAMES

from champion.cli.app import app
from champion.contracts.datasets import TARGETS
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
def report(modelled: Settings) -> SessionReport:
    return session_report(modelled, SESSION)


def test_market_counts_equal_the_session_bars(report: SessionReport, modelled: Settings) -> None:
    bars = Lake(modelled.lake).scan("normalized_equity_ohlc", SESSION, SESSION).collect()
    shares = bars.filter(pl.col("series").is_in(["EQ", "BE", "BZ", "SM", "ST"]))
    adjusted = adjusted_bars(Lake(modelled.lake), end=SESSION).filter(pl.col("trade_date") == SESSION)
    change = adjusted["close"] / adjusted["prev_close"] - 1
    assert (report.market["shares"], report.market["advances"]) == (shares.height, (change > 0).sum())
    assert report.market["turnover"] == pytest.approx(shares["turnover"].cast(pl.Float64).sum())
    best = report.movers.row(0, named=True)
    assert best["simple_return"] == change.max()


def test_report_has_only_the_champion_and_known_outcomes(report: SessionReport) -> None:
    assert report.champion == "version 1"
    assert report.scores["model_version"].unique().to_list() == [1]
    assert report.scores["trade_date"].unique().to_list() == [SESSION]
    assert report.outcomes["label_end"].max() <= SESSION  # type: ignore[operator]
    assert report.rank_ic.height > 0
    assert set(report.moved["column"]) > {"rsi_14", "atr_14", "vwap"}
    assert report.failed == []


def test_page_has_orders_no_scripts_and_no_external_resources(report: SessionReport, modelled: Settings) -> None:
    row = FRAMES[TARGETS]().with_columns(action=pl.lit("sell"), previous_weight=pl.lit(0.02), warnings=pl.lit("no_bar"))
    ordered = replace(report, targets=row)
    assert ordered.as_dict()["targets"]["orders"][0]["symbol"] == row["symbol"][0]
    assert report.as_dict()["targets"] == {"text": "no targets were published", "orders": []}
    page = render(ordered, modelled.home)
    assert re.search(rf"<td>sell</td><td>{row['symbol'][0]}</td>.*2\.00%.*<td>rank</td><td>no_bar</td>", page)
    assert "Tuesday, 27 August 2024" in page
    assert page.count('src="data:image/png;base64,') == 7
    assert not re.search(r"<script|https?://|onerror=", page)
    assert "default-src 'none'" in page


def test_runs_link_to_mlflow_pages(report: SessionReport, modelled: Settings) -> None:
    run = RunLine("2024-08-27 19:00", "daily 2024-08-27", "succeeded", 57.0, "5f0c", "3")
    page = render(replace(report, runs=[run]), modelled.home, "http://127.0.0.1:5000")
    assert re.findall(r'href="([^"]*)"', page) == [run_page("http://127.0.0.1:5000", "3", "5f0c")]


def test_data_is_escaped_in_the_page(report: SessionReport, modelled: Settings) -> None:
    evil = SessionReport(
        **{name: getattr(report, name) for name in SessionReport.__dataclass_fields__} | {"champion": "<b>1</b>"}
    )
    assert "<b>1</b>" not in render(evil, modelled.home).replace("<b>&lt;b&gt;1&lt;/b&gt;</b>", "")


def test_report_of_a_workspace_without_models_or_features(ingested: Settings) -> None:
    report = session_report(ingested)
    assert (report.champion, report.scores.height, report.rank_ic.height, report.runs) == ("none yet", 0, 0, [])
    assert "none yet" in render(report, ingested.home)


def test_a_missing_session_is_refused_with_the_last_one(ingested: Settings) -> None:
    with pytest.raises(UsageError, match=r"no session 2024-08-25: the last is 2024-08-30"):
        session_report(ingested, date(2024, 8, 25))


def test_command_prints_the_report_and_writes_the_page(modelled: Settings, tmp_path: Path) -> None:
    def run(*more: str) -> str:
        words = ["report", str(SESSION), "--html", str(tmp_path / "page.html"), *more]
        done = CliRunner(env=modelled.environment()).invoke(app, words, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    assert "gates passed; champion version 1, rank IC of 2024-08-" in run()
    assert (tmp_path / "page.html").stat().st_size > 100_000
    values = json.loads(run("--json"))
    assert values["session"] == str(SESSION)
    assert len(values["moved"]) == 8
