"""How far a notebook is, told to the terminal and to its task run in Prefect: a progress artifact, a line a heading."""

from __future__ import annotations

import time
from typing import Any

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger

from champion.pipeline.progress import Progress

_EVERY = 1.0  # seconds: each telling is a request


class Cells:
    """A progress callback for one notebook: cells done, cells in all, the heading at work.

    A server that does not answer costs a minute of the client's patience: it is told once that it is not told.
    """

    def __init__(self, notebook: str, also: Progress) -> None:
        self._notebook, self._also = notebook, also
        self._artifact: Any = None
        self._told_at = 0.0
        self._heading = ""
        self._deaf = False

    def __call__(self, done: int, total: int, heading: str) -> None:
        """Tell the terminal always, Prefect at most once a second and at the end."""
        self._also(done, total, heading)
        if self._deaf or (done < total and time.monotonic() - self._told_at < _EVERY):
            return
        self._told_at = time.monotonic()
        try:
            self._tell(100.0 * done / total, heading)
        except Exception:  # noqa: BLE001 - what a page shows does not decide how a notebook ends
            self._deaf = True
            get_run_logger().debug("Prefect did not take the progress of %s", self._notebook, exc_info=True)

    def _tell(self, percent: float, heading: str) -> None:
        if heading and heading != self._heading:
            self._heading = heading
            get_run_logger().info("%s: %s", self._notebook, heading)
        if self._artifact is None:
            key = f"notebook-{self._notebook.replace('_', '-').lower()}"
            self._artifact = create_progress_artifact(percent, key=key, description=f"cells of {self._notebook}")
        else:
            update_progress_artifact(self._artifact, percent)
