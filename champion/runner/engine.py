"""Execute one notebook in one kernel under supervision, with papermill's bookkeeping, and report how it ended.

Differences from papermill's own engine: environment and working directory are set for the kernel only; sockets are
files in a separate folder, so that kernels can run in parallel; the kernel is `sys.executable`, not the machine's
python3; no process of the kernel outlives it.
"""

from __future__ import annotations

import asyncio
import contextvars
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NotebookExecutionManager
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from zmq import RCVHWM
from zmq.asyncio import Context

from champion.base import atomic_files
from champion.kernel.output_limit import MIB, OutputLimit, clean
from champion.runner import notebook as notebooks, process_control
from champion.runner.limits import Limits, limited_log
from champion.runner.outcome import CellError, Outcome, Verdict, stopped
from champion.security.redaction import redact

Progress = Callable[[int, int, str], None]

_KERNEL = "python3"


@dataclass(frozen=True, slots=True)
class Job:
    """A notebook to execute: its file, its parameters, the target file, and the kernel's environment.

    `log` receives the output of the kernel's process outside the notebook: output of native libraries and crash
    messages. `cell_timeout` and `timeout` are seconds for a cell and for the notebook, `memory` is in MiB. `secrets`
    are texts to redact from everything that is kept.
    """

    execution: str
    source: Path
    parameters: Mapping[str, Any]
    target: Path
    log: Path
    workdir: Path
    environment: Mapping[str, str]
    cell_timeout: int
    timeout: int | None = None
    memory: int | None = None
    on_progress: Progress | None = None
    secrets: Sequence[str] = ()


def execute(job: Job) -> Verdict:
    """Run the notebook and return its verdict; it is saved at `job.target` after each step, also after a failure.

    An exception from outside, such as KeyboardInterrupt, is in the verdict, and raised after it is recorded.
    """
    book = load_notebook_node(str(job.source))
    if job.parameters:
        book = parameterize_notebook(book, dict(job.parameters), kernel_name=_KERNEL, language="python")
    book.metadata.papermill.update(input_path=str(job.source), output_path=str(job.target))
    watch = _Watch(book, job)
    # An empty context: jupyter_core keeps its event loop in one, and Prefect copies contexts into its threads.
    return contextvars.Context().run(_supervise, job, watch)


class _Watch(NotebookExecutionManager):  # type: ignore[misc]  # papermill ships no types
    """Papermill's bookkeeping, which also keeps the current cell and its error, and reports progress."""

    def __init__(self, book: Any, job: Job) -> None:
        super().__init__(book, output_path=str(job.target), progress_bar=False)
        self.cell: int | None = None
        self.raised: Any = None
        self._on_progress, self._secrets = job.on_progress, job.secrets
        self._context = contextvars.copy_context()  # the caller's, for logging in the callback
        self._titles = notebooks.titles(book.cells)

    def save(self, **kwargs: Any) -> None:  # noqa: ARG002 - papermill's signature
        """Save in one step: if the process is killed while saving, the last saved state stays."""
        book = notebooks.redacted(self.nb, self._secrets)
        text: str = nbformat.writes(book)  # type: ignore[no-untyped-call]  # half of nbformat is typed
        atomic_files.write_bytes(Path(self.output_path), text.encode())
        self.last_save_time = self.now()

    def cell_start(self, cell: Any, cell_index: int = 0, **kwargs: Any) -> None:
        self.cell = cell_index + 1
        super().cell_start(cell, cell_index, **kwargs)
        self._report(cell_index, done=cell_index)

    def cell_exception(self, cell: Any, cell_index: int = 0, **kwargs: Any) -> None:
        self.raised = kwargs.get("exception")
        super().cell_exception(cell, cell_index, **kwargs)

    def cell_complete(self, cell: Any, cell_index: int = 0, **kwargs: Any) -> None:
        super().cell_complete(cell, cell_index, **kwargs)
        if cell_index + 1 == len(self.nb.cells):
            self._report(cell_index, done=cell_index + 1)

    def _report(self, cell_index: int, done: int) -> None:
        if self._on_progress is not None:
            self._context.run(self._on_progress, done, len(self.nb.cells), self._titles[cell_index])


class _ThisPython(KernelSpecManager):
    """The kernel is the interpreter that runs Champion, with the packages Champion was tested with."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        launcher = ["-m", "champion.base.gc_tuning", "champion.kernel", "-f", "{connection_file}"]
        command = [sys.executable, "-Xfrozen_modules=off", *launcher]
        return KernelSpec(argv=command, name=kernel_name, display_name="Champion", language="python")


class _KernelClient(AsyncKernelClient):
    """A client that queues few messages; the others wait in the kernel, whose memory is limited."""

    def _context_default(self) -> Context:
        context = super()._context_default()
        context.setsockopt(RCVHWM, 16)
        return context


class _Client(PapermillNotebookClient):  # type: ignore[misc]
    """Papermill's client, which keeps the kernel's process to watch it and to read its exit code."""

    job: Job
    output_limit: OutputLimit
    process: subprocess.Popen[bytes] | None = None
    limits: Limits | None = None
    guard: process_control.Guard | None = None
    # The notebook's results are on disk by then. A graceful shutdown takes a second, or the grace period of 2.5 s.
    shutdown_kernel = "immediate"

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        """Process a message within the limit. The kernel limits its own output, but not that of forked processes."""
        kept, notice = self.output_limit.admit(msg["msg_type"], msg["content"], sum(map(len, msg.get("buffers", ()))))
        output = None if kept is None else super().process_message({**msg, "content": kept}, cell, cell_index)
        if notice:
            notice_message = {**msg, "msg_type": "stream", "content": {"name": "stderr", "text": notice}}
            super().process_message(notice_message, cell, cell_index)
        return output

    def start_new_kernel(self, **kwargs: Any) -> None:
        super().start_new_kernel(**kwargs)
        self.process = process = self.km.provisioner.process
        self.guard = process_control.Guard(process)
        self.limits = Limits(process, self.job.memory, self.job.timeout)

    def end(self) -> None:
        """End the kernel and all processes that its cells started."""
        for watcher in (self.limits, self.guard):
            if watcher:
                watcher.end()
        process_control.kill_marked(self.job.execution)


def _supervise(job: Job, watch: _Watch) -> Verdict:
    began = time.monotonic()
    with _event_loop(), tempfile.TemporaryDirectory(prefix="nb-") as sockets, limited_log(job.log) as log:
        client = _client(job, watch, Path(sockets))  # a short path, because a socket's name is limited to 107 bytes
        try:
            watch.notebook_start()
            outcome, error = _outcome(client, job, watch, log)
        except OSError as fault:  # the disk is full, or a system limit was reached
            outcome, error = Outcome.FAILED, CellError(watch.cell, type(fault).__name__, str(fault))
        except BaseException as stop:  # noqa: BLE001 - Ctrl-C, SIGTERM, cancellation by Prefect: the caller raises it again
            return stopped(stop, time.monotonic() - began, watch.cell)
        finally:
            client.end()
            with suppress(OSError):  # the last saved state stays
                watch.notebook_complete()
    return Verdict(outcome, time.monotonic() - began, error)


def _outcome(client: _Client, job: Job, watch: _Watch, log: int) -> tuple[Outcome, CellError | None]:
    try:
        client.execute(env=dict(job.environment), stdout=log, stderr=log, cleanup_kc=True)
    except CellTimeoutError:
        return Outcome.TIMED_OUT, CellError(watch.cell, "CellTimeoutError", f"it ran longer than {job.cell_timeout} s")
    except RuntimeError as stop:
        if watch.cell is not None and not isinstance(stop, DeadKernelError):
            raise
        return _death(client, watch.cell)
    raised = watch.raised
    is_plain_exit = raised is not None and raised.ename == "SystemExit" and raised.evalue in {"", "0", "None"}
    rest = [cell for cell in watch.nb.cells[watch.cell or 0 :] if cell.cell_type == "code"]
    is_last = not any(notebooks.source_of(cell).strip() for cell in rest)
    if raised is None or (is_plain_exit and is_last):
        return Outcome.SUCCEEDED, None
    texts = clean([raised.ename, raised.evalue, re.sub(r"\x1b\[[0-9;]*m", "", raised.traceback)])
    error = CellError(watch.cell, *(redact(text, job.secrets) for text in texts))
    if is_plain_exit:
        error = replace(error, value="the cell ended the notebook by sys.exit() before its last cell")
    out_of_memory = raised.ename.endswith("MemoryError")  # numpy's error has another name
    return Outcome.OUT_OF_MEMORY if out_of_memory else Outcome.FAILED, error


def _death(client: _Client, cell: int | None) -> tuple[Outcome, CellError]:
    """Return why the kernel ended: a limit of Champion, the system's memory, a signal, or its own exit."""
    if client.limits and client.limits.exceeded:
        outcome, reason = client.limits.exceeded
        return outcome, CellError(cell, "MemoryLimit" if outcome is Outcome.OUT_OF_MEMORY else "TimeLimit", reason)
    code = client.process.poll() if client.process is not None else None
    if code is None or code >= 0:
        reason = "the kernel stopped answering" if code is None else f"the kernel exited with code {code}"
        return Outcome.DIED, CellError(cell, "DeadKernelError", reason)
    name = signal.Signals(-code).name
    if name == "SIGKILL" and client.limits and client.limits.killed_by_system:
        return Outcome.OUT_OF_MEMORY, CellError(cell, name, "the system ended the kernel because memory ran out")
    return Outcome.DIED, CellError(cell, name, f"the kernel was killed by {name}")


@contextmanager
def _event_loop() -> Iterator[None]:
    """Use the loop that jupyter_core creates for this context, and close it afterwards to free its files."""
    loop = ensure_event_loop()
    try:
        yield
    finally:
        if not loop.is_running():  # a running loop belongs to the caller
            leftover = asyncio.all_tasks(loop)
            for task in leftover:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*leftover, return_exceptions=True))
            asyncio.set_event_loop(None)
            loop.close()


def _client(job: Job, watch: _Watch, sockets: Path) -> _Client:
    kernel = AsyncKernelManager(
        kernel_name=_KERNEL,
        kernel_spec_manager=_ThisPython(),
        transport="ipc",
        ip=str(sockets / "k"),
        connection_file=str(sockets / "kernel.json"),
        client_factory=_KernelClient,
    )
    client = _Client(
        watch,
        km=kernel,
        kernel_name=_KERNEL,
        timeout=job.cell_timeout,
        startup_timeout=600,  # for hangs only: a kernel that dies ends the wait immediately
        iopub_timeout=60,  # nbclient's 4 s cause false time-outs on a busy machine
        resources={"metadata": {"path": str(job.workdir)}},
    )
    client.job = job
    client.output_limit = OutputLimit(2 * MIB, 16 * MIB, 48 * MIB)  # above the kernel's own limits
    return client
