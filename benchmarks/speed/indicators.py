"""The 24 columns of feature set v1 over many bars: Champion, a TA-Lib loop, pandas-ta, polars-ta, plain Polars windows.

`.venv/bin/python benchmarks/speed/indicators.py [--instruments N] [--sessions N] [--repeats N] [--peer-python PATH]` makes
the bars in memory (10 million unless told otherwise) and runs each engine in a process of its own, one after the other,
so many times over; medians are printed. CPU seconds count all threads; making the bars is not counted.

Peers are no dependencies: `--peer-python` is the Python of an environment of theirs (`pip install polars ta-lib
polars-ta polars-talib pandas-ta-classic`); what cannot be imported there is said to be missing. An engine in pandas
runs on a slice of the instruments, and its times are scaled to all bars. Columns of an engine that on these bars have
another mean or number of nulls than ours are named.

NumPy asks for huge pages for arrays of 4 MB and more. Where memory is in pieces, as on a machine that has been up for
long, the kernel then tidies it up for seconds, which is not the doing of TA-Lib: its loop also runs without them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from functools import cache
from math import isclose
from pathlib import Path
from typing import Any

from benchmarks import meter

_HERE = Path(__file__).resolve().parent
_SLOW = frozenset({"pandas-ta"})
_SECONDS = ("cpu", "system", "wall")
_OURS = ("champion build", "champion expressions")
_SMALL_PAGES = "TA-Lib loop, small pages"
_ENGINES = (*_OURS, "TA-Lib loop", _SMALL_PAGES, "polars-talib", "polars-ta", "plain Polars", "pandas-ta")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instruments", type=int, default=2_000)
    parser.add_argument("--sessions", type=int, default=5_000)
    parser.add_argument("--slice", type=int, default=10, help="pandas engines run on this fraction of the instruments")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer-python", type=Path, default=Path(sys.executable))
    parser.add_argument("--engines", nargs="*", default=list(_ENGINES), choices=_ENGINES, metavar="NAME")
    asked = parser.parse_args()
    rows = asked.instruments * asked.sessions
    print(f"{rows:,} bars of {asked.instruments:,} instruments; load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    told: dict[str, list[dict[str, float]]] = {name: [] for name in asked.engines}
    said: dict[str, str] = {}
    for _ in range(asked.repeats):
        for name in asked.engines:
            count = max(2, asked.instruments // asked.slice) if name in _SLOW else asked.instruments
            python = sys.executable if name in _OURS else str(asked.peer_python)
            answer = _run(python, name, count, asked.sessions)
            said[name] = answer["said"]
            if "cpu" in answer:
                scale = asked.instruments / count
                told[name].append({"mb": answer["mb"], **{key: answer[key] * scale for key in _SECONDS}})
                if name not in _OURS:
                    said[name] += _differing(answer["columns"], _ours(count, asked.sessions))
    _print(told, said, rows)


@cache
def _ours(instruments: int, sessions: int) -> dict[str, list[float]]:
    columns: dict[str, list[float]] = _run(sys.executable, _OURS[0], instruments, sessions)["columns"]
    return columns


def _differing(theirs: dict[str, list[float]], ours: dict[str, list[float]]) -> str:
    """Return what to say of columns that are not as ours; the means of equal ones agree to rounding."""
    wrong = [
        name
        for name, (nulls, mean) in ours.items()
        if name not in theirs
        or theirs[name][0] != nulls
        or not isclose(theirs[name][1], mean, rel_tol=1e-7, abs_tol=1e-6)
    ]
    return f"; not as ours: {', '.join(wrong)}" if wrong else "; all columns as ours"


def _run(python: str, name: str, instruments: int, sessions: int) -> dict[str, Any]:
    """Return what one engine cost, or why it did not run, from a process of its own."""
    paths = os.pathsep.join([str(_HERE), str(_HERE.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [python, str(_HERE / "indicators_engines.py"), name, str(instruments), str(sessions)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": paths, **({"NUMPY_MADVISE_HUGEPAGE": "0"} if name == _SMALL_PAGES else {})},
    )
    if done.returncode:
        return {"said": f"did not run: {done.stderr.strip().splitlines()[-1]}"}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _print(told: dict[str, list[dict[str, float]]], said: dict[str, str], rows: int) -> None:
    middle = {
        name: {key: statistics.median(one[key] for one in ones) for key in (*_SECONDS, "mb")}
        for name, ones in told.items()
        if ones
    }
    base = middle.get(_OURS[0]) or next(iter(middle.values()))
    table = [
        [
            name,
            one["cpu"],
            one["system"],
            one["wall"],
            one["mb"],
            one["cpu"] / rows * 1e9,
            one["cpu"] / base["cpu"],
            one["wall"] / base["wall"],
        ]
        for name, one in middle.items()
    ]
    columns = ["engine", "cpu s", "of it system", "wall s", "peak MB", "cpu ns/bar", "cpu ratio", "wall ratio"]
    meter.print_table(f"24 columns of {rows:,} bars, medians; ratios to {_OURS[0]}", columns, table)
    for name, what in said.items():
        print(f"{name}: {what}")


if __name__ == "__main__":
    main()
