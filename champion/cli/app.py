"""The `champion` command, and what its exit codes mean: 0 done, 1 failed, 2 wrong usage."""

from __future__ import annotations

import io
import sys
from importlib import metadata
from typing import Annotated

import typer

from champion.cli import (
    actions,
    archive,
    audit,
    inspect,
    lake,
    lineage,
    models,
    notebook,
    quality,
    run,
    schema,
    services,
    warehouse,
)
from champion.cli.terminal import console
from champion.errors import ChampionError, MachineError

app = typer.Typer(
    name="champion",
    help="A notebook-centric research workbench for quants on daily equities. Settings: CHAMPION_* or champion.toml.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"champion {metadata.version('champion')}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_tell_version, help="Say which version this is.")
    ] = False,
) -> None: ...


run.add_to(app)
inspect.add_to(app)
audit.add_to(app)
services.add_to(app)
app.add_typer(models.app, name="models")
app.add_typer(notebook.app, name="notebook")
app.add_typer(lineage.app, name="lineage")
app.add_typer(actions.app, name="actions")
app.add_typer(archive.app, name="archive")
app.add_typer(lake.app, name="lake")
app.add_typer(quality.app, name="quality")
app.add_typer(schema.schema_app, name="schema")
app.add_typer(warehouse.warehouse_app, name="warehouse")


def main() -> None:
    """Run the command line; a deliberate error, or the machine's refusal, is one clear message, not a stack."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what the terminal's encoding has no character for is spelled out
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except ChampionError as error:
        console.complain(error)
        sys.exit(error.exit_code)
    except OSError as error:
        refused = MachineError.of(error)
        console.complain(refused)
        sys.exit(refused.exit_code)
