"""How long a notebook may take and how much memory its kernel may hold: watched from outside, ended when exceeded.

The memory counted is that of the kernel and all it started, without what lies in files anyway: a Parquet file that is
mapped costs nothing. It is looked at some times a second, so a kernel can be a little beyond when it is ended. A limit
of the system (`ulimit -v`) would be exact, but counts what is reserved, and engines reserve what they never use.
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

_EVERY = 0.1  # seconds
_MIB = 1024 * 1024
_SACRIFICE = "500"  # of 1000: as if it held half of the machine's memory more than it does


class Limits:
    """Watches one kernel while the block runs; `exceeded` is what it was ended for."""

    def __init__(self, kernel: subprocess.Popen[bytes], memory_mib: int | None, seconds: float | None) -> None:
        self.exceeded: tuple[Outcome, str] | None = None
        self._kernel = kernel
        self._memory, self._seconds = memory_mib, seconds
        self._began = time.monotonic()
        self._oom_kills = oom_kills()
        self._done = Event()
        _offer(kernel.pid)
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
        """Whether the system killed something for want of memory since the watch began."""
        return oom_kills() > self._oom_kills

    def _watch(self) -> None:
        while not self._done.wait(_EVERY):
            self.exceeded = self._found()
            if self.exceeded:
                with suppress(ProcessLookupError):
                    os.killpg(self._kernel.pid, signal.SIGKILL)
                return

    def _found(self) -> tuple[Outcome, str] | None:
        if self._seconds and time.monotonic() - self._began > self._seconds:
            return Outcome.TIMED_OUT, f"the notebook ran longer than {self._seconds:g} s"
        if self._memory and (held := memory_mib(self._kernel.pid)) > self._memory:
            return Outcome.OUT_OF_MEMORY, f"the kernel held {held:,.0f} MiB, it may hold {self._memory:,}"
        return None


def _offer(pid: int) -> None:
    """Have the system kill this process first where memory runs out: its supervisor then lives to tell of it."""
    with suppress(OSError):  # gone already, or another system than Linux
        Path(f"/proc/{pid}/oom_score_adj").write_text(_SACRIFICE, encoding="ascii")


def memory_mib(pid: int) -> float:
    """Return the memory that a process and its children hold, without mapped files, in MiB; 0 where it is gone."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with suppress(psutil.Error):
                found = process.memory_info()
                total += found.rss - getattr(found, "shared", 0)  # other systems than Linux do not tell it apart
    return total / _MIB


def oom_kills() -> int:
    """Return how often the system has killed for want of memory since it started; 0 where it does not say."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


_LIMIT = 1024 * 1024  # bytes
_PIECE = 64 * 1024
_NOTICE = b"\n[output cut here: this log keeps 1 MiB]\n"
_LAST_SECONDS = 5.0


@contextmanager
def limited_log(path: Path, limit: int = _LIMIT) -> Iterator[int]:
    """Yield a file descriptor for a process to write to; its first `limit` bytes are in the file afterwards."""
    reading, writing = os.pipe()
    thread = Thread(target=_copy, args=(reading, path, limit), name="kernel log", daemon=True)
    thread.start()
    try:
        yield writing
    finally:
        os.close(writing)
        thread.join(_LAST_SECONDS)  # a process outside the kernel's group may hold the other end longer


def _copy(reading: int, path: Path, limit: int) -> None:
    room = limit
    with os.fdopen(reading, "rb", buffering=0) as source, path.open("wb", buffering=0) as target:
        while piece := source.read(_PIECE):
            if room <= 0:
                continue
            kept = piece[:room]
            room -= len(piece)
            if room <= 0:
                kept = kept[: kept.rfind(b"\n") + 1] + _NOTICE  # at the end of a line: half a secret is not masked
            with suppress(OSError):  # the disk is full: the kernel goes on
                target.write(kept)
