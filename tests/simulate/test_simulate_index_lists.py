"""The simulated index lists have the traps of the real ones, and lead to the true members."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

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
from champion.market.reference.indices.sectors import industry_periods
from champion.simulate import calendar, universe
from champion.simulate.events import plan
from champion.simulate.reference.index_lists import index_lists
from champion.simulate.reference.index_register import PATH as REGISTER, last_session
from champion.sources.lists.index_changes import parse_changes
from champion.sources.lists.index_list import parse_index_list
from champion.sources.lists.index_register import parse_register
from champion.sources.lists.workbook import read_rows

START, END, SEED = date(2021, 10, 1), date(2023, 6, 30), 7
SESSIONS = calendar.sessions(START, END)
FETCHED = pl.datetime(2023, 7, 1)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    members, sessions = universe.build(150, SEED), calendar.sessions(START, END)
    return index_lists(members, plan(members, sessions, SEED, corporate_actions=True), sessions, SEED)


@pytest.fixture(scope="module")
def lists(files: dict[str, bytes]) -> tuple[pl.DataFrame, pl.DataFrame]:
    from datetime import UTC, datetime  # noqa: PLC0415

    read_at, history, rows, changes = datetime(2023, 7, 1, tzinfo=UTC), SymbolHistory(), [], []
    for path, content in files.items():
        folder, _, name = path.rpartition("/")
        dated = date.fromisoformat(folder[-10:]) if "snapshots" in folder else None
        file = ListFile(name, path, read_at, dated)
        if name == "index_changes.csv":
            changes.append(normalize_changes(parse_changes(name, content), history, RELEASES_SOURCE, file))
        elif path == REGISTER:
            changes.append(normalize_changes(parse_register(name, content), history, REGISTER_SOURCE, file))
        else:
            rows.append(normalize_list(parse_index_list(name, content), history, file))
    return evidence(pl.concat(rows), pl.concat(changes))


@pytest.fixture(scope="module")
def found(lists: tuple[pl.DataFrame, pl.DataFrame]) -> Membership:
    return memberships(*lists)


def test_lists_are_of_the_indices_with_enough_instruments(files: dict[str, bytes]) -> None:
    assert {path.rpartition("/")[2] for path in files} == {
        "ind_nifty50list.csv",
        "ind_nifty100list.csv",
        "index_changes.csv",
        "IndexInclExcl.xlsx",
    }
    short = calendar.sessions(date(2024, 1, 1), date(2024, 2, 29))  # nothing changes: no register
    members = universe.build(150, SEED)
    names = index_lists(members, plan(members, short, SEED, corporate_actions=True), short, SEED)
    assert REGISTER not in names
    assert "content/indices/snapshots/2024-01-01/ind_nifty50list.csv" in names
    few, sessions = universe.build(20, SEED), calendar.sessions(START, END)
    assert index_lists(few, plan(few, sessions, SEED, corporate_actions=True), sessions, SEED) == {}


def test_same_seed_gives_the_same_bytes(files: dict[str, bytes]) -> None:
    members, sessions = universe.build(150, SEED), calendar.sessions(START, END)
    assert index_lists(members, plan(members, sessions, SEED, corporate_actions=True), sessions, SEED) == files


def test_stale_copy_of_each_index_is_set_aside_and_no_other(found: Membership) -> None:
    is_older = pl.col("reason").str.starts_with("it undoes")
    assert found.set_aside.filter(is_older)["index_name"].to_list() == ["NIFTY 100", "NIFTY 50"]
    # Copies are up to three weeks old: the register shows those whose index changed meanwhile.
    meanwhile = found.set_aside.filter(~is_older)
    assert (meanwhile["content_before"] <= meanwhile["list_date"]).all()
    assert (meanwhile["list_date"] - meanwhile["content_before"]).max() <= timedelta(21)  # type: ignore[operator]


def test_nifty_50_has_fifty_members_on_every_date_and_exact_changes(found: Membership) -> None:
    first, last = found.covered["NIFTY 50"]
    assert first <= SESSIONS[0]
    for day in pl.date_range(first, last, eager=True):
        assert found.on("NIFTY 50", day).height == 50
    joined = found.members.filter(pl.col("index_name") == "NIFTY 50", pl.col("from_basis") == "press release")
    by_register = found.members.filter(pl.col("index_name") == "NIFTY 50", pl.col("from_basis") == "register")
    assert joined.height + by_register.height >= 9  # three reviews of three
    assert joined.height >= 3
    assert joined["from_after"].null_count() == joined.height
    assert found.contradictions.is_empty()


def test_nifty_100_has_its_changes_between_lists(found: Membership) -> None:
    later = pl.col("member_from") > last_session(SESSIONS)
    joined = found.members.filter(later, index_name="NIFTY 100", from_basis="between lists")
    assert joined.height >= 3
    earlier = found.members.filter(~later, pl.col("from_basis") != "list", index_name="NIFTY 100")
    assert earlier.height >= 3
    assert set(earlier["from_basis"]) <= {"register", "renamed"}
    bounded = joined.filter(pl.col("from_after").is_not_null())
    assert (bounded["from_after"] < bounded["member_from"]).all()


def test_register_has_the_traps_of_the_real_one(files: dict[str, bytes]) -> None:
    cells = [row.cells for row in read_rows(REGISTER, files[REGISTER]) if row.number > 1]
    written = [row["B"] for row in cells]
    assert {"-" in day for day in written} == {True, False}  # text and serial numbers
    assert any(row["C"] != row["C"].strip() for row in cells)
    rows = parse_register(REGISTER, files[REGISTER])
    assert rows.height < len(cells)  # repeated rows
    assert rows["index_name"].unique().sort().to_list() == ["NIFTY 100", "NIFTY 50"]
    assert rows["effective"].max() <= last_session(SESSIONS)  # type: ignore[operator]


def test_scheme_changes_within_the_archive_and_dummies_are_no_members(
    lists: tuple[pl.DataFrame, pl.DataFrame], found: Membership
) -> None:
    assert lists[0]["is_dummy"].sum() == 2  # one for each index
    periods = industry_periods(lists[0], found.set_aside)
    assert periods["scheme"].unique().sort().to_list() == ["new", "old"]
    assert periods.group_by("instrument_id").agg(pl.col("sector").n_unique())["sector"].max() == 1
