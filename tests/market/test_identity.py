"""Identity: the instrument of a symbol at a time, from the exchange's list and from the bars."""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from champion.market.identity import symbol_history
from champion.market.identity.isin import check_digit, is_valid
from champion.market.identity.succession import Change, Contradiction
from champion.market.identity.symbol_history import SymbolHistory
from champion.sources import actions as lists

LAW = settings(max_examples=150)
FIRST = date(2020, 1, 1)


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def lineage(*changes: tuple[int, str, str]) -> SymbolHistory:
    return SymbolHistory(tuple(sorted((day(n), before, after) for n, before, after in changes)))


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, str, str]]:
    """Renames of a market in which one company at a time has a symbol, which may be reused."""
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
def test_the_name_of_an_instrument_never_changes(changes: list[tuple[int, str, str]]) -> None:
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
def test_later_changes_do_not_change_names(changes: list[tuple[int, str, str]], now: int) -> None:
    whole, then = lineage(*changes), lineage(*(change for change in changes if change[0] <= now))
    for symbol in "ABCDEFG":
        assert whole.name(symbol, day(now)) == then.name(symbol, day(now))


def test_two_renames_on_one_date_are_applied_in_order() -> None:
    known = lineage((5, "Z", "M"), (5, "M", "A"))
    assert (known.name("A", day(5)), known.name("Z", day(4)), known.name("M", day(4))) == ("Z", "Z", "M")


def test_a_circle_within_one_date_ends() -> None:
    known = lineage((5, "A", "B"), (5, "B", "A"))
    assert known.name("A", day(4)) == "A"
    assert isinstance(known.name("A", day(6)), str)


def test_a_change_to_the_same_symbol_is_ignored() -> None:
    rows = [("SAME", "SAME", day(3)), ("OLD", "SAME", day(3))]
    frame = pl.DataFrame(rows, schema=["before", "after", "session"], orient="row")
    assert SymbolHistory.of(frame).changes == ((day(3), "OLD", "SAME"),)


def isin(body: str) -> str:
    """Return the ISIN of an issuer's four characters."""
    return f"INE{body}01010"[:11] + str(check_digit(f"INE{body}01010"[:11]))


I1, I2, I3 = isin("001A"), isin("002B"), isin("003C")


def bars(*runs: tuple[str, str | None, int, int]) -> pl.LazyFrame:
    """Return the symbol, isin and session of runs of sessions, shuffled."""
    rows = [(symbol, isin, day(n)) for symbol, isin, first, last in runs for n in range(first, last + 1)]
    random.Random(3).shuffle(rows)  # noqa: S311 - an order, not a secret
    return pl.DataFrame(rows, schema={"symbol": pl.String, "isin": pl.String, "session": pl.Date}, orient="row").lazy()


def names(listed: list[tuple[int, str, str]], rows: pl.LazyFrame) -> tuple[SymbolHistory, tuple[Contradiction, ...]]:
    return lineage(*listed).review(symbol_history.securities(symbol_history.listings(rows)))


def renames(rows: pl.LazyFrame) -> list[Change]:
    return list(symbol_history.securities(symbol_history.listings(rows)).renames)


def test_one_isin_under_two_symbols_is_a_rename_without_a_list() -> None:
    rows = bars(("OLD", I1, 0, 4), ("NEW", I1, 6, 9), ("OTHER", I2, 0, 9))
    assert renames(rows) == [(day(6), "OLD", "NEW")]
    known, _ = names([], rows)
    assert known.names(["OLD", "NEW", "OTHER"], day(7)) == {"NEW": "OLD", "OLD": f"OLD@{day(6)}"}
    assert known.names(["OLD", "NEW", "OTHER"], day(5)) == {}


def test_sessions_without_isin_take_the_isin_of_their_symbol() -> None:
    runs = [("OLD", I1, 0, 2), ("OLD", None, 3, 4), ("NEW", None, 5, 7), ("NEW", I1, 8, 9)]
    assert renames(bars(*runs)) == [(day(5), "OLD", "NEW")]


@pytest.mark.parametrize("wrong", ["DUMMY", "INE", "-", "0", "NA", "INE000000000", "INE00000000X", "INE001A01011", ""])
def test_an_invalid_isin_links_nothing(wrong: str) -> None:
    assert not is_valid(wrong)
    rows = bars(("ONE", wrong, 0, 0), ("ONE", I1, 1, 9), ("TWO", wrong, 20, 20), ("TWO", I2, 21, 29))
    assert renames(rows) == []


def test_the_isin_of_a_delisted_company_on_one_day_splits_nothing() -> None:
    runs = [("DEAD", I1, 0, 2), ("LIVE", I2, 0, 60), ("LIVE", I1, 61, 61), ("LIVE", I2, 62, 70)]
    assert names([], bars(*runs))[0].changes == ()
    assert names([], bars(*runs[:3]))[0].changes == (), "nor while it is the last day"
    known, found = names([], bars(*runs))
    assert known.name("LIVE", day(65)) == "LIVE"
    assert {one.kind for one in found} == {"isin_mistyped"}


def test_a_new_share_with_the_isin_of_a_delisted_one_on_its_first_day_is_new() -> None:
    runs = [("DEAD", I1, 0, 2), ("NEW", I1, 40, 40), ("NEW", I2, 41, 60)]
    assert names([], bars(*runs))[0].changes == ()


def test_the_old_symbol_must_stop() -> None:
    runs = [("OLD", I1, 0, 4), ("OLD", I2, 5, 9), ("NEW", I1, 5, 9)]
    assert names([], bars(*runs))[0].changes == ()


def test_the_new_symbol_must_not_have_another_isin() -> None:
    runs = [("OLD", I1, 0, 4), ("NEW", I2, 0, 4), ("NEW", I1, 5, 9)]
    known, found = names([], bars(*runs))
    assert known.changes == ()
    assert [(one.kind, one.symbol) for one in found] == [("isin_shared", "NEW")]


def test_a_foreign_isin_on_the_last_bar_before_a_rename_is_mistyped() -> None:
    """The symbol continues at its own last close, so the delisted company's ISIN is mistyped."""
    rows = [("DEAD", I1, day(0), 900.0, 900.0), ("A", I2, day(0), 10.0, 10.0), ("A", I2, day(1), 10.0, 11.0)]
    rows += [("A", I1, day(2), 11.0, 12.0), ("B", I2, day(3), 12.0, 13.0), ("B", I2, day(4), 13.0, 14.0)]
    schema = {"symbol": pl.String, "isin": pl.String, "session": pl.Date, "prev_close": float, "close": float}
    known, found = names([], pl.DataFrame(rows, schema=schema, orient="row").lazy())
    assert known.changes == ((day(3), "A", "B"),)
    assert [(one.kind, one.symbol) for one in found] == [("isin_shared", "A")]


def test_two_symbols_swapped_in_one_session_keep_their_companies() -> None:
    known, _ = names([], bars(("A", I1, 0, 4), ("B", I2, 0, 4), ("B", I1, 5, 9), ("C", I2, 5, 9)))
    assert [known.name(symbol, day(6)) for symbol in ("A", "B", "C")] == [f"A@{day(5)}", "A", "B"]


@pytest.mark.parametrize("symbols", ["AB", "ABC", "ABCD"])
def test_symbols_exchanged_in_a_ring_keep_their_companies(symbols: str) -> None:
    ring = dict(zip(symbols, symbols[1:] + symbols[:1], strict=True))
    bodies = {symbol: f"INE{number:03d}A0101" for number, symbol in enumerate(symbols, start=1)}
    rows = [
        (ring[symbol] if n > 4 else symbol, f"{body}{check_digit(body)}", day(n), 10.0 * 2**place, 10.0 * 2**place)
        for place, (symbol, body) in enumerate(bodies.items())
        for n in range(10)
    ]
    schema = {"symbol": pl.String, "isin": pl.String, "session": pl.Date, "prev_close": float, "close": float}
    known, _ = names([], pl.DataFrame(rows, schema=schema, orient="row").lazy())
    assert {after: known.name(after, day(6)) for after in symbols} == {after: before for before, after in ring.items()}
    assert {known.symbol(symbol, day(6)) for symbol in symbols} == set(symbols)


def test_the_bars_decide_the_date() -> None:
    known, found = names([(1, "OLD", "NEW")], bars(("OLD", I1, 0, 4), ("NEW", I1, 5, 9)))
    assert known.changes == ((day(5), "OLD", "NEW"),)
    assert [one.kind for one in found] == ["rename_dated"]


def test_a_listed_date_without_bars_is_kept() -> None:
    known, found = names([(6, "OLD", "NEW")], bars(("OLD", I1, 0, 4), ("NEW", I1, 8, 9)))
    assert (known.changes, found) == (((day(6), "OLD", "NEW"),), ())


@pytest.mark.parametrize("number", [I1, None])
def test_a_row_of_the_list_does_not_split_a_symbol_that_trades(number: str | None) -> None:
    """JUBLCPL: in the list, JACPL, which never traded, became JUBLCPL on a session within its history."""
    known, found = names([(5, "JACPL", "JUBLCPL")], bars(("JUBLCPL", number, 0, 9)))
    assert {known.name("JUBLCPL", day(n)) for n in range(10)} == {"JUBLCPL"}
    assert [(one.kind, one.session, one.symbol) for one in found] == [("rename_contradicted", day(5), "JUBLCPL")]


def test_a_wrong_row_does_not_rename_a_symbol_that_trades() -> None:
    known, found = names([(5, "LIVE", "OTHER")], bars(("LIVE", None, 0, 9), ("OTHER", None, 0, 9)))
    assert (known.changes, [one.kind for one in found]) == ((), ["rename_contradicted"])


def test_a_rename_without_isin_uses_the_list_and_the_date_of_the_bars() -> None:
    known, found = names([(3, "OLD", "NEW")], bars(("OLD", None, 0, 4), ("NEW", None, 5, 9)))
    assert (known.changes, [one.kind for one in found]) == (((day(5), "OLD", "NEW"),), ["rename_dated"])


def test_a_symbol_renamed_twice_to_the_same_symbol_keeps_both_dates() -> None:
    runs = [("A", I1, 0, 9), ("B", I1, 10, 19), ("A", I1, 20, 29), ("B", I1, 30, 39)]
    known, _ = names([(10, "A", "B"), (20, "B", "A"), (30, "A", "B")], bars(*runs))
    assert {known.name(symbol, day(n)) for symbol, _, first, last in runs for n in range(first, last + 1)} == {"A"}


def test_an_isin_under_two_symbols_on_one_session_is_reported_and_not_used() -> None:
    found = symbol_history.securities(symbol_history.listings(bars(("A", I1, 0, 5), ("B", I1, 5, 9))))
    assert found.renames == ()
    assert [(one.kind, one.symbol, one.session) for one in found.contradictions] == [("isin_shared", "B", day(5))]


def test_a_new_isin_under_the_same_symbol_keeps_the_instrument() -> None:
    assert renames(bars(("A", I1, 0, 5), ("A", I2, 6, 9))) == []


def test_a_symbol_that_returns_as_another_security_is_named_after_its_return() -> None:
    frame = pl.DataFrame(
        [("A", I1, day(0), 90.0, 100.0), ("A", I2, day(400), 20.0, 21.0), ("A", I2, day(401), 21.0, 22.0)],
        schema={"symbol": pl.String, "isin": pl.String, "session": pl.Date, "prev_close": float, "close": float},
        orient="row",
    )
    listed = symbol_history.listings(frame.lazy())
    known, found = SymbolHistory().review(symbol_history.securities(listed))
    assert [known.name("A", day(n)) for n in (0, 399, 400, 401)] == ["A", "A", f"A@{day(400)}", f"A@{day(400)}"]
    assert [one.kind for one in found] == ["symbol_reused"]
    assert known.symbol(f"A@{day(400)}", day(401)) == "A"
    explained, _ = SymbolHistory().review(symbol_history.securities(listed, lambda _before, _after: True))
    assert explained.restarts == ()
    continued = frame.with_columns(pl.col("prev_close").replace(20.0, 100.0))
    assert (
        SymbolHistory().review(symbol_history.securities(symbol_history.listings(continued.lazy())))[0].restarts == ()
    )


def test_the_digest_depends_on_the_names() -> None:
    assert symbol_history.digest({"A": "B"}) == symbol_history.digest(dict([("A", "B")]))  # noqa: C406 - another object
    assert len({symbol_history.digest(names) for names in ({}, {"A": "B"}, {"A": "C"}, {"B": "A"})}) == 4


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
    assert SymbolHistory.of(changes).name(symbol, session) == name
