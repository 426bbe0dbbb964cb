"""Load the lists that NSE publishes every session into the lake, after the session's bars.

Price bands, the F&O ban list, circuit hits, new 52-week highs and lows, and market activity. Bars do not depend on any
of them: a list that is missing, refused or unanswered is named in the result and stops nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import date
from itertools import groupby
from typing import Any

from champion.base.counting import quantity
from champion.base.progress import Progress, silent
from champion.contracts.datasets import BARS
from champion.errors import ArchiveError, ChampionError
from champion.lake import Lake
from champion.pipeline.ingest.datasets import LIST_SPECS, LISTS
from champion.pipeline.ingest.fetch import fetch
from champion.pipeline.ingest.ingest import ingest
from champion.pipeline.ingest.reference_lists import RefreshResult, folder_of_lists
from champion.pipeline.reference import index_lists
from champion.pipeline.reference.rolling_lists import covered, refresh_histories, refresh_lots
from champion.settings import Settings
from champion.sources.download.transport import canonical
from champion.sources.publications import BHAVCOPY


@dataclass(frozen=True, slots=True)
class ListsResult:
    """The outcome for the lists of a range of sessions.

    `sessions` are those of the range; `written` and `already` count files; `missing` has the sessions of which a list
    has no file, by its name; `asked` has the addresses of the first such file; `refused` has the error of each
    malformed file and of the first unanswered request.
    """

    sessions: Sequence[date]
    written: int
    already: int
    missing: Mapping[str, Sequence[date]]
    asked: Mapping[str, Sequence[str]]
    refused: Sequence[str]

    @property
    def counts(self) -> str:
        """The numbers of files as one sentence."""
        missing = sum(map(len, self.missing.values()))
        parts = [f"{quantity(self.written, 'list')} written, {self.already} already in the lake"]
        parts += [f"{missing} missing"] if missing else []
        parts += [f"{len(self.refused)} refused"] if self.refused else []
        return ", ".join(parts)

    @property
    def gaps(self) -> dict[str, str]:
        """The sessions without a file, by list; sessions that follow each other as first and last.

        >>> days = [date(2024, 5, 3), date(2024, 5, 6), date(2024, 5, 7), date(2024, 5, 8)]
        >>> ListsResult(days, 1, 0, {"price bands": [*days[:2], days[3]]}, {}, ()).gaps
        {'price bands': '3 sessions: 2024-05-03 to 2024-05-06, 2024-05-08'}
        """
        return {name: f"{quantity(len(days), 'session')}: {self._spans(days)}" for name, days in self.missing.items()}

    @property
    def note(self) -> str:
        """The result as one sentence, with each missing and each refused list."""
        absent = [f"no {name} of {days}" for name, days in self.gaps.items()]
        return "; ".join([self.counts, *absent, *self.refused])

    def require_any(self, start: date, end: date) -> None:
        """Require that the range has a session, and that one of its lists was found.

        Raises:
            ArchiveError: there is no session, or each list of each session is missing.
        """
        if not self.sessions and not self.refused:
            raise ArchiveError(
                f"no session from {start} to {end} has a bhavcopy, and lists are fetched for sessions alone: "
                f"check the dates, or run `champion backfill {start} {end}` first"
            )
        if self.missing and not self.refused and not self.written and not self.already:
            raise ArchiveError(
                f"no list of {quantity(len(self.sessions), 'session')} from {start} to {end} was found. Put the "
                "exchange's files under these addresses into the folder that CHAMPION_LISTS names, then run "
                f"`champion lists fetch {start} {end}` again"
            )

    def _spans(self, days: Sequence[date]) -> str:
        places = {day: place for place, day in enumerate(self.sessions)}
        runs = [[day for _, day in run] for _, run in groupby(enumerate(days), lambda one: places[one[1]] - one[0])]
        return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


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

    A list that the archive does not have is taken from the folder of lists (`Settings.lists`), under the same path. A
    date without a bhavcopy is no session, and its lists are not requested. If the archive does not answer and the
    folder does not have a list, the rest of that session's lists wait for the next run.

    Raises:
        UsageError: `end` is before `start`, or the archive setting is wrong.
    """
    with folder_of_lists(settings) or nullcontext() as folder:
        fetched = fetch(settings, start, end, publications=(BHAVCOPY, *LISTS), lists=folder, progress=progress)
    files = [file for file in fetched.staged if file.publication in LISTS]
    result = ingest(Lake(settings.lake), files)
    counts, sessions = result.totals, fetched.sessions
    have = {(file.session, file.publication.name) for file in files}
    absent = {one.name: [day for day in sessions if (day, one.name) not in have] for one in LISTS}
    missing = {name: days for name, days in absent.items() if days}
    bases = [canonical(base).rstrip("/") for base in (settings.archive, settings.lists) if base is not None]
    asked = {
        one.name: [f"{base}/{path}" for base in dict.fromkeys(bases) for path in one.paths(missing[one.name][0])]
        for one in LISTS
        if one.name in missing
    }
    refused = [str(error) for _, error in fetched.failed] + [error for _, error in result.failed]
    return ListsResult(sessions, counts["written"], counts["already"], missing, asked, refused)


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
