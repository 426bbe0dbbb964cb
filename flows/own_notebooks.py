"""The flow of scheduled notebooks: `champion schedule` makes one deployment of it per schedule."""

from collections.abc import Mapping
from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from champion.pipeline.models import notebook_data
from champion.runner import run_notebook
from champion.settings import Settings
from flows import notebook_progress
from flows.notebook_progress import NotebookProgress
from flows.notifications import HOOKS
from flows.policy import LONG_SECONDS
from flows.run_tracking import prefect_ids, record_flow


def _name() -> str:
    return f"notebook {(flow_run.parameters or {}).get('notebook')}"


@flow(name="scheduled_notebook", flow_run_name=_name, timeout_seconds=LONG_SECONDS, **HOOKS)
def scheduled_notebook(notebook: str, values: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run a notebook under supervision, with parameters as texts like those of a command line.

    Raises:
        NotebookError: there is no such notebook, or it failed.
        ParameterError: the parameters do not fit the notebook any more.
    """
    given = dict(values or {})
    with record_flow("scheduled-notebooks", notebook, {"notebook": notebook, **given}) as recording:
        settings = Settings()
        execution = run_notebook(
            settings,
            notebook_data.request(
                settings,
                notebook,
                given,
                parent_run_id=recording.run_id,
                tags=prefect_ids(),
                on_progress=NotebookProgress(notebook, notebook_progress.current()),
            ),
        )
        found = {"outcome": execution.outcome.value, "reason": execution.reason, "run": execution.run_id}
        return recording.keep_result({"notebook": notebook, **given, **found, **execution.metrics})
