"""Members of indices that their definitions tie to each other; expected values follow from the simulated truth."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta
from random import Random

import polars as pl
from hypothesis import given, settings, strategies as st

from benchmarks.evidence.index_agreement import broken
from champion.market.reference.indices.agreement import reachable_from
from champion.market.reference.indices.membership import CHANGES_SCHEMA, LISTS_SCHEMA, Membership, memberships
from champion.market.reference.indices.relations import relations

START, LENGTH = date(2018, 1, 1), 1500
PLACES = {
    "NIFTY 50": (0, 2),
    "NIFTY NEXT 50": (2, 4),
    "NIFTY 100": (0, 4),
    "NIFTY 200": (0, 6),
    "NIFTY 500": (0, 9),
    "NIFTY MICROCAP 250": (9, 11),
    "NIFTY TOTAL MARKET": (0, 11),
}
NONE = pl.DataFrame(schema=CHANGES_SCHEMA)


def day(number: int) -> date:
    return START + timedelta(number)


def listed(index: str, number: int, symbols: Collection[str], *, is_as_of: bool = False) -> pl.DataFrame:
    as_of = day(number) if is_as_of else None
    rows = [
        (index, day(number), as_of, day(number), day(number), f"NSE:{one}", one, f"ISIN{one}", f"{one} Ltd.", False)
        for one in sorted(symbols)
    ]
    return pl.DataFrame(rows, LISTS_SCHEMA, orient="row")


def dated(index: str, complete: int, *changes: tuple[int, str, bool]) -> pl.DataFrame:
    rows: list[tuple[object, ...]] = [
        (index, day(number), joins, f"NSE:{one}", one, None, "press release", day(number))
        for number, one, joins in changes
    ]
    rows.append((index, day(complete), None, None, None, None, "press release", day(complete)))
    return pl.DataFrame(rows, CHANGES_SCHEMA, orient="row")


def market(chance: Random, *, is_slow: bool) -> list[list[str]]:
    """Return the companies by size on each day; in a slow market, a place once left is never taken again."""
    order, by_day = [chr(65 + number) for number in range(14)], list[list[str]]()
    reviews = sorted(chance.sample(range(LENGTH), 3 if is_slow else 10))
    for number in range(LENGTH):
        if number in reviews:
            order = order[:]
            if is_slow:  # the largest one falls below all others
                order.append(order.pop(0))
            else:
                one, other = chance.sample(range(len(order)), 2)
                order[one], order[other] = order[other], order[one]
        by_day.append(order)
    return by_day


def members(by_day: list[list[str]], index: str, number: int) -> set[str]:
    first, last = PLACES[index]
    return set(by_day[number][first:last])


def of_market(by_day: list[list[str]], chance: Random, oldest: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return lists of all indices, up to `oldest` days old, and the dated changes of the NIFTY 50."""
    frames = []
    for index in PLACES:
        for number in chance.sample(range(LENGTH), 4):
            names = members(by_day, index, max(0, number - chance.randrange(oldest + 1)))
            frames.append(listed(index, number, names, is_as_of=not oldest))
    fifty = [members(by_day, "NIFTY 50", number) for number in range(LENGTH)]
    changes = [
        (number, one, one in fifty[number])
        for number in range(1, LENGTH)
        for one in sorted(fifty[number] ^ fifty[number - 1])
    ]
    return pl.concat(frames), dated("NIFTY 50", LENGTH - 1, *changes) if chance.random() < 0.5 else NONE


@settings(max_examples=8)
@given(st.integers(0, 10**6), st.sampled_from([0, 60]))
def test_definitions_hold_on_every_date_unless_a_contradiction_names_the_member(seed: int, oldest: int) -> None:
    chance = Random(seed)  # noqa: S311 - no secret
    found = memberships(*of_market(market(chance, is_slow=False), chance, oldest))
    named = {*found.contradictions.select("index_name", "member").rows()}
    for rule, symbol, *_ in broken(found):
        is_named = any((index, symbol) in named for index, _ in rule.states)
        assert is_named or len(rule.states) > 2  # what only three indices together show may stay open


@settings(max_examples=6)
@given(st.integers(0, 10**6))
def test_change_lies_in_its_interval_and_no_member_appears_too_early(seed: int) -> None:
    chance = Random(seed)  # noqa: S311 - no secret
    by_day = market(chance, is_slow=True)
    found = memberships(*of_market(by_day, chance, oldest=0))
    columns = ["index_name", "symbol", "member_from", "from_after", "member_until", "until_after", "from_basis"]
    for index, symbol, start, after, end, end_after, basis in found.members.select(columns).iter_rows():
        first, last = PLACES[index]
        held = [number for number, order in enumerate(by_day) if symbol in order[first:last]]
        assert held
        assert day(held[0]) <= start
        if basis != "list":
            assert after is None or after < day(held[0])
        if end is not None:
            assert day(held[-1]) < end
            assert end_after is None or end_after <= day(held[-1])
    assert not [rule for rule, *_ in broken(found) if len(rule.states) == 2]


def periods(found: Membership, index: str, symbol: str) -> list[tuple[object, ...]]:
    """Return the start, the index that dates it, and the end with its evidence of each membership."""
    columns = ["member_from", "from_index", "member_until", "until_basis", "until_after", "until_index"]
    return found.members.filter(index_name=index, symbol=symbol).sort("member_from").select(columns).rows()


def test_exact_join_of_the_nifty_50_ends_the_membership_of_the_next_50() -> None:
    lists = [listed("NIFTY 50", 0, "AB"), listed("NIFTY NEXT 50", 10, "CD"), listed("NIFTY NEXT 50", 900, "CD")]
    changes = dated("NIFTY 50", 1000, (300, "C", True), (300, "A", False), (700, "C", False), (700, "A", True))
    found = memberships(pl.concat(lists), changes)
    # C is in both lists of NEXT 50, and was in the NIFTY 50 between them: it left on day 300, and is back by day 900.
    first, second = periods(found, "NIFTY NEXT 50", "C")
    assert first == (day(10), None, day(300), "between lists", None, "NIFTY 50")
    assert second[:3] == (day(900), None, None)
    back = found.members.filter(index_name="NIFTY NEXT 50", symbol="C", member_from=day(900))
    assert back["from_after"].to_list() == [day(699)]  # it was in the NIFTY 50 until then
    assert found.contradictions.is_empty()


def test_share_that_the_wider_list_lacks_leaves_and_one_that_the_part_names_joins() -> None:
    lists = [
        listed("NIFTY 200", 0, "ABC"),
        listed("NIFTY 500", 5, "ABCDE"),
        listed("NIFTY 500", 300, "ABDEF"),
        listed("NIFTY 50", 400, "AF"),
        listed("NIFTY 200", 900, "ABF"),
        listed("NIFTY 500", 900, "ABDEF"),
    ]
    found = memberships(pl.concat(lists), NONE)
    assert periods(found, "NIFTY 200", "C") == [(day(0), None, day(300), "between lists", None, "NIFTY 500")]
    assert periods(found, "NIFTY 200", "F") == [(day(400), "NIFTY 50", None, None, None, None)]
    # What becomes known later changes no answer as of an earlier date.
    then = memberships(pl.concat(lists), NONE, known=day(299), covered_now=found.covered)
    assert set(then.on("NIFTY 200", day(299))["symbol"]) == set("ABC")


def test_list_that_firmer_evidence_contradicts_is_named_and_does_not_count() -> None:
    lists = [
        listed("NIFTY 500", 300, "ABCDE"),
        listed("NIFTY 200", 350, "ABX"),
        listed("NIFTY 500", 400, "ABCDE"),
        listed("NIFTY 50", 400, "AY"),
        listed("NIFTY 100", 400, "ABCD"),
    ]
    found = memberships(pl.concat(lists), NONE)
    assert set(found.on("NIFTY 200", day(350))["symbol"]) == set("AB")
    rows = found.contradictions.select("index_name", "effective", "member", "joins", "reason").rows()
    gone = "NIFTY 500 has it not by its lists before and after: the list does not count for it"
    assert ("NIFTY 200", day(350), "X", True, gone) in rows
    both = "NIFTY 100 has it not, which its definition excludes; nothing decides, and both count"
    assert ("NIFTY 50", day(400), "Y", True, both) in rows


def test_share_that_no_part_has_leaves_the_whole() -> None:
    lists = [
        listed("NIFTY 100", 0, "AB"),
        listed("NIFTY 500", 0, "ABCDE"),
        listed("NIFTY MIDSMALLCAP 400", 60, "CDF"),
        listed("NIFTY 100", 300, "AB"),
        listed("NIFTY 500", 800, "ABCDF"),
    ]
    found = memberships(pl.concat(lists), NONE)
    assert set(found.on("NIFTY 500", day(59))["symbol"]) == set("ABCDE")
    assert set(found.on("NIFTY 500", day(60))["symbol"]) == set("ABCDF")
    (ended,) = periods(found, "NIFTY 500", "E")
    assert ended[2:4] == (day(60), "between lists")
    assert ended[5] == "NIFTY 100, NIFTY MIDSMALLCAP 400"


def test_every_index_that_a_contradiction_can_reach_is_found() -> None:
    rules = relations()
    for index in {index for rule in rules for index, _ in rule.states}:
        found = reachable_from({index}, rules)
        assert reachable_from(found, rules) == found
    # A share of NIFTY 500 that its parts lack may be in one of them, such as NIFTY 100, and then in a part of this one.
    assert {"NIFTY 100", "NIFTY 50", "NIFTY NEXT 50"} <= reachable_from({"NIFTY 500"}, rules)
