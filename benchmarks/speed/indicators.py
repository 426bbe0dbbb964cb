"""The 24 columns of feature set v1 over many bars: Champion, a TA-Lib loop, polars-talib, pandas-ta.

`.venv/bin/python benchmarks/speed/indicators.py [--instruments N] [--sessions N] [--repeats N] [--peer-python PATH]`
makes the bars in memory, by default 10 million, and runs each engine in its own process, one after another;
medians. CPU seconds count all threads and leave out the making of the bars.

The other libraries are no dependencies: `--peer-python` is the Python of an environment with them (`pip install polars
psutil ta-lib polars-talib pandas-ta-classic`). An engine that cannot be imported there is named. pandas-ta runs on one
in `--slice` instruments, and its times are scaled to all bars. Columns whose mean or number of nulls differs from
Champion's are listed.

NumPy requests huge pages for arrays of 4 MB and more. In fragmented memory the kernel takes seconds to find them, which
is no cost of TA-Lib: its loop also runs without huge pages.
"""

import statistics
import sys
from functools import cache
from math import isclose
from pathlib import Path
from typing import Any

from benchmarks import meter

_SECONDS = ("cpu", "system", "wall")
_OURS = ("champion build", "champion expressions")
_SMALL_PAGES = "TA-Lib loop, small pages"
_SLOW = "pandas-ta"
_ENGINES = [*_OURS, "TA-Lib loop", _SMALL_PAGES, "polars-talib", _SLOW]


def main() -> None:
    """Measure and print."""
    given = meter.arguments(
        __doc__, instruments=2_000, sessions=5_000, slice=10, repeats=3, peer_python=Path(sys.executable),
        engines=_ENGINES,
    )  # fmt: skip
    rows = given.instruments * given.sessions
    print(f"{rows:,} bars of {given.instruments:,} instruments; {meter.machine()}")
    costs: dict[str, list[dict[str, float]]] = {}
    notes: dict[str, str] = {}
    for name in given.engines * given.repeats:
        count = max(2, given.instruments // given.slice) if name == _SLOW else given.instruments
        try:
            answer = _run(sys.executable if name in _OURS else str(given.peer_python), name, count, given.sessions)
        except RuntimeError as error:
            notes[name] = f"did not run: {str(error).strip().splitlines()[-1]}"
            continue
        scale = given.instruments / count
        costs.setdefault(name, []).append({"mb": answer["mb"], **{key: answer[key] * scale for key in _SECONDS}})
        notes[name] = answer["note"] + _differing(answer["columns"], _ours(count, given.sessions))
    _print(costs, rows)
    print("\n".join(f"{name}: {note}" for name, note in notes.items()))


@cache
def _ours(instruments: int, sessions: int) -> dict[str, list[float]]:
    columns: dict[str, list[float]] = _run(sys.executable, _OURS[0], instruments, sessions)["columns"]
    return columns


def _differing(theirs: dict[str, list[float]], ours: dict[str, list[float]]) -> str:
    """Return a note on columns that differ from Champion's; the means of equal columns agree to rounding."""
    wrong = [
        name
        for name, (nulls, mean) in ours.items()
        if name not in theirs
        or theirs[name][0] != nulls
        or not isclose(theirs[name][1], mean, rel_tol=1e-7, abs_tol=1e-6)
    ]
    return f"; not as ours: {', '.join(wrong)}" if wrong else "; all columns as ours"


def _run(python: str, name: str, instruments: int, sessions: int) -> Any:
    """Return the cost and the columns of one engine, from its own process."""
    engines = Path(__file__).with_name("indicators_engines.py")
    variables = {"PYTHONPATH": str(engines.parents[2])}  # another environment has no Champion
    if name == _SMALL_PAGES:
        variables["NUMPY_MADVISE_HUGEPAGE"] = "0"
    return meter.json_of([python, engines, name, instruments, sessions], variables)


def _print(costs: dict[str, list[dict[str, float]]], rows: int) -> None:
    keys = (*_SECONDS, "mb")
    middle = {name: {key: statistics.median(one[key] for one in all_) for key in keys} for name, all_ in costs.items()}
    base = middle.get(_OURS[0]) or next(iter(middle.values()))
    table = [
        [name, *one.values(), one["cpu"] / rows * 1e9, one["cpu"] / base["cpu"], one["wall"] / base["wall"]]
        for name, one in middle.items()
    ]
    columns = ["engine", "cpu s", "of it system", "wall s", "peak MB", "cpu ns/bar", "cpu ratio", "wall ratio"]
    meter.print_table(f"24 columns of {rows:,} bars, medians; ratios to {_OURS[0]}", columns, table)


if __name__ == "__main__":
    main()
