"""Days of real work, end to end and on the clock: `champion daily` on a session, from fetch to morning report.

`.venv/bin/python benchmarks/speed/daily.py --archive FOLDER [--since 2024-01-01] [--sessions 2024-12-27 2024-12-30 ...]`

A workspace is filled from the archive up to the day before the first session (backfill, a model, promoted by force
where the gate refuses it, as what a score costs does not depend on its skill). Then each session is the command, as a
person would type it, in a process of its own, one after another as on those days; the Prefect server is up. The aim is
60 seconds on 2 cores, the SLA 15 minutes. CPU counts the kernels too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks import meter
from champion.services import prefect
from champion.settings import Settings
from champion.tracking import runs

_AIM = 60.0  # seconds of wall
_SESSIONS = [date(2024, 12, 27), date(2024, 12, 30), date(2024, 12, 31)]


def main() -> None:
    """Prepare, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, default=os.environ.get("CHAMPION_NSE"), help="or CHAMPION_NSE")
    parser.add_argument("--sessions", type=date.fromisoformat, nargs="+", default=_SESSIONS)
    parser.add_argument("--since", type=date.fromisoformat, default=date(2024, 1, 1))
    asked = parser.parse_args()
    if asked.archive is None:
        parser.error("no archive: name a folder of exchange files by --archive or CHAMPION_NSE")
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder) / "home", archive=str(asked.archive))
        try:
            _prepare(settings, asked.since, asked.sessions[0] - timedelta(days=1))
            found = {str(session): _day(settings, session) for session in asked.sessions}
        finally:
            prefect.stop(settings)
    _tell(found)


def _prepare(settings: Settings, since: date, until: date) -> None:
    _champion(settings, "backfill", str(since), str(until))
    trained = _champion(settings, "train", "--end", str(until - timedelta(days=30)))[1]
    if not trained["promoted"]:
        _champion(settings, "models", "promote", str(trained["version"]), "--force", "--reason", "benchmark")


def _day(settings: Settings, session: date) -> dict[str, Any]:
    """Return the cost of the command, and the seconds of its flow and notebooks."""
    cost, said = _champion(settings, "daily", str(session))
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


def _tell(found: dict[str, dict[str, Any]]) -> None:
    days = list(found.values())
    rows = [[name, *(day.get(name) for day in days)] for name in days[0]]
    title = f"champion daily, seconds; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    meter.print_table(title, ["what", *found], rows)
    median = statistics.median(day["wall"] for day in days)
    print(f"\nmedian wall {median:.1f} s, aim {_AIM:.0f} s: {'met' if median < _AIM else 'missed'}")


if __name__ == "__main__":
    main()
