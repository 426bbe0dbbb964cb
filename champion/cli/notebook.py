"""Commands for notebooks and their runs (list, new, run, show, diff, prune, open) and for their schedules."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup
from typing_extensions import override

from champion.cli.terminal import completion, console
from champion.cli.terminal.console import AsJson, Force

if TYPE_CHECKING:
    from champion.runner.run_detail import RunDetail
    from champion.runner.run_diff import RunDiff


class _ByName(TyperGroup):
    """A group that takes a notebook's name for `add`: `champion schedule watchlist --cron ...`."""

    @override
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = not args or args[0] in self.commands or args[0].startswith("-")
        return super().resolve_command(ctx, args if known else ["add", *args])


app = typer.Typer(help="Notebooks, their runs and their records.", no_args_is_help=True)
schedule_app = typer.Typer(help="Notebooks that run on a schedule.", no_args_is_help=True, cls=_ByName)
Parameter = Annotated[list[str] | None, typer.Option("--param", "-p", help="name=value; may be repeated.")]
Scheduled = Annotated[str, typer.Argument(help="Name of the schedule: that of its notebook, or the one given by --as.")]
Run = Annotated[str, typer.Argument(help="Run id, or its first characters.")]
Reads = Annotated[list[str] | None, typer.Option(help="Dataset that the notebook reads; may be repeated.")]
Writes = Annotated[list[str] | None, typer.Option(help="Dataset that the notebook writes; may be repeated.")]
_SHORT = 8  # characters of a run id that are printed


@app.command("list")
def list_runs(
    name: Annotated[str | None, typer.Argument(help="Only runs of this notebook or flow, such as features.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Number of runs, newest first.")] = 20,
    *,
    as_json: AsJson = False,
) -> None:
    """List the latest runs, and the available notebooks.

    Example: champion notebook list features
    """
    from champion.pipeline.operations.status import last_runs  # noqa: PLC0415
    from champion.runner import notebook, repair  # noqa: PLC0415
    from champion.tracking import run_spool  # noqa: PLC0415

    settings = console.settings()
    repair(settings)
    ended = [(entry, run_spool.ended(entry)) for entry in run_spool.entries(settings)]
    waiting = [
        {"run": entry.name, "outcome": how.outcome, "id": entry.known_as, "folder": str(entry.folder)}
        for entry, how in ended
        if how is not None
    ]
    found = last_runs(settings, limit, name) if not waiting or run_spool.answers(settings) else []
    if as_json:
        runs = [{"run": r.run_id, "name": r.name, "outcome": r.outcome, "seconds": r.seconds} for r in found]
        console.show({"notebooks": notebook.names(settings.notebooks), "runs": runs, "waiting": waiting}, as_json=True)
        return
    console.out.print("notebooks:", ", ".join(notebook.names(settings.notebooks)))
    columns = ["started (IST)", "run", "outcome", "seconds", "id"]
    console.table("Runs", columns, [[r.started, r.name, r.outcome, r.seconds, r.run_id[:_SHORT]] for r in found])
    if waiting:
        rows = [list(entry.values()) for entry in waiting]
        console.table("Not in MLflow yet", ["run", "outcome", "id", "folder"], rows)


@app.command("new")
def new(
    name: Annotated[
        str, typer.Argument(help="Name of the notebook: letters, digits, `-`, `_`, `.`, `/` for a folder.")
    ],
    source: Annotated[
        str, typer.Option("--from", autocompletion=completion.notebooks, help="Notebook to begin with.")
    ] = "explore/watchlist",
) -> None:
    """Begin a notebook of your own in the workspace, from a template with typed parameters.

    It runs by its name: `champion notebook run NAME`, `champion schedule NAME`.

    Example: champion notebook new momentum --from explore/instrument
    """
    from champion.pipeline.operations import own_notebooks  # noqa: PLC0415

    path = own_notebooks.create(console.settings(), name, source)
    console.out.print(f"{path}\n`champion lab` opens it; `champion notebook run {name}` runs it", soft_wrap=True)


@app.command("run")
def run_one(
    name: Annotated[
        str, typer.Argument(autocompletion=completion.notebooks, help="Notebook, such as ingest, or a path.")
    ],
    param: Parameter = None,
    reads: Reads = None,
    writes: Writes = None,
    timeout: Annotated[int | None, typer.Option(min=1, help="Time limit of the whole notebook, in seconds.")] = None,
    memory: Annotated[int | None, typer.Option(min=1, help="Memory limit of the kernel, in MiB.")] = None,
    *,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Run one notebook under supervision and record it, without a flow.

    Example: champion notebook run quality -p start=2024-01-01 -p end=2024-01-31
    """
    from champion.lake import Lake  # noqa: PLC0415
    from champion.pipeline.models import notebook_data  # noqa: PLC0415
    from champion.runner import run_notebook  # noqa: PLC0415

    settings = console.settings()
    request = notebook_data.request(settings, name, console.assigned(param or []), timeout=timeout, memory=memory)
    if reads or writes:  # the data that a user names count instead of those that are known for the notebook
        lake = Lake(settings.lake)
        request = replace(
            request,
            inputs={dataset: lake.digest(dataset) for dataset in reads} if reads else None,
            outputs=(lambda: {dataset: lake.digest(dataset) for dataset in writes}) if writes else None,
        )
    with console.progress_bar(hidden=as_json) as progress:
        execution = run_notebook(settings, replace(request, force=force, on_progress=progress))
    head = {"outcome": execution.outcome.value, "reason": execution.reason, "run": execution.run_id}
    console.show({**head, "seconds": execution.seconds, "saved": execution.saved, **execution.metrics}, as_json=as_json)


@app.command("show")
def show_run(run: Run, *, as_json: AsJson = False) -> None:
    """Show one run: outcome, reason, parameters, inputs, outputs, cells, and the path of its notebook.

    Example: champion notebook show 0123456789abcdef
    """
    detail = _detail(run)
    summary = _summary(detail)
    if as_json:
        cells = [{"cell": c.number, "title": c.title, "status": c.status, "seconds": c.seconds} for c in detail.cells]
        console.show({**summary, "cells": cells, "traceback": detail.traceback}, as_json=True)
        return
    console.show(summary, as_json=False)
    rows = [[c.number, c.title, c.status, c.seconds] for c in detail.cells]
    console.table("Cells", ["cell", "heading", "status", "seconds"], rows)
    if detail.traceback:
        console.out.print(console.printable(detail.traceback), soft_wrap=True)


@app.command("diff")
def diff_runs(run: Run, other: Run, *, as_json: AsJson = False) -> None:
    """Compare two runs: parameters, inputs, code, cells, outputs.

    Example: champion notebook diff 0123abcd 4567cdef
    """
    from champion.runner.run_diff import between  # noqa: PLC0415

    first, second = _detail(run), _detail(other)
    difference = between(first, second)
    if as_json:
        console.show({"runs": [first.run.run_id, second.run.run_id], **asdict(difference)}, as_json=True)
    elif difference.is_empty:
        console.out.print("the two runs have the same inputs and the same outputs")
    else:
        _show_difference(difference, first.run.run_id[:_SHORT], second.run.run_id[:_SHORT])


@app.command("prune")
def prune(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove pages and figures of old runs, old reports, and training frames not used since.

    `open` renders a page again from its notebook, and a training builds a frame again. Runs with their parameters,
    metrics, notebooks, tables and models stay. CHAMPION_PAGES_DAYS is the age in days.

    Example: champion notebook prune --dry-run
    """
    from champion.base import clock  # noqa: PLC0415
    from champion.pipeline.maintenance import record_retention  # noqa: PLC0415

    settings, today = console.settings(), clock.today()
    with console.progress_bar(hidden=as_json) as progress:
        old = record_retention.plan(settings, today) if dry_run else record_retention.prune(settings, today, progress)
    counts = record_retention.counts(old)
    console.show({"dry run": dry_run, **counts, "bytes": sum(one.bytes for one in old)}, as_json=as_json)


@app.command("open")
def open_run(
    run: Run, *, browser: Annotated[bool, typer.Option("--browser", help="Also open it in the browser.")] = False
) -> None:
    """Print the location of a run's HTML page; --browser opens it.

    Example: champion notebook open 0123abcd --browser
    """
    import webbrowser  # noqa: PLC0415

    from champion.errors import NotebookError  # noqa: PLC0415
    from champion.runner import run_detail  # noqa: PLC0415

    page = run_detail.page(console.settings(), _detail(run))
    if not page:
        raise NotebookError(f"run {run} has no page: it is a flow run, or its kernel never started; try `show`")
    console.out.print(page, soft_wrap=True)
    if browser:
        webbrowser.open(page if "://" in page else Path(page).as_uri())


def _detail(run: str) -> RunDetail:
    from champion.runner import repair, run_detail  # noqa: PLC0415

    settings = console.settings()
    repair(settings)
    return run_detail.read(settings, run)


def _summary(detail: RunDetail) -> dict[str, Any]:
    run = detail.run
    kept = ("champion.", "prefect.", "mlflow.parentRunId")
    listed = {"champion.inputs", "champion.outputs", "champion.reason", "champion.error", "champion.outcome"}
    return {
        "run": run.run_id,
        "name": run.name,
        "outcome": run.outcome or run.status.lower(),
        "error": detail.error or None,
        "reason": detail.reason or None,
        "started": run.started,
        "ended": run.ended,
        "parameters": run.parameters,
        "inputs": detail.inputs,
        "outputs": detail.outputs,
        "metrics": {name: value for name, value in run.metrics.items() if name != "cell_seconds"},
        "tags": {name: text for name, text in run.tags.items() if name.startswith(kept) and name not in listed},
        "notebook": detail.file(".ipynb"),
        "page": detail.file(".html"),
    }


def _show_difference(found: RunDiff, first: str, second: str) -> None:
    if found.outcome[0] != found.outcome[1]:
        console.table("Outcome", [first, second], [list(found.outcome)])
    parts = {
        "Parameters": found.parameters,
        "Inputs": found.inputs,
        "Notebook and code": found.identity,
        "Packages": found.packages,
        "Outputs": found.outputs,
        "Metrics": found.metrics,
        "Values": found.values,
    }
    for title, pairs in parts.items():
        if pairs:
            console.table(title, ["what", first, second], [[name, *map(_brief, pair)] for name, pair in pairs.items()])
    for title, text in (("Code of the cells", found.cells), ("Output of the cells", found.shown)):
        if text:
            console.out.print(title, style="bold")
            console.out.print(console.printable(text), soft_wrap=True)


def _brief(value: Any) -> Any:
    """Return a value for display: a digest shortened to 12 characters, a date in ISO format."""
    digest = isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")  # noqa: PLR2004
    return f"{value[:12]}…" if digest else value.isoformat() if isinstance(value, date) else value


@schedule_app.command("add")
def add_schedule(
    notebook: Annotated[str, typer.Argument(autocompletion=completion.notebooks, help="Notebook, such as watchlist.")],
    cron: Annotated[str, typer.Option(help="Minute, hour, day of month, month, day of week; India's time.")] = "",
    after: Annotated[str, typer.Option(help="Run after each run of this command instead: daily.")] = "",
    param: Parameter = None,
    name: Annotated[str, typer.Option("--as", help="Name of the schedule; default: the notebook's.")] = "",
) -> None:
    """Run a notebook on a schedule, recorded and notified like every flow, while `champion serve` runs.

    The word `add` may be left out. A schedule of the same name is replaced.

    Example: champion schedule add watchlist --cron "0 19 * * 1-5" -p top=20
    """
    from champion.runner import parameters  # noqa: PLC0415 - keeps the start of other commands fast
    from champion.runner.notebook import find  # noqa: PLC0415
    from champion.services import deployments, prefect, schedules  # noqa: PLC0415

    settings = console.settings()
    book, values = find(notebook, settings.notebooks), console.assigned(param or [])
    parameters.check(book.parameters, parameters.from_text(book.parameters, values), book.name)
    schedules.require_time(cron, after)
    chosen = name or notebook.removesuffix(".ipynb").replace("/", "-")
    api = prefect.ensure(settings, note=console.note)
    deployments.ensure_pool(settings, api)
    schedules.add(settings, api, chosen, notebook, values, cron=cron, after=after)
    when = f"after {after}" if after else f"at {cron} in India"
    console.out.print(f"{chosen}: {notebook} is scheduled {when}; `champion serve` must run then", soft_wrap=True)


@schedule_app.command("list")
def list_schedules(*, as_json: AsJson = False) -> None:
    """List the scheduled notebooks, with their next run and the state of the last one.

    Example: champion schedule list
    """
    from champion.runner import notebook  # noqa: PLC0415
    from champion.services import prefect, schedules  # noqa: PLC0415

    settings = console.settings()
    found = schedules.found(settings, prefect.ensure(settings, note=console.note))
    if as_json:
        console.show({"schedules": [asdict(one) for one in found]}, as_json=True)
        return
    known = set(notebook.names(settings.notebooks))
    rows = [
        [
            one.name,
            one.notebook if one.notebook in known or one.notebook.endswith(".ipynb") else f"{one.notebook} (missing)",
            one.when,
            " ".join(f"{key}={value}" for key, value in one.parameters.items()),
            "paused" if one.is_paused else one.next_run,
            one.last_state,
        ]
        for one in found
    ]
    console.table("Schedules", ["name", "notebook", "when", "parameters", "next run", "last run"], rows)


@schedule_app.command("pause")
def pause_schedule(name: Scheduled) -> None:
    """Pause a schedule; its runs that already began go on.

    Example: champion schedule pause watchlist
    """
    _set_paused(name, paused=True)


@schedule_app.command("resume")
def resume_schedule(name: Scheduled) -> None:
    """Resume a paused schedule.

    Example: champion schedule resume watchlist
    """
    _set_paused(name, paused=False)


@schedule_app.command("remove")
def remove_schedule(name: Scheduled) -> None:
    """Remove a schedule; its notebook and its recorded runs stay.

    Example: champion schedule remove watchlist
    """
    from champion.services import prefect, schedules  # noqa: PLC0415

    settings = console.settings()
    schedules.remove(settings, prefect.ensure(settings, note=console.note), name)
    console.out.print(f"{name} is not scheduled any more")


def _set_paused(name: str, *, paused: bool) -> None:
    from champion.services import prefect, schedules  # noqa: PLC0415

    settings = console.settings()
    schedules.pause(settings, prefect.ensure(settings, note=console.note), name, paused=paused)
    console.out.print(f"{name} is {'paused' if paused else 'active'}")
