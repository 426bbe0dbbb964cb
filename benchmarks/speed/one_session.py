"""One new session, from normalized bars in the lake to committed features: carried state against whole histories.

`.venv/bin/python benchmarks/speed/one_session.py LAKE [--set VERSION] [--sessions N] [--repeats N] [--seal]` takes a lake
with normalized bars (and factors, if there are any) of as many years as there are; it is copied, never changed. For
each of the last N sessions, each way runs in a process of its own on a copy that holds the features and the state of
the session before. CPU seconds count all threads; `start` is what Python and its imports cost, and is not in the
others.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from itertools import pairwise
from pathlib import Path

from benchmarks import meter
from champion.lake import Lake
from champion.lake.compaction import seal
from champion.market.actions.adjustment import effective_factors
from champion.pipeline.feature_store.build import build_features
from champion.pipeline.ingest.bars import BARS
from champion.pipeline.ingest.corporate_actions import known_factors

_ONE = """
import json, sys
from datetime import date
from pathlib import Path
from benchmarks import meter
from champion.features import find
from champion.lake import Lake
from champion.pipeline.feature_store.build import build_features
start = meter._cpu()
lake, session, way, chosen = Lake(Path(sys.argv[1])), date.fromisoformat(sys.argv[2]), sys.argv[3], find(sys.argv[4])
built, cost = meter.measured(
    lambda: build_features(lake, session, session, feature_set=chosen, from_state=way == "advanced")
)
assert built.ways == (way,), built.ways
print(json.dumps({"start": start, "cpu": cost.cpu, "wall": cost.wall, "mb": cost.peak_mb, "digest": lake.digest(
    chosen.contract, session, session), "rows": built.totals["rows"]}))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lake", type=Path)
    parser.add_argument("--set", default="v1", help="feature set")
    parser.add_argument("--sessions", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=3, help="of the carried state; whole histories run once")
    parser.add_argument("--seal", action="store_true", help="seal the years that are over, as a lake in use has them")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "lake"
        for name in ("equity_ohlc", "adjustment_factors"):
            if (asked.lake / "normalized" / name).exists():
                shutil.copytree(asked.lake / "normalized" / name, root / "normalized" / name)
        lake = Lake(root)
        sessions = lake.sessions(BARS)
        if asked.seal:
            for year in sorted({session.year for session in sessions})[:-1]:
                seal(lake, BARS, year)
        print(
            f"{len(sessions)} sessions, {lake.rows(BARS):,} bars; load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores"
        )
        _measure(lake, asked.set, sessions[-asked.sessions - 1 :], asked.repeats)


def _measure(lake: Lake, chosen: str, sessions: list[date], repeats: int) -> None:
    build_features(lake, sessions[0], sessions[0], feature_set=chosen)
    factors = effective_factors(known_factors(lake))
    rows: list[list[object]] = []
    told: dict[str, list[dict[str, float]]] = {"advanced": [], "rebuilt": []}
    for before, session in pairwise(sessions):
        taken = {
            way: [_one(lake, chosen, session, way) for _ in range(n)]
            for way, n in (("advanced", repeats), ("rebuilt", 1))
        }
        if len({one["digest"] for ones in taken.values() for one in ones}) != 1:
            raise RuntimeError(f"{session}: the ways differ")
        for way, ones in taken.items():
            told[way] += ones
        moved = factors.filter((factors["ex_date"] > before) & (factors["ex_date"] <= session)).height
        middle = {key: statistics.median(one[key] for one in taken["advanced"]) for key in ("cpu", "wall", "mb")}
        whole = taken["rebuilt"][0]
        counts = [int(whole["rows"]), moved]
        costs = [middle["cpu"], middle["wall"], middle["mb"], whole["cpu"], whole["wall"], whole["mb"]]
        rows.append([str(session), *counts, *costs, whole["cpu"] / middle["cpu"]])
        build_features(lake, session, session, feature_set=chosen)
    columns = ["session", "rows", "actions", "cpu s", "wall s", "MB", "full cpu s", "full wall s", "full MB", "ratio"]
    meter.print_table(f"One new session of {chosen}: carried state, median; and whole histories", columns, rows)
    start = statistics.median(one["start"] for ones in told.values() for one in ones)
    print(f"start of Python and imports: {start:.2f} CPU s")


def _one(lake: Lake, chosen: str, session: date, way: str) -> dict[str, float]:
    """Return the cost of one session in a process of its own, and leave the lake as it was."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "lake"
        shutil.copytree(lake.root, copy, copy_function=os.link)  # committed files are replaced, never edited
        for name in (".locks",):
            shutil.rmtree(copy / name, ignore_errors=True)
        here = str(Path(__file__).resolve().parent)
        paths = os.pathsep.join([here, str(Path(here).parent), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            [sys.executable, "-c", _ONE, str(copy), str(session), way, chosen],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": paths},
        )
        found: dict[str, float] = json.loads(done.stdout)
        return found


if __name__ == "__main__":
    main()
