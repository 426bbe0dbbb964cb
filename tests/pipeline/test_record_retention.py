"""Retention of records: pages, figures and reports of old runs are removed, evidence of decisions is kept."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import nbformat
import polars as pl
import pytest
from typer.testing import CliRunner

from champion.cli.app import app
from champion.pipeline.feature_store.frame_cache import FrameCache
from champion.pipeline.maintenance import record_retention
from champion.runner import run_detail
from champion.services import prefect
from champion.settings import Settings
from champion.tracking import runs

TODAY = date(2026, 3, 31)
OLD, NEW = datetime(2026, 2, 1, 14, tzinfo=UTC), datetime(2026, 3, 20, 14, tzinfo=UTC)
PNG = b"\x89PNG a figure"


def recorded(settings: Settings, folder: Path, notebook: str, ended: datetime) -> str:
    """Record a run as the runner does, with an executed notebook, its page, a figure and a table; return its id."""
    run = runs.open_run(
        settings, "notebooks", notebook, tags={"champion.notebook": notebook}, started=ended - timedelta(seconds=5)
    )
    files = folder / run
    (files / "result" / "figures").mkdir(parents=True)
    (files / "result" / "tables").mkdir()
    (files / "notebook").mkdir()
    cell = nbformat.v4.new_code_cell("40 + 2")  # type: ignore[no-untyped-call]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), files / "notebook" / f"{notebook}.ipynb")  # type: ignore[no-untyped-call]
    (files / "notebook" / f"{notebook}.html").write_text("<p>a page</p>")
    (files / "result" / "figures" / "breadth.png").write_bytes(PNG)
    (files / "result" / "tables" / "sample.parquet").write_bytes(b"rows")
    runs.log_files(settings, run, files)
    runs.close_run(settings, run, "succeeded", ended=ended)
    return run


def left(settings: Settings, run: str) -> list[str]:
    """Return the files of a run."""
    folder = Path(runs.location(runs.get(settings, run), ""))
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def framed(settings: Settings, used: datetime) -> str:
    """Keep a frame that was used at a time; return the name of its file."""
    cache = FrameCache.of(settings)
    before = set(cache.files())
    cache.get(lambda: {"used": f"{used}"}, lambda: pl.DataFrame({"rank": [0.5]}))
    (path,) = set(cache.files()) - before
    os.utime(path, (used.timestamp(), used.timestamp()))
    return path.name


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An empty workspace with its MLflow store."""
    return Settings(home=tmp_path_factory.mktemp("records") / "home")


def test_only_pages_and_figures_of_old_runs_are_removed(workspace: Settings, tmp_path: Path) -> None:
    old = recorded(workspace, tmp_path, "ingest", OLD)
    kept = [
        recorded(workspace, tmp_path, "ingest", NEW),
        recorded(workspace, tmp_path, "training", OLD),
        recorded(workspace, tmp_path, "promotion", OLD),
    ]
    before = {run: left(workspace, run) for run in kept}
    for session in ("2026-02-02", "2026-03-30"):
        report = workspace.home / "reports" / session / "morning.html"
        report.parent.mkdir(parents=True)
        report.write_text("a report")
    unused, used = framed(workspace, OLD - timedelta(days=1)), framed(workspace, NEW)
    planned = record_retention.plan(workspace, TODAY)
    assert [(one.kind, one.name) for one in planned] == [("frame", unused), ("run", old), ("report", "2026-02-02")]
    assert set(planned[1].files) == {"notebook/ingest.html", "result/figures/breadth.png"}
    assert planned[1].bytes == len("<p>a page</p>") + len(PNG)
    assert left(workspace, old) == [
        "notebook/ingest.html", "notebook/ingest.ipynb", "result/figures/breadth.png", "result/tables/sample.parquet",
    ], "a plan removes nothing"  # fmt: skip
    assert record_retention.prune(workspace, TODAY) == planned
    assert left(workspace, old) == ["notebook/ingest.ipynb", "result/tables/sample.parquet"]
    assert {run: left(workspace, run) for run in kept} == before
    assert [path.name for path in (workspace.home / "reports").iterdir()] == ["2026-03-30"]
    assert [path.name for path in FrameCache.of(workspace).files()] == [used]
    assert record_retention.prune(workspace, TODAY) == []
    assert runs.get(workspace, old).tags[record_retention.PRUNED] == "2026-03-31"
    page = Path(run_detail.page(workspace, run_detail.read(workspace, old)))
    assert re.search(r"ingest</b> succeeded in 5\.0 s", page.read_text()), "rendered again from the notebook"


def test_an_interrupted_prune_continues(workspace: Settings, tmp_path: Path) -> None:
    run = recorded(workspace, tmp_path, "quality", OLD)
    runs.remove_files(workspace, run, ["notebook/quality.html"])  # killed before the figure, and before the tag
    (again,) = record_retention.prune(workspace, TODAY)
    assert (again.name, again.files) == (run, ("result/figures/breadth.png",))
    assert left(workspace, run) == ["notebook/quality.ipynb", "result/tables/sample.parquet"]


def test_zero_days_keep_everything(workspace: Settings, tmp_path: Path) -> None:
    recorded(workspace, tmp_path, "features", OLD)
    for_ever = workspace.model_copy(update={"pages_days": 0})
    assert record_retention.plan(for_ever, TODAY) == []


def test_dry_run_shows_the_expired_records(workspace: Settings, tmp_path: Path) -> None:
    run = recorded(workspace, tmp_path, "scoring", OLD)
    shown = CliRunner().invoke(app, ["notebook", "prune", "--dry-run", "--json"], env=workspace.environment())
    found = json.loads(shown.output)
    assert found["dry run"] is True
    assert found["runs"] >= 1
    assert found["bytes"] > 0
    assert "notebook/scoring.html" in left(workspace, run)


def test_prefect_accepts_the_retention_settings(workspace: Settings) -> None:
    """A value that Prefect does not read would stop its server, and with it every flow."""
    variables = {**os.environ, **prefect._retention(workspace.model_copy(update={"prefect_days": 45}))}
    code = (
        "from prefect.settings import Settings; kept = Settings().server; "
        "print(kept.events.retention_period.days, kept.services.db_vacuum.retention_period.days)"
    )
    answer = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False)
    assert answer.stdout.split() == ["7", "45"], answer.stderr[-500:]
