"""Years of a whole market backfilled in one go: time, memory, files, and how they grow with the years.

python benchmarks/robustness/load.py --work FOLDER [--years 1 5 10 20] [--instruments 2500] [--json PATH]

An archive is simulated once, of the longest range; `champion backfill` takes its last years, each into a workspace of
its own, which is deleted afterwards. Memory is sampled four times a second over the command and all that it starts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
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

from benchmarks.meter import print_table
from champion.lake import Lake
from champion.runner.process_control import MARK
from champion.services import prefect
from champion.settings import Settings

_LAST_YEAR = 2024
_EVERY = 0.25  # seconds between two looks at memory
_MIB = 2**20


@dataclass
class Peaks:
    """The most memory seen, in MiB: resident, of one process by what it was, and of all together."""

    largest: dict[str, float] = field(default_factory=dict)
    tree: float = 0.0

    def look(self, root: psutil.Process, settings: Settings, names: dict[int, str]) -> None:
        """Take a sample."""
        total = 0.0
        for process in [root, *root.children(recursive=True)]:
            with suppress(psutil.Error, OSError):
                size = process.memory_info().rss / _MIB
                name = names.setdefault(process.pid, _name(process, root, settings))
                self.largest[name] = max(self.largest.get(name, 0.0), size)
                total += size
        self.tree = max(self.tree, total)


@dataclass
class Point:
    """What one backfill cost."""

    years: int
    instruments: int
    sessions: int
    bars: int
    wall: float
    cpu: float
    largest_mb: dict[str, float]
    tree_mb: float
    seconds: dict[str, float]
    files: dict[str, int]
    megabytes: dict[str, float]


def main() -> None:
    arguments = _arguments()
    for name in [name for name in os.environ if name.startswith("CHAMPION_")]:
        del os.environ[name]  # nothing may reach a real workspace
    work = arguments.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    archive = work / "archive"
    simulated = _simulate(archive, max(arguments.years), arguments.instruments)
    points = []
    for years in sorted(arguments.years):
        points.append(backfill(work, archive, years, arguments.instruments))
        show(points, simulated)
        if arguments.json:
            arguments.json.write_text(
                json.dumps({"simulate": simulated, "points": [asdict(p) for p in points]}, indent=1)
            )


def backfill(work: Path, archive: Path, years: int, instruments: int) -> Point:
    """Return what `champion backfill` of the last `years` costs, in an empty workspace."""
    settings = Settings(home=work / "home", archive=str(archive))
    shutil.rmtree(settings.home, ignore_errors=True)
    start, end = date(_LAST_YEAR - years + 1, 1, 1), date(_LAST_YEAR, 12, 31)
    prefect.ensure(settings)
    command = [sys.executable, "-m", "champion", "backfill", str(start), str(end), "--json"]
    peaks, names, began, used = Peaks(), dict[int, str](), time.monotonic(), _used()
    environment = {**os.environ, **settings.environment(), "CHAMPION_NOTEBOOK_TIMEOUT": "14400"}
    try:
        with (work / "printed").open("wb") as printed, (work / "said").open("wb") as said:
            process = psutil.Popen(command, env=environment, stdout=printed, stderr=said, cwd=work)
            while process.poll() is None:
                with suppress(psutil.Error):
                    peaks.look(psutil.Process(process.pid), settings, names)
                time.sleep(_EVERY)
        wall = time.monotonic() - began
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)}: exit {process.returncode}: {(work / 'said').read_text()[-1000:]}")
        return _point(settings, years, instruments, wall, _used() - used, peaks)
    finally:
        prefect.stop(settings)
        shutil.rmtree(settings.home, ignore_errors=True)


def _used() -> float:
    """Return the CPU seconds of all commands that have ended, with all that they started."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _point(settings: Settings, years: int, instruments: int, wall: float, cpu: float, peaks: Peaks) -> Point:
    lake = Lake(settings.lake)
    files = Counter[str]()
    megabytes = defaultdict[str, float](float)
    for path in settings.home.rglob("*"):
        if path.is_file() and not path.is_symlink():
            place = path.relative_to(settings.home).parts[0]
            files[place] += 1
            megabytes[place] += path.stat().st_size / _MIB
    bars = "normalized_equity_ohlc"
    return Point(
        years, instruments, len(lake.sessions(bars)), lake.rows(bars), wall, cpu,
        peaks.largest, peaks.tree, _tasks(settings), dict(files), dict(megabytes),
    )  # fmt: skip


def _tasks(settings: Settings) -> dict[str, float]:
    """Return the seconds of the flow's tasks by name, from Prefect's own books."""
    found = defaultdict[str, float](float)
    with closing(sqlite3.connect(f"file:{settings.prefect_home / 'prefect.db'}?mode=ro", uri=True)) as books:
        for name, began, ended in books.execute("select name, start_time, end_time from task_run"):
            if began and ended:
                seconds = (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()
                found[_task(name)] += seconds
    return dict(found)


def _task(name: str) -> str:
    """Return the name of a task run without its dates, and without what Prefect appends to one it named itself."""
    words = [word for word in name.split() if not word[:1].isdecimal() and word != "to"]
    return " ".join(words) if len(words) > 1 else words[0].partition("-")[0]


def _name(process: psutil.Process, root: psutil.Process, settings: Settings) -> str:
    """Return what a process is: the command, or a kernel of a notebook, or something smaller."""
    if process.pid == root.pid:
        return "command"
    entry = process.environ().get(MARK)
    if entry is None:
        return "other"
    begun = settings.runs / entry / "begun.json"
    return f"notebook {json.loads(begun.read_bytes())['name']}"


def _simulate(archive: Path, years: int, instruments: int) -> dict[str, Any]:
    """Simulate the archive of all years, unless it is there; return what it took."""
    span = ["--start", f"{_LAST_YEAR - years + 1}-01-01", "--end", f"{_LAST_YEAR}-12-31"]
    command = [sys.executable, "-m", "champion", "simulate", str(archive), *span, "--instruments", str(instruments)]
    began = time.monotonic()
    subprocess.run([*command, "--json"], check=True, stdout=subprocess.DEVNULL)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "wall": time.monotonic() - began,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss / 1024,
        "files": sum(1 for path in archive.rglob("*") if path.is_file()),
    }


def show(points: list[Point], simulated: dict[str, Any]) -> None:
    """Print the points so far as tables."""
    print(", ".join(f"{name} {value:,.0f}" for name, value in simulated.items()))
    columns = [
        "years",
        "sessions",
        "bars",
        "wall s",
        "CPU s",
        "CPU ms a session",
        "largest MB",
        "tree MB",
        "lake files",
        "home MB",
    ]
    rows = [
        [p.years, p.sessions, p.bars, p.wall, p.cpu, 1000 * p.cpu / p.sessions, max(p.largest_mb.values()), p.tree_mb,
         p.files.get("lake", 0), sum(p.megabytes.values())]
        for p in points
    ]  # fmt: skip
    print_table("Backfills", columns, rows)
    for what, pick in (("Peak MB of a process", "largest_mb"), ("Seconds of tasks", "seconds")):
        names = sorted({name for p in points for name in getattr(p, pick)})
        print_table(what, ["", *(f"{p.years} years" for p in points)],
                    [[name, *(getattr(p, pick).get(name) for p in points)] for name in names])  # fmt: skip


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for archive and workspaces")
    parser.add_argument("--years", type=int, nargs="+", default=[1, 5, 10, 20])
    parser.add_argument("--instruments", type=int, default=2500)
    parser.add_argument("--json", type=Path, help="write the report there too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
