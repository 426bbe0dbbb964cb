"""Kills: at every commit of the flow, and at random instants; of the command alone, and of all its processes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator

from faulty import trap
from faulty.cases import Case, Disturbed, place
from faulty.workspace import Bench, Ended, end_all

_PATIENCE = 300


def at_commits(commits: list[str]) -> Iterator[Case]:
    """Yield a kill before each commit that the undisturbed run made, of the command alone and of all by turns.

    Figures and tables of a notebook's page are left out: the notebook's result is committed after them.
    """
    for number, name in enumerate(commits, start=1):
        whole = number % 2 == 0
        if "/figures/" in name or "/tables/" in name:
            continue
        group = "SIGKILL before a commit"
        yield Case(f"kill before commit {number}", group, lambda bench, n=number, w=whole: _before(bench, n, whole=w), name)


def at_random(seconds: float, instants: list[float]) -> Iterator[Case]:
    """Yield a kill at each of these shares of the undisturbed seconds."""
    for number, share in enumerate(instants, start=1):
        whole = number % 2 == 0
        yield Case(
            f"kill at random {number}",
            "SIGKILL at a random instant",
            lambda bench, s=share * seconds, w=whole: _after(bench, s, whole=w),
            f"after {share:.3f} of the run",
        )


def _before(bench: Bench, number: int, *, whole: bool) -> Disturbed:
    command = bench.start(["daily", "2024-08-14"], **{trap.STOP_AT: str(number)})
    reached = bench.trace.with_name(bench.trace.name + trap.REACHED)
    return _killed(bench, command, reached.exists, whole=whole)


def _after(bench: Bench, seconds: float, *, whole: bool) -> Disturbed:
    command = bench.start(["daily", "2024-08-14"])
    instant = time.monotonic() + seconds
    return _killed(bench, command, lambda: time.monotonic() > instant, whole=whole)


def _killed(bench: Bench, command: subprocess.Popen[bytes], now: Callable[[], bool], *, whole: bool) -> Disturbed:
    began = time.monotonic()
    while command.poll() is None and not now() and time.monotonic() < began + _PATIENCE:
        time.sleep(0.01)
    if command.poll() is None:
        end_all(command, whole=whole)
    ended = Ended(command.wait(), bench.last_words(), time.monotonic() - began)
    return Disturbed(ended, place=place(bench), left=bench.left())
