"""Index members and sectors from the real lists: counts, leave-one-out, index returns, bars, sector coverage.

`.venv/bin/python -m benchmarks.evidence.membership [--products FOLDER] [--archive FOLDER]` prints the figures; it needs
the folders of real lists and of the exchange's archive. See README.md.
"""

import io
import sys
import zipfile
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import polars as pl

from benchmarks import meter
from champion.errors import FormatError
from champion.market.equity_bars import EQUITY_SERIES
from champion.market.identity.symbol_history import SymbolHistory
from champion.market.reference.indices.index_lists import (
    REGISTER_SOURCE,
    RELEASES_SOURCE,
    ListFile,
    evidence,
    normalize_changes,
    normalize_list,
)
from champion.market.reference.indices.membership import Membership, memberships
from champion.market.reference.indices.sectors import UNKNOWN, industry_periods, sectors_on
from champion.market.reference.indices.steps import BETWEEN_LISTS
from champion.sources.actions import parse_symbol_changes
from champion.sources.lists.index_changes import HEADER, parse_changes
from champion.sources.lists.index_list import parse_index_list
from champion.sources.lists.index_register import parse_register
from champion.sources.lists.index_weights import parse_weights
from champion.sources.masters import parse_equity_list
from champion.sources.parse import parse
from champion.sources.publications import bhavcopy_paths

FIFTY, BROAD = "NIFTY 50", "NIFTY 500"
READ_AT = datetime(2026, 11, 29, tzinfo=UTC)
TOLERANCE = 2e-4
"""Of an index return over several sessions: the published weights of 50 members are rounded to 0.01% each."""
SESSIONS_AFTER = 5
SEARCHED = 30  # days before and after a list in which a bar is searched
START = date(1990, 1, 1)
FIRST, LAST = date(2014, 3, 28), date(2025, 9, 30)


def main() -> int:
    """Print all figures; exit code 1 if a claim fails."""
    asked = folders(__doc__)
    history = read_history(asked.archive)
    lists, changes, refused = read_evidence(asked.products, history)
    found = memberships(lists, changes)
    print(f"{lists.select('index_name', 'list_date').unique().height} lists; refused: {'; '.join(refused)}\n")
    print("set aside:", *(f"  {index} {day}: {why}" for index, day, why, _ in found.set_aside.rows()), sep="\n")
    claims = {
        "NIFTY 50: 50 companies on every date": _fifty(found),
        "NIFTY 50: every dated change on its day": _exact(found, changes),
        "changes left out lie in their interval": _leave_one_out(lists, changes, found),
        "weights reproduce the index returns": _returns(asked.products, asked.archive, found, history),
        "NIFTY 500: every member has a bar or a reason": _bars(asked.archive, lists, found),
        "sector coverage": _sectors(asked.archive, lists, found),
    }
    failed = [claim for claim, holds in claims.items() if not holds]
    print(f"\n{'all claims hold' if not failed else f'FAILED: {failed}'}")
    return 1 if failed else 0


def folders(doc: str | None, **more: Path) -> Namespace:
    """Return the given folders of real lists, of the archive, and `more`; exit with code 2 if one does not exist."""
    asked = meter.arguments(doc, None, products=meter.MIRROR.parent / "nse_products", archive=meter.MIRROR, **more)
    missing = [f"--{name} {folder}" for name, folder in vars(asked).items() if not folder.is_dir()]
    if missing:
        sys.stderr.write(f"no such folder: {', '.join(missing)}\n")
        raise SystemExit(2)
    return asked


def read_history(archive: Path) -> SymbolHistory:
    content = (archive / "content/equities/symbolchange.csv").read_bytes()
    return SymbolHistory.of(parse_symbol_changes("symbolchange.csv", content))


def read_evidence(products: Path, history: SymbolHistory) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    """Return all lists (also the stale ones), register and press releases, and the refused files."""
    rows, refused, seen = [], [], set[tuple[str, str]]()
    folders = (products / "content/indices/snapshots", products / "edge_cases/stale_snapshots")
    for path in [path for folder in folders for path in sorted(folder.glob("*/*.csv"))]:
        day, key = date.fromisoformat(path.parent.name), (path.parent.name, path.name)
        try:
            parsed = parse_index_list(path.name, path.read_bytes())
        except FormatError as error:
            refused.append(f"{path.parent.name} {str(error)[:60]}")
            continue
        if key not in seen:
            seen.add(key)
            rows.append(normalize_list(parsed, history, ListFile(path.name, f"{day} {path.name}", READ_AT, day)))
    register = parse_register("IndexInclExcl.xlsx", (products / "content/indices/IndexInclExcl.xlsx").read_bytes())
    _, *lines = (products / "facts/nifty50_changes.csv").read_text().splitlines()
    text = "".join(f"{line}\n" for line in (",".join(HEADER), *(f"{FIFTY},{line}" for line in lines)))
    file = ListFile("changes", "", READ_AT)
    releases = normalize_changes(parse_changes("index_changes.csv", text.encode()), history, RELEASES_SOURCE, file)
    changes = pl.concat([normalize_changes(register, history, REGISTER_SOURCE, file), releases])
    return *evidence(pl.concat(rows), changes), refused


def _fifty(found: Membership) -> bool:
    """Print the lines beyond 50 companies; whether there are 50 companies on every date."""
    wrong, extra = [], Counter[str]()
    dates: dict[str, list[date]] = {}
    for day in pl.date_range(FIRST, LAST, eager=True):
        members = found.on(FIFTY, day)
        issuers = members.with_columns(issuer=pl.coalesce(pl.col("isin").str.slice(3, 4), "symbol", "company"))
        second = issuers.filter(~pl.col("issuer").is_first_distinct())["symbol"].to_list()
        undated = members.filter(pl.col("from_basis") == BETWEEN_LISTS)["symbol"].to_list()
        for name in [*second, *undated]:
            extra[name] += 1
            dates.setdefault(name, []).append(day)
        if issuers["issuer"].n_unique() - len(undated) != 50:  # noqa: PLR2004 - the index's companies
            wrong.append(day)
    print(f"\nNIFTY 50, {FIRST} to {LAST}: {(LAST - FIRST).days + 1:,} dates, {len(wrong)} without 50 companies")
    for name, count in extra.items():
        row = found.members.filter(index_name=FIFTY, symbol=name).row(0, named=True)
        why = f"{row['from_basis']} after {row['from_after']}; out: {row['until_basis']} after {row['until_after']}"
        print(f"  extra line {name}: {dates[name][0]} to {dates[name][-1]}, {count} dates ({why})")
    return not wrong


def _exact(found: Membership, changes: pl.DataFrame) -> bool:
    """Print how many dated changes of the NIFTY 50 are steps of the result on their day."""
    wanted = changes.filter((pl.col("index_name") == FIFTY) & (pl.col("basis") == "press release"))
    missing = 0
    for day, name, joins in (
        wanted.filter(pl.col("joins").is_not_null()).select("effective", "instrument_id", "joins").rows()
    ):
        before, after = (set(found.on(FIFTY, each)["instrument_id"]) for each in (max(FIRST, day - timedelta(1)), day))
        missing += not ((name in after) == joins and (day == FIRST or (name in before) != joins))
    print(f"\nNIFTY 50 changes: {wanted.height}, not on their day: {missing}")
    return missing == 0


def _leave_one_out(lists: pl.DataFrame, changes: pl.DataFrame, found: Membership) -> bool:
    """Leave out each dated list, and compare the members on its date and the intervals of the changes around it."""
    print("\nleave one out: lists rebuilt exactly, wrong members, and the changes that the list brackets")
    aside = {(index, day) for index, day, *_ in found.set_aside.rows()}
    holds = True
    for label, dated in (("with dated changes", changes), ("lists alone", changes.clear())):
        whole = memberships(lists, dated)
        for index in (FIFTY, "NIFTY 100", "NIFTY 200", BROAD):
            days = lists.filter(index_name=index)["list_date"].unique().sort().to_list()
            kept = [day for day in days if (index, day) not in aside]
            exact = wrong = members = inside = unseen = outside = 0
            for day in kept[1:-1]:
                one = memberships(
                    lists.filter(~((pl.col("index_name") == index) & (pl.col("list_date") == day))), dated
                )
                true, rebuilt = (set(each.on(index, day)["member"]) for each in (whole, one))
                exact, wrong, members = exact + (true == rebuilt), wrong + len(rebuilt - true), members + len(true)
                stated = _steps(one, index, None)
                before, after = (kept[kept.index(day) + step] for step in (-1, 1))
                for member, joins, (since, until) in _steps(whole, index, day):
                    spans = [span for name, is_join, span in stated if (name, is_join) == (member, joins)]
                    # Where it happened in its interval is unknown, so the stated one must share dates with it.
                    is_inside = any((start or START) < until and (since or START) < end for start, end in spans)
                    # A list of another index may be the one before.
                    around = (one.on(index, each)["member"].to_list() for each in (max(since or START, before), after))
                    is_unseen = not is_inside and len({member in held for held in around}) == 1
                    inside, unseen = inside + is_inside, unseen + is_unseen
                    outside += not (is_inside or is_unseen)
            holds &= outside == 0
            number = max(0, len(kept) - 2)
            print(
                f"  {label}, {index}: {number} lists, {exact} exact, {wrong} wrong of {members:,} "
                f"({wrong / number:.1f} per list); changes: {inside} in their interval, {outside} outside, "
                f"{unseen} that both lists around do not show"
            )
    return holds & _dated_in_interval(lists, changes)


def _steps(found: Membership, index: str, day: date | None) -> list[tuple[str, bool, tuple[date | None, date]]]:
    """Return the changes of an index with their intervals; with `day`, those that a list of this date brackets."""
    rows = found.members.filter(index_name=index)
    steps = []
    for at, basis, after, joins in (
        ("member_from", "from_basis", "from_after", True),
        ("member_until", "until_basis", "until_after", False),
    ):
        between = rows.filter(pl.col(basis) == BETWEEN_LISTS)
        for member, date_, since in between.select("member", at, after).rows():
            if day is None or date_ == day:
                steps.append((member, joins, (since, date_)))
    return steps


def _dated_in_interval(lists: pl.DataFrame, changes: pl.DataFrame) -> bool:
    """Without dated changes, each true change of NIFTY 50 and NIFTY 500 must lie in the interval between two lists."""
    alone, holds = memberships(lists, changes.clear()), True
    dated = memberships(lists, changes)
    for index in (FIFTY, BROAD):
        true = [
            (member, joins, day)
            for at, basis, joins in (("member_from", "from_basis", True), ("member_until", "until_basis", False))
            for member, day, why in dated.members.filter(index_name=index).select("member", at, basis).rows()
            if why in {"register", "press release"}
        ]
        start, end = alone.covered[index]
        spans = _steps(alone, index, None)
        days = sorted(day for day in lists.filter(index_name=index)["list_date"].unique() if start <= day <= end)
        inside = unbounded = unseen = 0
        missed = []
        for member, joins, day in true:
            if not start < day <= end:
                continue
            near = [span for name, is_join, span in spans if (name, is_join) == (member, joins)]
            before, after = max(each for each in days if each < day), min(each for each in days if each >= day)
            if any((first or START) < day <= until for first, until in near):
                inside += 1
                unbounded += not any(first and first < day <= until for first, until in near)
            elif len({member in alone.on(index, each)["member"] for each in (before, after)}) == 1:
                unseen += 1
            else:
                missed.append(f"{member} {day} not in {[(str(first), str(until)) for first, until in near]}")
        print(
            f"  true dates of {index} against lists alone: {inside} changes in the stated interval "
            f"({unbounded} without a lower bound), {unseen} that both lists around do not show, {len(missed)} outside"
        )
        print(*(f"    {line}" for line in missed), sep="\n")
        holds &= not missed
    return holds


def _returns(products: Path, archive: Path, found: Membership, history: SymbolHistory) -> bool:
    """Compare members times published weights with the published returns of the next sessions."""
    published = pl.read_csv(
        io.BytesIO(_only(products / "derived/chartiny_ma/ma_index_2020_2023.csv.zip")), try_parse_dates=True
    ).with_columns(pl.col("index").str.to_uppercase())
    worst = 0.0
    print("\nmembers times published weights, return since the month's end: session, estimate, published, error")
    for path in sorted((products / "content/indices").glob("mcwb_*.zip")):
        with zipfile.ZipFile(path) as packed:
            tables = [parse_weights(name, packed.read(name)) for name in packed.namelist()]
        for weights in tables:
            index, month_end = weights["index_name"][0], weights["month_end"][0]
            # The weights of NIFTY NEXT 50 need its level, which the reports have under the same name.
            levels = published.filter(index=index).sort("date")
            base = levels.filter(pl.col("date") <= month_end).tail(1)
            start = _prices(archive, base["date"][0])
            members = set(found.on(index, month_end)["instrument_id"].drop_nulls())
            named = {f"NSE:{history.name(symbol, month_end)}" for symbol in weights["symbol"]}
            print(f"  {index} {month_end}: {len(named & members)} of {len(named)} weighted securities are members")
            for row in levels.filter(pl.col("date") > month_end).head(SESSIONS_AFTER).iter_rows(named=True):
                joined = weights.join(start, on="symbol").join(
                    _prices(archive, row["date"]), on="symbol", suffix="_now"
                )
                total = sum(joined["weight"].to_list())
                estimate = sum((joined["weight"] * (joined["close_now"] / joined["close"] - 1)).to_list()) / total
                true = row["close"] / base["close"][0] - 1
                worst = max(worst, abs(estimate - true))
                print(f"    {row['date']} {estimate:+.4%} {true:+.4%} {(estimate - true) * 1e4:+.2f} bp")
    print(f"  largest error {worst * 1e4:.2f} bp, tolerance {TOLERANCE * 1e4:.0f} bp")
    return worst <= TOLERANCE


def _only(path: Path) -> bytes:
    with zipfile.ZipFile(path) as packed:
        return packed.read(packed.namelist()[0])


@cache
def _bundle(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


@cache
def _shares(archive: Path, session: date) -> pl.DataFrame | None:
    """Return symbol, isin, close and turnover of the shares of a session; None if there was none."""
    for path in bhavcopy_paths(session):
        file, bundle = archive / path, archive / f"bundles/sec_bhavdata_full_{session:%Y}.zip"
        name = file.name
        if file.is_file():
            content = file.read_bytes()
        elif name.startswith("sec_bhavdata") and bundle.is_file() and name in _bundle(bundle).namelist():
            content = _bundle(bundle).read(name)
        else:
            continue
        try:
            rows = parse(name, content, session).rows
        except FormatError:  # a stale answer to a holiday
            continue
        if "ISIN" not in rows.columns:  # in the full report
            rows = rows.with_columns(ISIN=pl.lit(None, pl.String))
        return rows.filter(pl.col("SctySrs").is_in(EQUITY_SERIES)).select(
            symbol="TckrSymb", isin="ISIN",
            close=pl.col("ClsPric").cast(pl.Float64), turnover=pl.col("TtlTrfVal").cast(pl.Float64, strict=False),
        )  # fmt: skip
    return None


def _last(archive: Path, day: date) -> tuple[date, pl.DataFrame] | None:
    """Return the last session until a day, of the days searched, with its bars; None if there is none."""
    sessions = ((each, _shares(archive, each)) for each in _near(day, -1))
    return next(((each, bars) for each, bars in sessions if bars is not None), None)


def _prices(archive: Path, session: date) -> pl.DataFrame:
    found = _last(archive, session)
    if found is None or found[0] != session:
        raise FormatError(f"no bars of {session} in {archive}")
    return found[1].select("symbol", "close")


def _near(day: date, step: int) -> Iterator[date]:
    return (day + timedelta(step * days) for days in range(SEARCHED))


def _bars(archive: Path, lists: pl.DataFrame, found: Membership) -> bool:
    """Print, for each NIFTY 500 list where bars exist, how many members have a bar, and the reason for each other."""
    print("\nNIFTY 500 members with a bar on the last session before the list's date")
    aside = set(found.set_aside.filter(index_name=BROAD)["list_date"])
    unexplained = 0
    for day in lists.filter(index_name=BROAD)["list_date"].unique().sort():
        last = _last(archive, day)
        if last is None or (day - last[0]).days > 7 or day in aside:  # noqa: PLR2004 - a week of holidays
            continue
        session, bars = last
        members = lists.filter((pl.col("index_name") == BROAD) & (pl.col("list_date") == day) & ~pl.col("is_dummy"))
        without = members.join(bars, on="symbol", how="anti")
        reasons = [_reason(archive, day, symbol, isin) for symbol, isin in without.select("symbol", "isin").rows()]
        unexplained += sum(reason.endswith("unexplained") for reason in reasons)
        print(
            f"  {day} (session {session}): {members.height - without.height} of {members.height}; {'; '.join(reasons)}"
        )
    old, new = (set(found.on(BROAD, day)["member"]) for day in (date(2019, 10, 8), date(2024, 7, 6)))
    gone = len(old - new)
    print(f"  members of 2019-10-08 that are no members on 2024-07-06: {gone} of {len(old)} ({gone / len(old):.1%})")
    return unexplained == 0


@cache
def _listed_on(archive: Path) -> dict[str, date]:
    content = (archive / "content/equities/EQUITY_L.csv").read_bytes()
    return dict(parse_equity_list("EQUITY_L.csv", content).select("isin", "listed_on").drop_nulls().iter_rows())


def _reason(archive: Path, day: date, symbol: str, isin: str) -> str:
    if (listed := _listed_on(archive).get(isin, day)) > day:
        return f"{symbol}: listed at the exchange on {listed} only"
    for step, word in ((1, "first bar later, on"), (-1, "last bar before, on")):
        for each in _near(day, step):
            bars = _shares(archive, each)
            if bars is not None and bars.filter(pl.col("symbol") == symbol).height:
                return f"{symbol}: {word} {each}"
            same = bars.filter(pl.col("isin") == isin) if bars is not None else None
            if same is not None and same.height:
                return f"{symbol}: trades as {same['symbol'][0]} on {each}"
    return f"{symbol} ({isin}): unexplained"


def _sectors(archive: Path, lists: pl.DataFrame, found: Membership) -> bool:
    """Print the share of shares and of turnover with a known sector, by year, from one session a quarter."""
    periods = industry_periods(lists, found.set_aside)
    print("\nsector known on the date, one session a quarter: year, shares, of turnover; filled backward, of turnover")
    for year in range(2019, 2025):
        counts, money, filled = list[float](), list[float](), list[float]()
        for month in (2, 5, 8, 11):
            last = _last(archive, date(year, month, 15))
            if last is None:
                continue
            session, bars = last
            for fill_backward, target in ((False, money), (True, filled)):
                known = sectors_on(periods, session, fill_backward=fill_backward).filter(pl.col("sector") != UNKNOWN)
                with_sector = bars.join(known, on="symbol", how="semi")
                target.append(sum(with_sector["turnover"]) / sum(bars["turnover"]))
                if not fill_backward:
                    counts.append(with_sector.height / bars.height)
        shares, turnover, back = (sum(each) / len(each) for each in (counts, money, filled))
        print(f"  {year}: {shares:.1%} of shares, {turnover:.1%} of turnover; {back:.1%} filled backward")
    last_old, first_new = (sectors_on(periods, day) for day in (date(2022, 3, 31), date(2022, 9, 30)))
    both = last_old.join(first_new, on="member", suffix="_new")
    renamed, moved = ((both[name] != both[f"{name}_new"]).sum() for name in ("industry", "sector"))
    print(f"  scheme change of 2022: {both.height} companies, industry differs for {renamed}, sector for {moved}")
    return True


if __name__ == "__main__":
    raise SystemExit(main())
