"""The command `audit`."""

from datetime import timedelta
from typing import Annotated

import typer

from champion.base import clock
from champion.base.counting import quantity
from champion.cli.terminal import console
from champion.cli.terminal.console import AsJson

_DAYS, _SHOWN = 7, 100
_LONGEST = 160  # characters of a statement in a table


def audit(
    since: Annotated[str | None, typer.Option(help="First date in India; default: a week ago.")] = None,
    until: Annotated[str | None, typer.Option(help="Last date in India, included; default: today.")] = None,
    user: Annotated[str | None, typer.Option(help="Only this user of the machine, MLflow or ClickHouse.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="Maximum number of lines; --json prints all.")] = _SHOWN,
    *,
    as_json: AsJson = False,
) -> None:
    """Show who ran what, when and on which data: runs, flows, promotions and the warehouse's statements, newest first.

    Example: champion audit --since 2024-12-01 --until 2024-12-31 --user asha
    """
    from champion.pipeline.operations.activity import activity  # noqa: PLC0415
    from champion.services import prefect  # noqa: PLC0415

    chosen = console.settings()
    last = console.day(until) if until else clock.today()
    first = console.day(since) if since else last - timedelta(days=_DAYS)
    server = prefect.running(chosen)
    api = chosen.prefect_api_url or (server.api if server else None)
    found = activity(chosen, first, last, user=user, prefect_api=api)
    if as_json:
        console.show({"events": found.events.to_dicts(), "not_asked": dict(found.gaps)}, as_json=True)
        return
    columns = ["at (IST)", "source", "user", "what", "outcome", "data"]
    lines = [
        [f"{row['at'].astimezone(clock.INDIA):%F %T}", *((row[name] or "")[:_LONGEST] for name in columns[1:])]
        for row in found.events.head(rows).iter_rows(named=True)
    ]
    console.table(f"{first} to {last}, {quantity(found.events.height, 'event')}", columns, lines)
    for source, reason in found.gaps.items():
        console.out.print(f"not asked: {source}: {reason}", markup=False, soft_wrap=True)
