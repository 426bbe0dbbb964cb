"""Runs inside every process of a disturbed command as `sitecustomize`: records each commit, and may stop before one.

A commit is a rename into the workspace: every file that Champion writes appears by a rename. The names of all processes
go into the file `FAULTS_TRACE`, in order. The process stops before the commit number `FAULTS_STOP_AT`: it touches
`FAULTS_TRACE.reached` and waits to be killed. An audit hook observes these calls and changes none of them.
"""

import fcntl
import os
import re
import sys
import time

TRACE, STOP_AT, HOME = "FAULTS_TRACE", "FAULTS_STOP_AT", "FAULTS_HOME"
REACHED = ".reached"
_RUN = re.compile(r"\d{8}T\d{6}-[0-9a-f]{8}|[0-9a-f]{32}")


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event != "os.rename":
        return
    home, target = os.environ[HOME], os.fsdecode(arguments[1])  # type: ignore[arg-type]  # a path
    if not target.startswith(home) or target.endswith(".ipynb"):  # a notebook is saved a dozen times
        return
    trace = os.environ[TRACE]
    number = _append(trace, _RUN.sub("*", target.removeprefix(home).lstrip("/")))
    if number == int(os.environ.get(STOP_AT, "0")):
        with open(trace + REACHED, "w"):  # noqa: PTH123 - what pathlib needs may not be imported yet
            pass
        time.sleep(3600)


def _append(trace: str, line: str) -> int:
    """Add a line; return the number of lines."""
    with open(trace, "a+", encoding="utf-8") as stream:  # noqa: PTH123
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.write(f"{os.getpid()} {line}\n")
        stream.flush()
        stream.seek(0)
        return sum(1 for _ in stream)


if TRACE in os.environ:
    sys.addaudithook(_note)
