"""`champion daily` on real sessions, end to end: from fetch to the report.

`.venv/bin/python benchmarks/speed/daily.py [--archive FOLDER] [--since DATE] [--sessions DATE ...]`

A workspace is filled from the archive up to the day before the first session: a backfill, and a model that is promoted
by force if the gate refuses it, because the cost of a score does not depend on skill. Then `champion daily` runs for
each session in its own process, with the Prefect server up. The aim is 60 seconds on 2 cores, the SLA 15 minutes.
CPU seconds include the kernels.
"""

import statistics
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
    given = meter.arguments(__doc__, archive=meter.MIRROR, sessions=_SESSIONS, since=date(2024, 1, 1))
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder) / "home", archive=str(given.archive))
        try:
            _prepare(settings, given.since, given.sessions[0] - timedelta(days=1))
            costs = {str(session): _session(settings, session) for session in given.sessions}
        finally:
            prefect.stop(settings)
    values = list(costs.values())
    rows = [[name, *(one.get(name) for one in values)] for name in values[0]]
    meter.print_table(f"champion daily, seconds; {meter.machine()}", ["what", *costs], rows)
    median = statistics.median(one["wall"] for one in values)
    print(f"\nmedian wall {median:.1f} s, aim {_AIM:.0f} s: {'met' if median < _AIM else 'missed'}")


def _prepare(settings: Settings, since: date, until: date) -> None:
    meter.champion(settings, "backfill", str(since), str(until))
    trained, _ = meter.champion(settings, "train", "--end", str(until - timedelta(days=30)))
    if not trained["promoted"]:
        number = str(trained["version"])
        meter.champion(settings, "models", "promote", number, "--force", "--reason", "benchmark")


def _session(settings: Settings, session: date) -> dict[str, Any]:
    """Return the cost of the command, and the seconds of its flow and notebooks."""
    printed, cost = meter.champion(settings, "daily", str(session))
    if "score" not in printed:
        raise RuntimeError(f"{session} has no score: {printed}")
    flow = runs.find_runs(settings, ["daily-market-pipeline"], limit=1)[0]
    notebooks = runs.find_runs(settings, tags={"mlflow.parentRunId": flow.run_id})
    inside = {run.name: run.metrics["run_seconds"] for run in reversed(notebooks)}
    return {"wall": cost.wall, "cpu": cost.cpu, "peak MB": cost.peak_mb, "flow": flow.metrics["flow_seconds"], **inside}


if __name__ == "__main__":
    main()
