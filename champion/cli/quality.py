"""Commands for the quality gates: check, list, accept."""

from typing import Annotated

import polars as pl
import typer

from champion.base.counting import quantity
from champion.cli.terminal import console
from champion.cli.terminal.console import AsJson, End, First, Last, Start
from champion.lake import Lake
from champion.market.acceptance import SESSION
from champion.settings.quality_limits import Limits

app = typer.Typer(help="Quality gates, findings and acceptances.", no_args_is_help=True)


@app.command()
def check(start: Start, end: End, *, as_json: AsJson = False) -> None:
    """Run the gates on a range of sessions and record the findings; exit code 1 if a gate stops publication.

    Example: champion quality check 2024-12-01 2024-12-31
    """
    from champion.pipeline.ingest import quality  # noqa: PLC0415

    chosen, first, last = console.settings(), console.day(start), console.day(end)
    lake = Lake(chosen.lake)
    verdict = quality.check(lake, first, last, limits=Limits.of(chosen), identity=True)
    found = quality.record(lake, first, last, verdict)
    if as_json:
        console.show({"findings": found, "gates": verdict.gates.to_dicts()}, as_json=True)
    else:
        console.frame("Gates", verdict.gates)
        console.out.print(f"{quantity(found, 'finding')}")
    quality.require(verdict)


@app.command("list")
def list_findings(
    start: First = None,
    end: Last = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also list the many warnings about single bars.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the recorded findings with their keys, and the accepted ones with user and reason.

    Example: champion quality list 2024-01-01 2024-12-31
    """
    from champion.pipeline.ingest import quality  # noqa: PLC0415

    lake = Lake(console.settings().lake)
    first, last = (console.day(text) if text else None for text in (start, end))
    found, accepted = quality.recorded(lake, first, last), quality.accepted(lake, first, last)
    few = (pl.col("severity") == "error") | (pl.col("state") == "accepted")
    few |= (pl.col("gate") == "identity") | (pl.col("symbol") == SESSION)
    shown = found if everything else found.filter(few)
    if as_json:
        lists = {"findings": shown.to_dicts(), "accepted": accepted.to_dicts()}
        console.show({**lists, "left_out": found.height - shown.height}, as_json=True)
        return
    console.frame("Findings", shown.select("key", "severity", "state", "symbol", "detail"))
    if shown.height < found.height:
        console.out.print(f"{found.height - shown.height:,} warnings about single bars: --all shows them")
    console.frame("Accepted", accepted)


@app.command()
def accept(
    findings: Annotated[list[str], typer.Argument(help="Keys of findings, such as row_count:2025-08-06.")],
    reason: Annotated[str, typer.Option(help="Why the data is correct; stored in the lake.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Accept findings with a reason; their gates then pass for these findings only.

    Example: champion quality accept row_count:2025-08-06 --reason "short session"
    """
    from champion.pipeline.ingest import quality  # noqa: PLC0415

    chosen = console.settings()
    acceptances = quality.accept(Lake(chosen.lake), findings, reason, Limits.of(chosen))
    if as_json:
        console.show({"accepted": acceptances.to_dicts()}, as_json=True)
        return
    console.frame("Accepted", acceptances)
