"""The cost of each stage, and the speed of ingest in sessions a minute and core."""

import polars as pl

from benchmarks.evidence.proof.page import Section, table
from benchmarks.evidence.proof.stages import INGEST, Run

AIM = 250  # sessions a minute and core


def speed(run: Run) -> Section:
    """Return the costs of the stages."""
    sessions = len(run.fetched.sessions)
    rows = [(stage, cost.wall, cost.cpu, cost.peak_mb) for stage, cost in run.costs.items()]
    names = ["stage", "wall s", "CPU s", "peak MB"]
    stages = pl.DataFrame(rows, schema=names, orient="row").with_columns(pl.col(names[1:]).round(1))
    ingest = run.costs[INGEST]
    a_minute = 60 * sessions / ingest.cpu
    whole = 60 * sessions / sum(cost.cpu for cost in run.costs.values())
    summary = (
        f"From zip to normalized lake: **{a_minute:,.0f} sessions a minute and core** ({sessions:,} sessions, "
        f"{ingest.cpu:.0f} CPU seconds, {ingest.wall:.0f} wall seconds; aim {AIM}). With fetch, identity, lists, "
        f"factors and quality gates, the rate is {whole:,.0f} sessions a minute and core."
    )
    return Section("Cost", [summary, table(stages)])
