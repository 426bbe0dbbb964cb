"""The features notebook as the pipeline runs it: for the first session, and for a month."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

import mlflow
import polars as pl
import pytest

from champion.features import find
from champion.lake import Lake
from champion.modeling import drift
from champion.pipeline.feature_store.build import build_features
from champion.runner import Execution, NotebookRequest, run_notebook
from champion.settings import Settings

NAMES = find("v1").columns
MEASURES = ("mean", "std", "null_share", "psi")


@pytest.fixture(scope="module")
def workspace(known: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = known.model_copy(update={"home": tmp_path_factory.mktemp("features") / "home"})
    shutil.copytree(known.home, made.home)
    return made


def printed(execution: Execution) -> str:
    cells = json.loads(Path(execution.saved).read_text(encoding="utf-8"))["cells"]
    return "".join("".join(out.get("text", "")) for cell in cells for out in cell.get("outputs", []))


def measured(execution: Execution, what: str) -> list[str]:
    return [name for name in NAMES if f"feature_{name}_{what}" in execution.metrics]


def run(workspace: Settings, start: date, end: date) -> Execution:
    return run_notebook(workspace, NotebookRequest("features", {"start": start, "end": end}))


def test_first_session_has_no_drift(workspace: Settings) -> None:
    session = Lake(workspace.lake).sessions("normalized_equity_ohlc")[0]
    alone = run(workspace, session, session)
    assert f"sessions: 1 of {session:%B %Y}, 0 of " in printed(alone)
    assert "The lake has no features of the month before" in printed(alone)
    assert {what: "vwap" in measured(alone, what) for what in MEASURES} == dict.fromkeys(MEASURES, True) | {
        "psi": False
    }
    assert "rsi_14" not in measured(alone, "mean"), "no value is no number"


def test_month_is_compared_with_the_previous_one_and_logged(workspace: Settings) -> None:
    lake = Lake(workspace.lake)
    sessions = lake.sessions("normalized_equity_ohlc")
    months = sorted({session.replace(day=1) for session in sessions})
    first, second = ([day for day in sessions if day.replace(day=1) == month] for month in months[:2])
    build_features(lake, first[0], first[-1])

    after = run(workspace, second[0], second[-1])
    assert f"sessions: {len(second)} of {second[0]:%B %Y}, {len(first)} of {first[0]:%B %Y}" in printed(after)
    assert {"sma_5", "rsi_14"} <= {*measured(after, "psi")} < {*NAMES}, "sma_200 has no values yet"
    assert after.metrics["feature_sma_200_null_share"] == 1
    built = lake.scan("features_equity_indicators", first[0], second[-1]).select("trade_date", "rsi_14").collect()
    stretches = [built.filter(pl.col("trade_date").is_in(days)).select("rsi_14") for days in (first, second)]
    assert after.metrics["feature_rsi_14_psi"] == drift.between(*stretches)["psi"][0]

    logged = mlflow.MlflowClient(workspace.tracking).get_run(after.run_id).data.metrics
    assert {name for name in logged if name.startswith("feature_")} == {
        f"feature_{name}_{what}" for what in MEASURES for name in measured(after, what)
    }
    manifest = after.values["manifest"]
    assert manifest["features"] == NAMES
    assert manifest["digest"] == lake.digest(manifest["dataset"], second[0], second[-1])
