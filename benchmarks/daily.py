"""One day of real work, end to end and on the clock: `champion daily` on a session, from fetch to morning report.

`.venv/bin/python benchmarks/daily.py --archive FOLDER [--session 2024-12-31] [--since 2024-01-01] [--repeats 3]`

A workspace is filled once from the archive up to the session before (backfill, a model, promoted by force where the
gate refuses it, as what a score costs does not depend on its skill). Each repeat is the command, as a person would type
it, in a process of its own on a fresh copy of that workspace; the Prefect server is up, as it is from the second
command of a workspace on. The aim is 60 seconds on 2 cores, the SLA 15 minutes. CPU counts the kernels too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import meter

from champion.services import prefect
from champion.settings import Settings
from champion.tracking import runs

_AIM = 60.0  # seconds of wall


def main() -> None:
    """Prepare, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, default=os.environ.get("CHAMPION_NSE"), help="or CHAMPION_NSE")
    parser.add_argument("--session", type=date.fromisoformat, default=date(2024, 12, 31))
    parser.add_argument("--since", type=date.fromisoformat, default=date(2024, 1, 1))
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    if asked.archive is None:
        parser.error("no archive: name a folder of exchange files by --archive or CHAMPION_NSE")
    with tempfile.TemporaryDirectory() as folder:
        ready = Settings(home=Path(folder) / "ready", archive=str(asked.archive))
        _prepare(ready, asked.since, asked.session - timedelta(days=1))
        found = [_day(ready, Path(folder) / "day", asked.session) for _ in range(asked.repeats)]
    _tell(asked.session, found)


def _prepare(ready: Settings, since: date, until: date) -> None:
    try:
        _champion(ready, "backfill", str(since), str(until))
        trained = _champion(ready, "train", "--end", str(until - timedelta(days=30)))[1]
        if not trained["promoted"]:
            reason = ("--force", "--reason", "benchmark")
            _champion(ready, "models", "promote", str(trained["version"]), *reason)
    finally:
        prefect.stop(ready)


def _day(ready: Settings, home: Path, session: date) -> dict[str, Any]:
    """Return the cost of the command on a copy of the workspace, and the seconds of its notebooks."""
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(ready.home, home)
    settings = ready.model_copy(update={"home": home})
    prefect.ensure(settings)
    try:
        cost, said = _champion(settings, "daily", str(session))
    finally:
        prefect.stop(settings)
    if "score" not in said:
        raise RuntimeError(f"{session} did not come through: {said}")
    flow = runs.find_runs(settings, ["daily-market-pipeline"], limit=1)[0]
    notebooks = runs.find_runs(settings, tags={"mlflow.parentRunId": flow.run_id})
    inside = {run.name: run.metrics["run_seconds"] for run in reversed(notebooks)}
    return {"wall": cost.wall, "cpu": cost.cpu, "peak MB": cost.peak_mb, "flow": flow.metrics["flow_seconds"], **inside}


def _champion(settings: Settings, *arguments: str) -> tuple[meter.Cost, dict[str, Any]]:
    variables = {**os.environ, **settings.environment()}
    with tempfile.TemporaryDirectory() as folder:
        done = meter.run([sys.executable, "-m", "champion", *arguments, "--json"], variables, Path(folder))
    return done.cost, json.loads(done.printed)


def _tell(session: date, found: list[dict[str, Any]]) -> None:
    rows = [[name, *(day.get(name) for day in found)] for name in found[0]]
    title = f"champion daily {session}, seconds; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    meter.print_table(title, ["what", *(f"run {number}" for number in range(1, len(found) + 1))], rows)
    median = statistics.median(day["wall"] for day in found)
    print(f"\nmedian wall {median:.1f} s, aim {_AIM:.0f} s: {'met' if median < _AIM else 'missed'}")


if __name__ == "__main__":
    main()
