"""End kernels reliably: SIGTERM as an exception, and a guard process that outlives the supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from champion.base.process_identity import environment


class Terminated(SystemExit):
    """This process received SIGTERM; its exit code is the one that shells use for that."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)

    def __str__(self) -> str:
        return "the process that ran the notebook received SIGTERM"


@contextmanager
def sigterm_as_exception() -> Iterator[None]:
    """Raise `Terminated` on SIGTERM inside the block, unless a handler, as Prefect's, is installed already."""
    is_main = threading.current_thread() is threading.main_thread()
    is_default = is_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if is_default:
        signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        if is_default:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _raise(*_: object) -> None:
    raise Terminated


MARK = "CHAMPION_EXECUTION"  # in the environment of a kernel and all its children


class Guard:
    """A small process that kills the kernel's process group when its supervisor dies.

    It holds one end of a pipe and the supervisor the other, which the system closes even if the supervisor is killed.
    """

    def __init__(self, kernel: subprocess.Popen[bytes]) -> None:
        self._kernel = kernel
        self._process = subprocess.Popen(
            # Reading ends when the supervisor's end of the pipe closes.
            ["/bin/sh", "-c", 'read -r _; kill -s KILL -- "-$0"', str(kernel.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # the supervisor handles a Ctrl-C in the terminal
        )

    def end(self) -> None:
        """End the kernel, its children, and the guard itself."""
        self._process.kill()
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()
        with suppress(ProcessLookupError):  # no process is left
            os.killpg(self._kernel.pid, signal.SIGKILL)
        self._kernel.wait()


def kill_marked(execution: str) -> int:
    """Kill the remaining processes of an execution, also outside its process group, and return their number."""
    killed: set[psutil.Process] = set()
    while marked := {one for one in psutil.process_iter() if environment(one.pid).get(MARK) == execution} - killed:
        for process in marked:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(marked, timeout=10)
        killed |= marked  # one that the system cannot end now is not waited for again
    return len(killed)
