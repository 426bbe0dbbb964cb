"""The `champion` command. Exit codes: 0 success, 1 failure, 2 wrong usage."""

import io
import sys
from importlib import import_module, metadata
from typing import Annotated

import typer

from champion.cli import inspect, models, notebook, run, services
from champion.cli.terminal import console
from champion.errors import ChampionError, MachineError

app = typer.Typer(
    name="champion",
    help="A notebook-centric research workbench for quants on daily equities. Settings: CHAMPION_* or champion.toml.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"champion {metadata.version('champion')}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None: ...


for _command in (
    *(run.demo, run.simulate, run.daily, run.backfill, run.features, run.train, run.search, run.score),
    models.portfolio,
    *(inspect.status, inspect.report, inspect.doctor, inspect.sql, inspect.audit, inspect.docs),
    *(services.serve, services.deploy, services.lab, services.ui, services.stop),
):
    app.command()(_command)
for _group in (
    "models",
    "notebook",
    "lineage",
    "actions",
    "lists",
    "archive",
    "lake",
    "quality",
    "schema",
    "warehouse",
):
    app.add_typer(import_module(f"champion.cli.{_group}").app, name=_group)
app.add_typer(notebook.schedule_app, name="schedule")
app.add_typer(models.trials_app, name="trials")


def main() -> None:
    """Run the command line; print a Champion error or an operating-system error as one message, without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # escape characters that the terminal's encoding lacks
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except ChampionError as error:
        console.print_error(error)
        sys.exit(error.exit_code)
    except OSError as error:
        machine_error = MachineError.of(error)
        console.print_error(machine_error)
        sys.exit(machine_error.exit_code)
