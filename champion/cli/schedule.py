"""Commands for schedules of notebooks: add, list, pause, resume, remove."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typing_extensions import override

from champion.cli.terminal import completion, console
from champion.cli.terminal.console import AsJson


class _ByName(TyperGroup):
    """A group that takes a notebook's name for `add`: `champion schedule watchlist --cron ...`."""

    @override
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = not args or args[0] in self.commands or args[0].startswith("-")
        return super().resolve_command(ctx, args if known else ["add", *args])


app = typer.Typer(help="Notebooks that run on a schedule.", no_args_is_help=True, cls=_ByName)
Name = Annotated[str, typer.Argument(help="Name of the schedule: that of its notebook, or the one given by --as.")]


@app.command("add")
def add(
    notebook: Annotated[str, typer.Argument(autocompletion=completion.notebooks, help="Notebook, such as watchlist.")],
    cron: Annotated[str, typer.Option(help="Minute, hour, day of month, month, day of week; India's time.")] = "",
    after: Annotated[str, typer.Option(help="Run after each run of this command instead: daily.")] = "",
    param: Annotated[list[str] | None, typer.Option("--param", "-p", help="name=value; may be repeated.")] = None,
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
    console.out.print(
        f"{chosen}: {notebook} runs {f'after {after}' if after else f'at {cron} ({schedules.TIMEZONE})'} while "
        "`champion serve` runs",
        soft_wrap=True,
    )


@app.command("list")
def list_schedules(*, as_json: AsJson = False) -> None:
    """List the scheduled notebooks, with their next run and the state of the last one.

    Example: champion schedule list
    """
    from champion.runner import notebook  # noqa: PLC0415
    from champion.services import prefect, schedules  # noqa: PLC0415

    settings = console.settings()
    found = schedules.found(settings, prefect.ensure(settings, note=console.note))
    known = set(notebook.names(settings.notebooks))
    if as_json:
        console.show({"schedules": [asdict(one) for one in found]}, as_json=True)
        return
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


@app.command("pause")
def pause(name: Name) -> None:
    """Pause a schedule; its runs that already began go on.

    Example: champion schedule pause watchlist
    """
    _set_paused(name, paused=True)


@app.command("resume")
def resume(name: Name) -> None:
    """Resume a paused schedule.

    Example: champion schedule resume watchlist
    """
    _set_paused(name, paused=False)


@app.command("remove")
def remove(name: Name) -> None:
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
