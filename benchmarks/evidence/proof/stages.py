"""The pipeline from archive to quality gates as plain calls, each timed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from benchmarks import meter
from benchmarks.meter import Cost
from champion.lake import Lake
from champion.market.gate_report import GateReport
from champion.pipeline.ingest import corporate_actions, quality, symbol_changes, symbol_master
from champion.pipeline.ingest.fetch import FetchResult, fetch
from champion.pipeline.ingest.ingest import IngestResult, ingest
from champion.pipeline.ingest.rename_instruments import rename_instruments
from champion.settings import Settings

INGEST = "ingest: zip to raw and normalized lake"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Run:
    """The results of the pipeline and the cost of each stage."""

    settings: Settings
    start: date
    end: date
    fetched: FetchResult
    ingested: IngestResult
    verdict: GateReport
    costs: dict[str, Cost]

    @property
    def lake(self) -> Lake:
        """The lake that was filled."""
        return Lake(self.settings.lake)


def run(settings: Settings, start: date, end: date) -> Run:
    """Ingest the files of a range of dates into an empty workspace, and run the quality gates."""
    costs: dict[str, Cost] = {}
    lake = Lake(settings.lake)

    def timed(stage: str, call: Callable[[], T]) -> T:
        result, costs[stage] = meter.measured(call)
        return result

    fetched = timed("fetch to staging", lambda: fetch(settings, start, end))
    timed("list of symbol changes", lambda: symbol_changes.refresh(settings))
    ingested = timed(INGEST, lambda: ingest(lake, fetched.staged))
    timed("identify: sessions named again", lambda: rename_instruments(settings))
    timed("list of shares", lambda: symbol_master.refresh(settings))
    timed("corporate actions and factors", lambda: corporate_actions.refresh(settings))
    verdict = timed("quality gates", lambda: quality.check(lake, start, end))
    timed("findings kept", lambda: quality.record(lake, start, end, verdict))
    return Run(settings, start, end, fetched, ingested, verdict, costs)
