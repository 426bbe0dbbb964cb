"""What all scripts share: their options, the cost of a call, a command or a server, and tables of figures."""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psutil

if TYPE_CHECKING:  # environments of other libraries import this file without Champion
    from champion.settings import Settings

NSE = "CHAMPION_NSE"
"""The variable that names the folder with a mirror of NSE's archive."""
MIRROR = Path(os.environ.get(NSE) or Path(__file__).resolve().parents[2] / "shared" / "nse")
"""That folder; by default `shared/nse` beside the repository."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall and CPU time of all threads and processes; `peak_mb` is that of the largest process."""

    wall: float = 0.0
    cpu: float = 0.0
    peak_mb: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.wall + other.wall, self.cpu + other.cpu, max(self.peak_mb, other.peak_mb))

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.wall - other.wall, self.cpu - other.cpu, self.peak_mb)


def arguments(doc: str | None, required: Mapping[str, Any] | None = None, **options: Any) -> argparse.Namespace:
    """Return the arguments of a script; `--help` shows its docstring.

    `required` maps positional names, and options that begin with `--`, to their types. An option is given by its
    default, or by its type if it has none. False is a flag, a list takes several values.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, kind in (required or {}).items():
        options_only: dict[str, Any] = {"required": True} if name.startswith("--") else {}
        parser.add_argument(name, type=_reader(kind), **options_only)
    for name, default in options.items():
        flag = f"--{name.replace('_', '-')}"
        if default is False:
            parser.add_argument(flag, action="store_true")
        elif isinstance(default, type):
            parser.add_argument(flag, type=_reader(default))
        elif isinstance(default, list):
            parser.add_argument(flag, type=_reader(type(default[0])), nargs="*", default=default)
        else:
            parser.add_argument(flag, type=_reader(type(default)), default=default, help=f"default: {default}")
    return parser.parse_args()


def _reader(kind: type) -> Callable[[str], Any]:
    return date.fromisoformat if kind is date else kind


def forget_workspace() -> None:
    """Remove all CHAMPION_ variables from this process, so that no real workspace is used."""
    for name in [name for name in os.environ if name.startswith("CHAMPION_")]:
        del os.environ[name]


def write_json(path: Path | None, report: object) -> None:
    """Write a report as JSON, if there is a path."""
    if path:
        path.write_text(json.dumps(report, indent=1, default=asdict), encoding="utf-8")


def read_lines(path: Path | None) -> list[dict[str, Any]]:
    """Return the results that `append_line` stored, one per line; empty if there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path and path.exists() else []


def append_line(path: Path | None, result: object) -> None:
    """Append a result as a line of JSON, if there is a path."""
    if path:
        with path.open("a") as stream:
            stream.write(json.dumps(result, default=asdict) + "\n")


def measured(call: Callable[[], T]) -> tuple[T, Cost]:
    """Return the result of a call, and its cost in this process and in its children that ended."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5", encoding="ascii")  # proc(5): resets the peak to the memory in use now
    wall, cpu = time.perf_counter(), cpu_seconds()
    result = call()
    return result, Cost(time.perf_counter() - wall, cpu_seconds() - cpu, _peak_mb())


class Laps:
    """Splits one call at its progress reports: `laps` holds the cost of each label."""

    def __init__(self) -> None:
        self.laps: dict[str, Cost] = {}
        self._since = (time.perf_counter(), cpu_seconds())

    def lap(self, label: str) -> None:
        """Add the cost since the last lap to a label."""
        now = (time.perf_counter(), cpu_seconds())
        cost = Cost(now[0] - self._since[0], now[1] - self._since[1], _peak_mb())
        self.laps[label] = self.laps.get(label, Cost()) + cost
        self._since = now


def run(command: Sequence[object], variables: Mapping[str, str] | None = None) -> tuple[str, Cost]:
    """Run a program in an empty folder; return its standard output, and its cost with all its children.

    The command begins with the path of the program. `variables` are added to the environment of this process.

    Raises:
        RuntimeError: it failed; the message ends with the end of its standard error.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        words = [str(Path(str(command[0])).absolute()), *(str(word) for word in command[1:])]
        began = time.perf_counter()
        process = subprocess.Popen(words, stdout=out, stderr=err, env=os.environ | (variables or {}), cwd=folder)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:  # interrupted: end the command with its kernels
            _end(process)
            raise
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        printed, errors = (stream.read().decode(errors="replace") for stream in (out, err))
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)}: exit {process.returncode}\n{errors[-3000:]}")
    return printed, Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def json_of(command: Sequence[object], variables: Mapping[str, str] | None = None) -> Any:
    """Return the last line of a command's output, read as JSON."""
    return json.loads(run(command, variables)[0].splitlines()[-1])


def champion(settings: Settings, *words: str, **variables: str) -> tuple[dict[str, Any], Cost]:
    """Run a `champion` command with `--json` on a workspace; return the output and the cost."""
    command = [sys.executable, "-m", "champion", *words, "--json"]
    printed, cost = run(command, {**settings.environment(), **variables})
    return json.loads(printed), cost


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


def machine() -> str:
    """Return the number of cores and the load of this machine, for the head of a table."""
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under a title: names to the left, numbers to the right."""
    texts = [[_text(value) for value in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(columns), *texts]) for i in range(len(columns))]
    print(f"\n{title}")
    for line in [list(columns), ["-" * width for width in widths], *texts]:
        padded = [text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True)]
        print("  ".join([line[0].ljust(widths[0]), *padded]).rstrip(), flush=True)


def _text(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of its children that ended."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _peak_mb() -> float:
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii")) if status.exists() else None
    return (int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024
