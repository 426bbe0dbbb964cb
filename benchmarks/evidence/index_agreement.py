"""Members of related indices on all dates: is NIFTY 50 disjoint from NIFTY Next 50, and NIFTY 200 within NIFTY 500?

`.venv/bin/python -m benchmarks.evidence.index_agreement --home FOLDER [--products FOLDER] [--archive FOLDER]` prints,
for each definition that is broken, the spans and the days times members, of each index alone and of all together. It
reads the bars of a workspace. See README.md.
"""

import time
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl

from benchmarks.evidence.membership import FIFTY, FIRST, LAST, folders, read_evidence, read_history
from champion.lake import Lake
from champion.market.reference.indices.membership import Membership, memberships
from champion.market.reference.indices.relations import Relation, relations
from champion.market.reference.indices.traded import Traded
from champion.pipeline.reference.index_lists import traded

_PAIR = 2


def main() -> int:
    """Print all figures; exit code 1 if a definition of two indices is broken without a named contradiction."""
    asked = folders(__doc__, home=Path("home"))
    lists, changes, _ = read_evidence(asked.products, read_history(asked.archive))
    bars, holds = traded(Lake(asked.home / "lake")), True
    exact = memberships(lists, changes, traded=bars)
    for label, dated in (("lists alone", changes.clear()), ("with dated changes", changes)):
        begun = time.process_time()
        together = memberships(lists, dated, traded=bars)
        spent = time.process_time() - begun
        for how, found in (("each index alone", _alone(lists, dated, bars)), ("all together", together)):
            spans = list(broken(found))
            print(f"\n{label}, {how}: {len(spans)} spans, {sum(days for *_, days in spans):,} days times members")
            _print(spans)
            print(f"  NIFTY 50, days times members: {_wrong(found, exact)}")
        named = {*together.contradictions.select("index_name", "member").rows()}
        pairs = [(rule, symbol) for rule, symbol, *_ in broken(together) if len(rule.states) == _PAIR]
        holds &= all(any((index, symbol) in named for index, _ in rule.states) for rule, symbol in pairs)
        is_other = pl.col("from_index").is_not_null() | pl.col("until_index").is_not_null()
        by_other = together.members.filter(is_other)
        print(f"  dated by another index: {by_other.height}; contradictions: {len(named)}; {spent:.2f} CPU s")
    print(f"\n{'all claims hold' if holds else 'FAILED: a definition is broken, and no contradiction names it'}")
    return 0 if holds else 1


def broken(found: Membership) -> Iterator[tuple[Relation, str, date, int]]:
    """Yield each definition that a member breaks, its symbol, the first date, and the number of days."""
    spans: dict[str, dict[str, list[tuple[date, date]]]] = {}
    symbols = dict(found.members.select("member", pl.coalesce("symbol", "company")).iter_rows())
    columns = ["member", "index_name", "member_from", "member_until"]
    for member, index, start, end in found.members.select(columns).iter_rows():
        spans.setdefault(member, {}).setdefault(index, []).append((start, end or date.max))
    for rule in relations():
        if any(index not in found.covered for index, _ in rule.states):
            continue
        first = max(rule.since, *(found.covered[index][0] for index, _ in rule.states))
        end = min(found.covered[index][1] for index, _ in rule.states) + timedelta(1)
        for member, by_index in spans.items():
            own = [(by_index.get(index, []), state) for index, state in rule.states]
            if not all(held for held, state in own if state):
                continue
            edges = {day for held, _ in own for span in held for day in span if first < day < end}
            days = [first, *sorted(edges), end]
            for day, until in pairwise(days):
                if day < until and all(any(a <= day < b for a, b in held) == state for held, state in own):
                    yield rule, symbols[member] or member, day, (until - day).days


def _alone(lists: pl.DataFrame, changes: pl.DataFrame, bars: Traded) -> Membership:
    """Return the members of each index by its own lists and changes."""
    found = [
        memberships(lists.filter(index_name=index), changes.filter(index_name=index), traded=bars)
        for index in sorted(set(lists["index_name"]))
    ]
    frames = (pl.concat([getattr(one, name) for one in found]) for name in ("members", "set_aside", "contradictions"))
    members, aside, contradictions = frames
    by_isin = members.with_columns(member=pl.coalesce("instrument_id", "isin", "company"))
    return Membership(by_isin, {k: span for one in found for k, span in one.covered.items()}, aside, contradictions)


def _print(spans: list[tuple[Relation, str, date, int]]) -> None:
    days, count = Counter[str](), Counter[str]()
    for rule, _, _, length in spans:
        text = ", ".join(f"{'in' if state else 'not in'} {index}" for index, state in rule.states)
        days[text] += length
        count[text] += 1
    for text, length in days.most_common(8):
        print(f"  {text}: {count[text]} spans, {length:,} days")


def _wrong(found: Membership, exact: Membership) -> str:
    """Return how many days times members of the NIFTY 50 differ from those by its dated changes."""
    start, end = max(found.covered[FIFTY][0], FIRST), min(found.covered[FIFTY][1], LAST)
    extra = missing = 0
    for day in pl.date_range(start, end, eager=True):
        now, true = (set(each.on(FIFTY, day)["instrument_id"]) for each in (found, exact))
        extra, missing = extra + len(now - true), missing + len(true - now)
    return f"{extra} wrong, {missing} missing"


if __name__ == "__main__":
    raise SystemExit(main())
