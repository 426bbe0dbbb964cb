"""Commands for the warehouse."""

from __future__ import annotations

from typing import Annotated

import typer

from champion.cli import console
from champion.cli.console import AsJson

warehouse_app = typer.Typer(help="The ClickHouse warehouse.", no_args_is_help=True)


@warehouse_app.command()
def migrate(*, as_json: AsJson = False) -> None:
    """Apply pending migrations.

    Example: champion warehouse migrate
    """
    from champion.warehouse import client, migrations  # noqa: PLC0415

    with client.writer(console.settings()) as engine:
        done = [str(migration) for migration in migrations.migrate(engine)]
    console.show({"applied": done}, as_json=as_json)


@warehouse_app.command()
def load(
    start: Annotated[str, typer.Argument(help="First date.")],
    end: Annotated[str, typer.Argument(help="Last date, included.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Bring the warehouse in step with the lake, month by month; months that are alike are skipped.

    Example: champion warehouse load 2024-01-01 2024-12-31
    """
    from champion.pipeline.load import load as load_range  # noqa: PLC0415

    with console.progress_bar(hidden=as_json) as tell:
        results = load_range(console.settings(), console.day(start), console.day(end), progress=tell)
    loaded: dict[str, dict[str, int]] = {}
    for result in results:
        entry = loaded.setdefault(result.table, {"rows": 0, "months": 0, "skipped": 0})
        entry["rows"] += result.rows
        entry["months"] += 1
        entry["skipped"] += int(result.skipped)
    console.show(loaded, as_json=as_json)
