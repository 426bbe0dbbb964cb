"""Corporate actions from the archive to the lake, and bars adjusted for them: what features, labels and models see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256

import polars as pl

from champion.actions import ACTIONS, VERSION, ListOrigin, as_known, normalize
from champion.adjust import adjust
from champion.lake import Lake
from champion.normalize import EQUITY_SERIES
from champion.settings import Settings
from champion.sources import actions as lists
from champion.sources.archive import Archive, Staged

BARS = "normalized_equity_ohlc"
PATTERN = "corporates/CF-CA-equities-*.csv"
SYMBOL_CHANGES = "content/equities/symbolchange.csv"


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What became of the list of corporate actions.

    `outcome` is 'written', 'already', or 'absent' where the archive has no list (an archive behind a URL cannot be
    listed); `note` says it in a sentence.
    """

    outcome: str
    rows: int
    note: str


def refresh(settings: Settings) -> Refreshed:
    """Bring the archive's newest list of corporate actions into staging and lake; the same list again changes nothing.

    Newest is the list that covers the latest ex-dates. A partition is the date in India on which a list was first
    read; a second list on one date replaces the first there, staging keeps both.

    Raises:
        ArchiveError: the archive did not answer, or a list is not what it should be; the lake is as it was.
        ContractError: an action breaks its contract.
    """
    with Archive(settings.archive, settings.staging) as archive:
        names = archive.names(PATTERN)
        staged = archive.fetch_list(max(names, key=_covers_to)) if names else None
        changes = archive.fetch_list(SYMBOL_CHANGES) if names else None
    if staged is None:
        return Refreshed("absent", 0, f"{settings.archive} has no {PATTERN}: what the lake knows of actions stays")
    lake = Lake(settings.lake)
    made_from = {"list": staged.sha256, "changes": changes.sha256 if changes else "", "actions": VERSION}
    before = lake.manifest(ACTIONS, staged.session)
    if before is not None and before.made_from(made_from):
        return Refreshed("already", before.current.rows, f"{staged.name} is in the lake")
    frame = _read(staged, changes)
    lake.write(ACTIONS, staged.session, frame, made_from)
    return Refreshed("written", frame.height, f"{staged.name}: {frame.height:,} actions")


def known_actions(lake: Lake, as_of: datetime | None = None) -> pl.DataFrame:
    """Return the actions believed at `as_of`, or now; empty where no list was ever read. See `actions.as_known`."""
    return as_known(lake.scan(ACTIONS).collect(), as_of)


def adjusted_bars(
    lake: Lake,
    start: date | None = None,
    end: date | None = None,
    as_of: datetime | None = None,
    columns: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Return the bars of company shares from `start` to `end` in the scale of `end`, with the actions known at `as_of`.

    Without a list of actions in the lake they are as traded, adjustment_factor 1. A later split does not change them:
    it lies beyond `end`.
    """
    bars = equity_bars(lake, start, end)
    return adjust((bars if columns is None else bars.select(columns)).collect(), known_actions(lake, as_of))


def equity_bars(lake: Lake, start: date | None = None, end: date | None = None) -> pl.LazyFrame:
    """Return the bars of company shares as traded, ETFs among them: debt and other series carry no features."""
    return lake.scan(BARS, start, end).filter(pl.col("series").is_in(EQUITY_SERIES))


def digests(actions: pl.DataFrame, sessions: Sequence[date]) -> dict[date, str]:
    """Return, for each session, one SHA-256 over the factors up to it: equal digests mean equal adjustment.

    Sessions are in order. An action changes the digest of its ex-date and of all later sessions, and of those alone;
    ex-dates up to the first session have no bars before them and do not count.
    """
    if not sessions:
        return {}
    factors = actions.filter(pl.col("price_factor").is_not_null() & (pl.col("ex_date") > sessions[0]))
    lines = factors.sort("ex_date", "instrument_id", "kind").select("ex_date", "instrument_id", "price_factor").rows()
    running, found, position = sha256(), {}, 0
    for session in sessions:
        while position < len(lines) and lines[position][0] <= session:
            running.update(f"{lines[position]}\n".encode())
            position += 1
        found[session] = running.hexdigest()
    return found


def digest(lake: Lake, end: date) -> str:
    """Return one SHA-256 over the factors that adjust the bars up to `end`."""
    sessions = lake.sessions(BARS, end=end)
    return digests(known_actions(lake), sessions)[sessions[-1]] if sessions else ""


def _read(staged: Staged, changes: Staged | None) -> pl.DataFrame:
    rows = lists.parse_actions(staged.name, staged.path.read_bytes())
    renames = lists.parse_symbol_changes(SYMBOL_CHANGES, changes.path.read_bytes() if changes else b"")
    covers = lists.span(staged.name, rows) or (staged.session, staged.session)
    return normalize(rows, renames, ListOrigin(lists.SOURCE, staged.sha256, staged.fetched_at, covers))


def _covers_to(name: str) -> tuple[date, str]:
    covered = lists.span(name, pl.DataFrame())
    return (covered[1] if covered else date.min, name)
