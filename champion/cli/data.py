"""Commands for the lake and the warehouse."""

from __future__ import annotations

from typing import Annotated

import typer

from champion import contracts
from champion.cli import console
from champion.cli.console import AsJson
from champion.errors import LakeError
from champion.lake import Lake

lake_app = typer.Typer(help="The Parquet lake.", no_args_is_help=True)
warehouse_app = typer.Typer(help="The ClickHouse warehouse.", no_args_is_help=True)


@lake_app.command("ls")
def list_datasets(*, as_json: AsJson = False) -> None:
    """List the datasets with their sessions and rows.

    Example: champion lake ls
    """
    from champion.pipeline.status import datasets  # noqa: PLC0415

    found = datasets(Lake(console.settings().lake))
    if as_json:
        console.show({d.name: {"sessions": d.sessions, "rows": d.rows} for d in found}, as_json=True)
        return
    columns = ["dataset", "sessions", "first", "last", "rows"]
    console.table("Lake", columns, [[d.name, d.sessions, d.first, d.last, d.rows] for d in found])


@lake_app.command()
def verify(*, as_json: AsJson = False) -> None:
    """Recompute every hash and row count; exit 1 where something is damaged.

    Example: champion lake verify
    """
    lake = Lake(console.settings().lake)
    damaged = {str(d.path): d.reason for name in contracts.names() for d in lake.verify(name)}
    if damaged:
        shown = "; ".join(f"{path}: {reason}" for path, reason in list(damaged.items())[:5])
        raise LakeError(
            f"{len(damaged)} damaged file(s): {shown}. Delete their folders, then `champion backfill` their sessions"
        )
    console.show({"damaged": 0, "sessions": {n: len(lake.sessions(n)) for n in contracts.names()}}, as_json=as_json)


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
