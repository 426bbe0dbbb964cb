"""Start the kernel without configuration or start-up files, with limited output and recorded code."""

from __future__ import annotations

import os
import sys
from typing import Any

from champion.kernel import NOTEBOOK_FOLDER, code_record
from champion.kernel.output_limit import OutputLimit


def main() -> None:
    """Run the kernel until it is shut down."""
    if sys.path[0] == "" or os.path.realpath(sys.path[0]) == os.path.realpath(os.curdir):
        del sys.path[0]  # IPython adds the working directory again later
    if (folder := os.environ.get(NOTEBOOK_FOLDER)) and folder not in sys.path:
        sys.path.append(folder)  # last, so that a file beside the notebook cannot replace a library
    _application(code_record.install(os.environ)).launch_instance()


def _application(record: code_record.CodeRecord | None) -> Any:
    """Return the kernel's application class, defined here because ipykernel takes long to import."""
    from ipykernel.kernelapp import IPKernelApp  # noqa: PLC0415
    from jupyter_client.session import Session  # noqa: PLC0415
    from traitlets import default  # noqa: PLC0415
    from zmq import SNDHWM  # noqa: PLC0415

    class LimitedSession(Session):
        """A session that sends only the output within the limit."""

        limit = OutputLimit()

        def send(
            self,
            stream: Any,
            msg_or_type: Any,
            content: Any = None,
            parent: Any = None,
            ident: Any = None,
            buffers: Any = None,
            *rest: Any,
            **named: Any,
        ) -> Any:
            whole = isinstance(msg_or_type, dict)
            kind = msg_or_type["header"]["msg_type"] if whole else msg_or_type
            parts = buffers or (msg_or_type.get("buffers") if whole else None) or ()
            size = sum(memoryview(part).nbytes for part in parts)
            kept, notice = self.limit.admit(kind, (msg_or_type["content"] if whole else content) or {}, size)
            sent = None
            if kept is not None:
                message = {**msg_or_type, "content": kept} if whole else msg_or_type
                body = None if whole else dict(kept)
                sent = super().send(stream, message, body, parent, ident, buffers, *rest, **named)
            if notice:
                cell = msg_or_type.get("parent_header") if whole else parent
                super().send(stream, "stream", {"name": "stderr", "text": notice}, cell, ident)
            return sent

    class IsolatedKernel(IPKernelApp):
        """A kernel that reads no configuration and runs no start-up file."""

        exec_PYTHONSTARTUP = False  # noqa: N815 - IPython's name

        @default("session")
        def _limited_session(self) -> Session:
            return LimitedSession(parent=self)

        def init_iopub(self, context: Any) -> None:
            context.setsockopt(SNDHWM, 0)  # no output is dropped while the supervisor is slower; the limit bounds it
            super().init_iopub(context)  # type: ignore[no-untyped-call]

        def load_config_file(self, *_: Any, **__: Any) -> None:
            """Read no configuration file."""

        def _run_startup_files(self) -> None:
            """Run no start-up file."""

        def init_shell(self) -> None:
            super().init_shell()  # type: ignore[no-untyped-call]
            _replace_exit(self.shell)
            if record is not None and self.shell is not None:
                self.shell.events.register("post_run_cell", lambda *_: record.keep())

    return IsolatedKernel


def _replace_exit(shell: Any) -> None:
    """Make `exit` and `quit` end the notebook, as `sys.exit` does.

    IPython's own versions ask a frontend to stop the kernel. A supervised kernel has no frontend, so the next cells
    would run.
    """
    from IPython.core.autocall import IPyAutocall  # noqa: PLC0415

    class Leave(IPyAutocall):
        rewrite = False

        def __call__(self, status: object = None) -> None:
            raise SystemExit(status)

    leave = Leave(shell)  # type: ignore[no-untyped-call]
    for name in ("exit", "quit"):
        shell.user_ns[name] = shell.user_ns_hidden[name] = leave


if __name__ == "__main__":
    main()
