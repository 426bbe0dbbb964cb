"""Index members against six years of bars, and lists under wrong dates: who trades, and what a wrong date changes.

`.venv/bin/python -m benchmarks.evidence.traded_members --home FOLDER [--products FOLDER] [--archive FOLDER]` prints the
figures; it reads the bars and lists of a workspace. See README.md.
"""

from argparse import Namespace
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from benchmarks.evidence.membership import BROAD, FIFTY, folders, read_evidence, read_history
from champion.contracts.datasets import BARS, CONSTITUENTS, INDEX_CHANGES
from champion.lake import Lake
from champion.market.equity_bars import EQUITY_SERIES
from champion.market.reference.indices.index_lists import evidence
from champion.market.reference.indices.membership import memberships
from champion.market.reference.indices.steps import NO_BAR
from champion.market.reference.life import QUIET
from champion.pipeline.reference.index_lists import traded

INDICES = (FIFTY, "NIFTY 100", "NIFTY 200", BROAD)
NEVER = date(2100, 1, 1)
SHIFTS = (400, 800, 1600)  # days by which a list's date is wrong


def main() -> int:
    """Print all figures; exit code 1 if a claim fails."""
    asked = folders(__doc__, home=Path("home"))
    claims = {"members trade": _trading(Lake(asked.home / "lake")), "wrong dates": _misdated(asked)}
    failed = [claim for claim, holds in claims.items() if not holds]
    print(f"\n{'all claims hold' if not failed else f'FAILED: {failed}'}")
    return 1 if failed else 0


def _trading(lake: Lake) -> bool:
    """Compare the members of each session with its bars: symbols, phantoms, members without a bar."""
    lists, changes = evidence(lake.scan(CONSTITUENTS).collect(), lake.scan(INDEX_CHANGES).collect())
    columns = ["trade_date", "instrument_id", "symbol"]
    bars = lake.scan(BARS).filter(pl.col("series").is_in(EQUITY_SERIES)).select(columns).collect()
    days, held = bars.select("trade_date").unique(), set(bars["instrument_id"])
    holds = True
    shares = traded(lake)
    for label, given in (("lists alone", None), ("with bars", shares)):
        members = memberships(lists, changes, traded=given).members
        print(f"\n{label}: members times sessions; without a bar, most sessions of one; another symbol; phantoms")
        for index in INDICES:
            periods = members.filter(index_name=index).drop_nulls("instrument_id")
            inside = pl.col("trade_date") >= pl.col("member_from")
            before = pl.col("trade_date") < pl.col("member_until").fill_null(NEVER)
            pairs = days.join_where(periods.drop("index_name"), inside, before)
            both = pairs.join(bars, on=["trade_date", "instrument_id"], how="left", suffix="_traded")
            without = both.filter(pl.col("symbol_traded").is_null())
            ids = without.filter(pl.col("instrument_id").is_in(held))["instrument_id"]
            most = max(Counter(ids).values(), default=0)
            other = both.filter(pl.col("symbol_traded") != pl.col("symbol")).height
            phantoms = [name for name in periods["instrument_id"].unique() if "@" in name and name not in held]
            print(f"  {index}: {pairs.height:,}; {without.height}, {most}; {other}; {len(phantoms)}")
            if given is not None:
                holds &= other == 0 and not phantoms and most <= QUIET
        ended = members.filter(until_basis=NO_BAR)
        print(f"  {ended.height} memberships end for want of bars, of {ended['instrument_id'].n_unique()} shares")
    chain = shares.continued
    print(f"\n{chain.height} shares go on as another instrument:", *chain["instrument_id"], sep=" ")
    return holds


def _misdated(asked: Namespace) -> bool:
    """Add each list once more under a date that is wrong by years; count members that this changes on other dates.

    All indices and the bars of the workspace judge.
    """
    lists, changes, _ = read_evidence(asked.products, read_history(asked.archive))
    print("\na list once more under an earlier date: cases, set aside, good lists set aside, cases that change members")
    worst, bars = 0, traded(Lake(asked.home / "lake"))
    for label, dates in (("with dated changes", changes), ("lists alone", changes.clear())):
        true = memberships(lists, dates, traded=bars)
        for index in (FIFTY, BROAD):
            mine = lists.filter(index_name=index)
            aside = set(true.set_aside.select("index_name", "list_date").rows())
            kept = [day for day in mine["list_date"].unique().sort() if (index, day) not in aside]
            members = {day: set(true.on(index, day)["member"]) for day in kept}
            cases = found = good = changed = 0
            for day in kept:
                for shift in SHIFTS:
                    if (wrong := day - timedelta(shift)) < kept[0] or wrong in set(mine["list_date"]):
                        continue
                    moved = mine.filter(list_date=day).with_columns(
                        list_date=pl.lit(wrong), seen_until=pl.lit(wrong), known_on=pl.lit(wrong)
                    )
                    one = memberships(pl.concat([lists, moved]), dates, traded=bars)
                    now = set(one.set_aside.select("index_name", "list_date").rows())
                    cases, found = cases + 1, found + ((index, wrong) in now)
                    good += len(now - aside - {(index, wrong)})
                    first, last = one.covered[index]
                    others = [each for each in kept if each != day]
                    changed += any(
                        not first <= each <= last or set(one.on(index, each)["member"]) != members[each]
                        for each in others
                    )
            worst = max(worst, cases - found if label == "with dated changes" and index == FIFTY else 0)
            print(f"  {label}, {index}: {cases}, {found}, {good}, {changed}")
    return worst == 0


if __name__ == "__main__":
    raise SystemExit(main())
