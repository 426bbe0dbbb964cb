"""Limit a notebook's time and its kernel's memory, watched from outside.

The memory is that of the kernel and its children, without mapped files: a mapped Parquet file costs nothing. It is
measured ten times a second, so a kernel can exceed the limit for a moment. A limit of the system (`ulimit -v`) would be
exact, but counts reserved memory, and engines reserve memory that they never use.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import psutil

from champion.runner.outcome import Outcome

_MIB = 1024 * 1024


class Limits:
    """Watches one kernel until `end`; `exceeded` is the limit for which it was killed."""

    def __init__(self, kernel: subprocess.Popen[bytes], memory_mib: int | None, seconds: float | None) -> None:
        self.exceeded: tuple[Outcome, str] | None = None
        self._kernel = kernel
        self._memory, self._seconds = memory_mib, seconds
        self._began = time.monotonic()
        self._oom_kills = oom_kills()
        self._done = Event()
        # If memory runs out, the system ends the kernel first, and the supervisor can report it: 500 of 1000 is as if
        # it used an additional half of the machine's memory.
        with suppress(OSError):  # it ended already, or the system is not Linux
            Path(f"/proc/{kernel.pid}/oom_score_adj").write_text("500", encoding="ascii")
        self._thread = Thread(target=self._watch, name="notebook limits", daemon=True)
        if memory_mib or seconds:
            self._thread.start()

    def end(self) -> None:
        """Stop watching."""
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def killed_by_system(self) -> bool:
        """Whether the system killed a process because memory ran out, since the watch began."""
        return oom_kills() > self._oom_kills

    def _watch(self) -> None:
        while not self._done.wait(0.1):
            if self._seconds and time.monotonic() - self._began > self._seconds:
                self.exceeded = Outcome.TIMED_OUT, f"the notebook ran longer than {self._seconds:g} s"
            elif self._memory and (held := memory_mib(self._kernel.pid)) > self._memory:
                limit = f"the kernel used {held:,.0f} MiB, the limit is {self._memory:,}"
                self.exceeded = Outcome.OUT_OF_MEMORY, limit
            if self.exceeded:
                with suppress(ProcessLookupError):
                    os.killpg(self._kernel.pid, signal.SIGKILL)
                return


def memory_mib(pid: int) -> float:
    """Return the memory of a process and its children, without mapped files, in MiB; 0 if it ended."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with suppress(psutil.Error):
                memory = process.memory_info()
                total += memory.rss - getattr(memory, "shared", 0)  # known on Linux only
    return total / _MIB


def oom_kills() -> int:
    """Return how many processes the system has killed for lack of memory since boot; 0 if unknown."""
    with suppress(OSError):
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
    return 0


@contextmanager
def limited_log(path: Path, limit: int = _MIB) -> Iterator[int]:
    """Yield a file descriptor for a process to write to; the file receives the first `limit` bytes."""
    reading, writing = os.pipe()
    thread = Thread(target=_copy, args=(reading, path, limit), name="kernel log", daemon=True)
    thread.start()
    try:
        yield writing
    finally:
        os.close(writing)
        thread.join(5)  # a process outside the kernel's group may keep the other end open


def _copy(reading: int, path: Path, room: int) -> None:
    with os.fdopen(reading, "rb", buffering=0) as source, path.open("wb", buffering=0) as target:
        while piece := source.read(64 * 1024):
            if room <= 0:
                continue
            kept = piece[:room]
            room -= len(piece)
            if room <= 0:
                # At the end of a line: half a secret would not be redacted.
                kept = kept[: kept.rfind(b"\n") + 1] + b"\n[output cut here: this log keeps 1 MiB]\n"
            with suppress(OSError):  # the disk is full: the kernel goes on
                target.write(kept)
