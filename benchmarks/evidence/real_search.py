"""A search of 50 recipes over the six real years 2019 to 2024: time, and what the search would have earned.

`CHAMPION_HOME=HOME .venv/bin/python -m benchmarks.evidence.real_search --work FOLDER [--minutes N] [--trainings N]
[--parallel N]` needs bars, features and lists of 2019 to 2024 in the workspace, whose trial ledger counts the recipes:
use a copy. It runs `champion search` with the space below, and stops it after `--minutes`, or when so many
`--trainings` were done. `champion search` resumes what was stopped, so the same command continues until the search is
complete; what a kernel was doing is lost. Each piece adds a line with its CPU seconds to FOLDER/pieces.jsonl.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks import meter
from champion.settings import Settings
from champion.tracking import experiments, runs

SPACE = """
name = "real-2019-2024"
method = "random"
trials = 50
seed = 7
start = 2019-01-01
end = 2024-12-31

[recipe]
universe = "liquid"
target = ["above_median", "rank", "excess", "residual"]
horizon = [5, 20]

[[model]]
name = "logistic"
parameters = {C = {low = 0.001, high = 10.0, scale = "log"}}

[[model]]
name = "ridge"
parameters = {alpha = {low = 10.0, high = 100000.0, scale = "log"}}

[[model]]
name = "hist_gradient_boosting"
parameters = {max_iter = {low = 50, high = 200}, max_leaf_nodes = [7, 15, 31], learning_rate = [0.03, 0.05, 0.1]}

[[model]]
name = "hist_gradient_boosting_regression"
parameters = {max_iter = {low = 50, high = 200}, max_leaf_nodes = [7, 15, 31], learning_rate = [0.03, 0.05, 0.1]}

[[rule]]
top = [30, 50, 100]
every = [5, 20]
"""
_LOOK = 15.0  # seconds between two looks at the recorded runs
_PATIENCE = 120  # seconds that a stopped search gets for its kernels


def done(settings: Settings) -> list[tuple[str, float]]:
    """Return the model and the wall seconds of each training that succeeded."""
    tags = {"champion.notebook": "training", runs.OUTCOME: "succeeded"}
    found = runs.find_runs(settings, [experiments.TRAINING], tags=tags, limit=1000)
    return [(one.parameters["model"], (one.ended - one.started).total_seconds()) for one in found if one.ended]


@contextmanager
def searching(command: list[str], out: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a search, and end it with its kernels."""
    with out.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(_PATIENCE)
                except subprocess.TimeoutExpired:
                    family = psutil.Process(process.pid).children(recursive=True)
                    process.kill()
                    for member in family:
                        member.kill()


def main() -> None:
    given = meter.arguments(__doc__, {"--work": Path}, minutes=110.0, trainings=1000, parallel=1)
    settings = Settings()
    given.work.mkdir(parents=True, exist_ok=True)
    space, printed = given.work / "space.toml", given.work / "search.txt"
    space.write_text(SPACE)
    before, began = len(done(settings)), time.monotonic()
    words = ["search", str(space), "--parallel", str(given.parallel), "--json"]
    with searching([sys.executable, "-m", "champion", *words], printed) as process:
        while process.poll() is None:
            time.sleep(_LOOK)
            minutes = (time.monotonic() - began) / 60
            known = len(done(settings)) - before
            print(f"{minutes:.0f} min, {known} trainings", flush=True)
            if minutes > given.minutes or known >= given.trainings:
                break
        finished = process.poll() == 0
    spent = meter.cpu_seconds()
    found = done(settings)
    piece: dict[str, Any] = {
        "wall": time.monotonic() - began,
        "cpu": spent,
        "trainings": len(found) - before,
        "finished": finished,
        "load": os.getloadavg()[0],
    }
    meter.append_line(given.work / "pieces.jsonl", piece)
    pieces = meter.read_lines(given.work / "pieces.jsonl")
    total = {name: sum(one[name] for one in pieces) for name in ("wall", "cpu", "trainings")}
    print(f"{len(pieces)} pieces, {total['trainings']} trainings, {total['cpu']:,.0f} CPU s, {total['wall']:,.0f} s")
    for model in sorted({name for name, _ in found}):
        times = [seconds for name, seconds in found if name == model]
        print(f"{model:<36}{len(times):>4} trainings, {sum(times) / len(times):>7.0f} s each")
    if finished:
        shown = json.loads(printed.read_text(errors="replace").splitlines()[-1])
        print(json.dumps({name: value for name, value in shown.items() if name != "table"}, indent=1, default=str))


if __name__ == "__main__":
    main()
