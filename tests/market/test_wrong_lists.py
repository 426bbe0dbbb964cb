"""Lists and changes that bars or names contradict, and what they leave open; expected values follow from the cases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from string import ascii_letters

import polars as pl
import pytest
from index_cases import INDEX, day, listed

from champion.errors import UsageError
from champion.market.reference.indices.change_checks import checked
from champion.market.reference.indices.index_lists import normalize_contradictions
from champion.market.reference.indices.membership import CHANGES_SCHEMA, memberships
from champion.market.reference.indices.misdated_lists import misdated_by_bars
from champion.market.reference.indices.traded import Traded


def typed(*changes: tuple[int, str, bool], index: str = INDEX, complete: int = 300) -> pl.DataFrame:
    rows: list[tuple[object, ...]] = [
        (index, day(number), joins, f"NSE:{name}", name, None, "press release", day(number))
        for number, name, joins in changes
    ]
    rows.append((index, day(complete), None, None, None, None, "press release", day(complete)))
    return pl.DataFrame(rows, CHANGES_SCHEMA, orient="row")


def bars(first: dict[str, int]) -> Traded:
    """Return the bars of shares from their first day on, in a market of 300 days."""
    rows = [(name, f"ISIN{name}", day(since), day(299), 300 - since, 1.0, 1.0) for name, since in first.items()]
    schema = ["symbol", "isin", "first", "last", "sessions", "prev_close", "close"]
    runs = pl.DataFrame(rows, schema, orient="row").with_columns(instrument_id="NSE:" + pl.col("symbol"))
    return Traded(runs, [day(number) for number in range(300)])


OLD = dict.fromkeys("ABCDEF", 0)


def test_list_that_names_shares_before_their_first_bar_is_from_a_later_time() -> None:
    lists, traded = (
        pl.concat([listed(50, "ABCD"), listed(60, "ABXY"), listed(250, "ABXY")]),
        bars({**OLD, "X": 200, "Y": 220}),
    )
    true = memberships(pl.concat([listed(50, "ABCD"), listed(250, "ABXY")]), typed(complete=0), traded=traded)
    found = memberships(lists, typed(complete=0), traded=traded)
    assert found.members.equals(true.members)
    reason = f"it is from {day(220)} or later: it names 2 shares (X, Y) before the first bar"
    assert found.set_aside.select("list_date", "reason").rows() == [(day(60), reason)]
    with pytest.raises(UsageError):
        memberships(listed(60, "ABXY"), typed(complete=0), traded=traded).on(INDEX, day(60))
    # One share, bars that begin with the lake, dates outside the bars, and shares without a bar prove nothing.
    for names, number in (("ABCX", 60), ("ABXY", 10), ("ABXY", 320), ("ABVW", 60), ("ABXY", 215)):
        assert misdated_by_bars(listed(number, names), traded) == {}


def test_list_with_names_that_had_ended_or_had_not_begun_is_not_as_of_its_date() -> None:
    rows = [  # A and B trade as AA and BB from day 101 on; C trades until day 100 alone
        (f"NSE:{one[0]}", one, f"ISIN{one[0]}", day(first), day(last), last - first + 1, 1.0, 1.0)
        for one, first, last in (("A", 0, 100), ("AA", 101, 299), ("B", 0, 100), ("BB", 101, 299), ("C", 0, 100))
    ]
    schema = ["instrument_id", "symbol", "isin", "first", "last", "sessions", "prev_close", "close"]
    traded = Traded(pl.DataFrame(rows, schema, orient="row"), [day(number) for number in range(300)])
    new = pl.col("symbol").replace({"A": "AA", "B": "BB"})
    ended = f"it is from before {day(101)}: it names 3 shares (A, B, C) that had ended"
    begun = f"it is from {day(101)} or later: it names 2 shares (AA, BB) before the first bar"
    for frame, reason in ((listed(200, "ABC"), ended), (listed(50, "ABC").with_columns(new), begun)):
        assert [why.reason for why in misdated_by_bars(frame, traded).values()] == [reason]
    for frame in (listed(50, "ABC"), listed(150, "ABC"), listed(200, "A"), listed(200, "AB").with_columns(new)):
        assert misdated_by_bars(frame, traded) == {}


@pytest.mark.parametrize("count", [2, 3])
def test_list_with_members_that_a_wider_index_excludes_is_set_aside(count: int) -> None:
    wide = [listed(number, "ABCDEFGH").with_columns(index_name=pl.lit("NIFTY 500")) for number in (100, 200)]
    part = [
        listed(number, names).with_columns(index_name=pl.lit("NIFTY 200"))
        for number, names in ((20, "ABCD"), (150, f"ABCD{'XYZ'[:count]}"))
    ]
    found = memberships(pl.concat([*wide, *part]), typed(complete=0))
    reason = "it is not as of its date: lists of NIFTY 500 before and after exclude 3 lines of it"
    expected = [("NIFTY 200", day(150), reason)] if count == 3 else []
    assert found.set_aside.select("index_name", "list_date", "reason").rows() == expected
    assert found.covered["NIFTY 200"][1] == day(20 if expected else 150)


def test_index_whose_only_list_is_set_aside_is_named_with_the_reason() -> None:
    lists, traded = listed(60, "ABXY"), bars({**OLD, "X": 200, "Y": 220})
    other = listed(60, "AB").with_columns(index_name=pl.lit("NIFTY 500"))
    found = memberships(pl.concat([lists, other]), typed(complete=0), traded=traded)
    with pytest.raises(UsageError, match=f"no list of {INDEX} counts. Set aside: that of {day(60)} because it is from"):
        found.on(INDEX, day(60))
    with pytest.raises(UsageError, match="no list of index 'CNX NIFTY': it is called 'NIFTY 50' now; there are lists"):
        found.on("CNX NIFTY", day(60))


@pytest.mark.parametrize("has_bars", [True, False])
def test_changes_of_unknown_symbols_and_indices_are_refused_with_the_nearest_name(*, has_bars: bool) -> None:
    lists = pl.concat([listed(50, "ABC"), listed(100, "ABD").with_columns(pl.col("symbol").replace("D", "ADANIENT"))])
    traded = bars({**OLD, "TRADED": 0}) if has_bars else Traded.nothing()
    changes = pl.concat(
        [
            typed((60, "ADANIENTT", True), (60, "C", False), (70, "TRADED", True), (320, "NEWSHARE", True)),
            typed((60, "A", True), index="NIFTY TESTS"),
            typed((60, "B", False), index="SENSEX"),
        ]
    )
    found = checked(lists, changes, traded)
    refused = {
        (index, name): reason for index, name, reason in found.refused.select("index_name", "member", "reason").rows()
    }
    assert refused == {
        (INDEX, "ADANIENTT"): "no bar, no list and no rename knows 'ADANIENTT'; did you mean 'ADANIENT'?",
        ("NIFTY TESTS", "A"): "there is no list of index 'NIFTY TESTS'; did you mean 'NIFTY TEST'?",
        ("SENSEX", "B"): "there is no list of index 'SENSEX'",
    }
    assert found.holes == {INDEX: {day(60)}}
    left = found.usable.filter(index_name=INDEX)["symbol"].drop_nulls().to_list()
    assert left == ["C", "TRADED", "NEWSHARE"]  # a share may be listed after the last bar
    renamed = typed((60, "FORMER", True)).with_columns(pl.lit("NSE:A").alias("instrument_id"))
    assert checked(lists, renamed, traded).refused.is_empty()


def test_refused_change_ends_what_is_known_before_and_after_it() -> None:
    wrong = ((40, "AA", True), (40, "F", False), (30, "B", True), (30, "E", False))
    lists = pl.concat([listed(50, "ABC"), listed(100, "ABC")]).with_columns(pl.col("symbol").replace("A", "AAAAAAA"))
    before = typed(*(((40, "AAAAAAB", True)), *wrong[1:]))
    found = memberships(lists, before)
    assert found.covered == {INDEX: (day(40), day(300))}  # members before the refused change do not follow
    after = typed((150, "AAAAAAB", False), (150, "D", True))
    assert memberships(lists, after).covered == {INDEX: (day(50), day(149))}
    between = memberships(pl.concat([lists, listed(200, "BCD")]), after)
    assert between.covered == {INDEX: (day(50), day(300))}  # a list shows the members again
    left = between.members.filter(symbol="AAAAAAA").select("member_until", "until_basis").row(0)
    assert left == (day(200), "between lists")


@pytest.mark.parametrize(("known", "last"), [(40, 40), (60, 60), (99, 99), (100, 100), (400, 300)])
def test_last_known_list_counts_on_the_day_of_the_question(known: int, last: int) -> None:
    lists, changes = pl.concat([listed(20, "ABC"), listed(50, "ABC"), listed(300, "ABD")]), typed(complete=0)
    now = memberships(lists, changes)
    then = memberships(lists, changes, known=day(known), covered_now=now.covered)
    assert then.covered == {INDEX: (day(20), day(last))}
    assert set(then.on(INDEX, day(last))["symbol"]) == set("ABD" if known >= 300 else "ABC")


@pytest.mark.parametrize(
    ("out", "joins", "last"),
    [("B", "E", 300), ("D", "A", 300), ("B", "A", 149), ("D", "E", 149)],  # D has left before, A is in already
)
def test_change_of_which_only_a_half_applies_leaves_the_members_incomplete(out: str, joins: str, last: int) -> None:
    lists = pl.concat([listed(50, "ABC"), listed(100, "ABC")])
    changes = typed((150, out, False), (150, joins, True))
    found = memberships(lists, changes)
    assert found.covered == {INDEX: (day(50), day(last))}
    reasons = found.contradictions["reason"].to_list()
    assert len(reasons) == (out == "D") + (joins == "A")
    assert all(("not complete until a list" in reason) == (last == 149) for reason in reasons)
    again = memberships(pl.concat([lists, listed(200, "ACE")]), changes)  # a list shows the members again
    assert again.covered == {INDEX: (day(50), day(300))}
    since = again.members.filter(symbol="E")["member_from"].item()
    assert since == day(150 if joins == "E" else 200)


@pytest.mark.parametrize(("joined", "first"), [("T", 10), ("S", 200)])
def test_wrong_symbol_that_exists_ends_the_way_back_if_the_next_50_excludes_it(joined: str, first: int) -> None:
    fifty, following = (pl.lit(name).alias("index_name") for name in ("NIFTY 50", "NIFTY NEXT 50"))
    lists = [listed(200, "AST").with_columns(fifty), listed(200, "GXY").with_columns(following)]
    changes = [
        typed((10, "Z", False), (10, "A", True), (150, "G", False), (150, joined, True), index="NIFTY 50"),
        typed((50, "V", False), (50, "T", True), (150, "T", False), (150, "G", True), index="NIFTY NEXT 50"),
    ]
    found = memberships(pl.concat(lists), pl.concat(changes))
    assert found.covered["NIFTY 50"] == (day(first), day(300))
    assert found.contradictions.is_empty() == (joined == "T")
    assert set(found.on("NIFTY 50", day(200))["symbol"]) == set("AST")


MANY = ascii_letters  # 52 companies
STEADY = [(0, MANY[:40]), (400, MANY[5:45])]  # 10 joins and exits, then 14 by the list of MANY[12:52]
WIDE = "NIFTY 500"


def copied(*lists: tuple[int, str], index: str = INDEX) -> pl.DataFrame:
    return pl.concat([listed(*each) for each in lists]).with_columns(index_name=pl.lit(index))


@pytest.mark.parametrize(
    ("lists", "changes", "aside"),
    [
        (copied(*STEADY, (800, MANY[12:52]), (1200, MANY[12:52])), typed(complete=0), [800]),  # in doubt the earlier
        (copied(*STEADY, (1000, MANY[12:52]), (1200, MANY[12:52])), typed(complete=0), []),  # 4 changes, but 200 days
        (copied((0, MANY[:40]), (800, MANY[:40])), typed(complete=0), [0]),  # no other list: 10% a year
        (copied((0, MANY[:40]), (500, MANY[:40])), typed(complete=0), [0]),
        (copied((0, MANY[:40]), (300, MANY[:40])), typed(complete=0), []),
        (copied((0, MANY[:12]), (800, MANY[:12])), typed(complete=0), []),  # a small index may stay as it is
        (copied(*STEADY, (800, MANY[12:52]), (1200, MANY[12:52])), typed((500, MANY[5], False), complete=1300), []),
        (copied(*STEADY, (800, MANY[12:52]), (1200, MANY[12:52])), typed((900, MANY[5], False), complete=1300), [800]),
        (copied(*STEADY, (500, MANY[12:52]), (800, MANY[8:48]), (1200, MANY[12:52])), typed(complete=0), [500]),
        (copied((0, MANY[:40]), (400, MANY[5:45]), (800, MANY[:40])), typed(complete=0), [800]),  # it undoes changes
    ],
)
def test_copy_of_a_list_under_a_date_with_other_members_is_set_aside(
    lists: pl.DataFrame, changes: pl.DataFrame, aside: list[int]
) -> None:
    found = memberships(lists, changes)
    assert found.set_aside["list_date"].to_list() == [day(number) for number in aside]
    if aside == [800] and lists.height > 120:
        text = f"it has the same members as the list of {day(1200)}, a copy of it under a wrong date: 12 changes"
        assert found.set_aside["reason"].item() == f"{text} in 400 days would be usual"
        true = memberships(lists.filter(pl.col("list_date") != day(800)), changes)
        assert found.members.equals(true.members)


@pytest.mark.parametrize(("which", "aside"), [([], 800), ([800], 1200), ([1200], 800), ([800, 1200], None)])
def test_list_that_the_exchange_served_is_of_its_date_and_its_copy_is_not(which: list[int], aside: int | None) -> None:
    lists = copied(*STEADY, (800, MANY[12:52]), (1200, MANY[12:52]))
    served = pl.when(pl.col("list_date").is_in([day(number) for number in which])).then("list_date")
    found = memberships(lists.with_columns(as_of_from=served), typed(complete=0)).set_aside
    assert found["list_date"].to_list() == ([] if aside is None else [day(aside)])


@pytest.mark.parametrize(("wide_day", "aside"), [(820, 800), (1190, 1200)])
def test_other_index_of_the_same_half_year_shows_which_copy_is_wrong(wide_day: int, aside: int) -> None:
    part = copied(*STEADY, (800, MANY[12:52]), (1200, MANY[12:52]), index="NIFTY 200")
    wide = copied((wide_day, MANY.replace(MANY[51], "")), index=WIDE)
    found = memberships(pl.concat([part, wide]), typed(complete=0)).set_aside
    assert found.select("index_name", "list_date").rows() == [("NIFTY 200", day(aside))]


def test_bars_show_which_copy_is_wrong() -> None:
    lists = copied((-700, MANY[:40]), (-300, MANY[5:45]), (60, MANY[12:52]), (290, MANY[12:52]))
    late = {**dict.fromkeys(MANY, 0), MANY[44]: 100}  # its first bar is on day 100
    early = memberships(lists, typed(complete=0), traded=bars(late)).set_aside
    assert early["list_date"].to_list() == [day(60)]
    runs = bars(dict.fromkeys(MANY, 0)).runs.with_columns(
        last=pl.when(pl.col("symbol") == MANY[44]).then(pl.lit(day(200))).otherwise("last")
    )
    ended = memberships(lists, typed(complete=0), traded=Traded(runs, [day(number) for number in range(300)])).set_aside
    assert ended["list_date"].to_list() == [day(290)]


def test_typed_symbols_are_compared_with_all_symbols_also_if_only_some_bars_are_read() -> None:
    lists = listed(50, "ABC")
    changes = typed((320, "TRADEDD", True), (60, "TRADEDD", True), (60, "TRADED", True))
    whole, part = bars({**OLD, "TRADED": 0}), bars(OLD)
    known = Traded(part.runs, part.sessions, ["TRADED", "OTHER"])
    expected = checked(lists, changes, whole).refused
    assert [why.rpartition("; ")[2] for why in expected["reason"]] == ["did you mean 'TRADED'?"] * 2
    assert checked(lists, changes, known).refused.equals(expected)
    assert checked(lists, changes, known.until(day(200))).refused.equals(expected)


def test_refused_change_is_named_by_the_symbol_that_was_typed() -> None:
    lists = pl.concat([listed(50, "ABC"), listed(100, "ABC")])
    changes = typed((150, "RENAMED", True)).with_columns(
        instrument_id=pl.when(pl.col("symbol") == "RENAMED").then(pl.lit("NSE:A"))
    )
    row = memberships(lists, changes).contradictions.row(0, named=True)
    assert (row["member"], row["reason"].partition(",")[0]) == ("RENAMED", "it is already in the index")


def test_contradictions_with_one_key_keep_all_reasons() -> None:
    found = memberships(listed(50, "ABC"), typed(complete=300))
    rows = [(INDEX, day(60), "A", True, "list", reason) for reason in ("NIFTY 200 has it not", "NIFTY 500 has it not")]
    twice = replace(found, contradictions=pl.DataFrame(rows + rows[:1], found.contradictions.schema, orient="row"))
    (reason,) = normalize_contradictions(twice, day(60), datetime(2020, 3, 1, tzinfo=UTC))["reason"]
    assert reason == "NIFTY 200 has it not; NIFTY 500 has it not"
