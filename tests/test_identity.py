"""Identity: who bore which symbol when, from the exchange's list and from what the bars show."""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from champion import identity
from champion.identity import SCHEMA, Lineage
from champion.sources import actions as lists

LAW = settings(max_examples=150)
FIRST = date(2020, 1, 1)


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def lineage(*changes: tuple[int, str, str]) -> Lineage:
    return Lineage(tuple(sorted((day(n), before, after) for n, before, after in changes)))


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, str, str]]:
    """Renames of a market in which a symbol is borne by one company at a time, and may be taken again."""
    borne, free, changes = ["A", "B", "C"], ["D", "E", "F", "G"], []
    for number in sorted(draw(st.lists(st.integers(1, 60), max_size=12, unique=True))):
        mover = draw(st.integers(0, len(borne) - 1))
        taken = draw(st.integers(0, len(free) - 1))
        changes.append((number, borne[mover], free[taken]))
        borne[mover], free[taken] = free[taken], borne[mover]
        if draw(st.booleans()) and len(free) > 1:
            borne.append(free.pop(draw(st.integers(0, len(free) - 1))))  # somebody new takes a free symbol
    return changes


@LAW
@given(histories())
def test_a_name_is_given_once_and_follows_its_bearer(changes: list[tuple[int, str, str]]) -> None:
    known = lineage(*changes)
    for number, before, after in changes:
        assert known.name(after, day(number)) == known.name(before, day(number - 1))
        assert known.name(before, day(number)) != known.name(after, day(number))
    symbols = {symbol for _, *pair in changes for symbol in pair}
    for number in range(62):
        bearers = [known.name(symbol, day(number)) for symbol in symbols]
        assert len(set(bearers)) == len(bearers), "two symbols of one session are two instruments"
        for symbol in symbols:
            assert known.symbol(known.name(symbol, day(number)), day(number)) == symbol


@LAW
@given(histories(), st.integers(0, 60))
def test_what_comes_later_changes_no_name(changes: list[tuple[int, str, str]], now: int) -> None:
    whole, then = lineage(*changes), lineage(*(change for change in changes if change[0] <= now))
    for symbol in "ABCDEFG":
        assert whole.name(symbol, day(now)) == then.name(symbol, day(now))


def test_two_renames_on_one_date_are_followed_in_turn() -> None:
    known = lineage((5, "Z", "M"), (5, "M", "A"))
    assert (known.name("A", day(5)), known.name("Z", day(4)), known.name("M", day(4))) == ("Z", "Z", "M")


def test_a_circle_within_one_date_ends() -> None:
    known = lineage((5, "A", "B"), (5, "B", "A"))
    assert known.name("A", day(4)) == "A"
    assert isinstance(known.name("A", day(6)), str)


def test_a_change_to_itself_is_none() -> None:
    frame = pl.DataFrame([("SAME", "SAME", day(3)), ("OLD", "SAME", day(3))], schema=SCHEMA, orient="row")
    assert Lineage.of(frame).changes == ((day(3), "OLD", "SAME"),)


def bars(*runs: tuple[str, str | None, int, int]) -> pl.LazyFrame:
    """Return the symbol, isin and session of runs of sessions, shuffled."""
    rows = [(symbol, isin, day(n)) for symbol, isin, first, last in runs for n in range(first, last + 1)]
    random.Random(3).shuffle(rows)  # noqa: S311 - an order, not a secret
    return pl.DataFrame(rows, schema={"symbol": pl.String, "isin": pl.String, "session": pl.Date}, orient="row").lazy()


def test_one_isin_under_two_symbols_is_a_rename_that_no_list_needs_to_tell() -> None:
    listed = identity.listings(bars(("OLD", "I1", 0, 4), ("NEW", "I1", 6, 9), ("OTHER", "I2", 0, 9)))
    found = identity.successions(listed)
    assert found.rows() == [("OLD", "NEW", day(6))]
    learnt = Lineage().learning_from(found)
    assert learnt.names(["OLD", "NEW", "OTHER"], day(7)) == {"NEW": "OLD", "OLD": f"OLD@{day(6)}"}
    assert learnt.names(["OLD", "NEW", "OTHER"], day(5)) == {}


def test_sessions_without_isin_count_for_the_isin_their_symbol_bears() -> None:
    runs = [("OLD", "I1", 0, 2), ("OLD", None, 3, 4), ("NEW", None, 5, 7), ("NEW", "I1", 8, 9)]
    assert identity.successions(identity.listings(bars(*runs))).rows() == [("OLD", "NEW", day(5))]


def test_bars_are_believed_on_the_date() -> None:
    listed = pl.DataFrame([("OLD", "NEW", day(1))], schema=SCHEMA, orient="row")
    seen = identity.successions(identity.listings(bars(("OLD", "I1", 0, 4), ("NEW", "I1", 5, 9))))
    learnt = Lineage.of(listed).learning_from(seen)
    assert learnt.changes == ((day(5), "OLD", "NEW"),)


def test_an_isin_under_two_symbols_at_once_is_reported_and_not_used() -> None:
    listed = identity.listings(bars(("A", "I1", 0, 5), ("B", "I1", 5, 9)))
    assert identity.successions(listed).is_empty()
    assert identity.overlaps(listed).rows() == [("I1", "A", "B", day(5))]


def test_a_new_isin_under_the_same_symbol_is_no_break() -> None:
    listed = identity.listings(bars(("A", "I1", 0, 5), ("A", "I2", 6, 9)))
    assert identity.successions(listed).is_empty()


def test_the_digest_tells_names_apart() -> None:
    assert identity.digest({"A": "B"}) == identity.digest(dict([("A", "B")]))  # noqa: C406 - another object
    assert len({identity.digest(names) for names in ({}, {"A": "B"}, {"A": "C"}, {"B": "A"})}) == 4


@pytest.mark.parametrize(
    ("symbol", "session", "name"),
    [
        ("LTM", date(2026, 6, 1), "LTI"),
        ("LTIM", date(2024, 1, 15), "LTI"),
        ("UNOMINDA", date(2024, 1, 15), "MINDAIND"),
        ("DPL", date(2018, 12, 31), "DTIL"),
        ("DTIL", date(2024, 1, 15), "DTIL@2010-07-26"),  # another company took the symbol
        ("TCS", date(2024, 1, 15), "TCS"),
    ],
)
def test_the_real_list(nse: Path, symbol: str, session: date, name: str) -> None:
    changes = lists.parse_symbol_changes("s.csv", (nse / "content/equities/symbolchange.csv").read_bytes())
    assert Lineage.of(changes).name(symbol, session) == name
