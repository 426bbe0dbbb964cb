"""Load the lists that NSE publishes every session into the lake, after the session's bars.

Price bands, the F&O ban list, circuit hits, new 52-week highs and lows, and market activity. Bars do not depend on any
of them: a list that is missing, refused or unanswered is named in the result and stops nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from champion.base.counting import quantity
from champion.base.progress import Progress, silent
from champion.contracts.datasets import BARS
from champion.errors import ArchiveError, ChampionError
from champion.lake import Lake
from champion.pipeline.ingest.datasets import LIST_SPECS, LISTS
from champion.pipeline.ingest.fetch import fetch
from champion.pipeline.ingest.ingest import ingest
from champion.pipeline.ingest.reference_lists import RefreshResult
from champion.pipeline.reference import index_lists
from champion.pipeline.reference.rolling_lists import covered, refresh_histories, refresh_lots
from champion.settings import Settings
from champion.sources.publications import BHAVCOPY


@dataclass(frozen=True, slots=True)
class ListsResult:
    """The outcome for the lists of a range of sessions.

    `written` and `already` count files; `missing` names each list of which a session has no file, as `price bands
    2024-05-06`; `refused` has the error of each malformed file and of the first unanswered request.
    """

    written: int
    already: int
    missing: Sequence[str]
    refused: Sequence[str]

    @property
    def note(self) -> str:
        """The result as one sentence."""
        parts = [f"{quantity(self.written, 'list')} written, {self.already} already in the lake"]
        parts += [f"{len(self.missing)} missing: {', '.join(self.missing[:6])}"] if self.missing else []
        parts += [f"{len(self.refused)} refused: {'; '.join(self.refused[:3])}"] if self.refused else []
        return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the lake has of one list: its sessions, and how many sessions of the bars came after the last one.

    `gaps` counts the sessions of bars from the first to the last list that have no list. `gaps` and `behind` are None
    for a list that was never loaded. `gaps` is None too for lists that cover many sessions; `sessions` counts their
    versions.
    """

    publication: str
    dataset: str
    sessions: int
    first: date | None
    last: date | None
    gaps: int | None
    behind: int | None

    def as_dict(self) -> dict[str, Any]:
        """Return the coverage as plain values."""
        return asdict(self)


def refresh(settings: Settings, start: date, end: date, progress: Progress = silent) -> ListsResult:
    """Fetch and ingest the lists of the sessions from `start` to `end`; files in staging are not requested again.

    A date without a bhavcopy is no session, and its lists are not requested. If the archive does not answer, the rest
    of that session's lists wait for the next run.

    Raises:
        UsageError: `end` is before `start`, or the archive setting is wrong.
    """
    fetched = fetch(settings, start, end, publications=(BHAVCOPY, *LISTS), progress=progress)
    files = [file for file in fetched.staged if file.publication in LISTS]
    result = ingest(Lake(settings.lake), files)
    counts = result.totals
    have = {(file.session, file.publication.name) for file in files}
    missing = [
        f"{publication.name} {session}"
        for session in fetched.sessions
        for publication in LISTS
        if (session, publication.name) not in have
    ]
    refused = [str(error) for _, error in fetched.failed] + [error for _, error in result.failed]
    return ListsResult(counts["written"], counts["already"], missing, refused)


def refresh_undated(settings: Settings) -> dict[str, str | RefreshResult]:
    """Load index lists, lots and index histories; return each one's result, or its error as text.

    An error of one does not stop the others.
    """
    parts = {"index lists": index_lists.refresh, "lots": refresh_lots, "index histories": refresh_histories}
    found = dict[str, str | RefreshResult]()
    for name, load in parts.items():
        try:
            found[name] = load(settings)
        except ArchiveError as error:
            found[name] = f"not loaded: {error}"
    return found


def refresh_quietly(settings: Settings, start: date, end: date) -> str:
    """Load the lists of the sessions, lots and index histories; return what was loaded, missing, refused or is old.

    An error stops one of the three, never the caller, whose bars do not depend on lists.
    """
    parts: dict[str, Callable[[], ListsResult | RefreshResult]] = {
        "lists": lambda: refresh(settings, start, end),
        "lots": lambda: refresh_lots(settings),
        "index histories": lambda: refresh_histories(settings),
    }
    notes = [f"{name}: {_note(load)}" for name, load in parts.items()]
    return "; ".join([*notes, freshness(coverage(Lake(settings.lake)))])


def freshness(found: Sequence[Coverage]) -> str:
    """Return how many sessions of the bars came after the last one that each list covers, as a sentence.

    >>> freshness([Coverage("price bands", "normalized_price_bands", 1, None, None, None, 2)])
    'price bands 2 sessions behind the bars'
    """
    late = [f"{one.publication} {quantity(one.behind, 'session')} behind the bars" for one in found if one.behind]
    never = [f"{one.publication} never loaded" for one in found if one.behind is None]
    return ", ".join([*late, *never]) or "no list is behind the bars"


def _note(load: Callable[[], ListsResult | RefreshResult]) -> str:
    try:
        return load().note
    except ChampionError as error:
        return f"not loaded: {error}"


def coverage(lake: Lake) -> list[Coverage]:
    """Return the coverage of each list, of lots and of index histories, compared with the bars' sessions."""
    bars = lake.sessions(BARS)
    found = []
    for spec in LIST_SPECS:
        days = lake.sessions(spec.normalized)
        first, last = (days[0], days[-1]) if days else (None, None)
        gaps = len({day for day in bars if days[0] <= day <= days[-1]} - set(days)) if days else None
        found.append(Coverage(spec.publication.name, spec.normalized, len(days), first, last, gaps, _after(bars, last)))
    for name, (dataset, versions, first, last, gaps) in covered(lake, bars).items():
        found.append(Coverage(name, dataset, versions, first, last, gaps, _after(bars, last)))
    return found


def _after(sessions: Sequence[date], last: date | None) -> int | None:
    """Return how many sessions came after the last covered date; None if there is none."""
    return None if last is None else sum(day > last for day in sessions)
