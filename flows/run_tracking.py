"""A flow's own entry in the ledger: one MLflow run, closed with the flow's outcome, and a page about it in Prefect."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger
from prefect.runtime import flow_run, task_run

from champion.settings import Settings
from champion.tracking import run_spool
from flows import configuration, summary


@dataclass(slots=True)
class Recording:
    """What a running flow says of itself: `result` for its page, `metrics` and, where it ends well, `outcome`."""

    run_id: str
    artifacts: Path
    result: Mapping[str, Any] = field(default_factory=dict)
    outcome: str = "succeeded"
    metrics: dict[str, float] = field(default_factory=dict)

    def kept(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return the result, which now also stands on the flow's page."""
        self.result = result
        return result

    def attach(self, folder: Path, place: str) -> None:
        """Keep the files of a folder as artifacts of the run, also where MLflow takes them later only."""
        shutil.copytree(folder, self.artifacts / place, dirs_exist_ok=True)


@contextmanager
def recorded(
    experiment: str, name: str, parameters: Mapping[str, Any], sla_seconds: float | None = None
) -> Iterator[Recording]:
    """Yield an MLflow run that stands for the flow; it closes with the flow's own outcome and its seconds.

    Where there is an SLA, the tag `champion.sla` says whether it was 'met' or 'missed'.
    """
    configuration.apply()
    settings, began = Settings(), time.monotonic()
    given = {key: str(value) for key, value in parameters.items()}
    entry = run_spool.begin(settings, experiment, name, parameters=given, tags=prefect_ids())
    recording = Recording(entry.known_as, entry.artifacts)
    outcome, stop = "failed", ""
    try:
        yield recording
        outcome = recording.outcome
    except Exception as error:
        stop = f"{type(error).__name__}: {error}"
        outcome = recording.outcome if recording.outcome != "succeeded" else "failed"
        raise
    except asyncio.CancelledError:  # how Prefect ends a flow whose time is over
        outcome, stop = "timed_out", "the flow's time was over"
        raise
    except BaseException as signal:  # Ctrl-C, SIGTERM, Prefect's own: somebody stopped it
        outcome, stop = "cancelled", type(signal).__name__
        raise
    finally:
        seconds = time.monotonic() - began
        sla = {} if sla_seconds is None else {"champion.sla": "met" if seconds <= sla_seconds else "missed"}
        run_spool.end(settings, entry, run_spool.End(outcome, {**recording.metrics, "flow_seconds": seconds}, sla))
        if outcome != "cancelled":  # its time is short, and its page would come after Prefect has closed the run
            page = summary.markdown(name, outcome, seconds, recording.result, stop, recording.run_id)
            _show(experiment, name, outcome, page)


def _show(experiment: str, name: str, outcome: str, page: str) -> None:
    try:
        create_markdown_artifact(page, key=experiment, description=f"{name}: {outcome}")
    except Exception:  # noqa: BLE001 - a page that could not be made does not change what happened
        get_run_logger().exception("%s: %s, but its page could not be made", name, outcome)


def prefect_ids() -> dict[str, str]:
    """Return the tags that lead from a ledger entry to the flow and task run it was made by."""
    found = {
        "prefect.flow_run_id": flow_run.id,
        "prefect.flow_name": flow_run.flow_name,
        "prefect.task_run_id": task_run.id,
    }
    return {name: str(value) for name, value in found.items() if value}
