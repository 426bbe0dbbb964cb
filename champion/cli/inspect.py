"""Commands that read the workspace: status, report, doctor, audit and sql; and the documentation: docs."""

import json
import math
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.markdown import Markdown
from rich.text import Text

from champion.base import clock
from champion.base.counting import quantity
from champion.base.file_modes import user_umask
from champion.cli.terminal import completion, console, pages
from champion.cli.terminal.console import AsJson
from champion.errors import UsageError

Parameter = Annotated[
    list[str] | None, typer.Option("--param", "-p", help="name=value for {name:Type} in the query; may be repeated.")
]
_RUN_COLUMNS = ("started (IST)", "run", "outcome", "seconds")
_AUDIT_DAYS = 7
_LONGEST = 160  # characters of a statement in a table


def status(*, as_json: AsJson = False) -> None:
    """Show the workspace on one screen: sessions, freshness, quarantine, runs, champion.

    Example: champion status
    """
    from champion.pipeline.operations.status import status as read_status  # noqa: PLC0415
    from champion.services import mlflow  # noqa: PLC0415
    from champion.tracking.store import experiments_page  # noqa: PLC0415

    chosen = console.settings()
    found = read_status(chosen)
    if as_json:
        console.show(asdict(found), as_json=True)
        return
    console.out.print(Text.assemble(("Champion", "bold"), f" workspace {found.home}"))
    rows = [[d.name, d.sessions, d.first, d.last, d.rows] for d in found.datasets if d.sessions]
    console.table("Lake", ["dataset", "sessions", "first", "last", "rows"], rows)
    if empty := [d.name for d in found.datasets if not d.sessions]:
        console.out.print(f"nothing yet in {', '.join(empty)}", style="dim")
    console.out.print(f"freshness: {found.freshness}")
    console.out.print(f"lists: {found.lists}")
    console.out.print(f"frames: {found.frames}")
    console.out.print(f"quarantine: {quantity(found.quarantined, 'row')}")
    console.out.print(f"findings: {found.findings}")
    console.out.print(f"champion: {found.champion}")
    console.table("Last runs", _RUN_COLUMNS, [[r.started, r.name, r.outcome, r.seconds] for r in found.runs])
    for problem in found.problems:
        console.out.print(Text.assemble(("not read: ", "bold red"), console.printable(problem)), soft_wrap=True)
    if now := mlflow.address(chosen):
        console.out.print(f"MLflow's pages: {experiments_page(now)}", soft_wrap=True)


def report(
    session: Annotated[str | None, typer.Argument(help="Session; default: the last in the lake.")] = None,
    html: Annotated[Path | None, typer.Option(help="Also write the report to this HTML file.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Print the report of a session: market, quality, drift, scores, and the outcomes of earlier scores.

    Example: champion report 2024-12-31 --html session.html
    """
    from champion.pipeline.operations.session_report import session_report  # noqa: PLC0415

    chosen = console.settings()
    found = session_report(chosen, console.day(session) if session else None)
    if html is not None:
        from champion.pipeline.operations.session_report_html import render  # noqa: PLC0415 - matplotlib is slow to import
        from champion.services import mlflow  # noqa: PLC0415

        page = render(found, chosen.home, mlflow.address(chosen))
        with user_umask():
            html.write_text(page, encoding="utf-8")
        console.err.print(f"page written to {html.resolve()}", style="dim", soft_wrap=True)
    if as_json:
        console.show(found.as_dict(), as_json=True)
        return
    market = found.market
    console.out.print(f"{found.session:%A, %-d %B %Y}", style="bold")
    console.out.print(
        f"{quantity(market['shares'], 'share')} traded, {market['advances']:,} up, {market['declines']:,} down, "
        f"turnover ₹ {market['turnover'] / 1e7:,.0f} crore"
        + (f", {market['unknown_kinds']:,} of unknown kind not counted" if market["unknown_kinds"] else "")
    )
    verdict = (f"gates failed: {', '.join(found.failed)}", "bold red") if found.failed else "gates passed"
    known = found.rank_ic.sort("trade_date").tail(1)
    live = f", rank IC of {known['trade_date'].item()} {known['ic'].item():+.3f}" if known.height else ""
    console.out.print(Text.assemble(verdict, f"; champion {found.champion}{live}"))
    if found.paper is not None:
        console.out.print(f"paper account: {found.paper.text}", soft_wrap=True)
    console.out.print(f"targets: {found.as_dict()['targets']['text']}", soft_wrap=True)
    console.out.print(f"corporate actions: {found.reach}", soft_wrap=True)
    console.out.print(f"lists: {found.lists}")
    if found.waiting.height:
        console.out.print(f"{found.waiting.height:,} wait for a decision: `champion actions list`", soft_wrap=True)
    if found.accepted.height:
        console.frame("Findings that were accepted", found.accepted)
    change, turnover = pl.col("simple_return") * 100, pl.col("turnover") / 1e7  # in per cent and in crore of rupees
    movers = found.movers.select(
        "symbol",
        pl.format("{}%", change.round(2)).alias("change"),
        pl.col("close").alias("close, ₹"),
        turnover.round(2).alias("turnover, ₹ crore"),
    )
    console.frame("Movers", movers)
    console.frame("Features that moved most since the month before", found.moved.head(5).select("column", "psi", "ks"))
    console.frame("Best scores", found.scores.head(10).select("rank", "symbol", "score"))
    if found.orders.height:
        columns = ("action", "symbol", "weight", "previous_weight", "rank", "excluded_by", "warnings")
        console.frame("Orders for the next session", found.orders.select(columns))
    console.table("What ran", _RUN_COLUMNS, [[r.started, r.name, r.outcome, r.seconds] for r in found.runs])


def doctor(*, as_json: AsJson = False) -> None:
    """Check this machine and this workspace, and print a remedy for each problem; exit code 1 if a check failed.

    Example: champion doctor
    """
    from champion.pipeline.operations.doctor import examine  # noqa: PLC0415

    checks = examine(console.settings())
    if as_json:
        console.show({check.name: asdict(check) for check in checks}, as_json=True)
    else:
        styles = {"ok": "green", "warning": "yellow", "failed": "bold red"}
        rows = [[check.name, Text(check.state, styles[check.state]), check.found, check.remedy] for check in checks]
        console.table("Champion doctor", ["check", "", "found", "to do"], rows)
    if any(check.state == "failed" for check in checks):
        raise typer.Exit(1)


def audit(
    since: Annotated[str | None, typer.Option(help="First date in India; default: a week ago.")] = None,
    until: Annotated[str | None, typer.Option(help="Last date in India, included; default: today.")] = None,
    user: Annotated[str | None, typer.Option(help="Only this user of the machine, MLflow or ClickHouse.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="Maximum number of lines; --json prints all.")] = 100,
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
    first = console.day(since) if since else last - timedelta(days=_AUDIT_DAYS)
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


def sql(
    query: Annotated[str | None, typer.Argument(help="A read-only statement.")] = None,
    name: Annotated[
        str | None, typer.Option(autocompletion=completion.named_queries, help="Named query, see --list.")
    ] = None,
    param: Parameter = None,
    *,
    listing: Annotated[bool, typer.Option("--list", help="List the named queries and their parameters.")] = False,
    as_json: AsJson = False,
) -> None:
    """Query the warehouse, also while a load runs.

    Example: champion sql --name movers -p rows=10
    """
    from champion.warehouse import queries, sql as run_statement  # noqa: PLC0415

    if listing:
        known = [queries.load(each) for each in queries.names()]
        if as_json:
            shown = {q.name: {"answers": q.answers, "parameters": [asdict(p) for p in q.parameters]} for q in known}
            console.show(shown, as_json=True)
            return
        for each in known:
            console.out.print(Text.assemble((each.name, "bold"), f"  {each.answers}"), soft_wrap=True)
            for p in each.parameters:
                default = "required" if p.default is None else f"default {p.default}"
                console.out.print(f"    {p.name} ({p.type}, {default}): {p.meaning}", soft_wrap=True)
        return
    if (query is None) == (name is None):
        raise UsageError(f"give a query, or --name one of: {', '.join(queries.names())}; --list describes them")
    bound = console.assigned(param or [])
    settings = console.settings()
    answer = run_statement(settings, query, bound) if query else queries.run(settings, str(name), bound)
    if as_json:  # Polars writes neither bytes nor maps
        special = any(name in str(dtype) for dtype in answer.dtypes for name in ("Binary", "Map", "Duration"))
        rows = [_writable(row) for row in answer.to_dicts()] if special else []
        console.out.print_json(json.dumps(rows, default=str) if special else answer.write_json())
        return
    with pl.Config(tbl_rows=50, tbl_cols=30, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True):
        console.out.print(console.printable(str(answer)), soft_wrap=True)
    console.out.print(f"{quantity(answer.height, 'row')}")


def docs(
    name: Annotated[
        str | None, typer.Argument(autocompletion=completion.pages, help="Page; default: the list of pages.")
    ] = None,
) -> None:
    """Show a page of the documentation; into a file or pipe it is written as Markdown.

    Example: champion docs restore
    """
    if name is None:
        rows = [[page, pages.title(path)] for page, path in pages.pages().items()]
        console.table("Documentation", ["page", "title"], rows)
    elif console.out.is_terminal:
        console.out.print(Markdown(pages.page(name)))
    else:
        typer.echo(pages.page(name), nl=False)


def _writable(value: Any) -> Any:
    """Return a value for JSON, with bytes in hexadecimal digits."""
    match value:
        case bytes():
            return value.hex()
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(name): _writable(each) for name, each in value.items()}
        case list():
            return [_writable(each) for each in value]
        case _:
            return value
