"""Notifications about flows that fail, crash or are cancelled: to a Prefect block, a webhook, or the log."""

from typing import Any

from prefect.blocks.core import Block
from prefect.logging.loggers import flow_run_logger
from prefect.settings import PREFECT_UI_URL

from champion.errors import ServiceError
from champion.tracking import notify as webhooks, runs
from flows import configuration


def notify(flow: Any, flow_run: Any, state: Any) -> None:
    """Send a notice to the block and the webhook of the settings; if this fails, only log it."""
    if flow_run.parent_task_run_id is not None:
        return  # the calling flow fails too, and sends the notice
    settings = configuration.of_run(flow_run)
    base = PREFECT_UI_URL.value()
    page = f"{base}/runs/flow-run/{flow_run.id}" if base else ""
    subject, body = message(flow.name, flow_run.name, state.name, state.message or "", page)
    try:
        if settings.notify_block:
            block: Any = Block.load(settings.notify_block)
            block.notify(body, subject)
        if settings.notify_url:
            post(settings.notify_url.get_secret_value(), subject, body)
    except Exception:  # noqa: BLE001 - a failed notice does not change the flow's outcome
        flow_run_logger(flow_run, flow).exception("no notice was sent of: %s", subject)


def message(flow: str, run: str, state: str, why: str, page: str) -> tuple[str, str]:
    """Return subject and body of a notice.

    >>> message("train_model", "train logistic", "Failed", "no features", "")
    ('train_model: Failed', 'train logistic: Failed: no features')
    """
    body = f"{run}: {state}: {why}"[:1500].removesuffix(": ")
    return f"{flow}: {state}", f"{body}\n{page}" if page else body


def post(url: str, subject: str, body: str) -> None:
    """Post a notice in the format of Slack and Mattermost.

    Raises:
        ServiceError: the webhook did not accept it; the message gives the reason, and not the address, which is secret.
    """
    if problem := webhooks.post(url, {"text": f"*{subject}*\n{body}"}, seconds=10):
        raise ServiceError(f"the webhook of notices did not accept the message: {problem}")


def close_runs(flow: Any, flow_run: Any, state: Any) -> None:
    """Close the MLflow runs of a cancelled flow as cancelled: a flow that does not stop in time is killed."""
    settings = configuration.of_run(flow_run)
    for run in runs.find_runs(settings, tags={"prefect.flow_run_id": str(flow_run.id)}, status="RUNNING"):
        runs.close_run(settings, run.run_id, "cancelled")
        flow_run_logger(flow_run, flow).info("closed %s in MLflow: %s", run.name, state.name)


HOOKS: dict[str, Any] = {"on_failure": [notify], "on_crashed": [notify], "on_cancellation": [close_runs, notify]}
"""The hooks of every flow of Champion."""
