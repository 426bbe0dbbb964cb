"""Commands for notebooks: list what ran, run one, show a run."""

from __future__ import annotations

from typing import Annotated

import typer

from champion.cli import completion, console
from champion.cli.console import AsJson, Force

app = typer.Typer(help="Notebook runs and their record.", no_args_is_help=True)
Parameter = Annotated[list[str] | None, typer.Option("--param", "-p", help="name=value; repeat for more.")]


@app.command("list")
def list_runs(
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20, *, as_json: AsJson = False
) -> None:
    """List the latest recorded runs, and the notebooks there are to run.

    Example: champion notebook list
    """
    from champion.pipeline.status import last_runs  # noqa: PLC0415
    from champion.runner import notebook  # noqa: PLC0415

    found = last_runs(console.settings(), limit)
    if as_json:
        runs = [{"run": r.run_id, "name": r.name, "outcome": r.outcome, "seconds": r.seconds} for r in found]
        console.show({"notebooks": notebook.names(), "runs": runs}, as_json=True)
        return
    console.out.print("notebooks:", ", ".join(notebook.names()))
    columns = ["started (IST)", "run", "outcome", "seconds", "id"]
    console.table("Runs", columns, [[r.started, r.name, r.outcome, r.seconds, r.run_id] for r in found])


@app.command("run")
def run_one(
    name: Annotated[
        str, typer.Argument(autocompletion=completion.notebooks, help="Notebook, as ingest, or the path of one.")
    ],
    param: Parameter = None,
    *,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Run one notebook under supervision and record it, without a flow.

    Example: champion notebook run quality -p start=2024-01-01 -p end=2024-01-31
    """
    from champion.runner import run_notebook  # noqa: PLC0415
    from champion.runner.notebook import find  # noqa: PLC0415
    from champion.runner.parameters import from_text  # noqa: PLC0415

    values = from_text(find(name).parameters, console.assigned(param or []))
    with console.progress_bar(hidden=as_json) as tell:
        execution = run_notebook(console.settings(), name, values, force=force, on_progress=tell)
    console.show(
        {
            "outcome": execution.outcome.value,
            "run": execution.run_id,
            "seconds": execution.seconds,
            "saved": execution.saved,
            **execution.metrics,
        },
        as_json=as_json,
    )


@app.command("show")
def show_run(run: Annotated[str, typer.Argument(help="Run id.")], *, as_json: AsJson = False) -> None:
    """Show one run: outcome, parameters, metrics, and where its notebook is.

    Example: champion notebook show 0123456789abcdef
    """
    from champion.tracking import runs  # noqa: PLC0415

    found = runs.get(console.settings(), run)
    console.show(
        {
            "name": found.name,
            "outcome": found.outcome or found.status.lower(),
            "started": found.started,
            "ended": found.ended,
            "parameters": found.parameters,
            "metrics": found.metrics,
            "tags": {name: text for name, text in found.tags.items() if name.startswith(("champion.", "prefect."))},
            "artifacts": runs.location(found, ""),
        },
        as_json=as_json,
    )
