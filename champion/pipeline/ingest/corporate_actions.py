"""Load corporate actions into the lake, and derive the factors that adjust bars.

1. Each list is fetched into staging, which keeps every version with the time of its first reading.
2. A partition holds the rows of all lists first read on one date. It is built from the lists in staging. Rows of lists
   that are no longer in staging, and manual decisions, are kept.
3. New lines of `corporates/decisions.csv` are added to today's partition.
4. Factors are derived from all actions and decisions, and the bars.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from hashlib import sha256
from itertools import groupby
from operator import attrgetter, itemgetter
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
from champion.market.actions.adjustment_factors import DECISION, MIN_SHARES, VERSION as FACTORS_VERSION, factors
from champion.market.actions.corporate_actions import VERSION, ListOrigin, as_known, decision_rows, list_row, normalize
from champion.market.equity_bars import EQUITY_SERIES
from champion.market.identity.symbol_history import SymbolHistory
from champion.pipeline.ingest.bars import equity_bars
from champion.pipeline.ingest.reference_lists import (
    RefreshResult,
    absent,
    fetch_matching,
    kept_lists,
    staging_folders,
)
from champion.pipeline.ingest.symbol_changes import symbol_history
from champion.settings import Settings
from champion.sources import actions as lists, decisions
from champion.sources.download.archive import Staged, set_aside
from champion.sources.download.transport import MAX_BYTES, Folder, canonical

PATTERN = "corporates/CF-CA-equities-*.csv"
_KEY = ["instrument_id", "ex_date", "kind"]
_COLUMNS = ("instrument_id", "trade_date", "open", "close")
_FACTORS = ["ex_date", "instrument_id", "price_factor", "volume_factor"]
_SHOWN = 8


def refresh(settings: Settings) -> RefreshResult:
    """Load all lists of corporate actions and all decisions into the lake, and derive the factors.

    Lists come from the archive and from the folder of lists (`Settings.lists`); lists that were read before are used
    too. If lists, decisions, symbol history and bars are unchanged, nothing is written.

    Raises:
        ArchiveError: the archive did not answer; the lake is unchanged.
        FormatError: a list or a file of decisions is malformed. A malformed list is set aside; the others are loaded.
        ContractError: an action breaks its contract.
    """
    lake = Lake(settings.lake)
    files = [(path, decisions.parse_decisions(str(path), path.read_bytes())) for path in decision_files(settings)]
    names, unreadable = fetch_matching(settings, PATTERN)
    history = symbol_history(lake)
    written, malformed = _commit_lists(lake, settings, history)
    refused = [*unreadable, *malformed]
    if files and (day := _commit_decisions(lake, files, history)):
        written.add(day)
    build_factors(lake)
    if refused:
        raise FormatError("; ".join(refused))
    if not names and not lake.sessions(ACTIONS):
        return absent(settings, PATTERN)  # an archive behind a URL cannot be listed
    if written:
        rows = sum(lake.rows(ACTIONS, day, day) for day in written)
        note = f"{quantity(rows, 'row')} of corporate actions, {quantity(len(names), 'list')} in the folder"
        return RefreshResult("written", rows, note)
    if not names:
        return absent(settings, PATTERN)
    last = lake.sessions(ACTIONS)[-1]
    note = f"{quantity(len(names), 'list is', 'lists are')} in the lake"
    return RefreshResult("already", lake.rows(ACTIONS, last, last), note)


def decision_files(settings: Settings) -> list[Path]:
    """Return the existing files of decisions: in the archive, in the folder of lists, and in the workspace.

    Raises:
        ArchiveUnavailable: one of them is a link out of its folder.
    """
    bases = (settings.archive, settings.lists or settings.archive)
    places = [folder for folder in (*map(_folder, bases), settings.home) if folder is not None]
    names = {folder: Folder(folder, MAX_BYTES).names(str(decisions.PATH)) for folder in dict.fromkeys(places)}
    files = {(folder / name).resolve(): folder / name for folder, each in names.items() for name in each}
    return [path for path in files.values() if path.is_file()]


def decision_file(settings: Settings) -> Path:
    """Return the file for new decisions: in the folder of lists if there is one, else in the workspace."""
    folder = _folder(settings.lists) if settings.lists else None
    return (folder or settings.home) / decisions.PATH


def _folder(address: str) -> Path | None:
    """Return the folder of an archive; None if it is a web address."""
    base = canonical(address)
    return Path(urlsplit(base).path) if base.startswith("file://") else None


def _commit_lists(lake: Lake, settings: Settings, history: SymbolHistory) -> tuple[set[date], list[str]]:
    """Commit each date's lists; return the dates that were written, and the error of each refused list."""
    written, refused = set(), []
    staged = kept_lists(staging_folders(settings), PATTERN)
    for day, group in groupby(sorted(staged, key=attrgetter("session", "fetched_at", "sha256")), attrgetter("session")):
        files, kept = list(group), lake.scan(ACTIONS, day, day).collect()
        while files:
            inputs = {"list": " ".join(file.sha256 for file in files), "lineage": history.digest, "actions": VERSION}
            inputs |= _decisions_digest(kept)
            if lake.is_current(ACTIONS, day, inputs):
                break
            frames, bad = [], []
            for file in files:
                try:
                    frames.append(_read(file, history))
                except FormatError as error:
                    set_aside(file, [f"corporates/{file.name}"])
                    refused.append(str(error))
                    bad.append(file)
            if not bad:
                lake.write(ACTIONS, day, _merge(frames, kept), inputs)
                written.add(day)
                break
            files = [file for file in files if file not in bad]
    return written, refused


def _commit_decisions(lake: Lake, files: Sequence[tuple[Path, pl.DataFrame]], history: SymbolHistory) -> date | None:
    """Add new decisions to today's partition; return its date, None if there are no new ones."""
    read_at = clock.now()
    rows = pl.concat(decision_rows(rows, history, read_at, file_sha256(path)) for path, rows in files)
    wanted = rows.unique(_KEY, keep="last", maintain_order=True)
    same = ["instrument_id", "ex_date", "price_factor", "reason", "detail"]
    is_decision = pl.col("kind") == DECISION
    held = lake.scan(ACTIONS).filter(is_decision).collect()
    last = held.sort("known_at").unique(_KEY, keep="last", maintain_order=True)
    if (new := wanted.join(last, on=same, how="anti", nulls_equal=True)).is_empty():
        return None
    day: date = new["list_date"][0]
    today = lake.scan(ACTIONS, day, day).collect()
    manifest = lake.manifest(ACTIONS, day)
    inputs = dict(manifest.current.inputs) if manifest else {"lineage": history.digest, "actions": VERSION}
    frame = _merge([today.filter(~is_decision)], pl.concat([today.filter(is_decision), new]))
    lake.write(ACTIONS, day, frame, inputs | _decisions_digest(frame))
    return day


def _decisions_digest(rows: pl.DataFrame) -> dict[str, str]:
    """Return a digest of the decisions among the rows, as input `decisions`; empty if there are none."""
    columns = ("event_id", "price_factor", "reason", "detail")
    lines = rows.filter(pl.col("kind") == DECISION).select(columns).sort("event_id").rows()
    return {"decisions": sha256(repr(lines).encode()).hexdigest()} if lines else {}


def _merge(frames: Sequence[pl.DataFrame], kept: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of one date: the rows of its lists, and the rows of `kept` from other lists.

    A date has one row for each instrument, ex-date and kind, from the latest list.
    """
    read = {digest for frame in frames for digest in frame["source_sha256"].unique()}
    rows = pl.concat([kept.filter(~pl.col("source_sha256").is_in(sorted(read))), *frames])
    order = [pl.min_horizontal("list_date", "covers_to"), pl.col("known_at"), pl.col("source_sha256")]
    return contracts.load(ACTIONS).conform(rows.sort(order).unique(_KEY, keep="last", maintain_order=True))


def build_factors(lake: Lake) -> None:
    """Commit the factors of all actions and decisions, unless they are up to date."""
    if not (read := lake.sessions(ACTIONS)):
        return
    inputs = {"actions": lake.digest(ACTIONS), "bars": lake.digest(BARS), "factors": FACTORS_VERSION}
    if not lake.is_current(FACTORS, read[-1], inputs):
        lake.write(FACTORS, read[-1], _factors(lake, None), inputs)


def _factors(lake: Lake, as_of: datetime | None) -> pl.DataFrame:
    """Return the factors of the actions known at `as_of`, under the date of the last list."""
    actions = as_known(lake.scan(ACTIONS).collect(), as_of).with_columns(list_date=pl.lit(lake.sessions(ACTIONS)[-1]))
    bars = equity_bars(lake, as_of=as_of, kinds=None).select(_COLUMNS)
    affected = bars.join(actions.lazy().select("instrument_id").unique(), on="instrument_id", how="semi")
    return factors(actions, affected.collect(), _market_gaps(lake, actions))


def _market_gaps(lake: Lake, actions: pl.DataFrame) -> pl.DataFrame:
    """Return the market's median open over previous close, less 1, on the sessions where an action may need it."""
    stated = (pl.col("kind") == "dividend") & pl.col("amount").is_not_null()
    unknown = actions.filter(pl.col("price_factor").is_null() & ~stated)
    sessions = pl.DataFrame({"trade_date": lake.sessions(BARS)}, {"trade_date": pl.Date}).sort("trade_date")
    ex_dates = unknown.select(pl.col("ex_date").unique().sort())
    ahead = ex_dates.join_asof(sessions, left_on="ex_date", right_on="trade_date", strategy="forward", coalesce=False)
    ex_sessions = ahead.drop_nulls()["trade_date"]
    gap = pl.col("open") / pl.col("prev_close") - 1
    bars = equity_bars(lake, kinds=None).filter(pl.col("trade_date").is_in(ex_sessions.implode()))
    gaps = bars.group_by("trade_date").agg(market_gap=gap.median(), shares=gap.count())
    return gaps.filter(pl.col("shares") >= MIN_SHARES).select("trade_date", "market_gap").collect()


def known_factors(lake: Lake, as_of: datetime | None = None) -> pl.DataFrame:
    """Return the factors known at `as_of`, or now; empty if no list was ever read.

    They come from the last list read by then; before any list was read, from the first list, if the market knew the
    action by then (see `known_at` in the contract). Decisions after `as_of` do not count: if there are any, the factors
    are derived again without them.
    """
    known = lake.scan(FACTORS).collect()
    if as_of is None:
        return known.filter(pl.col("list_date") == pl.col("list_date").max())
    lists_read = known.group_by("list_date").agg(read=pl.col("ingest_time").max()).sort("list_date")
    by_then = lists_read.filter(pl.col("read") <= as_of)["list_date"]
    chosen = by_then.max() if by_then.len() else lists_read["list_date"].min()
    of_list = known.filter(pl.col("list_date") == pl.lit(chosen, pl.Date))
    later = of_list.filter((pl.col("kind") == DECISION) & (pl.col("known_at") > as_of))
    return (_factors(lake, as_of) if later.height else of_list).filter(pl.col("known_at") <= as_of)


def current_factors(lake: Lake) -> pl.DataFrame:
    """Return the factors known now by the rules of this version.

    They are derived again, and not stored, if an older version of Champion wrote those of the lake.
    """
    manifests = [lake.manifest(FACTORS, day) for day in lake.sessions(FACTORS)[-1:]]
    older = any(one is not None and one.current.inputs.get("factors") != FACTORS_VERSION for one in manifests)
    return _factors(lake, None) if older and lake.sessions(ACTIONS) else known_factors(lake)


def factor_lines(
    known: pl.DataFrame, sessions: Sequence[date], order: Sequence[str] = _FACTORS
) -> Iterator[tuple[date, str]]:
    """Yield each session with the factors that take effect on it, one per line, sorted by `order`.

    Sessions are in order; a factor takes effect on the first session from its ex-date on. Ex-dates up to the first
    session are left out, because there are no bars before them. So are dividends.
    """
    if not sessions:
        return
    later = effective_factors(known).filter(pl.col("ex_date") > sessions[0]).sort(order).select(_FACTORS).rows()
    start = 0
    for session in sessions:
        end = bisect_right(later, session, lo=start, key=itemgetter(0))
        yield session, "".join(f"{row}\n" for row in later[start:end])
        start = end


def digests(known: pl.DataFrame, sessions: Sequence[date]) -> dict[date, str]:
    """Return, for each session, one SHA-256 over the price factors up to it: equal digests mean equal adjustment.

    Sessions are in order. An action changes the digests of its ex-date and of later sessions only; see `factor_lines`.
    """
    running, by_session = sha256(), {}
    for session, lines in factor_lines(known, sessions, ["ex_date", "instrument_id", "kind"]):
        running.update(lines.encode())
        by_session[session] = running.hexdigest()
    return by_session


def digest(lake: Lake, end: date) -> str:
    """Return one SHA-256 over the factors that adjust the bars up to `end`, and the gaps without a decision."""
    if not (sessions := lake.sessions(BARS, end=end)):
        return ""
    known = known_factors(lake)
    adjusting = digests(known, sessions)[sessions[-1]]
    gaps = label_gaps(known).filter(pl.col("session").is_between(sessions[0], end)).sort("session", "instrument_id")
    return sha256(f"{adjusting} {gaps.rows()}".encode()).hexdigest() if gaps.height else adjusting


def _read(staged: Staged, history: SymbolHistory) -> pl.DataFrame:
    rows = lists.parse_actions(staged.name, staged.path.read_bytes())
    covers = lists.span(staged.name, rows) or (staged.session, staged.session)
    origin = ListOrigin(lists.SOURCE, staged.sha256, staged.fetched_at, covers)
    return pl.concat([list_row(staged.name, origin), normalize(rows, history, origin)])


def questions(lake: Lake, start: date | None = None, end: date | None = None) -> pl.DataFrame:
    """Return the actions of company shares that need a decision; see `action_questions.questions`."""
    rows = action_questions.questions(known_factors(lake), lake.sessions(BARS))
    return rows.filter(pl.col("session").is_between(start or date.min, end or date.max))


def reach(lake: Lake) -> ListCoverage:
    """Return the ex-dates that the lake's lists cover, and the sessions that no list covers."""
    covers = lake.scan(ACTIONS).select("kind", "covers_from", "covers_to").unique().collect()
    return action_questions.list_coverage(covers, lake.sessions(BARS))


def summary(waiting: pl.DataFrame) -> str:
    """Return a sentence with the number of actions that need a decision, by gate, and the latest symbols."""
    parts = []
    for gate, what in quality_gates.QUESTIONS.items():
        if (rows := waiting.filter(gate=gate).sort("session", "symbol", descending=[True, False])).height:
            names = ", ".join(f"{symbol} {day}" for symbol, day in rows.select("symbol", "ex_date").head(_SHOWN).rows())
            parts.append(f"{rows.height:,} {what}: {names}" + (", ..." if rows.height > _SHOWN else ""))
    return "; ".join(parts)


def left_out(lake: Lake, frame: pl.DataFrame) -> dict[str, str | int]:
    """Return the number of labels across a gap in a training frame, and the ex-dates that the lists cover, as text."""
    return {"labels_across_gaps": int(frame["across_gap"].sum()), "corporate_actions": reach(lake).text}


def is_current(settings: Settings) -> bool:
    """Whether the lake's actions and factors follow the rules of this version of Champion.

    Only the actions of lists in staging can be derived again; other actions keep the rules they were read by.
    """
    lake = Lake(settings.lake)
    in_staging = {file.session for file in kept_lists(staging_folders(settings), PATTERN)}
    stages = (
        (ACTIONS, "actions", VERSION, sorted(in_staging.intersection(lake.sessions(ACTIONS)))),
        (FACTORS, "factors", FACTORS_VERSION, lake.sessions(FACTORS)[-1:]),
    )
    return all(
        (manifest := lake.manifest(name, day)) is None or manifest.current.inputs.get(part) == version
        for name, part, version, days in stages
        for day in days
    )


def unadjusted_gaps(lake: Lake, start: date, end: date, factors: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return instrument_id and session of each gap from `start` to `end` that prices are not adjusted for.

    These are opens more than 25% away from the previous close without a factor, and gaps of any size on the ex-date of
    an action that could not be parsed or is undecided. A label across such a gap is not a return.
    """
    known = known_factors(lake) if factors is None else factors
    bars = lake.scan(BARS, start, end).filter(pl.col("series").is_in(EQUITY_SERIES)).select(_COLUMNS)
    previous = pl.col("close").shift(1).over("instrument_id", order_by="trade_date")
    with_gap = bars.filter((pl.col("open") / previous - 1).abs() > quality_gates.GAP).select("instrument_id")
    adjusted = known.lazy().filter(pl.col("price_factor").is_not_null() & (pl.col("kind") != "dividend"))
    candidates = pl.concat([with_gap, adjusted.select("instrument_id")]).unique()
    gaps = quality_gates.unadjusted_gaps(bars.join(candidates, on="instrument_id", how="semi").collect(), known)
    undecided = action_questions.label_gaps(known).filter(pl.col("session").is_between(start, end))
    return pl.concat([gaps, undecided]).unique().sort("session", "instrument_id")
