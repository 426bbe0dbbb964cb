"""Commands for corporate actions: list the actions that wait for a decision, record decisions, read the lists."""

import getpass
from typing import Annotated

import typer

from champion.base.counting import quantity
from champion.cli.terminal import console
from champion.cli.terminal.console import AsJson, First, Last
from champion.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Corporate actions: lists, pending and recorded decisions.")


@app.command("list")
def list_open(start: First = None, end: Last = None, *, as_json: AsJson = False) -> None:
    """Show the ex-dates that the lists cover, and the actions that wait for a decision.

    Example: champion actions list 2024-01-01
    """
    from champion.lake import Lake  # noqa: PLC0415
    from champion.pipeline.ingest import corporate_actions  # noqa: PLC0415

    lake = Lake(console.settings().lake)
    first, last = (console.day(text) if text else None for text in (start, end))
    waiting = corporate_actions.questions(lake, first, last)
    reach = corporate_actions.reach(lake).text
    shown = waiting.select("ex_date", "symbol", "instrument_id", "gate", "value", "detail")
    if as_json:
        console.show({"reach": reach, "waiting": shown.to_dicts()}, as_json=True)
        return
    console.out.print(reach, soft_wrap=True)
    columns = ["ex-date", "instrument", "open question", "gap", "action"]
    rows = [
        [day, instrument, gate.removeprefix("actions_").replace("_", " "), f"{gap:+.1%}" if gap else "", detail]
        for day, _, instrument, gate, gap, detail in shown.rows()
    ]
    console.table(f"{quantity(waiting.height, 'action waits', 'actions wait')} for a decision", columns, rows)


@app.command()
def decide(
    instrument: Annotated[str, typer.Argument(help="Instrument, such as NSE:ADANIENT, or its symbol on the ex-date.")],
    ex_date: Annotated[str, typer.Argument(help="Ex-date, such as 2018-04-05.")],
    factor: Annotated[str, typer.Argument(help="Divisor of earlier prices; 1 for a market move; none to withdraw.")],
    reason: Annotated[str, typer.Option(help="Reason: the circular, the ratio, the computation.")],
    who: Annotated[str | None, typer.Option(help="Name stored with the decision; default: your login name.")] = None,
) -> None:
    """Set the price factor of an instrument's ex-date; it is stored in corporates/decisions.csv and in the lake.

    Example: champion actions decide ADANIENT 2018-04-05 1.14 --reason demerger
    """
    from champion.pipeline.ingest import corporate_actions  # noqa: PLC0415
    from champion.sources import decisions  # noqa: PLC0415

    settings = console.settings()
    try:
        value = None if factor.lower() == "none" else float(factor)
    except ValueError as error:
        raise UsageError(f"factor {factor!r}: expected a number, as 2 for a 1:1 bonus, or none to withdraw") from error
    path = corporate_actions.decision_file(settings)
    decisions.append(path, instrument, console.day(ex_date), value, reason, who or getpass.getuser())
    console.out.print(f"written to {path}", soft_wrap=True)
    refresh()


@app.command()
def refresh() -> None:
    """Read all lists and decisions again and compute the factors; lists already in the lake are skipped.

    Example: champion actions refresh
    """
    from champion.contracts.datasets import ACTIONS, FACTORS  # noqa: PLC0415
    from champion.pipeline.ingest import corporate_actions, market_data_lock  # noqa: PLC0415
    from champion.pipeline.maintenance.load_warehouse import load_lists  # noqa: PLC0415

    settings = console.settings()
    with market_data_lock.changing(settings, console.note):
        result = corporate_actions.refresh(settings)
        loaded = load_lists(settings, (ACTIONS, FACTORS))
    console.out.print(f"corporate actions {result.outcome}: {result.note}", soft_wrap=True)
    console.lists_loaded(loaded)
