"""The doctor's check of runs: runs without a process that MLflow lists as running, and runs that wait for MLflow."""

from __future__ import annotations

from champion.base.counting import quantity
from champion.pipeline.operations import databases
from champion.pipeline.operations.checks import Check
from champion.settings import Settings
from champion.tracking import connectivity, run_spool, runs, store

_NAME = "runs"


def check(settings: Settings) -> Check:
    """Check that each run that began has ended, or still has its process."""
    waiting = [entry for entry in run_spool.entries(settings) if run_spool.ended(entry) or run_spool.abandoned(entry)]
    facts = [f"{quantity(len(waiting), 'run waits', 'runs wait')} in runs/ for MLflow"] if waiting else []
    if _is_readable(settings):
        noted = {entry.run_id for entry in run_spool.entries(settings)}
        lost = [run.run_id for run in runs.orphans(settings) if run.run_id not in noted]
        if lost:
            had = quantity(len(lost), "run has", "runs have")
            facts.append(f"{had} neither a process nor an entry in runs/ any more, as {lost[0]}")
    if not facts:
        return Check(_NAME, "ok", "none waits")
    return Check(_NAME, "warning", "; ".join(facts), "the next flow or `champion notebook run` records how they ended")


def _is_readable(settings: Settings) -> bool:
    if settings.tracking_uri is None and databases.tracking_problem(settings):
        return False
    return not store.is_gone(settings) and connectivity.unreachable(settings) is None
