"""Commands for lists of reference data: show what they cover, fetch them, read them again."""

import getpass
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from champion.base.counting import quantity
from champion.cli.terminal import console
from champion.cli.terminal.console import AsJson
from champion.errors import ArchiveError

app = typer.Typer(help="Lists of reference data: covered dates, refresh.", no_args_is_help=True)


@app.command("ls")
def list_covered(*, as_json: AsJson = False) -> None:
    """List the indices with the dates for which their members are known, and what their lists leave open.

    A hole is a time between two lists in which a review of the index was surely missed: its changes count from the
    later list on. Lists that are not as of their date are set aside, and dated changes that contradict the members are
    not applied. An index with more or fewer companies than its lists has wrong members on these dates. A member without
    an instrument is in no universe: no published list leads from its name to a symbol. Refused files of
    lists, lots and index histories are shown until a readable version replaces them.

    Example: champion lists ls
    """
    from champion.lake import Lake  # noqa: PLC0415
    from champion.market.reference.indices.sizes import summary  # noqa: PLC0415
    from champion.pipeline.reference import membership, refused_lists  # noqa: PLC0415

    settings = console.settings()
    left_open = membership.open_evidence(Lake(settings.lake))
    covered = left_open.covered
    refused = [[path, *why] for path, why in refused_lists.files(settings).items()]
    if as_json:
        shown = {index: [str(first), str(last)] for index, (first, last) in covered.items()}
        frames = {
            name: getattr(left_open, name).to_dicts()
            for name in ("set_aside", "contradictions", "holes", "withdrawn", "sizes", "unresolved")
        }
        files = [dict(zip(("path", "refused_on", "reason"), file, strict=True)) for file in refused]
        console.show({"covered": shown, **frames, "refused": files}, as_json=True)
        return
    if not covered:
        console.out.print("no index list in the lake: put lists into the archive, then run `champion lists refresh`")
        _show_refused(refused)
        return
    holes: dict[str, str] = {}
    counts = Counter(left_open.holes["index_name"])
    for index, after, until in left_open.holes.sort("days").select("index_name", "after", "until").iter_rows():
        holes[index] = f"{counts[index]}, longest {after} to {until}"
    rows = [[index, *dates, holes.get(index, "-")] for index, dates in covered.items()]
    console.table("Indices", ["index", "first", "last", "holes"], rows)
    aside = left_open.set_aside.select("index_name", "list_date", "reason")
    not_applied = left_open.contradictions.select("index_name", "effective", "member", "reason")
    if wrong := summary(left_open.sizes):
        console.table("Wrong numbers of companies", ["index", "members"], [list(each) for each in wrong.items()])
    if unresolved := membership.absent_text(left_open.unresolved):
        console.table("Members without an instrument", ["index", "members"], [list(one) for one in unresolved.items()])
    if aside.height:
        console.table("Lists set aside", ["index", "list of", "reason"], [list(row) for row in aside.rows()])
    if not_applied.height:
        columns = ["index", "date", "member", "reason"]
        console.table("Contradictions", columns, [list(row) for row in not_applied.rows()])
    if left_open.withdrawn.height:
        columns = ["index", "list of", "withdrawn", "by", "reason"]
        gone = left_open.withdrawn.select("index_name", "of_date", "known_at", "who", "reason").iter_rows()
        rows = [[name, of, f"{known_at:%Y-%m-%d}", who, reason] for name, of, known_at, who, reason in gone]
        console.table("Lists withdrawn", columns, rows)
    _show_refused(refused)


def _show_refused(refused: Sequence[Sequence[object]]) -> None:
    for path, day, reason in refused:
        console.out.print(f"refused{f' on {day}' if day else ''}: {path}: {reason}", soft_wrap=True, markup=False)


@app.command()
def refresh(*, as_json: AsJson = False) -> None:
    """Read index lists, register, changes, F&O lots and index histories again, and update what follows from them.

    Members and sectors are derived again. The warehouse, if there is one, gets the new lists.

    Example: champion lists refresh
    """
    from champion.contracts.datasets import REFERENCE_LISTS  # noqa: PLC0415
    from champion.pipeline.ingest import market_data_lock  # noqa: PLC0415
    from champion.pipeline.maintenance.load_warehouse import load_lists  # noqa: PLC0415
    from champion.pipeline.reference import daily_lists  # noqa: PLC0415

    settings = console.settings()
    with market_data_lock.changing(settings, console.note):
        results = daily_lists.refresh_undated(settings)
        loaded = load_lists(settings, REFERENCE_LISTS)
    if as_json:
        shown = {name: one if isinstance(one, str) else asdict(one) for name, one in results.items()}
        console.show({**shown, "months_loaded": loaded}, as_json=True)
        return
    for name, result in results.items():
        text = result if isinstance(result, str) else f"{result.outcome}: {result.note}"
        console.out.print(f"{name} {text}", soft_wrap=True, markup=False)
        for refused in () if isinstance(result, str) else result.refused:
            console.out.print(f"  refused: {refused}", soft_wrap=True, markup=False)
    console.lists_loaded(loaded)
    if failed := [name for name, one in results.items() if isinstance(one, str)]:
        raise ArchiveError(f"{' and '.join(failed)} could not be loaded; the reason is above")
    if set_aside := sum(len(one.refused) for one in results.values() if not isinstance(one, str)):
        kept = "`champion lists ls` shows them until a readable version replaces them"
        console.out.print(f"{quantity(set_aside, 'file')} refused, all others count; {kept}", soft_wrap=True)


@app.command()
def withdraw(
    index: Annotated[str, typer.Argument(help="Index, such as NIFTY 50.")],
    day: Annotated[str, typer.Argument(help="Date of the list, as `champion lists ls` shows it.")],
    *,
    reason: Annotated[str, typer.Option(help="Why the list is wrong.")],
    who: Annotated[str, typer.Option(help="Who decides; your login by default.")] = "",
    digest: Annotated[str, typer.Option(help="First characters of the SHA-256 of one of several files.")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Let a withdrawn list count again.")] = False,
) -> None:
    """Let a list count no longer, for example one that was kept under a wrong date; the decision stays on record.

    Members and sectors are then those of a workspace that never read the list. The file may stay or be removed.

    Example: champion lists withdraw "NIFTY 50" 2020-12-15 --reason "wrong folder"
    """
    from champion.contracts.datasets import REFERENCE_LISTS  # noqa: PLC0415
    from champion.pipeline.ingest import market_data_lock  # noqa: PLC0415
    from champion.pipeline.maintenance.load_warehouse import load_lists  # noqa: PLC0415
    from champion.pipeline.reference import index_lists  # noqa: PLC0415

    settings = console.settings()
    decide = index_lists.reinstate if undo else index_lists.withdraw
    with market_data_lock.changing(settings, console.note):
        done = decide(settings, index, console.day(day), reason, who or getpass.getuser(), digest=digest)
        loaded = load_lists(settings, REFERENCE_LISTS)
    console.out.print(done, soft_wrap=True, markup=False)
    console.lists_loaded(loaded)


@app.command()
def daily(*, as_json: AsJson = False) -> None:
    """List the exchange's lists of every session, lots and index histories: covered dates, gaps, sessions since.

    Example: champion lists daily
    """
    from champion.lake import Lake  # noqa: PLC0415
    from champion.pipeline.reference import daily_lists  # noqa: PLC0415

    found = daily_lists.coverage(Lake(console.settings().lake))
    if as_json:
        console.show({"lists": [each.as_dict() for each in found]}, as_json=True)
        return
    columns = ["list", "sessions", "first", "last", "gaps", "behind"]
    rows = [
        [
            "-" if value is None else value
            for value in (each.publication, each.sessions, each.first, each.last, each.gaps, each.behind)
        ]
        for each in found
    ]
    console.table("Lists of every session", columns, rows)


@app.command()
def fetch(
    start: Annotated[str, typer.Argument(help="First session, such as 2024-12-01.")],
    end: Annotated[str, typer.Argument(help="Last session, included.")],
) -> None:
    """Load the lists of a range of sessions; what is in the lake is not requested again.

    Lists come from the archive, else from the folder in CHAMPION_LISTS, under the exchange's paths. Sessions without a
    list are named, with the addresses that were asked. The exit code is 1 if no list was found.

    Example: champion lists fetch 2024-12-01 2024-12-31
    """
    from champion.pipeline.ingest import market_data_lock  # noqa: PLC0415
    from champion.pipeline.ingest.datasets import LIST_SPECS  # noqa: PLC0415
    from champion.pipeline.maintenance.load_warehouse import load_lists  # noqa: PLC0415
    from champion.pipeline.reference import daily_lists  # noqa: PLC0415

    settings = console.settings()
    with (
        market_data_lock.changing(settings, console.note),
        console.progress_bar() as progress,
    ):
        first, last = console.day(start), console.day(end)
        result = daily_lists.refresh(settings, first, last, progress)
        loaded = load_lists(settings, [spec.normalized for spec in LIST_SPECS], first, last)
    console.out.print(result.counts, soft_wrap=True, markup=False)
    for name, days in result.gaps.items():
        asked = ", ".join(result.asked[name])
        console.out.print(f"  no {name} of {days}; of the first, asked for {asked}", soft_wrap=True, markup=False)
    for refused in result.refused:
        console.out.print(f"  refused: {refused}", soft_wrap=True, markup=False)
    console.lists_loaded(loaded)
    result.require_any(first, last)
