"""Record a flow as one MLflow run, closed with the flow's outcome, and as a page in Prefect."""

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
    """The record of a running flow: `result` for its page, its `metrics`, and its `outcome` unless it fails."""

    run_id: str
    artifacts: Path
    result: Mapping[str, Any] = field(default_factory=dict)
    outcome: str = "succeeded"
    metrics: dict[str, float] = field(default_factory=dict)

    def keep_result(self, result: dict[str, Any]) -> dict[str, Any]:
        """Keep the result for the flow's page, and return it."""
        self.result = result
        return result

    def attach(self, folder: Path, place: str) -> None:
        """Keep the files of a folder as artifacts of the run, even if MLflow receives them later."""
        shutil.copytree(folder, self.artifacts / place, dirs_exist_ok=True)


@contextmanager
def record_flow(
    experiment: str, name: str, parameters: Mapping[str, Any], sla_seconds: float | None = None
) -> Iterator[Recording]:
    """Record the flow as an MLflow run, which closes with the flow's outcome and its seconds.

    With an SLA, the tag `champion.sla` is 'met' or 'missed'.
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
    except asyncio.CancelledError:  # how Prefect ends a flow after its time limit
        outcome, stop = "timed_out", "the flow's time limit was over"
        raise
    except BaseException as signal:  # Ctrl-C, SIGTERM, Prefect's own: the flow was stopped
        outcome, stop = "cancelled", type(signal).__name__
        raise
    finally:
        seconds = time.monotonic() - began
        sla = {} if sla_seconds is None else {"champion.sla": "met" if seconds <= sla_seconds else "missed"}
        run_spool.end(settings, entry, run_spool.End(outcome, {**recording.metrics, "flow_seconds": seconds}, sla))
        if outcome != "cancelled":  # there is little time, and Prefect closes the run before the page is ready
            page = summary.markdown(name, outcome, seconds, recording.result, stop, recording.run_id)
            try:
                create_markdown_artifact(page, key=experiment, description=f"{name}: {outcome}")
            except Exception:  # noqa: BLE001 - a missing page does not change the outcome
                get_run_logger().exception("%s: %s, but its page could not be created", name, outcome)


def prefect_ids() -> dict[str, str]:
    """Return the tags that name the flow run and task run of an MLflow run."""
    ids = {"flow_run_id": flow_run.id, "flow_name": flow_run.flow_name, "task_run_id": task_run.id}
    return {f"prefect.{name}": str(value) for name, value in ids.items() if value}
