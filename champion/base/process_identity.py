"""Identify a process despite PID reuse and clock changes."""

import os
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import psutil

_PROC = Path("/proc")
_AGAIN, _STARTS_WITHIN = 0.01, 2.0  # seconds
_STARTED = 18  # index, after the state, in /proc/PID/stat: see proc(5)


def process_token(pid: int | None = None) -> str | None:
    """Return a token that no other process of this machine has, even with the same PID; None if the process has ended.

    `pid` None means this process. On Linux the token is the boot's id and the clock ticks between boot and start. A
    start time is not sufficient: it is computed from the clock, and changes when the clock is set. A zombie has ended.

    >>> process_token() == process_token(os.getpid())
    True
    >>> process_token(2**22 + 1) is None  # larger than any PID
    True
    """
    pid = os.getpid() if pid is None else pid
    try:
        if sys.platform != "linux":
            process = psutil.Process(pid)
            return None if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError, psutil.NoSuchProcess):
        return None
    state, *fields = text.rpartition(")")[2].split()  # a name may hold spaces and brackets
    return None if state == "Z" else f"{_boot()} {fields[_STARTED]}"


@cache
def _boot() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def environment(pid: int) -> Mapping[str, str]:
    """Return the environment that a process was started with; empty if it has ended or belongs to another account.

    A process that is being started has no environment for a moment; this waits for it. Kernel threads, and processes
    started without variables, never have one.

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
