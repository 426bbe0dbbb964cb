"""Commands for the lake: ls, verify, seal, metadata, retain, restore, adopt."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Annotated

import typer

from champion import contracts
from champion.base import clock
from champion.base.counting import known_names
from champion.base.progress import Progress
from champion.cli.terminal import completion, console
from champion.cli.terminal.console import AsJson, End, Start
from champion.errors import LakeError, UsageError
from champion.lake import Damage, Lake, index, seal, sweep
from champion.lake.vacuum import GRACE
from champion.pipeline.maintenance import retention

app = typer.Typer(help="The Parquet lake.", no_args_is_help=True)
Dataset = Annotated[
    str | None, typer.Option("--dataset", autocompletion=completion.datasets, help="Dataset; default: all.")
]
Grace = Annotated[float, typer.Option("--grace", min=0, max=86_400, help="Seconds until replaced files are removed.")]
_SHOWN = 5
_MANIFESTS = {"_SUCCESS", "_SEALED"}
_GRACE = GRACE.total_seconds()


@app.command("ls")
def list_datasets(*, as_json: AsJson = False) -> None:
    """List the datasets with their sessions and rows.

    Example: champion lake ls
    """
    from champion.pipeline.operations.status import datasets  # noqa: PLC0415

    found = datasets(_lake())
    if as_json:
        console.show({d.name: {"sessions": d.sessions, "rows": d.rows} for d in found}, as_json=True)
        return
    columns = ["dataset", "sessions", "first", "last", "rows"]
    console.table("Lake", columns, [[d.name, d.sessions, d.first, d.last, d.rows] for d in found])


@app.command()
def verify(*, as_json: AsJson = False) -> None:
    """Verify hash and row count of every file, and compare the layers; exit code 1 if a file is damaged.

    Example: champion lake verify
    """
    from champion.pipeline.operations import consistency  # noqa: PLC0415

    settings, every = console.settings(), contracts.names()
    lake = Lake(settings.lake)
    with console.progress_bar(hidden=as_json) as progress:
        found = [damage for name in _with_progress(every, progress) for damage in lake.verify(name)]
        found += lake.unknown_files()
    if not any(damage.path.name in _MANIFESTS for damage in found):  # comparing layers needs these
        found += consistency.damages(settings, clock.today())
    damaged, harmless = [d for d in found if not d.harmless], [d for d in found if d.harmless]
    if damaged:
        more = f"; and {len(damaged) - _SHOWN} more" if len(damaged) > _SHOWN else ""
        raise LakeError(f"{len(damaged)} damaged: {'; '.join(map(_describe, damaged[:_SHOWN]))}{more}")
    sessions = {name: len(lake.sessions(name)) for name in contracts.names()}
    console.show({"damaged": 0, "notes": [_describe(d) for d in harmless], "sessions": sessions}, as_json=as_json)


@app.command("seal")
def seal_year(
    year: Annotated[int, typer.Argument(help="Closed year.")],
    dataset: Dataset = None,
    grace: Grace = _GRACE,
    *,
    as_json: AsJson = False,
) -> None:
    """Merge the day files of a closed year into one file per dataset, sorted by symbol; digests do not change.

    Example: champion lake seal 2023
    """
    lake, names = _lake(), _names(dataset)
    with console.progress_bar(hidden=as_json) as progress:
        done = [result for name in _with_progress(names, progress) for result in seal(lake, name, year)]
        sweep(lake, names, timedelta(seconds=grace))
        for name in _with_progress(names, progress):
            index(lake, name)
    shown = {
        f"{r.dataset}/{r.group}" if r.group else r.dataset: {
            **{name: getattr(r, name) for name in ("sessions", "rows", "bytes", "bytes_before")},
            "left_by_day": len(r.left),
            "changed": r.changed,
        }
        for r in done
        if r.sessions or r.left
    }
    if not shown:
        raise LakeError(f"sealing {year}: the lake has no session of that year; `champion lake ls` lists its sessions")
    console.show(shown, as_json=as_json)


@app.command()
def metadata(
    dataset: Annotated[
        str | None, typer.Argument(autocompletion=completion.datasets, help="Dataset; default: all.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Write `_metadata` and `_common_metadata` for plain Parquet readers; current files are skipped.

    Example: champion lake metadata normalized_equity_ohlc
    """
    lake = _lake()
    with console.progress_bar(hidden=as_json) as progress:
        named = _with_progress(_names(dataset), progress)
        states = {name: "written" if index(lake, name) else "unchanged" for name in named}
    console.show(states, as_json=as_json)


@app.command()
def retain(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan.")] = False,
    grace: Grace = _GRACE,
    as_json: AsJson = False,
) -> None:
    """Archive and remove partitions older than the retention settings; by default nothing is removed.

    Example: champion lake retain --dry-run
    """
    settings, today = console.settings(), clock.now().date()
    with console.progress_bar(hidden=as_json) as progress:
        if dry_run:
            steps = retention.plan(settings, today)
        else:
            steps = retention.retain(settings, today, timedelta(seconds=grace), progress)
    lines = [[s.name, s.action, len(s.sessions), s.sessions[0], s.sessions[-1], s.bytes, s.why] for s in steps]
    columns = ["dataset", "action", "sessions", "first", "last", "bytes", "why"]
    if as_json:
        rows = [dict(zip(columns, line, strict=True)) for line in lines]
        console.show({"dry_run": dry_run, "steps": rows}, as_json=True)
    elif lines:
        console.table("Plan" if dry_run else "Done", columns, lines)
    else:
        console.show({"to do": "nothing: no partition is older than the retention settings"}, as_json=False)


@app.command()
def restore(start: Start, end: End, dataset: Dataset = None, *, as_json: AsJson = False) -> None:
    """Restore archived sessions; the next `retain` removes them again unless the settings keep more years.

    Example: champion lake restore 2019-01-01 2019-12-31
    """
    names, first, last = _names(dataset), console.day(start), console.day(end)
    back: dict[str, list[date]] = {}
    with console.progress_bar(hidden=as_json) as progress:
        for name in _with_progress(names, progress):
            back |= retention.restore(console.settings(), first, last, [name])
    console.show({name: len(sessions) for name, sessions in back.items()} or {"restored": 0}, as_json=as_json)


@app.command()
def adopt(*, as_json: AsJson = False) -> None:
    """Make this lake the owner of CHAMPION_LAKE_ARCHIVE after its former lake was lost; no data changes.

    Example: champion lake adopt
    """
    console.show({"the archive is now of": retention.adopt(console.settings())}, as_json=as_json)


def _lake() -> Lake:
    return Lake(console.settings().lake)


def _names(dataset: str | None) -> list[str]:
    known = contracts.names()
    if dataset is not None and dataset not in known:
        raise UsageError(f"no dataset {dataset!r}: {known_names(dataset, known)}")
    return known if dataset is None else [dataset]


def _with_progress(names: Sequence[str], progress: Progress) -> Iterator[str]:
    """Yield each name and update the progress bar."""
    for number, name in enumerate(names):
        progress(number, len(names), name)
        yield name


def _describe(damage: Damage) -> str:
    return f"{damage.path}: {damage.reason}. To do: {damage.remedy}"
