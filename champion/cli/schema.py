"""Commands for data contracts."""

from pathlib import Path
from typing import Annotated

import typer

from champion import contracts, workspace
from champion.base import package_data
from champion.base.atomic_files import write_bytes
from champion.cli.terminal import completion, console
from champion.cli.terminal.console import AsJson
from champion.contracts import compatibility, page, samples
from champion.errors import ContractError, UsageError
from champion.lake import Lake

app = typer.Typer(help="Data contracts.", no_args_is_help=True)


@app.command("show")
def show_contract(
    name: Annotated[
        str | None, typer.Argument(autocompletion=completion.datasets, help="Contract; default: all.")
    ] = None,
    version: Annotated[int | None, typer.Option(help="Major version; default: the latest.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show a contract: versions, fields, types, units, rules.

    Example: champion schema show normalized_equity_ohlc
    """
    if name is None:
        console.show({one: contracts.load(one).doc for one in contracts.names()}, as_json=as_json)
        return
    contract = contracts.load(name, version)
    released = {c.name: c.released for c in compatibility.compare(package_data.folder("schemas"))}
    standing = {"versions": contracts.versions(name), "released": released[f"{name}_v{contract.version}"]}
    if as_json:
        columns = {f.name: {"polars": str(f.types.polars), "clickhouse": f.clickhouse} for f in contract.fields}
        head = {"contract": contract.label, **standing, "key": contract.key, "rules": contract.rules}
        console.show(head | columns, as_json=True)
        return
    console.show(standing, as_json=False)
    rows = [[f.name, f.types.polars, f.clickhouse, f.unit, f.doc] for f in contract.fields]
    console.table(f"{contract.label}: {contract.doc}", ["field", "polars", "clickhouse", "unit", "meaning"], rows)
    console.table("Rules", ["rule", "must not be false"], list(contract.rules.items()))


@app.command()
def check(*, as_json: AsJson = False) -> None:
    """Compare the contracts with their last release; exit code 1 on a breaking change.

    Example: champion schema check
    """
    compared = compatibility.compare(package_data.folder("schemas"))
    if as_json:
        shown = {c.name: {"state": c.state, "released": c.released, "now": c.now} for c in compared}
        console.show(shown, as_json=True)
    else:
        states = [[c.name, c.released, c.now, c.state] for c in compared]
        console.table("Contracts", ["contract", "released", "now", "state"], states)
        rows = [
            [c.name, change.field, change.what, "allowed" if change.allowed else "refused", change.why]
            for c in compared
            for change in c.changes
        ]
        if rows:
            console.table("Changes", ["contract", "field", "change", "verdict", "why"], rows)
    compatibility.refuse_breaking(compared)


@app.command()
def release(*, as_json: AsJson = False) -> None:
    """Release the current contracts; a breaking change is refused.

    Example: champion schema release
    """
    console.show({"released": compatibility.release(package_data.folder("schemas"))}, as_json=as_json)


@app.command()
def sample(name: Annotated[str, typer.Argument(help="Contract.")], *, as_json: AsJson = False) -> None:
    """Store a record of the lake as the contract's sample, if this schema version has none.

    Example: champion schema sample normalized_equity_ohlc
    """
    contract = contracts.load(name)
    file = samples.path(package_data.folder("schemas"), contract)
    if not file.exists():
        lake = Lake(console.settings().lake)
        latest = max(lake.sessions(name), default=None)
        rows = lake.scan(name, latest, latest).head(1).collect()
        if rows.is_empty():
            raise ContractError(f"the lake has no rows of {contract.label}; ingest data, or write {file} manually")
        write_bytes(file, samples.text(rows.row(0, named=True), contract).encode())
    console.show({"sample": file.name}, as_json=as_json)


@app.command()
def draft(
    name: Annotated[
        str, typer.Argument(help="Version of a feature set, or a dataset of daily files, such as index_ohlc.")
    ],
    file: Annotated[Path | None, typer.Argument(help="A published file of the dataset.")] = None,
    session: Annotated[str | None, typer.Argument(help="Session of the file, such as 2024-12-31.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Write the missing contracts, samples and migration that follow from a declaration.

    Of a feature set: its contracts and table. Of a dataset: first the raw and quarantine contracts, for a review of
    types, units and rules; when run again, samples and table.

    Example: champion schema draft index_ohlc ind_close_all.csv 2024-06-03
    """
    from champion.pipeline.maintenance.draft_dataset import (  # noqa: PLC0415 - the other commands need none
        draft_dataset,
        draft_feature_set,
    )

    day = workspace.as_date(session)
    if file is None:
        written = draft_feature_set(name)
    elif day is None:
        raise UsageError(f"the session of the file is missing: champion schema draft {name} {file} 2024-12-31")
    else:
        written = draft_dataset(name, file, day)
    console.show({"written": [path.name for path in written]}, as_json=as_json)


@app.command()
def docs() -> None:
    """Print the page of contracts as Markdown.

    Example: champion schema docs > docs/contracts.md
    """
    typer.echo(page.page(), nl=False)
