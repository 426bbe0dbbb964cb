"""Commands on corporate actions: read the lists, show what waits for a person, decide."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from champion.base.counting import quantity
from champion.cli.terminal import console
from champion.cli.terminal.console import AsJson
from champion.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Corporate actions: lists, open questions, decisions.")


@app.command("list")
def list_open(
    start: Annotated[str | None, typer.Argument(help="First session, as 2024-01-01; default the first.")] = None,
    end: Annotated[str | None, typer.Argument(help="Last session; default the last.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show how far the lists reach, and the actions that wait for a person's decision.

    Example: champion actions list 2024-01-01
    """
    from champion.lake import Lake  # noqa: PLC0415
    from champion.pipeline.ingest import corporate_actions  # noqa: PLC0415

    lake = Lake(console.settings().lake)
    waiting = corporate_actions.questions(
        lake, console.day(start) if start else None, console.day(end) if end else None
    )
    reach = corporate_actions.reach(lake).text
    shown = waiting.select("ex_date", "symbol", "instrument_id", "gate", "value", "detail")
    if as_json:
        console.show({"reach": reach, "waiting": shown.to_dicts()}, as_json=True)
        return
    console.out.print(reach, soft_wrap=True)
    columns = ["ex-date", "instrument", "what is open", "gap", "action"]
    rows = [
        [day, instrument, gate.removeprefix("actions_").replace("_", " "), f"{gap:+.1%}" if gap else "", detail]
        for day, _, instrument, gate, gap, detail in shown.rows()
    ]
    console.table(f"{quantity(waiting.height, 'action waits', 'actions wait')} for a decision", columns, rows)


@app.command()
def decide(
    instrument: Annotated[str, typer.Argument(help="Instrument, as NSE:ADANIENT, or its symbol on the ex-date.")],
    ex_date: Annotated[str, typer.Argument(help="Ex-date, as 2018-04-05.")],
    factor: Annotated[
        str, typer.Argument(help="Earlier prices are divided by it; 1: the gap is the market's; none: withdraw.")
    ],
    reason: Annotated[str, typer.Option(help="Why: the circular, the ratio, what it was computed from.")],
    who: Annotated[str | None, typer.Option(help="Who decides; default the user of this machine.")] = None,
) -> None:
    """Decide the price factor of an instrument's ex-date: one more line in corporates/decisions.csv, and in the lake.

    Example: champion actions decide NSE:ADANIENT 2018-04-05 1.139 --reason "demerger of Adani Green"
    """
    from champion.pipeline.ingest import corporate_actions  # noqa: PLC0415
    from champion.sources import decisions  # noqa: PLC0415

    settings = console.settings()
    try:
        value = None if factor.lower() == "none" else float(factor)
    except ValueError as error:
        raise UsageError(
            f"factor {factor!r}: expected a number, as 2 for a split in two, or none to withdraw"
        ) from error
    path = corporate_actions.decision_file(settings)
    decisions.append(path, instrument, console.day(ex_date), value, reason, who or getpass.getuser())
    console.out.print(f"written to {path}", soft_wrap=True)
    _refresh()


@app.command()
def refresh() -> None:
    """Read all lists and decisions once more, and work out the factors; what is in the lake already is skipped.

    Example: champion actions refresh
    """
    _refresh()


def _refresh() -> None:
    from champion.pipeline.ingest import corporate_actions, market_data_lock  # noqa: PLC0415

    settings = console.settings()
    with market_data_lock.changing(settings, lambda text: console.err.print(text, style="dim")):
        found = corporate_actions.refresh(settings)
    console.out.print(f"corporate actions {found.outcome}: {found.note}", soft_wrap=True)
