"""Runs of ingestion and features record sizes, nulls, ranges, samples and statistics of their data in MLflow."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import mlflow
import polars as pl
import pytest
from hypothesis import given, strategies as st

from champion.lake import Lake
from champion.market import data_summary
from champion.pipeline.feature_store.build import build_features
from champion.runner import Execution, NotebookRequest, run_notebook
from champion.settings import Settings

METRICS = (
    "row_count column_count memory_usage_mb null_percentage total_volume avg_volume zero_volume_count avg_close_price "
    "min_close_price max_close_price"
).split()
STRANGE = (0.0, math.nan, math.inf, 1e308)


@pytest.fixture(scope="module")
def workspace(known: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = known.model_copy(update={"home": tmp_path_factory.mktemp("runs") / "home"})
    shutil.copytree(known.home, made.home)
    return made


def _artifacts(settings: Settings, run: Execution) -> dict[str, Path]:
    client = mlflow.MlflowClient(settings.tracking)
    folder = Path(mlflow.artifacts.download_artifacts(run_id=run.run_id, tracking_uri=settings.tracking))
    assert client.get_run(run.run_id).data.metrics["run_seconds"] > 0
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}


def _named(found: dict[str, Path], tail: str) -> Path:
    (path,) = (path for name, path in found.items() if name.endswith(tail))
    return path


def test_an_ingestion_records_size_gaps_and_ranges(workspace: Settings) -> None:
    lake = Lake(workspace.lake)
    first, last = lake.sessions("normalized_equity_ohlc")[:2]
    run = run_notebook(workspace, NotebookRequest("ingest", {"start": first, "end": last}))
    logged = mlflow.MlflowClient(workspace.tracking).get_run(run.run_id).data.metrics
    rows = lake.scan("normalized_equity_ohlc", first, last).collect().to_dicts()
    closes, volumes = [row["close"] for row in rows], [row["volume"] for row in rows]
    assert set(METRICS) <= set(logged)
    assert logged["row_count"] == len(rows)
    assert logged["column_count"] == len(rows[0])
    assert logged["raw_row_count"] == lake.rows("raw_equity_ohlc", first, last)
    nulls = sum(value is None for row in rows for value in row.values())
    assert logged["null_percentage"] == pytest.approx(100 * nulls / (len(rows) * len(rows[0])))
    assert logged["total_volume"] == sum(volumes)
    assert logged["avg_volume"] == pytest.approx(sum(volumes) / len(volumes))
    assert logged["zero_volume_count"] == volumes.count(0)
    assert (logged["min_close_price"], logged["max_close_price"]) == (min(closes), max(closes))
    assert logged["avg_close_price"] == pytest.approx(math.fsum(closes) / len(closes))
    found = _artifacts(workspace, run)
    assert pl.read_parquet(_named(found, "tables/sample.parquet")).height == min(100, len(rows))
    statistics = pl.read_parquet(_named(found, "tables/statistics.parquet"))
    assert statistics.filter(statistic="max")["close"].item() == max(closes)


def test_a_feature_run_records_its_manifest(workspace: Settings) -> None:
    lake = Lake(workspace.lake)
    session = lake.sessions("normalized_equity_ohlc")[30]
    build_features(lake, session, session)
    run = run_notebook(workspace, NotebookRequest("features", {"start": session, "end": session}))
    found = _artifacts(workspace, run)
    manifest = json.loads(_named(found, "documents/feature_manifest.json").read_text(encoding="utf-8"))
    assert manifest["digest"] == lake.digest("features_equity_indicators", session, session)
    assert {"sma_20", "rsi_14"} <= set(manifest["features"])
    assert manifest["source"] == "normalized_equity_ohlc"
    statistics = pl.read_parquet(_named(found, "tables/statistics.parquet"))
    assert statistics.filter(statistic="count")["sma_20"].item() == run.metrics["row_count"]


@given(
    st.lists(
        st.tuples(*[st.one_of(st.none(), st.floats(0, 1e6), st.sampled_from([0.0, math.nan, math.inf, 1e308]))] * 2)
    ),
    st.sampled_from([pl.Float64, pl.Int64]),
)
def test_metrics_are_finite_and_count_known_values_only(
    rows: list[tuple[float | None, float | None]], kind: type[pl.DataType]
) -> None:
    frame = pl.DataFrame(rows, schema={"volume": pl.Float64, "close": pl.Float64}, orient="row")
    frame = frame.with_columns(pl.col("volume").cast(kind, strict=False))
    found = data_summary.metrics(frame, "x_")
    assert all(math.isfinite(value) for value in found.values())
    closes, volumes = (frame.filter(pl.col(name).is_finite())[name].to_list() for name in ("close", "volume"))
    assert found.get("x_max_close_price") == (max(closes) if closes else None)
    assert found["x_zero_volume_count"] == volumes.count(0)
    if max(volumes, default=0) < 1e7:
        assert found["x_total_volume"] == pytest.approx(math.fsum(volumes))
    assert data_summary.statistics(frame)["statistic"].to_list()[:2] == ["count", "null_count"]


def test_volumes_beyond_whole_numbers_add_up() -> None:
    frame = pl.DataFrame({"volume": [2**62, 2**62, 2**62]})
    assert data_summary.metrics(frame)["total_volume"] == 3 * 2.0**62
