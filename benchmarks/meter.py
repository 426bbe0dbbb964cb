"""Wall time, CPU time and memory of a call, a command or a server; and tables of them."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall and CPU time, of all threads and processes; `peak_mb` is the largest process's peak memory."""

    wall: float = 0.0
    cpu: float = 0.0
    peak_mb: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.wall + other.wall, self.cpu + other.cpu, max(self.peak_mb, other.peak_mb))

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.wall - other.wall, self.cpu - other.cpu, self.peak_mb)

    def times(self, factor: float) -> Cost:
        """Return this cost so many times over."""
        return Cost(self.wall * factor, self.cpu * factor, self.peak_mb)


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that ended well: its process, its cost with all its children's, when it ended, what it printed."""

    pid: int
    cost: Cost
    ended: float
    printed: str


def measured(call: Callable[[], T]) -> tuple[T, Cost]:
    """Return what the call returns, and its cost in this process and in its children that ended."""
    _forget_peak()
    wall, cpu = time.perf_counter(), _cpu()
    result = call()
    return result, Cost(time.perf_counter() - wall, _cpu() - cpu, _peak_mb())


class Laps:
    """Splits one call at its progress reports: `laps` holds the cost of each label."""

    def __init__(self) -> None:
        self.laps: dict[str, Cost] = {}
        self._since = (time.perf_counter(), _cpu())

    def lap(self, label: str) -> None:
        """Book everything since the last lap under a label."""
        now = (time.perf_counter(), _cpu())
        cost = Cost(now[0] - self._since[0], now[1] - self._since[1], _peak_mb())
        self.laps[label] = self.laps.get(label, Cost()) + cost
        self._since = now


def run(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Finished:
    """Run a command in a folder, with its output in files there.

    Raises:
        RuntimeError: it failed; the message ends with what it said.
    """
    printed, said = folder / "stdout.txt", folder / "stderr.txt"
    with printed.open("wb") as out, said.open("wb") as err:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, env=environment, cwd=folder)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:  # stopped: so is the command, with its kernels
            _end(process)
            raise
    wall, ended = time.perf_counter() - began, time.time()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit {process.returncode}\n{said.read_text()[-2000:]}")
    cost = Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
    return Finished(process.pid, cost, ended, printed.read_text())


def _end(process: subprocess.Popen[bytes]) -> None:
    family = [*psutil.Process(process.pid).children(recursive=True), process]
    for member in family:
        member.terminate()
    process.wait()
    _, stubborn = psutil.wait_procs(family[:-1], timeout=10)
    for member in stubborn:
        member.kill()


def cpu_of(pid: int) -> float:
    """Return the CPU seconds a running process and its children have used so far."""
    process = psutil.Process(pid)
    used = [member.cpu_times() for member in (process, *process.children(recursive=True))]
    return float(sum(times.user + times.system for times in used))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under a title: names to the left, numbers to the right."""
    texts = [[_text(value) for value in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(columns), *texts]) for i in range(len(columns))]
    print(f"\n{title}")
    for line in [list(columns), ["-" * width for width in widths], *texts]:
        padded = [text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True)]
        print("  ".join([line[0].ljust(widths[0]), *padded]).rstrip(), flush=True)


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case float():
            return f"{value:,.2f}"
        case int():
            return f"{value:,}"
        case _:
            return str(value)


def _cpu() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _forget_peak() -> None:
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5", encoding="ascii")  # proc(5): resets the peak to what is in memory now


def _peak_mb() -> float:
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii")) if status.exists() else None
    return (int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024
