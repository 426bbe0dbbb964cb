"""Index members as of a date: exact with dated changes, bracketed between lists, never known before the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from random import Random

import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from champion.errors import UsageError
from champion.market.reference.indices.membership import CHANGES_SCHEMA, LISTS_SCHEMA, memberships

INDEX = "NIFTY TEST"
START = date(2020, 1, 1)
Changes = Sequence[tuple[date, str, bool]]


def days(number: int) -> date:
    return START + timedelta(number)


def listed(day: date, symbols: Sequence[str], *, known: date | None = None, as_of: date | None = None) -> pl.DataFrame:
    """Return one list; the ISIN and the name of a company follow from its symbol's first letters."""
    rows = [
        {
            "index_name": INDEX,
            "list_date": day,
            "as_of_from": as_of,
            "seen_until": day,
            "known_on": known or day,
            "instrument_id": f"NSE:{symbol}",
            "symbol": symbol,
            "isin": f"ISIN{symbol}",
            "company": f"{symbol} Ltd.",
            "is_dummy": symbol.startswith("DUMMY"),
        }
        for symbol in symbols
    ]
    return pl.DataFrame(rows, LISTS_SCHEMA, orient="row")


def dated(changes: Changes, basis: str = "press release", complete: date | None = None) -> pl.DataFrame:
    """Return changes by symbol, or by company for the register; a last row says until when they are complete."""
    rows = [
        (
            INDEX,
            day,
            joins,
            *((None, None, f"{symbol} Limited") if basis == "register" else (f"NSE:{symbol}", symbol, None)),
            basis,
            day,
        )
        for day, symbol, joins in changes
    ]
    rows += [(INDEX, complete, None, None, None, None, basis, complete)] if complete else []
    return pl.DataFrame(rows, CHANGES_SCHEMA, orient="row")


NONE = pl.DataFrame(schema=CHANGES_SCHEMA)


def symbols_on(found: pl.DataFrame) -> list[str]:
    return sorted(found["symbol"].to_list())


def history(seed: int) -> tuple[list[set[str]], list[tuple[date, str, bool]]]:
    """Return the true members on 120 days, and each change with its day. A company changes once a day at most."""
    chance = Random(seed)  # noqa: S311 - no secret
    names = [f"S{number}" for number in range(12)]
    members, true, changes = set(chance.sample(names, 6)), [], []
    for day in range(120):
        for name in chance.sample(names, chance.choice([1, 2, 3])) if day and chance.random() < 0.1 else ():
            changes.append((days(day), name, name not in members))
            members ^= {name}
        true.append(set(members))
    return true, changes


SEEDS, AGES = st.integers(0, 10**6), st.integers(0, 119)


@settings(max_examples=30)
@given(SEEDS, AGES, st.sampled_from(["press release", "register"]))
def test_complete_changes_and_one_list_give_every_day_exactly(seed: int, anchor: int, basis: str) -> None:
    true, changes = history(seed)
    if not true[anchor]:
        return
    found = memberships(listed(days(anchor), sorted(true[anchor])), dated(changes, basis, days(119)))
    first, last = found.covered[INDEX]
    reached = [day for day, *_ in changes if day <= days(anchor)]
    assert (first, last) == (min([*reached, days(anchor)]), days(119))
    for number in range((first - START).days, 120):
        # The register names companies; a company that is in no list has its name only.
        names = {company.split()[0] for company in found.on(INDEX, days(number))["company"].drop_nulls()}
        symbols = set(found.on(INDEX, days(number))["symbol"].drop_nulls())
        assert names | symbols == true[number]
    assert found.contradictions.is_empty()


@settings(max_examples=30)
@given(SEEDS, st.sets(AGES, min_size=2, max_size=8))
def test_change_between_lists_lies_in_its_interval_and_never_counts_too_early(seed: int, ages: set[int]) -> None:
    true, changes = history(seed)
    lists = [day for day in sorted(ages) if true[day]]
    if len(lists) < 2:
        return
    frame = pl.concat([listed(days(day), sorted(true[day]), as_of=days(day)) for day in lists])
    found = memberships(frame, NONE)
    aside = set(found.set_aside["list_date"])
    for day in lists:
        if days(day) not in aside:
            assert symbols_on(found.on(INDEX, days(day))) == sorted(true[day])
    joined = found.members.filter(from_basis="between lists")
    for symbol, member_from, after in joined.select("symbol", "member_from", "from_after").iter_rows():
        assert after < member_from
        assert [day for day, name, joins in changes if name == symbol and joins and after < day <= member_from]


@settings(max_examples=30)
@given(SEEDS, st.sets(AGES, min_size=1, max_size=8), AGES)
def test_answer_as_known_on_a_date_uses_only_what_was_known_then(seed: int, ages: set[int], known: int) -> None:
    true, changes = history(seed)
    lists = [day for day in sorted(ages) if true[day]]
    early = [day for day in lists if day <= known]
    if not early:
        return
    frames = {day: listed(days(day), sorted(true[day])) for day in lists}
    then = memberships(pl.concat(frames.values()), dated(changes), known=days(known))
    past = [change for change in changes if change[0] <= days(known)]
    alone = memberships(pl.concat(frames[day] for day in early), dated(past))
    assert then.members.equals(alone.members)
    assert then.covered == alone.covered
    assert then.covered[INDEX][1] <= days(known)


def test_dates_without_evidence_are_refused_with_the_covered_ones() -> None:
    found = memberships(pl.concat([listed(days(10), ["A", "B"]), listed(days(20), ["A", "C"])]), NONE)
    assert symbols_on(found.on(INDEX, days(15))) == ["A", "B"]
    for day in (days(9), days(21)):
        with pytest.raises(UsageError, match="lists and changes cover 2020-01-11 to 2020-01-21"):
            found.on(INDEX, day)
    with pytest.raises(UsageError, match=r"no list of index 'NIFTY 9': there are lists of NIFTY TEST"):
        found.on("NIFTY 9", days(10))
    with pytest.raises(UsageError, match=r"no list of index 'NIFTYTEST': did you mean 'NIFTY TEST'\?"):
        found.on("NIFTYTEST", days(10))
    with pytest.raises(UsageError, match="no index list is known on 2020-01-05"):
        memberships(listed(days(10), ["A"]), NONE, known=days(4))


def test_dummy_lines_are_no_members() -> None:
    lists = [listed(days(0), ["A", "B"]), listed(days(5), ["A", "B", "DUMMYA"]), listed(days(9), ["A", "B"])]
    found = memberships(pl.concat(lists), NONE)
    assert found.members["symbol"].to_list() == ["A", "B"]


def test_undated_older_list_bounds_a_change_by_the_list_before_it() -> None:
    lists = [listed(days(0), ["A", "B"]), listed(days(10), ["A", "B"]), listed(days(20), ["A", "C"])]
    found = memberships(pl.concat(lists), NONE).members.filter(symbol="C")
    assert found.select("member_from", "from_after").row(0) == (days(20), days(0))  # the second list may be as of day 1
    exact = [lists[0], listed(days(10), ["A", "B"], as_of=days(10)), lists[2]]
    assert memberships(pl.concat(exact), NONE).members.filter(symbol="C")["from_after"].item() == days(10)


def test_complete_source_bounds_a_change_that_it_does_not_name() -> None:
    lists = pl.concat([listed(days(0), ["A", "B"]), listed(days(20), ["A", "C"])])
    found = memberships(lists, dated([], "register", complete=days(12))).members.filter(symbol="C")
    assert found.select("from_basis", "from_after").row(0) == ("between lists", days(12))


def test_stale_list_is_set_aside_although_later_lists_confirm_nothing_yet() -> None:
    old, new = [f"O{n}" for n in range(10)], [f"O{n}" for n in range(5)] + [f"N{n}" for n in range(5)]
    lists = [listed(days(0), old), listed(days(10), new), listed(days(20), old), listed(days(30), [*new[1:], "Z"])]
    for count in (3, 4):
        found = memberships(pl.concat(lists[:count]), NONE)
        assert found.set_aside["list_date"].to_list() == [days(20)]
        assert found.set_aside["reason"][0] == "it undoes 10 changes that the list of 2020-01-11 has since 2020-01-01"
    assert symbols_on(found.on(INDEX, days(25))) == sorted(new)


def test_reentry_of_a_few_companies_is_no_stale_list() -> None:
    base = [f"B{n}" for n in range(20)]
    lists = [base, [*base[1:], "X"], base, [*base[1:], "X"]]
    found = memberships(pl.concat([listed(days(10 * n), names) for n, names in enumerate(lists)]), NONE)
    assert found.set_aside.is_empty()


def test_list_without_the_last_dated_changes_is_set_aside_with_the_date_of_its_content() -> None:
    changes = [(days(5), "A", False), (days(5), "C", True), (days(8), "B", False), (days(8), "D", True)]
    lists = [listed(days(9), ["A", "B", "E"]), listed(days(20), ["C", "D", "E"])]
    found = memberships(pl.concat(lists), dated(changes, complete=days(30)))
    assert found.set_aside.select("list_date", "content_before").row(0) == (days(9), days(5))
    assert symbols_on(found.on(INDEX, days(6))) == ["B", "C", "E"]
    assert found.covered[INDEX] == (days(5), days(30))


@pytest.mark.parametrize("with_changes", [True, False])
def test_list_that_is_newer_than_its_date_is_set_aside_and_changes_no_member(*, with_changes: bool) -> None:
    changes = [
        (days(10 * step), f"{letter}{step}", letter == "N")
        for step in range(1, 9) for letter in ("O", "N")
    ]  # fmt: skip
    content = [[f"N{n}" if n <= step else f"O{n}" for n in range(1, 30)] for step in range(10)]
    lists = [listed(days(10 * step + 5), content[step]) for step in range(2, 9)]
    wrong = listed(days(2), content[8])  # a copy of day 85, kept under a date before all others
    dates = dated(changes, complete=days(100)) if with_changes else NONE
    true, found = memberships(pl.concat(lists), dates), memberships(pl.concat([wrong, *lists]), dates)
    assert found.set_aside["list_date"].to_list() == [days(2)]
    assert found.members.equals(true.members)
    assert found.covered == true.covered


def test_contradicted_change_ends_the_way_back() -> None:
    changes = [(days(2), "X", True), (days(5), "B", True), (days(5), "Y", True), (days(8), "C", True)]
    found = memberships(listed(days(10), ["A", "B", "C"]), dated(changes, complete=days(10)))
    assert found.covered[INDEX][0] == days(5)  # before it, Y's true exclusion is unknown
    assert found.contradictions.select("effective", "member").row(0) == (days(5), "Y")
    assert symbols_on(found.on(INDEX, days(6))) == ["A", "B"]


def test_register_beside_press_releases_counts_once_and_leads_further_back() -> None:
    press = dated([(days(50), "B", False), (days(50), "C", True)], complete=days(100))
    register = dated([(days(20), "GONE", True), (days(50), "B", False), (days(50), "C", True)], "register")
    found = memberships(listed(days(90), ["A", "C", "GONE"]), pl.concat([press, register]))
    assert found.covered[INDEX][0] == days(20)
    assert symbols_on(found.on(INDEX, days(30))) == ["A", "B", "GONE"]
    ends = found.members.filter(symbol="B").select("member_until", "until_basis").row(0)
    assert ends == (days(50), "press release")


def test_change_named_by_symbol_and_by_company_is_one() -> None:
    press = dated([(days(50), "OLD", False), (days(50), "A", True)], complete=days(100))
    register = dated([(days(50), "Former Company", False), (days(50), "A", True)], "register", days(60))
    found = memberships(listed(days(90), ["A", "C"]), pl.concat([press, register]))
    assert found.on(INDEX, days(50)).height == 2
    assert found.contradictions.is_empty()


def test_company_under_a_former_name_is_found() -> None:
    row = (INDEX, days(5), True, None, None, "Titan Industries Ltd.", "register", days(5))
    register = pl.concat([pl.DataFrame([row], CHANGES_SCHEMA, orient="row"), dated([], "register", complete=days(50))])
    lists = listed(days(40), ["TITAN", "A"]).with_columns(
        company=pl.col("company").replace({"TITAN Ltd.": "Titan Company Ltd."})
    )
    found = memberships(lists, register).members.filter(symbol="TITAN")
    assert found.select("member_from", "from_basis").row(0) == (days(5), "register")


def test_rename_and_new_isin_split_the_period_without_a_change_of_members() -> None:
    lists = [listed(days(0), ["A", "LTI"]), listed(days(10), ["A", "LTIM"]), listed(days(20), ["A", "LTIM"])]
    by_isin = [
        frame.with_columns(isin=pl.col("symbol").replace({"LTI": "X", "LTIM": "X", "A": "Y"})) for frame in lists
    ]
    found = memberships(pl.concat(by_isin), NONE).members.filter(isin="X").sort("member_from")
    assert found.select("symbol", "member_from", "member_until", "from_basis", "until_basis").rows() == [
        ("LTI", days(0), days(10), "list", "renamed"),
        ("LTIM", days(10), None, "renamed", None),
    ]
    # Where the ISIN changed too, the instrument joins both.
    known = [
        frame.with_columns(instrument_id=pl.col("instrument_id").replace("NSE:LTIM", "NSE:LTI")) for frame in lists
    ]
    assert memberships(pl.concat(known), NONE).members.filter(from_basis="between lists").is_empty()


def test_instrument_that_two_lines_of_a_list_share_over_time_joins_nothing() -> None:
    lists = [listed(days(0), ["TATA", "B"]), listed(days(10), ["TATAPV", "TATA", "B"])]
    isins = [{"TATA": "ONE", "B": "ISINB"}, {"TATAPV": "ONE", "TATA": "TWO", "B": "ISINB"}]
    frames = [f.with_columns(isin=pl.col("symbol").replace(names)) for f, names in zip(lists, isins, strict=True)]
    found = memberships(pl.concat(frames), NONE)
    assert found.on(INDEX, days(10)).select("symbol", "isin").rows() == [
        ("B", "ISINB"),
        ("TATA", "TWO"),
        ("TATAPV", "ONE"),
    ]
    assert found.members.filter(isin="TWO")["from_basis"].to_list() == ["between lists"]
