"""Write the simulated archive: the files of each session, then the lists, and last the marker."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

from champion.errors import UsageError
from champion.simulate import calendar, files, indices, lists, market, mistakes, other_kinds, universe
from champion.simulate.actions import Action, settle
from champion.simulate.changes import Change
from champion.simulate.events import Events, plan as plan_events
from champion.simulate.marker import claim, digest, fingerprint, on_disk, seal, write
from champion.simulate.reference import index_lists, rolling_lists
from champion.simulate.reference.daily_lists import DailyLists
from champion.simulate.universe import Instrument
from champion.sources.indices import index_paths
from champion.sources.publications import bhavcopy_paths, delivery_paths

START, END = date(2023, 1, 2), date(2024, 12, 31)
_FIRST, _LAST = date(1990, 1, 1), date(2099, 12, 31)


@dataclass(frozen=True)
class SimulatedArchive:
    """A finished archive; `files_written` is 0 if the folder already contained it.

    `actions` and `changes` are the true actions and changes, from which the lists are written, for tests and
    demonstrations.
    """

    root: Path
    sessions: tuple[date, ...]
    instruments: int
    seed: int
    signal: float
    martingale: str
    files: int
    files_written: int
    digest: str
    actions: tuple[Action, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class _Plan:
    """The decisions made before the first price is drawn."""

    arguments: dict[str, Any]
    universe: tuple[Instrument, ...]
    others: tuple[Instrument, ...]
    sessions: tuple[date, ...]
    events: Events


def publish(  # noqa: PLR0913 - each is an independent choice with a default
    root: Path,
    *,
    instruments: int = 100,
    start: date = START,
    end: date = END,
    seed: int = 7,
    signal: float = 0.5,
    martingale: market.Martingale = "log",
    progress: Callable[[int, int], None] | None = None,
    corporate_actions: bool = True,
    with_mistakes: bool = False,
) -> SimulatedArchive:
    """Return the simulated archive in `root`, after writing it unless it is complete.

    `signal` (0 to 2) is the strength of a planted five-session reversal (see `champion.simulate.market`), 0 for none.
    Without a signal `martingale` "log" leaves no skill in ranks, and "price" no profit in rupees.
    `progress` is called with the number of finished sessions and of all. The same arguments give the same bytes.
    `with_mistakes` plants wrong rows (`champion.simulate.mistakes`) if there are enough instruments.

    Raises:
        UsageError: an argument is out of range, or `root` contains anything but this archive.
    """
    span = {"start": start.isoformat(), "end": end.isoformat()}
    drawn: dict[str, Any] = {"seed": seed, "signal": float(signal), "corporate_actions": corporate_actions}
    if martingale != "log":  # left out otherwise, so that the markers of earlier archives stay the same
        drawn["martingale"] = martingale
    if with_mistakes:
        drawn["mistakes"] = True
    plan = _plan({"instruments": instruments, **span, **drawn})
    dated = [path for session in plan.sessions for path in (*dict(_bhavcopies(session)), *_reports(session))]
    dated += _daily_lists(plan).paths()
    paths = [*dated, *_lists(plan), *rolling_lists.paths(plan.sessions), *_index_lists(plan)]
    marker = claim(root, plan.arguments)
    closes, written = marker.closes, 0
    if not marker.digest or digest(on_disk(root, paths)) != marker.digest:
        closes, fingerprints = {}, {}
        for path, content in _contents(plan, closes, progress):
            written += write(root / path, content)
            fingerprints[path] = fingerprint(content)
        marker = seal(root, plan.arguments, digest(fingerprints), closes)
    return SimulatedArchive(
        root=root,
        sessions=plan.sessions,
        instruments=instruments,
        seed=seed,
        signal=signal,
        martingale=martingale,
        files=len(paths),
        files_written=written,
        digest=marker.digest,
        actions=_settle_all(plan, closes),
        changes=plan.events.changes,
    )


def _plan(arguments: dict[str, Any]) -> _Plan:
    """Return the plan for the arguments.

    Raises:
        UsageError: one of them is out of range.
    """
    instruments, seed, signal = arguments["instruments"], arguments["seed"], arguments["signal"]
    start, end = date.fromisoformat(arguments["start"]), date.fromisoformat(arguments["end"])
    if not 1 <= instruments <= universe.ISSUERS:
        raise UsageError(f"A simulated archive holds 1 to {universe.ISSUERS:,} instruments; asked for {instruments:,}.")
    if not 0 <= signal <= market.STRONGEST:
        raise UsageError(
            f"The planted signal runs from 0 (none) over 1 (strong) to {market.STRONGEST}; asked for {signal}."
        )
    if arguments.get("martingale", "log") not in market.MARTINGALES:
        allowed = " or ".join(market.MARTINGALES)
        raise UsageError(f"A martingale is {allowed}; asked for {arguments['martingale']!r}.")
    if seed < 0:
        raise UsageError(f"A seed is a whole number from 0 on; asked for {seed}.")
    if start < _FIRST or end > _LAST:
        raise UsageError(f"An archive is simulated from {_FIRST} to {_LAST}; asked for {start} to {end}.")
    sessions = calendar.sessions(start, end)
    if not sessions:
        raise UsageError(f"No session from {start} to {end}: choose a start before the end, with a weekday between.")
    members = universe.build(instruments, seed)
    happened = plan_events(members, sessions, seed, corporate_actions=arguments["corporate_actions"])
    return _Plan(arguments, members, other_kinds.build(instruments, seed), sessions, happened)


def _bhavcopies(session: date) -> list[tuple[str, bool]]:
    """Return the paths of a session's bhavcopies and whether each is in UDiFF."""
    udiff, legacy, *_ = bhavcopy_paths(session)
    published = [(legacy, False)] if session <= files.LEGACY_TO else []
    return [*published, (udiff, True)] if session >= files.UDIFF_FROM else published


def _reports(session: date) -> list[str]:
    """Return the paths of a session's full report and of its index closes."""
    return [*delivery_paths(session), *index_paths(session)]


def _lists(plan: _Plan) -> tuple[str, str, str]:
    first, last = (date.fromisoformat(plan.arguments[name]) for name in ("start", "end"))
    span = f"{first:%d-%m-%Y}-to-{last:%d-%m-%Y}"
    return "content/equities/EQUITY_L.csv", "content/equities/symbolchange.csv", f"corporates/CF-CA-equities-{span}.csv"


def _contents(
    plan: _Plan, closes: dict[tuple[int, date], int], progress: Callable[[int, int], None] | None
) -> Iterator[tuple[str, bytes]]:
    """Yield each file's path and bytes, in the order of writing, and fill `closes`, which `_settle_all` needs."""
    identity = files.identities(plan.universe)
    by_session = {session: list(found) for session, found in groupby(plan.events.changes, lambda one: one.session)}
    seed, signal = plan.arguments["seed"], plan.arguments["signal"]
    daily, reported = _daily_lists(plan), dict[date, dict[str, list[str]]]()
    martingale = plan.arguments.get("martingale", "log")
    days = market.walk(plan.universe, plan.events, plan.sessions, seed=seed, signal=signal, martingale=martingale)
    reports = indices.reports(plan.universe, plan.events, days)
    both = other_kinds.beside(reports, plan.others, plan.sessions, seed)
    for done, (quotes, index_closes, every) in enumerate(both, start=1):
        session = quotes.session
        if session in by_session:
            identity = files.apply_changes(identity, by_session[session])
        closes |= {(one.position, session): int(quotes.previous[one.position]) for one in quotes.settled}
        rows = published = files.bars(other_kinds.identified(identity, plan.others), every)
        if plan.arguments.get("mistakes"):
            published = mistakes.planted(rows, len(plan.sessions) - done)
        for path, is_udiff in _bhavcopies(session):
            text = (files.udiff if is_udiff else files.legacy)(session, published)
            yield path, files.zip_file(path.rpartition("/")[2].removesuffix(".zip"), text, session)
        yield from zip(_reports(session), (files.full(session, rows), index_closes), strict=True)
        yield from daily.files(identity, quotes, index_closes)
        reported[session] = {
            row[0]: row for row in (line.split(",") for line in index_closes.decode().splitlines()[1:])
        }
        if progress:
            progress(done, len(plan.sessions))
    master, symbols, actions = _lists(plan)
    yield master, lists.master(plan.universe, plan.events, plan.sessions)
    yield symbols, lists.symbol_changes(plan.universe, plan.events.changes)
    yield rolling_lists.LOTS, rolling_lists.lots(identity, daily.dynamic, plan.sessions[-1])
    yield from rolling_lists.histories(reported)
    yield actions, lists.corporate_actions(plan.universe, plan.events, _settle_all(plan, closes))
    yield from _index_lists(plan).items()


def _index_lists(plan: _Plan) -> dict[str, bytes]:
    return index_lists.index_lists(plan.universe, plan.events, plan.sessions, plan.arguments["seed"])


def _daily_lists(plan: _Plan) -> DailyLists:
    return DailyLists(plan.universe, plan.events, plan.sessions)


def _settle_all(plan: _Plan, closes: dict[tuple[int, date], int]) -> tuple[Action, ...]:
    """Return the actions with their amounts; `closes` has the last close in paise by position and ex-date."""
    return tuple(settle(action, closes[action.position, action.ex_date]) for action in plan.events.actions)
