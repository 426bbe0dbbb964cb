"""Years of a whole market in one backfill: time, memory and files, by the number of years.

`.venv/bin/python benchmarks/robustness/load.py --work FOLDER [--years 1 5 10 20] [--instruments 2500] [--json PATH]`
simulates the archive of the longest range once. `champion backfill` takes its last years, each time into a workspace of
its own, which is deleted afterwards. The memory of the command and of all its processes is sampled four times a second.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter, defaultdict
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import psutil

from benchmarks import meter
from champion.lake import Lake
from champion.runner.process_control import MARK
from champion.services import prefect
from champion.settings import Settings

_LAST_YEAR = 2024
_EVERY = 0.25  # seconds between two samples of memory
_MIB = 2**20


@dataclass
class Peaks:
    """The largest resident memory in MiB: of one process, by its kind, and of all processes together."""

    largest: dict[str, float] = field(default_factory=dict)
    tree: float = 0.0

    def sample(self, root: psutil.Process, settings: Settings, names: dict[int, str]) -> None:
        """Take a sample."""
        total = 0.0
        for process in [root, *root.children(recursive=True)]:
            with suppress(psutil.Error, OSError):
                size = process.memory_info().rss / _MIB
                name = names.setdefault(process.pid, _name(process, root, settings))
                self.largest[name] = max(self.largest.get(name, 0.0), size)
                total += size
        self.tree = max(self.tree, total)


Point = dict[str, Any]  # the cost of one backfill, by name


def main() -> None:
    arguments = meter.arguments(__doc__, {"--work": Path}, years=[1, 5, 10, 20], instruments=2500, json=Path)
    meter.forget_workspace()
    work = arguments.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    archive = work / "archive"
    simulated = _simulate(archive, max(arguments.years), arguments.instruments)
    points = []
    for years in sorted(arguments.years):
        points.append(backfill(work, archive, years))
        show(points, simulated)
        meter.write_json(arguments.json, {"simulate": simulated, "points": points})


def backfill(work: Path, archive: Path, years: int) -> Point:
    """Return the cost of `champion backfill` of the last `years` in an empty workspace."""
    settings = Settings(home=work / "home", archive=str(archive))
    shutil.rmtree(settings.home, ignore_errors=True)
    start, end = date(_LAST_YEAR - years + 1, 1, 1), date(_LAST_YEAR, 12, 31)
    prefect.ensure(settings)
    command = [sys.executable, "-m", "champion", "backfill", str(start), str(end), "--json"]
    peaks, names, began, used = Peaks(), dict[int, str](), time.monotonic(), meter.cpu_seconds()
    environment = {**os.environ, **settings.environment(), "CHAMPION_NOTEBOOK_TIMEOUT": "14400"}
    try:
        with (work / "stderr").open("wb") as errors:
            process = psutil.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=errors, cwd=work)
            while process.poll() is None:
                with suppress(psutil.Error):
                    peaks.sample(psutil.Process(process.pid), settings, names)
                time.sleep(_EVERY)
        wall = time.monotonic() - began
        if process.returncode:
            raise RuntimeError(f"exit {process.returncode}: {(work / 'stderr').read_text()[-1000:]}")
        return _point(settings, years, wall, meter.cpu_seconds() - used, peaks)
    finally:
        prefect.stop(settings)
        shutil.rmtree(settings.home, ignore_errors=True)


def _point(settings: Settings, years: int, wall: float, cpu: float, peaks: Peaks) -> Point:
    lake = Lake(settings.lake)
    files = Counter[str]()
    megabytes = defaultdict[str, float](float)
    for path in settings.home.rglob("*"):
        if path.is_file() and not path.is_symlink():
            place = path.relative_to(settings.home).parts[0]
            files[place] += 1
            megabytes[place] += path.stat().st_size / _MIB
    bars = "normalized_equity_ohlc"
    return {
        "years": years, "sessions": len(lake.sessions(bars)), "bars": lake.rows(bars), "wall": wall, "cpu": cpu,
        "largest_mb": peaks.largest, "tree_mb": peaks.tree, "seconds": _tasks(settings), "files": files,
        "megabytes": megabytes,
    }  # fmt: skip


def _tasks(settings: Settings) -> dict[str, float]:
    """Return the seconds of the flow's tasks by name, from Prefect's database."""
    found = defaultdict[str, float](float)
    with closing(sqlite3.connect(f"file:{settings.prefect_home / 'prefect.db'}?mode=ro", uri=True)) as database:
        for name, began, ended in database.execute("select name, start_time, end_time from task_run"):
            if began and ended:
                seconds = (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()
                found[_task(name)] += seconds
    return dict(found)


def _task(name: str) -> str:
    """Return the name of a task run without its dates and without the suffix that Prefect appends."""
    words = [word for word in name.split() if not word[:1].isdecimal() and word != "to"]
    return " ".join(words) if len(words) > 1 else words[0].partition("-")[0]


def _name(process: psutil.Process, root: psutil.Process, settings: Settings) -> str:
    """Return the kind of a process: the command, the kernel of a notebook, or another one."""
    if process.pid == root.pid:
        return "command"
    entry = process.environ().get(MARK)
    if entry is None:
        return "other"
    begun = settings.runs / entry / "begun.json"
    return f"notebook {json.loads(begun.read_bytes())['name']}"


def _simulate(archive: Path, years: int, instruments: int) -> dict[str, Any]:
    """Simulate the archive of all years, unless it exists; return the cost."""
    span = ["--start", f"{_LAST_YEAR - years + 1}-01-01", "--end", f"{_LAST_YEAR}-12-31"]
    command = [sys.executable, "-m", "champion", "simulate", archive, *span, "--instruments", instruments, "--json"]
    _, cost = meter.run(command)
    return {**asdict(cost), "files": sum(1 for path in archive.rglob("*") if path.is_file())}


def show(points: list[Point], simulated: dict[str, Any]) -> None:
    """Print the points so far as tables."""
    print(", ".join(f"{name} {value:,.0f}" for name, value in simulated.items()))
    columns = ["years", "sessions", "bars", "wall s", "CPU s", "CPU ms a session", "largest MB", "tree MB"]
    rows = [
        [*(p[name] for name in ("years", "sessions", "bars", "wall", "cpu")), 1000 * p["cpu"] / p["sessions"],
         max(p["largest_mb"].values()), p["tree_mb"], p["files"].get("lake", 0), sum(p["megabytes"].values())]
        for p in points
    ]  # fmt: skip
    meter.print_table("Backfills", [*columns, "lake files", "home MB"], rows)
    for title, key in (("Peak MB of a process", "largest_mb"), ("Seconds of tasks", "seconds")):
        names = sorted({name for p in points for name in p[key]})
        table = [[name, *(p[key].get(name) for p in points)] for name in names]
        meter.print_table(title, ["", *(f"{p['years']} years" for p in points)], table)


if __name__ == "__main__":
    main()
