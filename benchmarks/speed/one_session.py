"""One new session, from normalized bars to committed features: from carried state and from whole histories.

`.venv/bin/python benchmarks/speed/one_session.py LAKE [--set VERSION] [--sessions N] [--repeats N] [--seal]` copies the
normalized bars and factors of a lake. For each of the last N sessions, each method runs in its own process, on a copy
with the features and the state of the session before. Carried state runs `--repeats` times (medians), whole histories
once. CPU seconds count all threads; `start` is the cost of Python and its imports, which the other columns leave out.
`--seal` seals the years before the last one.
"""

import os
import shutil
import statistics
import sys
import tempfile
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import meter
from champion.contracts.datasets import BARS
from champion.lake import Lake
from champion.lake.compaction import seal
from champion.market.actions.adjustment import effective_factors
from champion.pipeline.feature_store.build import build_features
from champion.pipeline.ingest.corporate_actions import known_factors

_ONE = """
import json, sys
from datetime import date
from pathlib import Path
from benchmarks import meter
from champion.features import find
from champion.lake import Lake
from champion.pipeline.feature_store.build import build_features
start = meter.cpu_seconds()
lake, session, way, chosen = Lake(Path(sys.argv[1])), date.fromisoformat(sys.argv[2]), sys.argv[3], find(sys.argv[4])
built, cost = meter.measured(
    lambda: build_features(lake, session, session, feature_set=chosen, from_state=way == "advanced")
)
assert built.strategies == (way,), built.strategies
print(json.dumps({"start": start, "cpu": cost.cpu, "wall": cost.wall, "mb": cost.peak_mb, "digest": lake.digest(
    chosen.contract, session, session), "rows": built.totals["rows"]}))
"""


def main() -> None:
    """Measure and print."""
    given = meter.arguments(__doc__, {"lake": Path}, set="v1", sessions=6, repeats=3, seal=False)
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder) / "lake")
        for name in ("equity_ohlc", "adjustment_factors"):
            if (given.lake / "normalized" / name).exists():
                shutil.copytree(given.lake / "normalized" / name, lake.root / "normalized" / name)
        sessions = lake.sessions(BARS)
        for year in sorted({session.year for session in sessions})[:-1] if given.seal else ():
            seal(lake, BARS, year)
        print(f"{len(sessions)} sessions, {lake.rows(BARS):,} bars; {meter.machine()}")
        _measure(lake, given.set, sessions[-given.sessions - 1 :], given.repeats)


def _measure(lake: Lake, chosen: str, sessions: list[date], repeats: int) -> None:
    build_features(lake, sessions[0], sessions[0], feature_set=chosen)
    factors = effective_factors(known_factors(lake))
    rows: list[list[object]] = []
    starts: list[float] = []
    for before, session in pairwise(sessions):
        quick = [_one(lake, chosen, session, "advanced") for _ in range(repeats)]
        whole = _one(lake, chosen, session, "rebuilt")
        if {one["digest"] for one in quick} != {whole["digest"]}:
            raise RuntimeError(f"{session}: the two ways give different features")
        starts += [one["start"] for one in (*quick, whole)]
        moved = factors.filter((factors["ex_date"] > before) & (factors["ex_date"] <= session)).height
        middle = [statistics.median(one[key] for one in quick) for key in ("cpu", "wall", "mb")]
        costs = [*middle, whole["cpu"], whole["wall"], whole["mb"], whole["cpu"] / middle[0]]
        rows.append([str(session), int(whole["rows"]), moved, *costs])
        build_features(lake, session, session, feature_set=chosen)
    columns = ["session", "rows", "actions", "cpu s", "wall s", "MB", "full cpu s", "full wall s", "full MB", "ratio"]
    meter.print_table(f"One new session of {chosen}: carried state, median; and whole histories", columns, rows)
    print(f"start of Python and imports: {statistics.median(starts):.2f} CPU s")


def _one(lake: Lake, chosen: str, session: date, way: str) -> Any:
    """Return the cost of one session in its own process, on a copy of the lake."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "lake"
        shutil.copytree(lake.root, copy, copy_function=os.link)  # committed files are replaced, never edited
        shutil.rmtree(copy / ".locks", ignore_errors=True)
        return meter.json_of([sys.executable, "-c", _ONE, copy, session, way, chosen])


if __name__ == "__main__":
    main()
