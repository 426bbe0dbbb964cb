"""What the machinery itself costs: three trivial notebooks bare, under the runner, and as a flow with ledger.

`.venv/bin/python benchmarks/speed/machinery.py [--repeats 5]`. Every way runs in a process of its own, the ways in turn, so
that a busy machine is busy for all; the Prefect server is up beforehand, as it is in daily use. `process` is all of
the process, from start to end, with its imports; `inside` is what the three notebooks took after the imports. Medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks import meter
from champion.services import prefect
from champion.settings import Settings

_WAYS = ("nbclient", "papermill", "runner", "flow")
_HERE = Path(__file__).resolve().parent


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures there")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder) / "home", archive=folder)
        api = prefect.ensure(settings)
        try:
            figures = _measure(settings, api, Path(folder), asked.repeats)
        finally:
            prefect.stop(settings)
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    _tell(figures)


def _measure(settings: Settings, api: str, folder: Path, repeats: int) -> dict[str, dict[str, float]]:
    variables = {
        **os.environ,
        **prefect.environment(settings, api),
        "CHAMPION_HOME": str(settings.home),
        "CHAMPION_ARCHIVE": settings.archive,
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PYTHONPATH": os.pathsep.join([str(_HERE), str(_HERE.parent), os.environ.get("PYTHONPATH", "")]),
    }
    taken: dict[str, list[dict[str, float]]] = {way: [] for way in _WAYS}
    for repeat in range(repeats + 1):
        for way in _WAYS:
            done = meter.run([sys.executable, str(_HERE / "trivial.py"), way, str(folder)], variables, folder)
            inside = json.loads(done.printed.splitlines()[-1])
            if repeat:  # the first time compiles, creates tables and fills caches
                whole = {"process wall": done.cost.wall, "process cpu": done.cost.cpu}
                taken[way].append({**whole, **{f"inside {name}": seconds for name, seconds in inside.items()}})
    return {
        way: {name: statistics.median(one[name] for one in ones) for name in ones[0]} for way, ones in taken.items()
    }


def _tell(figures: dict[str, dict[str, float]]) -> None:
    columns = list(figures["flow"])
    rows: list[list[object]] = [[way, *found.values()] for way, found in figures.items()]
    rows += [
        [f"flow over {way} alone", *(figures["flow"][name] - figures[way][name] for name in columns)]
        for way in ("nbclient", "papermill")
    ]
    meter.print_table(f"Three trivial notebooks, seconds; load {os.getloadavg()[0]:.1f}", ["way", *columns], rows)


if __name__ == "__main__":
    main()
