"""Kills at every commit of the flow and at random instants, of the command alone and of all its processes."""

import random
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.robustness.faulty import trap
from benchmarks.robustness.faulty.cases import Case, Disturbed, place
from benchmarks.robustness.faulty.workspace import Bench, Ended, end_all

_PATIENCE = 300
_CHAIN = 4


def at_commits(commits: list[str]) -> Iterator[Case]:
    """Yield a kill before each commit of the undisturbed run, of the command alone and of all processes in turn.

    Figures and tables of a notebook's page are left out: the result of the notebook is committed after them.
    """
    for number, name in enumerate(commits, start=1):
        whole = number % 2 == 0
        if "/figures/" in name or "/tables/" in name:
            continue
        group = "SIGKILL before a commit"
        yield Case(f"kill before commit {number}", group, partial(_before, number=number, whole=whole), name)


def at_random(seconds: float, dice: random.Random, kills: int) -> Iterator[Case]:
    """Yield chains of kills at random instants of the undisturbed seconds: of a run, and then of its reruns."""
    for number in range(1, kills // _CHAIN + 1):
        instants = [dice.random() * seconds for _ in range(_CHAIN)]
        shown = ", ".join(f"{instant:.0f}" for instant in instants)
        group = "SIGKILL at random instants"
        yield Case(f"kills at random {number}", group, partial(_chain, instants=instants), f"after {shown} s")


def _chain(bench: Bench, instants: list[float]) -> Disturbed:
    found = [_after(bench, instant, whole=number % 2 == 0) for number, instant in enumerate(instants)]
    left = [name for one in found for name in one.left]
    return Disturbed(found[-1].ended, place="; ".join(one.place for one in found), left=left)


def _before(bench: Bench, number: int, *, whole: bool) -> Disturbed:
    command = bench.start(bench.command, **{trap.STOP_AT: str(number)})
    reached = bench.trace.with_name(bench.trace.name + trap.REACHED)
    return _killed(bench, command, reached.exists, whole=whole)


def _after(bench: Bench, seconds: float, *, whole: bool) -> Disturbed:
    bench.trace.unlink(missing_ok=True)
    command = bench.start(bench.command)
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
