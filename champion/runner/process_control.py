"""SIGTERM as an exception: who is asked to end gets to end its kernel and to say that it was cancelled."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from champion.base import process_identity


class Terminated(SystemExit):
    """This process was asked to end; its exit code is the one a shell gives to that."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)

    def __str__(self) -> str:
        return "the process that ran the notebook got a SIGTERM"


@contextmanager
def sigterm_as_exception() -> Iterator[None]:
    """Have SIGTERM raise `Terminated` inside, unless somebody, as Prefect does, answers it already."""
    mine = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if mine:
        signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        if mine:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _raise(*_: object) -> None:
    raise Terminated


MARK = "CHAMPION_EXECUTION"  # in the environment of a kernel and of all that its cells start
_SCRIPT = 'read -r _; kill -s KILL -- "-$0"'  # reading ends when the supervisor's end of the pipe is gone


class Guard:
    """A small process that waits for the supervisor to end and then kills the kernel's process group.

    It holds one end of a pipe, the supervisor the other: the system closes that one also when the supervisor is killed.
    """

    def __init__(self, kernel: subprocess.Popen[bytes]) -> None:
        self._kernel = kernel
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, str(kernel.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C in the terminal is the supervisor's to answer
        )

    def end(self) -> None:
        """End the kernel, what its cells started, and the guard itself."""
        self._process.kill()
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()
        with suppress(ProcessLookupError):  # nothing was left
            os.killpg(self._kernel.pid, signal.SIGKILL)
        self._kernel.wait()


def kill_marked(execution: str) -> int:
    """Return how many processes of an execution were left and are killed now: also those that left its group."""
    killed: set[psutil.Process] = set()
    while marked := {one for one in psutil.process_iter() if _mark(one) == execution} - killed:
        for process in marked:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(marked, timeout=10)
        killed |= marked  # one that the system cannot end now is not waited for again
    return len(killed)


def _mark(process: psutil.Process) -> str | None:
    return process_identity.environment(process.pid).get(MARK)
