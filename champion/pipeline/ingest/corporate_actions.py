"""Corporate actions from the archive to the lake, and what they do to prices: the factors that adjust bars.

1. Every list of the folder is brought to staging, which keeps each version with the time of its first reading.
2. A partition of the lake holds what all lists first read on one date say. It is made of the lists in staging; rows of
   lists that staging does not hold any more, and people's decisions, stay as they are.
3. Lines of `corporates/decisions.csv` that the lake does not have yet are added to the partition of today.
4. Factors follow from all of it and the bars.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from hashlib import sha256
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from urllib.parse import urlsplit

import polars as pl

from champion import contracts
from champion.base import clock
from champion.base.atomic_files import sha256 as file_sha256
from champion.base.counting import quantity
from champion.contracts.datasets import ACTIONS, BARS, FACTORS
from champion.errors import FormatError
from champion.lake import Lake
from champion.market import quality_gates
from champion.market.actions import action_questions
from champion.market.actions.action_questions import ListCoverage, label_gaps
from champion.market.actions.adjustment import effective_factors
from champion.market.actions.adjustment_factors import DECISION, VERSION as FACTORS_VERSION, factors
from champion.market.actions.corporate_actions import VERSION, ListOrigin, as_known, decision_rows, list_row, normalize
from champion.market.equity_bars import EQUITY_SERIES
from champion.market.identity.symbol_history import SymbolHistory
from champion.pipeline.ingest.bars import equity_bars
from champion.pipeline.ingest.reference_lists import RefreshResult, absent, kept_lists
from champion.pipeline.ingest.symbol_changes import lineage
from champion.settings import Settings
from champion.sources import actions as lists, decisions
from champion.sources.download.archive import Archive, Staged, set_aside
from champion.sources.download.transport import MAX_BYTES, Folder, canonical

PATTERN = "corporates/CF-CA-equities-*.csv"
_KEY = ["instrument_id", "ex_date", "kind"]
_FEWEST = 20  # shares whose median gap stands for the market's


def refresh(settings: Settings) -> RefreshResult:
    """Bring all lists of corporate actions and all decisions into the lake, and the factors that come of them.

    Lists are those of the archive, or of the folder of lists (`Settings.lists`), and all that were read before. The
    same lists, decisions, lineage and bars again change nothing.

    Raises:
        ArchiveError: the archive did not answer; the lake is as it was.
        FormatError: a list or the file of decisions is not what it should be. A refused list is set aside; all
            others count.
        ContractError: an action breaks its contract.
    """
    lake, where = Lake(settings.lake), settings.lists or settings.archive
    made = [(path, decisions.parse_decisions(str(path), path.read_bytes())) for path in decision_files(settings)]
    # Lists of one's own are no part of the archive: they have a staging folder to themselves.
    with Archive(where, settings.staging / "lists" if settings.lists else settings.staging) as archive:
        names = archive.names(PATTERN)
        for name in names:
            archive.fetch_list(name)
    known = lineage(lake)
    written, refused = _commit_lists(lake, settings, known)
    if made and (day := _commit_decisions(lake, made, known)):
        written.add(day)
    build_factors(lake)
    if refused:
        raise FormatError("; ".join(refused))
    if not names and not lake.sessions(ACTIONS):
        return absent(where, PATTERN)  # an archive behind a URL cannot be listed
    rows = sum(lake.rows(ACTIONS, day, day) for day in sorted(written))
    if written:
        return RefreshResult(
            "written",
            rows,
            f"{quantity(rows, 'row')} of corporate actions, {quantity(len(names), 'list')} in the folder",
        )
    if not names:
        return absent(where, PATTERN)
    last = lake.sessions(ACTIONS)[-1]
    return RefreshResult(
        "already", lake.rows(ACTIONS, last, last), f"{quantity(len(names), 'list is', 'lists are')} in the lake"
    )


def decision_files(settings: Settings) -> list[Path]:
    """Return the files of decisions that exist: beside the lists, and in the workspace.

    Raises:
        ArchiveUnavailable: a link leads from one of them out of its folder.
    """
    places = [folder for folder in (_folder(settings.lists or settings.archive), settings.home) if folder is not None]
    names = {folder: Folder(folder, MAX_BYTES).names(str(decisions.PATH)) for folder in dict.fromkeys(places)}
    found = {(folder / name).resolve(): folder / name for folder, each in names.items() for name in each}
    return [path for path in found.values() if path.is_file()]


def decision_file(settings: Settings) -> Path:
    """Return where a decision is written: beside the lists of one's own, else in the workspace."""
    folder = _folder(settings.lists) if settings.lists else None
    return (folder or settings.home) / decisions.PATH


def _folder(address: str) -> Path | None:
    """Return the folder of an archive; None where it is a URL."""
    base = canonical(address)
    return Path(urlsplit(base).path) if base.startswith("file://") else None


def _commit_lists(lake: Lake, settings: Settings, known: SymbolHistory) -> tuple[set[date], list[str]]:
    """Commit each date's lists; return the dates that changed, and the lists that were refused with the reason."""
    written, refused = set(), []
    staged = kept_lists([settings.staging, settings.staging / "lists"], PATTERN)
    for day, group in groupby(sorted(staged, key=attrgetter("session", "fetched_at", "sha256")), attrgetter("session")):
        read, kept = list(group), _kept(lake, day)
        while read:
            made_from = _made_from(read, known, kept)
            if lake.is_current(ACTIONS, day, made_from):
                break
            frames, bad = [], []
            for one in read:
                try:
                    frames.append(_read(one, known))
                except FormatError as error:
                    set_aside(one, [_path(one)])
                    refused.append(str(error))
                    bad.append(one)
            read = [one for one in read if one not in bad]
            if not bad:
                lake.write(ACTIONS, day, _united(frames, kept), made_from)
                written.add(day)
                break
    return written, refused


def _commit_decisions(lake: Lake, made: Sequence[tuple[Path, pl.DataFrame]], known: SymbolHistory) -> date | None:
    """Add the decisions that the lake does not have to today's partition; return its date, None where it has all."""
    read_at = clock.now()
    each = [decision_rows(rows, known, read_at, file_sha256(path)) for path, rows in made]
    wanted = pl.concat(each).unique(_KEY, keep="last", maintain_order=True)
    same = ["instrument_id", "ex_date", "price_factor", "reason", "detail"]
    held = lake.scan(ACTIONS).filter(pl.col("kind") == DECISION).collect()
    last = held.sort("known_at").unique(_KEY, keep="last", maintain_order=True)
    new = wanted.join(last, on=same, how="anti", nulls_equal=True)
    if new.is_empty():
        return None
    day: date = new["list_date"][0]
    held_today = lake.scan(ACTIONS, day, day).collect()
    manifest = lake.manifest(ACTIONS, day)
    inputs = dict(manifest.current.inputs) if manifest else {"lineage": known.digest, "actions": VERSION}
    frame = _united([held_today.filter(pl.col("kind") != DECISION)], pl.concat([_kept_decisions(held_today), new]))
    lake.write(ACTIONS, day, frame, inputs | {"decisions": _digest(_kept_decisions(frame))})
    return day


def _kept(lake: Lake, day: date) -> pl.DataFrame:
    """Return the rows of a date's partition as they are."""
    return lake.scan(ACTIONS, day, day).collect()


def _kept_decisions(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("kind") == DECISION)


def _made_from(read: Sequence[Staged], known: SymbolHistory, kept: pl.DataFrame) -> dict[str, str]:
    made_from = {"list": " ".join(one.sha256 for one in read), "lineage": known.digest, "actions": VERSION}
    people = _kept_decisions(kept)
    return made_from | ({"decisions": _digest(people)} if people.height else {})


def _digest(people: pl.DataFrame) -> str:
    lines = people.select("event_id", "price_factor", "reason", "detail").sort("event_id").rows()
    return sha256(repr(lines).encode()).hexdigest()


def _united(frames: Sequence[pl.DataFrame], kept: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of one date: those of its lists, and of `kept` those that no list here repeats.

    A date has one row for each instrument, ex-date and kind: of two lists the one made last counts.
    """
    made = {digest for frame in frames for digest in frame["source_sha256"].unique()}
    others = kept.filter(~pl.col("source_sha256").is_in(sorted(made)))
    everything = pl.concat([others, *frames]) if frames else others
    contract = contracts.load(ACTIONS)
    order = [pl.min_horizontal("list_date", "covers_to"), pl.col("known_at"), pl.col("source_sha256")]
    last = everything.sort(order).unique([*_KEY], keep="last", maintain_order=True)
    return contract.conform(last)


def _path(staged: Staged) -> str:
    return f"corporates/{staged.name}"


def build_factors(lake: Lake) -> None:
    """Commit the factors of all lists and decisions, where they, the bars or the rules are not those they came of."""
    read = lake.sessions(ACTIONS)
    if not read:
        return
    made_from = {"actions": lake.digest(ACTIONS), "bars": lake.digest(BARS), "factors": FACTORS_VERSION}
    if not lake.is_current(FACTORS, read[-1], made_from):
        lake.write(FACTORS, read[-1], _factors(lake, None), made_from)


def _factors(lake: Lake, as_of: datetime | None) -> pl.DataFrame:
    """Return the factors of the actions believed at `as_of`, under the date of the last list."""
    believed = as_known(lake.scan(ACTIONS).collect(), as_of)
    actions = believed.with_columns(list_date=pl.lit(lake.sessions(ACTIONS)[-1]))
    bars = equity_bars(lake, as_of=as_of).select("instrument_id", "trade_date", "open", "close")
    moved = bars.join(actions.lazy().select("instrument_id").unique(), on="instrument_id", how="semi")
    return factors(actions, moved.collect(), _market(lake, actions))


def _market(lake: Lake, actions: pl.DataFrame) -> pl.DataFrame:
    """Return the market's median open over previous close, less 1, of the sessions on which an action may need it."""
    waiting = actions.filter(pl.col("price_factor").is_null() & (pl.col("kind") != "dividend"))
    sessions = pl.DataFrame({"trade_date": lake.sessions(BARS)}, {"trade_date": pl.Date}).sort("trade_date")
    opened = (
        waiting.select(pl.col("ex_date").unique().sort())
        .join_asof(sessions, left_on="ex_date", right_on="trade_date", strategy="forward", coalesce=False)
        .drop_nulls()["trade_date"]
    )
    gap = pl.col("open") / pl.col("prev_close") - 1
    asked = equity_bars(lake).filter(pl.col("trade_date").is_in(opened.implode()))
    moves = asked.group_by("trade_date").agg(market_gap=gap.median(), shares=gap.count())
    return moves.filter(pl.col("shares") >= _FEWEST).select("trade_date", "market_gap").collect()


def known_factors(lake: Lake, as_of: datetime | None = None) -> pl.DataFrame:
    """Return the factors believed at `as_of`, or now; empty where no list was ever read.

    They are those of the last list read by then; before any was read, those of the first, as far as they were known
    to the market (see `known_at` in the contract). What a person decided later does not count: where such a decision
    stands in the way, the factors are worked out again without it.
    """
    known = lake.scan(FACTORS).collect()
    if as_of is None:
        return known.filter(pl.col("list_date") == pl.col("list_date").max())
    lists_read = known.group_by("list_date").agg(read=pl.col("ingest_time").max()).sort("list_date")
    by_then = lists_read.filter(pl.col("read") <= as_of)["list_date"]
    chosen = by_then.max() if by_then.len() else lists_read["list_date"].min()
    believed = known.filter(pl.col("list_date") == pl.lit(chosen, pl.Date))
    later = believed.filter((pl.col("kind") == DECISION) & (pl.col("known_at") > as_of))
    return (_factors(lake, as_of) if later.height else believed).filter(pl.col("known_at") <= as_of)


def digests(found: pl.DataFrame, sessions: Sequence[date]) -> dict[date, str]:
    """Return, for each session, one SHA-256 over the price factors up to it: equal digests mean equal adjustment.

    Sessions are in order. An action changes the digest of its ex-date and of all later sessions, and of those alone;
    ex-dates up to the first session have no bars before them and do not count, nor do dividends.
    """
    if not sessions:
        return {}
    later = effective_factors(found).filter(pl.col("ex_date") > sessions[0]).sort("ex_date", "instrument_id", "kind")
    lines = later.select("ex_date", "instrument_id", "price_factor", "volume_factor").rows()
    running, by_session, position = sha256(), {}, 0
    for session in sessions:
        while position < len(lines) and lines[position][0] <= session:
            running.update(f"{lines[position]}\n".encode())
            position += 1
        by_session[session] = running.hexdigest()
    return by_session


def digest(lake: Lake, end: date) -> str:
    """Return one SHA-256 over the factors that adjust the bars up to `end`, and the gaps that wait for a person."""
    sessions = lake.sessions(BARS, end=end)
    if not sessions:
        return ""
    known = known_factors(lake)
    adjusting = digests(known, sessions)[sessions[-1]]
    gaps = label_gaps(known).filter(pl.col("session").is_between(sessions[0], end)).sort("session", "instrument_id")
    return sha256(f"{adjusting} {gaps.rows()}".encode()).hexdigest() if gaps.height else adjusting


def _read(staged: Staged, known: SymbolHistory) -> pl.DataFrame:
    rows = lists.parse_actions(staged.name, staged.path.read_bytes())
    covers = lists.span(staged.name, rows) or (staged.session, staged.session)
    origin = ListOrigin(lists.SOURCE, staged.sha256, staged.fetched_at, covers)
    return pl.concat([list_row(staged.name, origin), normalize(rows, known, origin)])


_COLUMNS = ("instrument_id", "trade_date", "open", "close")
_NAMED = 8


def questions(lake: Lake, start: date | None = None, end: date | None = None) -> pl.DataFrame:
    """Return the actions of company shares that wait for a person; see `action_questions.questions`."""
    found = action_questions.questions(known_factors(lake), lake.sessions(BARS))
    first, last = start or date.min, end or date.max
    return found.filter(pl.col("session").is_between(first, last))


def reach(lake: Lake) -> ListCoverage:
    """Return the ex-dates that the lake's lists cover, and the sessions that none covers."""
    covers = lake.scan(ACTIONS).select("kind", "covers_from", "covers_to").unique().collect()
    return action_questions.list_coverage(covers, lake.sessions(BARS))


def summary(waiting: pl.DataFrame) -> str:
    """Return how many actions wait, by what is wrong with them, with the latest names."""
    parts = []
    for gate, what in quality_gates.QUESTIONS.items():
        mine = waiting.filter(pl.col("gate") == gate).sort("session", "symbol", descending=[True, False])
        if mine.height:
            names = ", ".join(f"{symbol} {day}" for symbol, day in mine.select("symbol", "ex_date").head(_NAMED).rows())
            parts.append(f"{mine.height:,} {what}: {names}" + (", ..." if mine.height > _NAMED else ""))
    return "; ".join(parts)


def left_out(lake: Lake, frame: pl.DataFrame) -> dict[str, str | int]:
    """Return, for the record of a training, how many labels of `frame` reach across a gap, and how far the lists reach.

    `frame` is what `learn.training_frame` returns.
    """
    return {"labels_across_gaps": int(frame["across_gap"].sum()), "corporate_actions": reach(lake).text}


def is_current(lake: Lake) -> bool:
    """Tell whether the lake's actions and factors follow the rules of this version of Champion."""
    for name, part, version in ((ACTIONS, "actions", VERSION), (FACTORS, "factors", FACTORS_VERSION)):
        held = lake.sessions(name)
        manifest = lake.manifest(name, held[-1]) if held else None
        if manifest is not None and manifest.current.inputs.get(part) != version:
            return False
    return True


def unadjusted_gaps(lake: Lake, start: date, end: date, factors: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return instrument_id and session of each gap from `start` to `end` that prices are not adjusted for.

    These are opens beyond 25% of the close before that no factor explains, and gaps of any size on the ex-date of an
    action that is not understood or undecided. A label across one of them is no return.
    """
    known = known_factors(lake) if factors is None else factors
    bars = lake.scan(BARS, start, end).filter(pl.col("series").is_in(EQUITY_SERIES)).select(_COLUMNS)
    held = pl.col("close").shift(1).over("instrument_id", order_by="trade_date")
    suspects = bars.filter((pl.col("open") / held - 1).abs() > quality_gates.GAP).select("instrument_id")
    moved = known.lazy().filter(pl.col("price_factor").is_not_null() & (pl.col("kind") != "dividend"))
    asked = pl.concat([suspects, moved.select("instrument_id")]).unique()
    gaps = quality_gates.unadjusted_gaps(bars.join(asked, on="instrument_id", how="semi").collect(), known)
    undecided = action_questions.label_gaps(known).filter(pl.col("session").is_between(start, end))
    return pl.concat([gaps, undecided]).unique().sort("session", "instrument_id")
