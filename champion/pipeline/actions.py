"""Corporate actions from the archive to the lake, and what they do to prices: the factors that adjust bars."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from functools import partial
from hashlib import sha256

import polars as pl

from champion.actions import ACTIONS, VERSION, ListOrigin, as_known, normalize
from champion.adjust import counted
from champion.factors import FACTORS, VERSION as FACTORS_VERSION, factors
from champion.identity import Lineage
from champion.lake import Lake
from champion.pipeline.bars import BARS, equity_bars
from champion.pipeline.lineage import lineage
from champion.pipeline.lists import Refreshed, absent, commit
from champion.settings import Settings
from champion.sources import actions as lists
from champion.sources.archive import Archive, Staged

PATTERN = "corporates/CF-CA-equities-*.csv"


def refresh(settings: Settings) -> Refreshed:
    """Bring the newest list of corporate actions into staging and lake, and the factors that come of it.

    Newest is the list that covers the latest ex-dates, in the archive or in the folder of lists (`Settings.lists`).
    The same list, lineage and bars again change nothing.

    Raises:
        ArchiveError: the archive did not answer, or a list is not what it should be; the lake is as it was.
        ContractError: an action breaks its contract.
    """
    lake, where = Lake(settings.lake), settings.lists or settings.archive
    # Lists of one's own are no part of the archive: they have a staging folder to themselves.
    with Archive(where, settings.staging / "lists" if settings.lists else settings.staging) as archive:
        newest = max(archive.names(PATTERN), key=_covers_to, default="")
        staged = archive.fetch_list(newest) if newest else None
    if staged is None:
        found = absent(where, PATTERN)  # an archive behind a URL cannot be listed
    else:
        known = lineage(lake)
        made_from = {"list": staged.sha256, "lineage": known.digest, "actions": VERSION}
        found = commit(lake, ACTIONS, staged, newest, made_from, partial(_read, known=known))
    build_factors(lake)
    return found


def build_factors(lake: Lake) -> None:
    """Commit the factors of the newest list of actions, where it, the bars or the rules are not those they came of."""
    read = lake.sessions(ACTIONS)
    if not read:
        return
    made_from = {"actions": lake.digest(ACTIONS), "bars": lake.digest(BARS), "factors": FACTORS_VERSION}
    if not lake.is_current(FACTORS, read[-1], made_from):
        actions = as_known(lake.scan(ACTIONS).collect()).with_columns(list_date=pl.lit(read[-1]))
        bars = equity_bars(lake).select("instrument_id", "trade_date", "open", "close")
        moved = bars.join(actions.lazy().select("instrument_id").unique(), on="instrument_id", how="semi")
        lake.write(FACTORS, read[-1], factors(actions, moved.collect()), made_from)


def known_factors(lake: Lake, as_of: datetime | None = None) -> pl.DataFrame:
    """Return the factors believed at `as_of`, or now; empty where no list was ever read.

    They are those of the last list read by then; before any was read, those of the first, as far as they were known
    to the market (see `known_at` in the contract).
    """
    known = lake.scan(FACTORS).collect()
    if as_of is None:
        return known.filter(pl.col("list_date") == pl.col("list_date").max())
    lists_read = known.group_by("list_date").agg(read=pl.col("ingest_time").max()).sort("list_date")
    by_then = lists_read.filter(pl.col("read") <= as_of)["list_date"]
    chosen = by_then.max() if by_then.len() else lists_read["list_date"].min()
    return known.filter((pl.col("list_date") == pl.lit(chosen, pl.Date)) & (pl.col("known_at") <= as_of))


def digests(found: pl.DataFrame, sessions: Sequence[date]) -> dict[date, str]:
    """Return, for each session, one SHA-256 over the price factors up to it: equal digests mean equal adjustment.

    Sessions are in order. An action changes the digest of its ex-date and of all later sessions, and of those alone;
    ex-dates up to the first session have no bars before them and do not count, nor do dividends.
    """
    if not sessions:
        return {}
    later = counted(found).filter(pl.col("ex_date") > sessions[0]).sort("ex_date", "instrument_id", "kind")
    lines = later.select("ex_date", "instrument_id", "price_factor", "volume_factor").rows()
    running, by_session, position = sha256(), {}, 0
    for session in sessions:
        while position < len(lines) and lines[position][0] <= session:
            running.update(f"{lines[position]}\n".encode())
            position += 1
        by_session[session] = running.hexdigest()
    return by_session


def digest(lake: Lake, end: date) -> str:
    """Return one SHA-256 over the factors that adjust the bars up to `end`."""
    sessions = lake.sessions(BARS, end=end)
    return digests(known_factors(lake), sessions)[sessions[-1]] if sessions else ""


def _read(staged: Staged, known: Lineage) -> pl.DataFrame:
    rows = lists.parse_actions(staged.name, staged.path.read_bytes())
    covers = lists.span(staged.name, rows) or (staged.session, staged.session)
    return normalize(rows, known, ListOrigin(lists.SOURCE, staged.sha256, staged.fetched_at, covers))


def _covers_to(name: str) -> tuple[date, str]:
    covered = lists.span(name, pl.DataFrame())
    return (covered[1] if covered else date.min, name)
