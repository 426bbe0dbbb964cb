"""Identify a process despite PID reuse and clock changes."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

import psutil

_PROC = Path("/proc")
_STATE, _STARTED = 0, 19  # indexes of the fields after the name in /proc/PID/stat, see proc(5)


def process_token(pid: int | None = None) -> str | None:
    """Return a text that identifies a process (by default this one) among all that use its PID; None if it ended.

    On Linux it consists of the boot id and the start time in clock ticks since boot. The start time of day would not
    do, because it changes when the clock is set. A zombie process counts as ended.

    >>> process_token() == process_token(os.getpid())
    True
    >>> process_token(2**22 + 1) is None  # larger than any PID
    True
    """
    pid = os.getpid() if pid is None else pid
    return _ticks(pid) if sys.platform == "linux" else _moment(pid)


def _ticks(pid: int) -> str | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # a name may contain spaces and brackets
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
