"""Several lists of corporate actions and manual decisions: the ones that apply, since when, and reports."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

import polars as pl
import pytest
from action_lists import HEADER, Folder, named, published
from hypothesis import given, strategies as st
from typer.testing import CliRunner

from champion.base import clock
from champion.cli.app import app
from champion.contracts.datasets import ACTIONS
from champion.errors import FormatError, UsageError
from champion.lake import Lake
from champion.market.actions import action_questions, corporate_actions
from champion.market.actions.adjustment import effective_factors
from champion.market.actions.adjustment_factors import DECISION
from champion.market.actions.corporate_actions import ListOrigin
from champion.market.envelope import session_close
from champion.market.identity.symbol_history import SymbolHistory
from champion.pipeline.ingest import corporate_actions as corporate
from champion.pipeline.operations import doctor
from champion.settings import Settings
from champion.simulate import SimulatedArchive
from champion.sources import actions as lists, decisions

DAY = timedelta(days=1)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


# Lists


def test_all_lists_of_a_folder_count(folder: Folder) -> None:
    # The review's pair: the list that ends last is read second, on the same day, and erases nothing.
    folder.add(date(2024, 7, 1), date(2024, 9, 30), ("OKSPLIT", "Fv Splt Frm Rs 10 To Rs 2", date(2024, 9, 2)))
    assert corporate.refresh(folder.settings).outcome == "written"
    folder.add(date(2024, 10, 1), date(2024, 12, 31), ("CO05", "Bonus 1:1", date(2024, 10, 8)))
    assert corporate.refresh(folder.settings).outcome == "written"
    assert corporate.refresh(folder.settings).outcome == "already"
    assert folder.known() == {("OKSPLIT", date(2024, 9, 2)): 5.0, ("CO05", date(2024, 10, 8)): 2.0}
    assert corporate.reach(folder.lake).covered == ((date(2024, 7, 1), date(2024, 12, 31)),)


def test_lists_and_decisions_of_the_archive_count_beside_those_of_the_folder(folder: Folder, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    folder.add(date(2024, 1, 1), date(2024, 3, 31), ("A", "Bonus 1:1", date(2024, 2, 1)))
    folder.decide("B,2024-05-02,0.25,seen in a paper,asha")
    shutil.copytree(folder.lists, archive / "corporates")
    (folder.lists / "decisions.csv").unlink()
    both = folder.settings.model_copy(update={"archive": str(archive)})
    folder.add(date(2024, 4, 1), date(2024, 6, 30), ("A", "Bonus 1:1", date(2024, 5, 2)), ("B", "?", date(2024, 5, 2)))
    corporate.refresh(both)
    actions = folder.lake.scan(ACTIONS).collect()
    assert folder.known().keys() == {("A", date(2024, 2, 1)), ("A", date(2024, 5, 2)), ("B", date(2024, 5, 2))}
    assert actions.filter(kind=DECISION)["symbol"].to_list() == ["B"]
    assert actions.filter(kind="bonus").height == 2  # the list of both counts once


def test_a_corrected_list_of_the_same_name_and_day_counts(folder: Folder) -> None:
    span = date(2024, 7, 1), date(2024, 9, 30)
    folder.add(*span, ("A", "Bonus 1:1", date(2024, 9, 2)), ("B", "Bonus 1:1", date(2024, 9, 3)))
    corporate.refresh(folder.settings)
    folder.add(*span, ("A", "Bonus 1:2", date(2024, 9, 2)))
    corporate.refresh(folder.settings)
    assert folder.known() == {("A", date(2024, 9, 2)): 1.5}, "what the exchange took back is gone"


def test_a_list_without_actions_covers_its_dates(folder: Folder) -> None:
    folder.add(date(2024, 7, 1), date(2024, 9, 30), ("A", "Bonus 1:1", date(2024, 9, 2)))
    folder.add(date(2024, 9, 1), date(2024, 12, 31))
    assert corporate.refresh(folder.settings).outcome == "written"
    assert corporate.reach(folder.lake).covered == ((date(2024, 7, 1), date(2024, 12, 31)),)
    assert folder.known() == {}, "the list made later says that there was no action"


@given(st.integers(-70, 70), st.sampled_from(["Bonus 1:1", "Bonus 1:2", "Dividend - Rs 2"]), st.randoms())
def test_an_amended_ex_date_counts_once(days: int, later_text: str, order: Random) -> None:
    """Also if the later list does not cover the old ex-date; otherwise prices would be divided twice."""
    old = date(2024, 6, 20)
    new = old + days * DAY
    read = datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 9, 30, tzinfo=UTC)
    spans = (date(2024, 1, 1), date(2024, 12, 31)), (new - DAY, new + DAY)
    listed = [("A", "Bonus 1:1", old), ("A", "Dividend - Rs 2", old), ("B", "Bonus 1:1", old)], [("A", later_text, new)]
    parts = []
    for number in (0, 1):
        origin = ListOrigin("test", str(number), read[number], spans[number])
        parsed = lists.parse_actions("a.csv", published(*listed[number]))
        parts += [
            corporate_actions.normalize(parsed, SymbolHistory(), origin),
            corporate_actions.list_row("a.csv", origin),
        ]
    rows = pl.concat(order.sample(parts, len(parts)))

    def bonuses(as_of: datetime | None = None) -> set[tuple[str, date]]:
        found = corporate_actions.as_known(rows, as_of).filter(kind="bonus")
        return {(symbol, day) for symbol, day in found.select("symbol", "ex_date").rows()}

    before, covered = {("A", old), ("B", old)}, abs(days) <= 1  # then the later list decides
    assert bonuses(read[1] - DAY) == before
    amended = {("A", old)} if later_text == "Bonus 1:1" and abs(days) <= 60 else set()
    assert bonuses() == before - (before if covered else amended) | ({("A", new)} if "Bonus" in later_text else set())


def test_a_damaged_list_is_refused_and_the_others_count(folder: Folder) -> None:
    folder.add(date(2024, 7, 1), date(2024, 9, 30), ("A", "Bonus 1:1", date(2024, 9, 2)))
    (folder.lists / named(date(2024, 1, 1), date(2024, 6, 30))).write_bytes(b"SYMBOL,PURPOSE\n")
    with pytest.raises(FormatError, match="01-01-2024"):
        corporate.refresh(folder.settings)
    assert folder.known() == {("A", date(2024, 9, 2)): 2.0}


def test_symbols_are_those_of_the_day_a_list_was_made() -> None:
    # INFIBEAM became CCAVENUE in 2026; a list made in 2025 and read later still means it by its old symbol.
    change = lists.parse_symbol_changes("c.csv", b"AvenuesAI,INFIBEAM,CCAVENUE,03-FEB-2026\n")
    rows = lists.parse_actions("a.csv", published(("INFIBEAM", "Fv Splt Frm Rs 10 To Re 1", date(2017, 8, 31))))
    origin = ListOrigin("test", "0", datetime(2026, 11, 30, tzinfo=UTC), (date(2016, 1, 5), date(2025, 7, 18)))
    assert corporate_actions.normalize(rows, SymbolHistory.of(change), origin)["instrument_id"].to_list() == [
        "NSE:INFIBEAM"
    ]
    later = ListOrigin("test", "0", datetime(2026, 11, 30, tzinfo=UTC), (date(2016, 1, 5), date(2026, 11, 30)))
    assert corporate_actions.normalize(rows, SymbolHistory.of(change), later)["instrument_id"].to_list() == [
        "NSE:INFIBEAM@2026-02-03"
    ]


LISTS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 30), st.integers(0, 60), st.sampled_from(["1:1", "1:2", "1:3", ""])),
    min_size=1,
    max_size=5,
)


@given(LISTS, st.integers(0, 90), st.integers(0, 99))
def test_the_union_of_lists_is_that_of_a_plain_loop(
    chosen: list[tuple[int, int, int, str]], asked_on: int, order: int
) -> None:
    """For each ex-date the list made last of those read by then applies; the order of rows does not matter."""
    start, ex = date(2024, 1, 1), date(2024, 1, 31)
    parts, plain = [], []
    for number, (first, length, late, ratio) in enumerate(chosen):
        covers = (start + first * DAY, start + (first + length) * DAY)
        read_at = datetime(2024, 2, 1, number, tzinfo=UTC) + late * DAY
        rows = [("A", f"Bonus {ratio}", ex)] if ratio and covers[0] <= ex <= covers[1] else []
        parsed = lists.parse_actions("a.csv", published(*rows))
        origin = ListOrigin("test", str(number), read_at, covers)
        parts += [
            corporate_actions.normalize(parsed, SymbolHistory(), origin),
            corporate_actions.list_row("a.csv", origin),
        ]
        if covers[0] <= ex <= covers[1]:
            plain.append((origin.made_on, read_at, ratio))
    as_of = datetime(2024, 2, 1, 23, tzinfo=UTC) + asked_on * DAY
    frame = pl.concat(parts).sample(fraction=1, shuffle=True, seed=order)
    read = [one for one in plain if one[1] <= as_of]
    believed = max(read)[2] if read else ""
    wanted = {"1:1": 2.0, "1:2": 1.5, "1:3": 4 / 3, "": None}[believed]
    found = corporate_actions.as_known(frame, as_of).filter(symbol="A")["price_factor"].to_list()
    if read:
        assert found == ([] if wanted is None else [pytest.approx(wanted)])
    now = corporate_actions.as_known(frame).filter(symbol="A")["price_factor"].to_list()
    last = {"1:1": 2.0, "1:2": 1.5, "1:3": 4 / 3, "": None}[max(plain)[2]] if plain else None
    assert now == ([] if last is None else [pytest.approx(last)])


# Decisions


def test_a_decision_counts_from_when_it_was_first_read(folder: Folder) -> None:
    ex = date(2018, 4, 5)
    folder.add(date(2018, 4, 1), date(2018, 4, 30), ("ADANIENT", "Scheme Of Arrangement", ex))
    corporate.refresh(folder.settings)
    before = clock.now()
    folder.decide(f"ADANIENT,{ex},1.139,demerger of Adani Green,asha")
    assert corporate.refresh(folder.settings).outcome == "written"
    assert corporate.refresh(folder.settings).outcome == "already"
    known = corporate_actions.as_known(folder.lake.scan(ACTIONS).collect()).filter(kind=DECISION)
    assert known.select("instrument_id", "price_factor", "reason", "detail").rows() == [
        ("NSE:ADANIENT", 1.139, "demerger of Adani Green", "asha")
    ]
    assert known["known_at"].item() >= before
    assert effective_factors(corporate.known_factors(folder.lake, before)).is_empty()
    assert effective_factors(corporate.known_factors(folder.lake))["price_factor"].to_list() == [1.139]
    folder.decide(f"ADANIENT,{ex},1.14,recomputed,ravi")
    corporate.refresh(folder.settings)
    assert effective_factors(corporate.known_factors(folder.lake))["price_factor"].to_list() == [1.14]
    folder.decide(f"ADANIENT,{ex},,wrong share,ravi")
    corporate.refresh(folder.settings)
    assert effective_factors(corporate.known_factors(folder.lake)).is_empty(), "an empty factor withdraws a decision"


def test_decisions_written_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "corporates" / "decisions.csv"

    def decide(number: int) -> None:
        decisions.append(path, f"NSE:S{number}", date(2024, 9, 2), 2.0, "by circular", "asha")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(decide, range(40)))
    assert set(decisions.parse_decisions(path.name, path.read_bytes())["instrument"]) == {
        f"NSE:S{number}" for number in range(40)
    }


def test_the_command_records_a_decision(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAMPION_HOME", str(folder.settings.home))
    monkeypatch.setenv("CHAMPION_LISTS", str(folder.settings.lists))
    monkeypatch.setenv("CHAMPION_ARCHIVE", folder.settings.archive)
    asked_for = ["actions", "decide", "NSE:ACME", "2024-05-06", "2", "--reason", "a circular", "--who", "asha"]
    done = CliRunner().invoke(app, asked_for)
    assert done.exit_code == 0, done.output
    assert folder.known() == {("ACME", date(2024, 5, 6)): 2.0}
    with pytest.raises(UsageError, match="factor"):
        CliRunner().invoke(app, [*asked_for[:4], "twice", *asked_for[5:]], catch_exceptions=False)
    with pytest.raises(UsageError, match="reason"):
        CliRunner().invoke(app, [*asked_for[:6], " ", *asked_for[7:]], catch_exceptions=False)
    shown = CliRunner().invoke(app, ["actions", "list", "--json"])
    assert shown.exit_code == 0, shown.output


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("ACME,2024-05-06,0,why,who", "factor '0'"),
        ("ACME,2024-05-06,-2,why,who", "factor '-2'"),
        ("ACME,2024-05-06,nan,why,who", "factor 'nan'"),
        ("ACME,2024-05-06,2,,who", "needs a reason"),
        ("ACME,2024-05-06,2,why,", "needs a reason and a name"),
        ("ACME,soon,2,why,who", "ex_date 'soon'"),
        (",2024-05-06,2,why,who", "no instrument"),
        ("ACME,2024-05-06,2,why", "4 fields"),
    ],
)
def test_invalid_lines_of_decisions_are_reported(folder: Folder, line: str, match: str) -> None:
    folder.add(date(2024, 5, 1), date(2024, 5, 31), ("ACME", "Bonus 1:1", date(2024, 5, 6)))
    folder.decide("OTHER,2024-05-06,2,why,who", line)
    with pytest.raises(FormatError, match=f"line 3: .*{match}"):
        corporate.refresh(folder.settings)


# Coverage


def test_doctor_reports_the_coverage_of_the_lists(known: Settings) -> None:
    lake = Lake(known.lake)
    check = next(check for check in doctor.examine(known) if check.name == "corporate actions")
    assert check.state == "ok", check
    last = lake.sessions("normalized_equity_ohlc")[-1]
    shorter = lake.scan(ACTIONS).with_columns(covers_to=pl.lit(last - 40 * DAY)).collect()
    coverage = action_questions.list_coverage(shorter, lake.sessions("normalized_equity_ohlc"))
    assert coverage.unlisted[-1] == last
    assert f"to {last} are covered by none" in coverage.text


def test_a_list_that_ends_before_the_lake_is_reported(
    ingested: Settings, archive: SimulatedArchive, tmp_path: Path
) -> None:
    downloads, last = tmp_path / "downloads" / "corporates", date(2024, 6, 28)
    downloads.mkdir(parents=True)
    (source,) = (archive.root / "corporates").glob("CF-CA-*.csv")
    lines = source.read_text(encoding="utf-8-sig").splitlines()
    early = [
        line for line in lines[1:] if lists.parse_actions("a.csv", f"{HEADER}\n{line}\n".encode())["ex_date"][0] <= last
    ]
    (downloads / named(date(2023, 11, 1), last)).write_text("\n".join([HEADER, *early, ""]))
    (tmp_path / "archive").mkdir()  # without lists
    places = {"archive": str(tmp_path / "archive"), "lists": str(tmp_path / "downloads")}
    settings = ingested.model_copy(update={"home": tmp_path / "home", **places})
    shutil.copytree(ingested.lake, settings.lake)
    corporate.refresh(settings)
    check = next(check for check in doctor.examine(settings) if check.name == "corporate actions")
    assert check.state == "warning"
    assert "from 2024-07-01 to 2024-08-30 are covered by none" in check.found
    assert "CHAMPION_LISTS" in check.remedy
    frame = pl.DataFrame({"across_gap": [True, False]})
    left = corporate.left_out(Lake(settings.lake), frame)
    assert (left["labels_across_gaps"], check.found.split(";")[0] in str(left["corporate_actions"])) == (1, True)


def test_doctor_reports_lists_of_an_earlier_version(folder: Folder) -> None:
    folder.add(date(2024, 7, 1), date(2024, 9, 30), ("A", "Bonus 1:1", date(2024, 9, 2)))
    corporate.refresh(folder.settings)
    (day,) = folder.lake.sessions(ACTIONS)
    without_names = folder.lake.scan(ACTIONS).with_columns(company=pl.lit(None, pl.String)).collect()
    folder.lake.write(ACTIONS, day, without_names, {"list": "x", "lineage": "y", "actions": "1"})
    folder.lake.write(ACTIONS, day - DAY, without_names.clear(), {"lineage": "y", "actions": "1"})  # of no list
    check = next(check for check in doctor.examine(folder.settings) if check.name == "corporate actions")
    assert (check.state, "earlier version" in check.found) == ("warning", True)
    assert "champion actions refresh" in check.remedy
    assert corporate.refresh(folder.settings).outcome == "written"
    assert corporate.is_current(folder.settings)
    assert folder.lake.scan(ACTIONS).filter(pl.col("symbol") == "A").collect()["company"].to_list() == ["X"]


def test_the_first_list_serves_dates_before_its_reading(folder: Folder) -> None:
    ex = date(2024, 9, 2)
    folder.add(date(2024, 7, 1), date(2024, 9, 30), ("A", "Bonus 1:1", ex))
    folder.add(date(2024, 7, 1), date(2024, 12, 31), ("A", "Bonus 1:1", ex))
    corporate.refresh(folder.settings)
    rows = folder.lake.scan(ACTIONS).collect()
    assert corporate_actions.as_known(rows, session_close(ex))["price_factor"].to_list() == [2.0]
    assert corporate_actions.as_known(rows, session_close(ex - DAY)).is_empty()
