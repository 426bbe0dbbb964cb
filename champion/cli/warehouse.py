"""Commands for the warehouse: migrate, load, backup, restore, access, audit."""

import os
from dataclasses import asdict
from typing import Annotated, cast

import typer

from champion.cli.terminal import console
from champion.cli.terminal.console import AsJson, End, Start

app = typer.Typer(help="The ClickHouse warehouse.", no_args_is_help=True)


@app.command()
def migrate(*, as_json: AsJson = False) -> None:
    """Apply pending migrations.

    Example: champion warehouse migrate
    """
    from champion.warehouse import migrations, writer  # noqa: PLC0415

    with writer(console.settings()) as engine:
        done = [f"{migration.number:04d}_{migration.name}" for migration in migrations.migrate(engine)]
    console.show({"applied": done}, as_json=as_json)


@app.command()
def load(start: Start, end: End, *, as_json: AsJson = False) -> None:
    """Load the lake into the warehouse; months that already equal the lake are skipped.

    Example: champion warehouse load 2024-01-01 2024-12-31
    """
    from champion.pipeline.maintenance.load_warehouse import load as load_range  # noqa: PLC0415

    with console.progress_bar(hidden=as_json) as progress:
        first, last = console.day(start), console.day(end)
        results = load_range(console.settings(), first, last, progress=progress, gated=True)
    loaded: dict[str, dict[str, int]] = {}
    for result in results:
        entry = loaded.setdefault(result.table, {"rows": 0, "months": 0, "skipped": 0})
        entry["rows"] += result.rows
        entry["months"] += 1
        entry["skipped"] += int(result.skipped)
    console.show(loaded, as_json=as_json)


@app.command()
def backup(
    place: Annotated[str, typer.Argument(help="New folder; on a server, for example Disk('backups', 'monday').")],
) -> None:
    """Back up the last committed state of the warehouse; loads and queries may run meanwhile.

    Example: champion warehouse backup backups/2024-06-28
    """
    from champion.warehouse import backup as backups  # noqa: PLC0415

    console.show(asdict(backups.backup(console.settings(), place)), as_json=False)


@app.command()
def restore(place: Annotated[str, typer.Argument(help="Location of the backup.")]) -> None:
    """Verify a backup and replace the warehouse with it; an interruption leaves the warehouse unchanged.

    Example: champion warehouse restore backups/2024-06-28
    """
    from champion.warehouse import backup as backups  # noqa: PLC0415

    console.show(asdict(backups.restore(console.settings(), place)), as_json=False)


@app.command()
def access(
    user: Annotated[str | None, typer.Argument(help="User to create or change; default: only roles.")] = None,
    role: Annotated[str, typer.Option(help="analyst, pipeline_writer or data_admin.")] = "analyst",
) -> None:
    """Create the roles of a shared server, and a user with one of them.

    The password is CHAMPION_USER_PASSWORD; without it, the command asks for one.

    Example: champion warehouse access asha --role analyst
    """
    from pydantic import SecretStr  # noqa: PLC0415

    from champion.warehouse import roles as rights, writer  # noqa: PLC0415

    with writer(console.settings()) as engine:
        rights.apply_access(engine)
        if user is not None:
            password = os.environ.get("CHAMPION_USER_PASSWORD") or typer.prompt(f"Password of {user}", hide_input=True)
            rights.add_user(engine, user, cast("rights.Role", role), SecretStr(password))
    console.show({"roles": "created", "user": user or "none", "role": role if user else "none"}, as_json=False)


@app.command()
def audit(
    days: Annotated[int, typer.Option(help="Number of days.")] = 1,
    rows: Annotated[int, typer.Option(help="Maximum number of statements.")] = 100,
    *,
    as_json: AsJson = False,
) -> None:
    """Show the statements that users sent to a server, newest first.

    Example: champion warehouse audit --days 7 --json
    """
    from champion.warehouse import reader, roles as rights  # noqa: PLC0415

    with reader(console.settings()) as engine:
        found = rights.audit(engine, days, rows)
    if as_json:
        console.out.print_json(found.write_json())
        return
    columns = ["event_time", "user", "outcome", "query_kind", "query_duration_ms", "query"]
    console.table("Statements", columns, [list(row) for row in found.select(columns).iter_rows()])
