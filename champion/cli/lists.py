"""Commands for lists of reference data: show what they cover, fetch them, read them again."""

from typing import Annotated

import typer

from champion.cli.terminal import console
from champion.cli.terminal.console import AsJson

app = typer.Typer(help="Lists of reference data: covered dates, refresh.", no_args_is_help=True)


@app.command("ls")
def list_covered(*, as_json: AsJson = False) -> None:
    """List the indices with the dates for which their members are known, and the lists that were set aside.

    Example: champion lists ls
    """
    from champion.lake import Lake  # noqa: PLC0415
    from champion.pipeline.reference import membership  # noqa: PLC0415

    lake = Lake(console.settings().lake)
    covered, aside = membership.coverage(lake), membership.set_aside(lake)
    if as_json:
        shown = {index: [str(first), str(last)] for index, (first, last) in covered.items()}
        console.show({"covered": shown, "set_aside": aside.to_dicts()}, as_json=True)
        return
    if not covered:
        console.out.print("no index list in the lake: put lists into the archive, then run `champion lists refresh`")
        return
    console.table("Indices", ["index", "first", "last"], [[index, *dates] for index, dates in covered.items()])
    if aside.height:
        rows = [list(row) for row in aside.select("index_name", "list_date", "reason").rows()]
        console.table("Lists set aside", ["index", "list of", "reason"], rows)


@app.command()
def refresh() -> None:
    """Read all index lists, the register and the changes again, and derive members and sectors.

    Example: champion lists refresh
    """
    from champion.pipeline.ingest import market_data_lock  # noqa: PLC0415
    from champion.pipeline.reference import index_lists  # noqa: PLC0415

    settings = console.settings()
    with market_data_lock.changing(settings, console.note):
        result = index_lists.refresh(settings)
    console.out.print(f"index lists {result.outcome}: {result.note}", soft_wrap=True)


@app.command()
def daily(*, as_json: AsJson = False) -> None:
    """List the exchange's lists of every session: covered dates, gaps, and sessions since the last one.

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
        [each.publication, each.sessions, each.first or "-", each.last or "-", each.gaps, each.behind] for each in found
    ]
    console.table("Lists of every session", columns, rows)


@app.command()
def fetch(
    start: Annotated[str, typer.Argument(help="First session, such as 2024-12-01.")],
    end: Annotated[str, typer.Argument(help="Last session, included.")],
) -> None:
    """Load the lists of a range of sessions; what is in the lake is not requested again.

    Example: champion lists fetch 2024-12-01 2024-12-31
    """
    from champion.pipeline.ingest import market_data_lock  # noqa: PLC0415
    from champion.pipeline.reference import daily_lists  # noqa: PLC0415

    settings = console.settings()
    with (
        market_data_lock.changing(settings, console.note),
        console.progress_bar() as progress,
    ):
        result = daily_lists.refresh(settings, console.day(start), console.day(end), progress)
    console.out.print(result.note, soft_wrap=True, markup=False)
