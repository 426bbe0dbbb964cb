"""Which process of this machine is which: pids are used again, and clocks are set while processes run."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import psutil

_PROC = Path("/proc")
_AGAIN, _STARTS_WITHIN = 0.01, 2.0  # seconds
_STATE, _STARTED = 0, 19  # of what follows the name in /proc/PID/stat, see proc(5)


def process_token(pid: int | None = None) -> str | None:
    """Return what tells a process (this one) from all that have or had its pid here; None where it is gone.

    On Linux that is the boot, and the clock ticks from there to the start of the process. The time of day at which it
    started would not do: it is worked out from the clock, so it is another one as soon as the clock is set. A process
    that has ended and waits for its parent to notice is gone.

    >>> process_token() == process_token(os.getpid())
    True
    >>> process_token(2**22 + 1) is None  # no pid is as large
    True
    """
    pid = os.getpid() if pid is None else pid
    return _ticks(pid) if sys.platform == "linux" else _moment(pid)


def _ticks(pid: int) -> str | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # a name may hold spaces and brackets
    return None if fields[_STATE] == "Z" else f"{_boot()} {fields[_STARTED]}"


@cache
def _boot() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _moment(pid: int) -> str | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
    except psutil.NoSuchProcess:
        return None


def environment(pid: int) -> Mapping[str, str]:
    """Return the environment that a process was started with; empty if it is gone, or another account's.

    A process that is just being started has none for an instant: that is waited for. One of the system, or one started
    with no variables, never has any.

    >>> environment(os.getpid()) == {}
    False
    """
    try:
        process = psutil.Process(pid)
        while not (found := process.environ()) and 0 <= time.time() - process.create_time() < _STARTS_WITHIN:
            time.sleep(_AGAIN)
    except (psutil.Error, OSError):
        return {}
    return dict(found)
