"""Commands for lists of reference data: daily, fetch."""

from typing import Annotated

import typer

from champion.cli.terminal import console
from champion.cli.terminal.console import AsJson

app = typer.Typer(help="Lists of reference data: covered dates, refresh.", no_args_is_help=True)


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
    start: Annotated[str, typer.Argument(help="First session, as 2024-12-01.")],
    end: Annotated[str, typer.Argument(help="Last session, included.")],
) -> None:
    """Load the lists of a range of sessions; what is in the lake is not requested again.

    Example: champion lists fetch 2024-12-01 2024-12-31
    """
    from champion.pipeline.ingest import market_data_lock  # noqa: PLC0415
    from champion.pipeline.reference import daily_lists  # noqa: PLC0415

    settings = console.settings()
    with (
        market_data_lock.changing(settings, lambda text: console.err.print(text, style="dim")),
        console.progress_bar() as progress,
    ):
        result = daily_lists.refresh(settings, console.day(start), console.day(end), progress)
    console.out.print(result.note, soft_wrap=True, markup=False)
