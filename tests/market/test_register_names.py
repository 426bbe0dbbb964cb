"""Companies that only the register of index changes names: the instrument under the same name in other lists."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest
from index_cases import INDEX, START, day, listed

from champion.contracts.datasets import ACTIONS, CIRCUIT_HITS, SYMBOLS
from champion.market.reference.company_names import PUBLISHED, published, resolved, unlisted, unnamed
from champion.market.reference.indices.membership import CHANGES_SCHEMA, memberships
from champion.market.reference.indices.traded import Traded

SESSIONS = [START + timedelta(number) for number in range(300)]


def register(*changes: tuple[int, str, bool]) -> pl.DataFrame:
    rows: list[tuple[object, ...]] = [
        (INDEX, day(number), joins, None, None, company, "register", day(number)) for number, company, joins in changes
    ]
    rows.append((INDEX, day(299), None, None, None, None, "register", day(299)))
    return pl.DataFrame(rows, CHANGES_SCHEMA, orient="row")


def bars(**spans: tuple[int, int]) -> Traded:
    """Return the bars of shares, each with the numbers of its first and last day; the price never changes."""
    rows = [
        (f"NSE:{name}", name, f"INE{number:03d}A01{number:02d}1", day(first), day(last), last - first + 1, 1.0, 1.0)
        for number, (name, (first, last)) in enumerate(spans.items())
    ]
    schema = ["instrument_id", "symbol", "isin", "first", "last", "sessions", "prev_close", "close"]
    return Traded(pl.DataFrame(rows, schema, orient="row"), SESSIONS)


def names(*pairs: tuple[str, str]) -> pl.DataFrame:
    return pl.DataFrame([(company, f"NSE:{symbol}") for company, symbol in pairs], PUBLISHED, orient="row")


def test_company_of_the_register_alone_is_the_instrument_that_other_lists_name() -> None:
    traded = bars(A=(0, 299), B=(0, 299), KIOCL=(0, 299))
    lists = pl.concat([listed(20, "AB"), listed(250, "AB")])
    changes = register((40, "KIOCL Ltd.", True), (60, "KIOCL Ltd.", False))
    without = memberships(lists, changes, traded=traded).on(INDEX, day(50))
    assert without.filter(pl.col("instrument_id").is_null())["company"].to_list() == ["KIOCL Ltd."]
    for known in (None, day(299)):
        found = memberships(lists, changes, traded=traded, names=names(("KIOCL LIMITED", "KIOCL")), known=known)
        rows = {number: found.on(INDEX, day(number))["instrument_id"].to_list() for number in (39, 40, 59, 60)}
        outside, inside = ["NSE:A", "NSE:B"], ["NSE:A", "NSE:B", "NSE:KIOCL"]
        assert rows == {39: outside, 40: inside, 59: inside, 60: outside}
        assert found.contradictions.is_empty()


TITAN = ("Titan Company Limited", "TITAN")


@pytest.mark.parametrize(
    ("pairs", "spans", "expected"),
    [
        ([("X Limited", "X")], {"X": (0, 299)}, "NSE:X"),
        ([("X Limited", "X")], {"X": (0, 30)}, "NSE:X"),  # it left after its last bar
        ([("X Limited", "X")], {"X": (150, 299)}, None),  # another company, listed later
        ([("X Limited", "X")], {"Y": (0, 299)}, None),  # no company share has bars under it, as with a bond
        ([("X Limited", "X"), ("X Ltd", "XDVR")], {"X": (0, 299), "XDVR": (0, 299)}, None),  # two shares trade
        ([("X Limited", "X"), ("X Ltd", "OLD")], {"X": (0, 299), "OLD": (0, 30)}, "NSE:X"),  # one trades
        ([("X Limited", "X"), ("The X Ltd", "NEW")], {"X": (0, 299), "NEW": (150, 299)}, "NSE:X"),
        ([("X Limited Y", "X")], {"X": (0, 299)}, None),  # a similar name is another name
        ([], {"X": (0, 299)}, None),
    ],
)
def test_name_leads_to_one_share_that_trades_or_to_none(
    pairs: list[tuple[str, str]], spans: dict[str, tuple[int, int]], expected: str | None
) -> None:
    changes = register((40, "X Ltd.", True), (60, "X Ltd.", False))
    found = resolved(changes, listed(20, "AB"), names(*pairs), bars(**spans))
    assert found == ([("x", expected)] if expected else [])


def test_former_name_leads_on_by_the_reviewed_names_and_a_listed_name_stays_with_its_list() -> None:
    changes = register((40, "Titan Industries Ltd.", True), (50, "A Ltd.", False))
    assert unlisted(listed(20, "AB"), changes) == {"titan industries"}
    assert resolved(changes, listed(20, "AB"), names(TITAN, ("A Ltd.", "B")), bars(TITAN=(0, 299), B=(0, 299))) == [
        ("titan industries", "NSE:TITAN")
    ]
    assert unnamed({"titan industries", "x"}, names(TITAN)) == {"x"}


def test_names_of_all_lists_count_and_cut_names_do_not() -> None:
    whole = pl.LazyFrame({"company": ["Excel Crop Care Limited", "Other"], "instrument_id": ["NSE:EXCELCROP", "NSE:O"]})
    shares = pl.LazyFrame({"company": ["Kiocl Limited"], "instrument_id": ["NSE:KIOCL"]})
    cut = ["Excel Crop Care Limited Bh", "Monsanto India Limited", "Kiocl Limited and others "]
    hits = pl.LazyFrame({"security_name": cut, "instrument_id": ["NSE:1", "NSE:MONSANTO", "NSE:3"]})
    wanted = {"excel crop care", "kiocl", "monsanto india", "excel crop care bh", "kiocl and others"}
    found = published({ACTIONS: whole, SYMBOLS: shares, CIRCUIT_HITS: hits}, wanted)
    assert found["instrument_id"].to_list() == ["NSE:EXCELCROP", "NSE:KIOCL", "NSE:MONSANTO"]
