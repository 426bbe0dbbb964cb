"""The simulated events: each kind occurs, is visible in the files, and is part of the truth."""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections import Counter
from datetime import date
from typing import TYPE_CHECKING

import polars as pl
import pytest

from champion import simulate
from champion.market.actions.action_text import parse_purpose
from champion.simulate import calendar, events, universe

if TYPE_CHECKING:
    from pathlib import Path

    from champion.simulate import Action, Change, SimulatedArchive

LAST_LEGACY = date(2024, 7, 5)
KINDS = {
    "split",
    "bonus",
    "bonus and split",
    "consolidation",
    "rights",
    "demerger",
    "dividend",
    "special dividend",
    "preference bonus",
    "meeting",
}


@pytest.fixture(scope="module")
def rows(archive: SimulatedArchive) -> pl.DataFrame:
    """Symbol, series, ISIN, prices and session of every row of the archive."""
    return pl.concat([bhavcopy(archive.root, session) for session in archive.sessions])


def bhavcopy(root: Path, session: date) -> pl.DataFrame:
    month = f"{session:%b}".upper()
    if session <= LAST_LEGACY:
        path = (
            root / f"content/historical/EQUITIES/{session.year}/{month}/cm{session:%d}{month}{session.year}bhav.csv.zip"
        )
        names = ("SYMBOL", "SERIES", "ISIN", "OPEN", "CLOSE", "PREVCLOSE")
    else:
        path = root / f"content/cm/BhavCopy_NSE_CM_0_0_0_{session:%Y%m%d}_F_0000.csv.zip"
        names = ("TckrSymb", "SctySrs", "ISIN", "OpnPric", "ClsPric", "PrvsClsgPric")
    with zipfile.ZipFile(path) as zipped:
        frame = pl.read_csv(
            io.BytesIO(zipped.read(zipped.namelist()[0])), infer_schema=False, truncate_ragged_lines=True
        )
    wanted = ("symbol", "series", "isin", "open", "close", "previous")
    frame = frame.select(pl.col(name).alias(ours) for name, ours in zip(names, wanted, strict=True))
    return frame.with_columns(pl.col("open", "close", "previous").cast(float), session=pl.lit(session))


@pytest.fixture(scope="module")
def listed(archive: SimulatedArchive) -> pl.DataFrame:
    """The list of corporate actions."""
    return pl.read_csv(next((archive.root / "corporates").iterdir()).read_bytes(), infer_schema=False)


def on(rows: pl.DataFrame, symbol: str, session: date) -> dict[str, float]:
    found = rows.filter((pl.col("symbol") == symbol) & (pl.col("session") == session) & (pl.col("series") != "T0"))
    return found.row(0, named=True)


def only(archive: SimulatedArchive, kind: str) -> Action:
    (found,) = (action for action in archive.actions if action.kind == kind)
    return found


def changes(archive: SimulatedArchive, attribute: str) -> list[Change]:
    return [change for change in archive.changes if change.attribute == attribute]


def test_a_small_archive_has_every_kind_of_event(archive: SimulatedArchive) -> None:
    assert {action.kind for action in archive.actions} == KINDS
    ex_dates = Counter((action.position, action.ex_date) for action in archive.actions)
    assert max(ex_dates.values()) == 2
    assert {change.published for change in changes(archive, "symbol")} == {True, False}
    assert Counter(change.after for change in changes(archive, "series")) == {"BE": 2, "EQ": 1}


def test_prices_fall_by_the_factor_at_the_ex_date(archive: SimulatedArchive, rows: pl.DataFrame) -> None:
    factors: dict[tuple[str, date], float] = {}
    for action in archive.actions:
        key = (action.traded_symbol, action.ex_date)
        factors[key] = factors.get(key, 1.0) * action.return_factor
    assert sum(not math.isclose(factor, 1, abs_tol=0.03) for factor in factors.values()) >= 9
    for (symbol, ex_date), factor in factors.items():
        there = on(rows, symbol, ex_date)
        assert there["previous"] / there["open"] == pytest.approx(factor, rel=0.06)


def test_the_truth_has_the_effect_of_each_action(archive: SimulatedArchive, rows: pl.DataFrame) -> None:
    for action in archive.actions:
        before = rows.filter((pl.col("symbol") == action.traded_symbol) & (pl.col("session") < action.ex_date))
        assert action.previous_close == before.filter(pl.col("series") != "T0").sort("session")["close"][-1]
        moves = action.kind in {"split", "bonus", "bonus and split", "consolidation", "rights", "demerger"}
        assert (action.price_factor != 1.0) == moves
        assert (action.amount is not None) == (action.kind in {"dividend", "special dividend", "rights"})


def test_a_rights_issue_gives_the_theoretical_ex_rights_price(archive: SimulatedArchive, listed: pl.DataFrame) -> None:
    action = only(archive, "rights")
    row = listed.filter(pl.col("PURPOSE").str.contains("Rights")).row(0, named=True)
    found = re.fullmatch(r" ?Rights (\d+):(\d+) @ Prem(?:ium)? Rs (\d+)(/-)?( Per Share)?", row["PURPOSE"])
    assert found
    new, held, premium = map(int, found.groups()[:3])
    assert action.ratio == f"{new}:{held}"
    assert action.amount == premium
    assert action.previous_close
    issue = premium + int(row["FACE VALUE"])
    assert 0.45 < issue / action.previous_close < 0.8
    expected = (held * action.previous_close + new * issue) / (held + new)
    assert action.previous_close / action.price_factor == pytest.approx(expected)


def test_a_demerger_has_no_ratio_in_the_list(archive: SimulatedArchive, listed: pl.DataFrame) -> None:
    action = only(archive, "demerger")
    (text,) = listed.filter(pl.col("SYMBOL") == action.symbol).filter(pl.col("PURPOSE").str.contains("Demerger"))[
        "PURPOSE"
    ]
    assert not re.search(r"\d", text)
    assert action.ratio == ""
    assert 1 / 0.9 <= action.price_factor <= 1 / 0.6


def test_a_consolidation_makes_one_of_ten(archive: SimulatedArchive, listed: pl.DataFrame) -> None:
    action = only(archive, "consolidation")
    assert (action.price_factor, action.face_value) == (0.1, 10)
    assert "Consolidation Of Equity Shares From Re 1 Per Share To Rs 10 Per Share" in listed["PURPOSE"]


def test_a_special_dividend_is_a_large_part_of_the_price(archive: SimulatedArchive) -> None:
    action = only(archive, "special dividend")
    assert action.amount
    assert action.previous_close
    assert 0.2 < action.amount / action.previous_close < 0.55
    assert action.purpose == f"Special Dividend - Rs {action.amount:.0f} Per Share"
    assert action.return_factor > action.price_factor == 1.0


def test_an_isin_changes_within_two_sessions_of_a_new_face_value(archive: SimulatedArchive, rows: pl.DataFrame) -> None:
    reissues = {change.position: change for change in changes(archive, "isin")}
    faced = [action for action in archive.actions if "split" in action.kind or action.kind == "consolidation"]
    assert {action.position for action in faced} == set(reissues)
    for action in faced:
        change = reissues[action.position]
        assert 0 <= archive.sessions.index(change.session) - archive.sessions.index(action.ex_date) <= 2
        assert rows.filter(pl.col("isin") == change.before)["session"].max() < change.session  # type: ignore[operator]
        assert rows.filter(pl.col("isin") == change.after)["session"].min() == change.session


def test_isin_changes_come_on_the_ex_date_and_after() -> None:
    sessions = calendar.sessions(date(2023, 1, 2), date(2024, 12, 31))
    planned = events.plan(universe.build(400, 7), sessions, 7, corporate_actions=True)
    ex_dates = {one.position: one.ex_date for one in planned.actions if one.ratio and one.kind != "preference bonus"}
    delays = {
        sessions.index(change.session) - sessions.index(ex_dates[change.position])
        for change in planned.changes
        if change.attribute == "isin"
    }
    assert delays == {0, 1, 2}


def test_a_rename_keeps_the_isin_and_is_listed_unless_quiet(archive: SimulatedArchive, rows: pl.DataFrame) -> None:
    text = (archive.root / "content/equities/symbolchange.csv").read_text()
    renames = changes(archive, "symbol")
    assert text.count("\n") == len(renames)  # one is quiet, and one older than the archive
    for change in renames:
        line = f",{change.before},{change.after},{change.session:%d-%b-%Y}".upper()
        assert (line in text) == change.published
        old, new = (rows.filter(pl.col("symbol") == name).sort("session") for name in (change.before, change.after))
        assert old["session"].max() < change.session == new["session"].min()  # type: ignore[operator]
        assert old["isin"][-1] == new["isin"][0]


def test_a_split_after_a_rename_is_listed_under_the_new_symbol(archive: SimulatedArchive, listed: pl.DataFrame) -> None:
    renames = {change.position: change for change in changes(archive, "symbol")}
    (split,) = (one for one in archive.actions if one.kind == "split" and one.position in renames)
    rename = renames[split.position]
    assert rename.published
    assert split.ex_date > rename.session
    assert split.traded_symbol == split.symbol == rename.after
    there = listed.filter(pl.col("SYMBOL") == rename.after)
    assert f"{split.ex_date:%d-%b-%Y}" in there["EX-DATE"]


def test_the_list_has_symbols_and_face_values_of_the_last_session(tmp_path: Path) -> None:
    archive = simulate.publish(tmp_path, instruments=60, start=date(2023, 1, 2), end=date(2024, 3, 28))
    latest = {change.position: change.after for change in changes(archive, "symbol")}
    members = universe.build(60, 7)
    for action in archive.actions:
        assert action.symbol == latest.get(action.position, members[action.position].symbol)
    assert any(action.traded_symbol != action.symbol for action in archive.actions)
    table = pl.read_csv(next((tmp_path / "corporates").iterdir()).read_bytes(), infer_schema=False)
    assert set(table["SYMBOL"]) == {action.symbol for action in archive.actions}
    assert table.group_by("SYMBOL").agg(pl.col("FACE VALUE").n_unique())["FACE VALUE"].max() == 1


def test_a_round_trip_to_be_ends_in_eq(archive: SimulatedArchive, rows: pl.DataFrame) -> None:
    back = next(change for change in changes(archive, "series") if change.after == "EQ")
    there = next(change for change in changes(archive, "series") if change.position == back.position)
    symbol = universe.build(20, 7)[back.position].symbol
    mine = rows.filter((pl.col("symbol") == symbol) & (pl.col("series") != "T0"))
    away = pl.col("session").is_between(there.session, back.session, closed="left")
    assert set(mine.filter(away)["series"]) == {"BE"}
    assert set(mine.filter(~away)["series"]) == {"EQ"}
    assert mine["isin"].n_unique() == 1
    assert there.session < only(archive, "preference bonus").ex_date < back.session


def test_listing_delisting_and_move_show_in_the_rows(archive: SimulatedArchive, rows: pl.DataFrame) -> None:
    spans = rows.group_by("isin").agg(first=pl.col("session").min(), last=pl.col("session").max(), rows=pl.len())
    changed = {one.after for one in archive.changes} | {one.before for one in archive.changes}
    whole = spans.filter(~pl.col("isin").is_in(list(changed)) & (pl.col("rows") > 20))
    assert whole.filter(pl.col("first") > archive.sessions[10]).height == 1
    assert whole.filter(pl.col("last") < archive.sessions[-20]).height == 1
    series = changes(archive, "series")
    (move,) = (one for one in series if Counter(each.position for each in series)[one.position] == 1)
    symbol = universe.build(20, 7)[move.position].symbol
    after = rows.filter((pl.col("session") >= move.session) & (pl.col("symbol") == symbol))
    assert set(after["series"]) == {"BE"}
    master = pl.read_csv(archive.root / "content/equities/EQUITY_L.csv", infer_schema=False)
    assert master.filter(pl.col("SYMBOL") == symbol)[" SERIES"].item() == "BE"


def test_the_actions_list_spells_like_the_exchange(archive: SimulatedArchive, listed: pl.DataFrame) -> None:
    (path,) = (archive.root / "corporates").iterdir()
    assert path.name == "CF-CA-equities-01-11-2023-to-30-08-2024.csv"
    assert listed.height == len(archive.actions) + 2
    assert listed.is_duplicated().sum() == 4  # the exchange's list holds exact duplicates too
    splits = listed.filter(pl.col("PURPOSE").str.contains("(?i)spl"))["PURPOSE"]
    assert splits.str.contains(r"(?i)(From|Frm) Rs ?\d+(/-)?( Per Share)? To R[es] \d+").all()
    assert listed.filter(pl.col("PURPOSE").str.contains(r"[{}]")).is_empty()


def test_the_parser_of_real_texts_reads_simulated_ones(archive: SimulatedArchive) -> None:
    for action in archive.actions:
        found = parse_purpose(action.purpose)
        told = math.prod(one.price_factor or 1.0 for one in found)
        assert told == pytest.approx(1.0 if action.kind in {"rights", "demerger"} else action.price_factor)
        assert action.amount in {one.amount for one in found}
        assert "other" not in {one.kind for one in found}


def test_dividends_state_their_amount(tmp_path: Path) -> None:
    archive = simulate.publish(tmp_path, instruments=40, start=date(2023, 3, 1), end=date(2023, 4, 28))
    listed = pl.read_csv(next((tmp_path / "corporates").iterdir()).read_bytes(), infer_schema=False).unique()
    dividends = listed.filter(pl.col("PURPOSE").str.contains("Dividend"))
    assert dividends.height == sum("dividend" in action.kind for action in archive.actions) > 0
    assert dividends["PURPOSE"].str.contains(r"R[se] \d+(\.\d\d)?(/-)? Per Share").all()


def test_a_finished_archive_still_knows_its_amounts(archive: SimulatedArchive) -> None:
    start, end = archive.sessions[0], archive.sessions[-1]
    again = simulate.publish(archive.root, instruments=20, signal=archive.signal, start=start, end=end)
    assert again.files_written == 0
    assert again.actions == archive.actions


def test_renames_and_moves_are_the_same_without_corporate_actions(archive: SimulatedArchive) -> None:
    alone = events.plan(universe.build(20, 7), archive.sessions, 7, corporate_actions=False)
    assert set(alone.changes) == {change for change in archive.changes if change.attribute != "isin"}


def test_corporate_actions_can_be_left_out(tmp_path: Path) -> None:
    archive = simulate.publish(
        tmp_path, instruments=20, start=date(2024, 5, 6), end=date(2024, 7, 31), corporate_actions=False
    )
    assert archive.actions == ()
    assert {change.attribute for change in archive.changes} == {"symbol", "series"}
    assert len(next((tmp_path / "corporates").iterdir()).read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("instruments", "end"), [(1, date(2024, 5, 10)), (4, date(2024, 5, 21)), (14, date(2024, 8, 30))]
)
def test_tiny_archives_have_fewer_events(instruments: int, end: date, tmp_path: Path) -> None:
    archive = simulate.publish(tmp_path, instruments=instruments, start=date(2024, 5, 6), end=end)
    places = [action.position for action in archive.actions]
    assert all(0 <= place < instruments for place in places)
    assert all(archive.sessions[0] <= action.ex_date <= end for action in archive.actions)
    assert all(action.previous_close for action in archive.actions)
