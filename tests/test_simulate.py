"""The simulated archive: the exchange's formats and oddities, true events, and exactly the planted signal."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from scipy.stats import rankdata

from champion import simulate
from champion.errors import UsageError
from champion.simulate import calendar, events, market, universe

if TYPE_CHECKING:
    from collections.abc import Iterator

START, END = date(2024, 5, 6), date(2024, 7, 31)  # both headers, both formats, a drill Saturday, four holidays
UDIFF = "content/cm/BhavCopy_NSE_CM_0_0_0_{:%Y%m%d}_F_0000.csv.zip"
PRICES = ("OpnPric", "HghPric", "LwPric", "ClsPric", "PrvsClsgPric")
REAL = Path(os.environ.get("CHAMPION_NSE", Path(__file__).resolve().parents[2] / "shared" / "nse"))


@dataclass(frozen=True)
class Published:
    """A small archive and all its UDiFF rows."""

    archive: simulate.SimulatedArchive
    rows: pl.DataFrame


def publish(root: Path, signal: float = 0.5) -> simulate.SimulatedArchive:
    return simulate.publish(root, instruments=12, start=START, end=END, seed=7, signal=signal)


def member(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [path.name.removesuffix(".zip")]
        return archive.read(archive.namelist()[0])


def legacy_path(session: date) -> str:
    month = f"{session:%b}".upper()
    return f"content/historical/EQUITIES/{session.year}/{month}/cm{session:%d}{month}{session.year}bhav.csv.zip"


def parse(content: bytes) -> pl.DataFrame:
    """Read rows by the header's names; the old header's nameless 35th has no data."""
    names = content.partition(b"\n")[0].decode().split(",")
    rows = pl.read_csv(content, has_header=False, skip_rows=1, infer_schema=False)
    return rows.rename(dict(zip(rows.columns, names[: rows.width], strict=True)))


def files(root: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(root.rglob("*")):
        if path.is_file():
            yield path.relative_to(root).as_posix(), path.read_bytes()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    archive = publish(tmp_path_factory.mktemp("simulated"))
    frames = [parse(member(archive.root / UDIFF.format(session))) for session in archive.sessions]
    numbers = [*PRICES, "LastPric", "SttlmPric", "TtlTradgVol", "TtlTrfVal", "TtlNbOfTxsExctd"]
    named = [frame.select(pl.all().exclude("^Rsvd.*$")) for frame in frames]
    return Published(
        archive, pl.concat(named).with_columns(pl.col("TradDt").str.to_date(), pl.col(numbers).cast(float))
    )


def test_the_same_arguments_give_the_same_bytes(published: Published, tmp_path: Path) -> None:
    again = publish(tmp_path / "again")
    assert dict(files(again.root)) == dict(files(published.archive.root))
    assert again.digest == published.archive.digest


def test_another_seed_gives_other_prices(published: Published, tmp_path: Path) -> None:
    other = simulate.publish(tmp_path, instruments=12, start=START, end=START, seed=8)
    assert member(tmp_path / UDIFF.format(START)) != member(published.archive.root / UDIFF.format(START))
    assert other.files == 5


def test_a_finished_archive_is_left_alone(published: Published) -> None:
    before = {path: path.stat().st_mtime_ns for path in published.archive.root.rglob("*")}
    again = publish(published.archive.root)
    assert again.files_written == 0
    assert again.files == published.archive.files_written
    assert {path: path.stat().st_mtime_ns for path in published.archive.root.rglob("*")} == before


def test_an_interrupted_run_is_finished_by_repeating_it(tmp_path: Path, published: Published) -> None:
    def stop(done: int, total: int) -> None:
        if done == total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate.publish(tmp_path, instruments=12, start=START, end=END, progress=stop)
    assert json.loads((tmp_path / "simulation.json").read_text())["digest"] == ""
    repeated = publish(tmp_path)
    assert 0 < repeated.files_written < repeated.files
    assert dict(files(tmp_path)) == dict(files(published.archive.root))


def test_a_damaged_file_is_written_again(tmp_path: Path) -> None:
    archive = publish(tmp_path)
    damaged, lost = (tmp_path / UDIFF.format(session) for session in archive.sessions[:2])
    damaged.write_bytes(b"<html>")
    lost.unlink()
    repaired = publish(tmp_path)
    assert repaired.files_written == 2
    assert repaired.digest == archive.digest


def test_other_arguments_in_the_same_folder_are_refused(published: Published) -> None:
    with pytest.raises(UsageError, match=r"signal 0\.1 \(there: 0\.5\).*another folder"):
        publish(published.archive.root, signal=0.1)


def test_a_folder_with_files_of_the_real_exchange_is_refused(tmp_path: Path) -> None:
    (tmp_path / "content").mkdir()
    with pytest.raises(UsageError, match=r"not simulated.*another folder"):
        publish(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"instruments": 0}, "1 to 26,000 instruments"),
        ({"signal": 1.5}, "from 0 .none. to 1"),
        ({"seed": -1}, "from 0 on"),
        ({"start": date(2024, 1, 27), "end": date(2024, 1, 28)}, "No session"),
    ],
)
def test_arguments_out_of_range_are_refused(wrong: dict[str, int], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        simulate.publish(tmp_path / "none", **wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "none").exists()


def test_every_session_has_its_files_and_holidays_have_none(published: Published) -> None:
    root, sessions = published.archive.root, published.archive.sessions
    every_day = {START + timedelta(offset) for offset in range((END - START).days + 1)}
    for day in every_day:
        assert (root / UDIFF.format(day)).exists() == (day in sessions)
        assert (root / legacy_path(day)).exists() == (day in sessions and day <= date(2024, 7, 5))
    assert date(2024, 5, 18) in sessions  # a Saturday
    assert date(2024, 8, 15) not in calendar.sessions(date(2024, 8, 1), date(2024, 8, 31))
    assert not {day for day in every_day if day.weekday() > 4} & set(sessions) - {date(2024, 5, 18)}


@pytest.mark.parametrize("year", [2022, 2023, 2024, 2025])
def test_muhurat_falls_on_the_real_days(year: int) -> None:
    real = {2022: date(2022, 10, 24), 2023: date(2023, 11, 12), 2024: date(2024, 11, 1), 2025: date(2025, 10, 21)}
    assert real[year] in calendar.sessions(date(year, 10, 1), date(year, 11, 30))
    assert calendar.activity(real[year]) < 0.2


def test_a_special_session_is_thin(published: Published) -> None:
    turnover = dict(published.rows.group_by("TradDt").agg(pl.col("TtlTrfVal").sum()).iter_rows())
    typical = float(np.median(list(turnover.values())))
    assert 0.05 * typical < turnover[date(2024, 5, 18)] < 0.3 * typical


@pytest.mark.parametrize("session", [date(2024, 6, 20), date(2024, 6, 21)])
def test_udiff_headers_are_the_exchange_s_own(session: date, published: Published) -> None:
    real = REAL / UDIFF.format(session)
    if not real.exists():
        pytest.skip(f"no real exchange files at {REAL} (set CHAMPION_NSE)")
    simulated = member(published.archive.root / UDIFF.format(session))
    real_header, real_row = member(real).split(b"\n")[:2]
    header, row = simulated.split(b"\n")[:2]
    assert header == real_header
    assert row.count(b",") == real_row.count(b",") == 33


def test_legacy_and_list_headers_are_the_exchange_s_own(published: Published) -> None:
    path = legacy_path(date(2024, 7, 5))
    if not (REAL / path).exists():
        pytest.skip(f"no real exchange files at {REAL} (set CHAMPION_NSE)")
    root = published.archive.root
    assert member(root / path).split(b"\n")[0] == member(REAL / path).split(b"\n")[0]
    for folder, pattern in (("content/equities", "EQUITY_L.csv"), ("corporates", "CF-CA-equities-*.csv")):
        ours, theirs = next((root / folder).glob(pattern)), next((REAL / folder).glob(pattern))
        assert ours.read_bytes().split(b"\n")[0] == theirs.read_bytes().split(b"\n")[0]


def test_the_header_changed_on_21_june_2024(published: Published) -> None:
    old, new = (member(published.archive.root / UDIFF.format(date(2024, 6, day))) for day in (20, 21))
    assert old.split(b"\n")[0].endswith(b"Rmks,Rsvd01,Rsvd02,Rsvd03,Rsvd04,")
    assert new.split(b"\n")[0].endswith(b"Rmks,Rsvd1,Rsvd2,Rsvd3,Rsvd4")


def test_prices_are_ordered_on_the_tick_grid_and_turnover_fits_them(published: Published) -> None:
    rows = published.rows.filter(pl.col("SctySrs") != "T0")
    low, high = pl.col("LwPric"), pl.col("HghPric")
    for price in ("OpnPric", "ClsPric", "LastPric"):
        assert rows.filter(~pl.col(price).is_between(low, high)).is_empty()
    average = pl.col("TtlTrfVal") / pl.col("TtlTradgVol")
    assert rows.filter(~average.is_between(low - 0.01, high + 0.01)).is_empty()
    ticks = rows.filter(low >= 100).select("OpnPric", "HghPric", "LwPric", "ClsPric").to_numpy() * 20
    assert np.abs(ticks - np.rint(ticks)).max() < 1e-6
    assert rows.filter((pl.col("TtlTradgVol") < 1) | (pl.col("TtlNbOfTxsExctd") < 1)).is_empty()


def test_t0_rows_copy_the_close_of_the_eq_row(published: Published) -> None:
    t0 = published.rows.filter(pl.col("SctySrs") == "T0")
    eq = published.rows.filter(pl.col("SctySrs") == "EQ").select("TradDt", "TckrSymb", close="ClsPric")
    both = t0.join(eq, on=["TradDt", "TckrSymb"])
    assert both.height == t0.height > 0
    assert both.filter(pl.col("ClsPric") != pl.col("close")).is_empty()
    assert t0.filter(~pl.col("ClsPric").is_between("LwPric", "HghPric")).height > 0


def test_rows_are_unsorted_and_unique(published: Published) -> None:
    one = published.rows.filter(pl.col("TradDt") == START)
    assert one["TckrSymb"].to_list() != one["TckrSymb"].sort().to_list()
    assert not published.rows.select("TradDt", "TckrSymb", "SctySrs").is_duplicated().any()


def test_odd_symbols_series_and_gaps_are_there(published: Published) -> None:
    symbols = set(published.rows["TckrSymb"])
    assert any("&" in symbol for symbol in symbols)
    assert any("-" in symbol for symbol in symbols)
    assert any(symbol.isdigit() for symbol in symbols)
    assert {"EQ", "BE", "SM", "GS", "N1", "T0"} == set(published.rows["SctySrs"])
    assert 0 < published.rows["LastPric"].null_count() < 20


def test_settlement_prices_differ_from_july_2024(published: Published) -> None:
    differs = pl.col("SttlmPric") != pl.col("ClsPric")
    equities = published.rows.filter(pl.col("SctySrs") == "EQ")
    assert equities.filter(differs)["TradDt"].min() == date(2024, 7, 5)
    assert 0.25 < equities.filter(pl.col("TradDt") >= date(2024, 7, 5)).select(differs.mean()).item() < 0.6


def test_both_formats_agree_in_every_field(published: Published) -> None:
    for session in (START, date(2024, 7, 5)):
        old = parse(member(published.archive.root / legacy_path(session)))
        new = published.rows.filter(pl.col("TradDt") == session).sort("TckrSymb", "SctySrs")
        assert old["SYMBOL"].to_list() == new["TckrSymb"].to_list()
        assert old["ISIN"].to_list() == new["ISIN"].to_list()
        assert set(old["TIMESTAMP"]) == {f"{session:%d-%b-%Y}".upper()}
        pairs = {"OPEN": "OpnPric", "LOW": "LwPric", "PREVCLOSE": "PrvsClsgPric", "TOTTRDVAL": "TtlTrfVal"}
        for name, udiff in pairs.items():
            assert old[name].cast(float).to_list() == new[udiff].to_list()
        assert old["LAST"].cast(float).to_list() == new["LastPric"].fill_null(0).to_list()


def test_isins_pass_their_check_digit(published: Published) -> None:
    for isin in set(published.rows["ISIN"]):
        digits = [int(digit) for letter in isin for digit in str(int(letter, 36))]
        total = sum(sum(divmod(digit * (1 + place % 2), 10)) for place, digit in enumerate(reversed(digits)))
        assert len(isin) == 12
        assert total % 10 == 0


def test_the_previous_close_is_as_traded(published: Published) -> None:
    rows = published.rows.filter(pl.col("SctySrs").is_in(["EQ", "SM", "GS", "N1"])).sort("TradDt")
    before = pl.col("ClsPric").shift(1).over("TckrSymb", "SctySrs")
    assert rows.with_columns(before=before).filter(pl.col("before") != pl.col("PrvsClsgPric")).is_empty()


def test_splits_and_bonuses_show_at_their_ex_date(published: Published) -> None:
    factors: dict[tuple[str, date], float] = {}
    for action in published.archive.actions:
        if action.price_factor != 1.0:
            key = (action.traded_symbol, action.ex_date)
            factors[key] = factors.get(key, 1.0) * action.price_factor
    assert {action.kind for action in published.archive.actions} >= {"split", "bonus", "bonus and split"}
    for (symbol, ex_date), factor in factors.items():
        row = published.rows.filter((pl.col("TckrSymb") == symbol) & (pl.col("TradDt") == ex_date)).row(0, named=True)
        assert row["PrvsClsgPric"] / row["OpnPric"] == pytest.approx(factor, rel=0.08)


def test_a_split_changes_the_isin_within_two_sessions(published: Published) -> None:
    changes = {change.position: change for change in published.archive.changes if change.attribute == "isin"}
    splits = [action for action in published.archive.actions if "split" in action.kind]
    sessions = published.archive.sessions
    assert splits
    for split in splits:
        change = changes[split.position]
        assert 0 <= sessions.index(change.session) - sessions.index(split.ex_date) <= 2
        history = published.rows.filter((pl.col("TckrSymb") == split.symbol) & (pl.col("SctySrs") == "EQ"))
        assert history.filter(pl.col("ISIN") == change.before)["TradDt"].max() < change.session  # type: ignore[operator]
        assert history.filter(pl.col("ISIN") == change.after)["TradDt"].min() == change.session


def test_a_rename_keeps_the_isin_and_is_listed(published: Published) -> None:
    listed = (published.archive.root / "content/equities/symbolchange.csv").read_text()
    renames = [change for change in published.archive.changes if change.attribute == "symbol"]
    assert renames
    for change in renames:
        assert f",{change.before},{change.after},{change.session:%d-%b-%Y}".upper() in listed.upper()
        old, new = (published.rows.filter(pl.col("TckrSymb") == name) for name in (change.before, change.after))
        assert old["TradDt"].max() < change.session == new["TradDt"].min()  # type: ignore[operator]
        assert set(old["ISIN"]) == set(new["ISIN"])


def test_listing_delisting_and_move_show_in_the_rows(published: Published) -> None:
    rows, sessions = published.rows, published.archive.sessions
    spans = rows.group_by("ISIN").agg(first=pl.col("TradDt").min(), last=pl.col("TradDt").max(), rows=pl.len())
    changed = {one.after for one in published.archive.changes} | {one.before for one in published.archive.changes}
    whole = spans.filter(~pl.col("ISIN").is_in(list(changed)) & (pl.col("rows") > 8))
    assert whole.filter(pl.col("first") > sessions[5]).height == 1
    assert whole.filter(pl.col("last") < sessions[-6]).height == 1
    move = next(one for one in published.archive.changes if one.attribute == "series")
    after = rows.filter(pl.col("TradDt") >= move.session)
    symbol = universe.build(12, 7)[move.position].symbol
    assert set(after.filter(pl.col("TckrSymb") == symbol)["SctySrs"]) == {"BE"}
    master = parse((published.archive.root / "content/equities/EQUITY_L.csv").read_bytes())
    assert master.filter(pl.col("SYMBOL") == symbol)[" SERIES"].item() == "BE"


def test_the_actions_list_spells_like_the_exchange(published: Published) -> None:
    path = next((published.archive.root / "corporates").iterdir())
    listed = pl.read_csv(path.read_bytes(), infer_schema=False)
    assert path.name == "CF-CA-equities-06-05-2024-to-31-07-2024.csv"
    assert listed.height == len(published.archive.actions) + 1
    assert listed.is_duplicated().sum() == 2  # the exchange's list holds exact duplicates too
    splits = listed.filter(pl.col("PURPOSE").str.contains("(?i)spl"))["PURPOSE"]
    assert splits.str.contains(r"(?i)(From|Frm) Rs ?\d+(/-)?( Per Share)? To R[es] \d+").all()
    assert listed.filter(pl.col("PURPOSE").str.contains(r"[{}]")).is_empty()
    symbols = {change.before for change in published.archive.changes if change.attribute == "symbol"}
    assert not symbols & set(listed["SYMBOL"])


def test_dividends_state_their_amount(tmp_path: Path) -> None:
    archive = simulate.publish(tmp_path, instruments=40, start=date(2023, 3, 1), end=date(2023, 4, 28))
    listed = pl.read_csv(next((tmp_path / "corporates").iterdir()).read_bytes(), infer_schema=False)
    dividends = listed.filter(pl.col("PURPOSE").str.contains("Dividend"))
    assert dividends.height == sum(action.kind == "dividend" for action in archive.actions) > 0
    assert dividends["PURPOSE"].str.contains(r"R[se] \d+(\.\d\d)?(/-)? Per Share").all()


def test_corporate_actions_can_be_left_out(tmp_path: Path) -> None:
    archive = simulate.publish(tmp_path, instruments=12, start=START, end=END, corporate_actions=False)
    assert archive.actions == ()
    assert {change.attribute for change in archive.changes} == {"symbol", "series"}
    assert len(next((tmp_path / "corporates").iterdir()).read_text().splitlines()) == 1


def test_progress_counts_sessions(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    last = date(2024, 1, 10)
    simulate.publish(
        tmp_path, instruments=3, start=date(2024, 1, 1), end=last, progress=lambda done, all_: seen.append((done, all_))
    )
    assert seen == [(done, 8) for done in range(1, 9)]


def test_a_longer_archive_starts_with_the_same_prices() -> None:
    short, long = (calendar.sessions(START, end) for end in (date(2024, 5, 10), END))
    members = universe.build(5, 7)
    none = [events.Events((0,) * 5, (len(span),) * 5, (), ()) for span in (short, long)]
    walks = [
        market.walk(members, happened, span, seed=7, signal=1.0)
        for happened, span in zip(none, (short, long), strict=True)
    ]
    for ours, theirs in zip(*walks, strict=False):
        assert ours.close.tolist() == theirs.close.tolist()


@pytest.mark.parametrize("instruments", [1, 3, 11])
def test_small_universes_have_distinct_symbols(instruments: int) -> None:
    members = universe.build(instruments, 3)
    assert len({one.symbol for one in members}) == len({one.isin for one in members}) == instruments


def test_a_large_universe_has_distinct_symbols_isins_and_codes() -> None:
    members = universe.build(2_500, 3)
    for attribute in ("symbol", "isin", "code"):
        assert len({getattr(one, attribute) for one in members}) == 2_500


def correlations(signal: float) -> tuple[float, float]:
    """Return mean and standard error of the rank correlation of minus the past and the coming 5-session return."""
    sessions, members = calendar.sessions(date(2022, 1, 3), date(2024, 12, 31)), universe.build(150, 11)
    happened = events.plan(members, sessions, 11, corporate_actions=False)
    closes = np.array([day.close for day in market.walk(members, happened, sessions, seed=11, signal=signal)])
    logs = np.log(closes[::5, [one.is_equity for one in members]])
    found = [
        float(np.corrcoef(rankdata(-past), rankdata(coming))[0, 1]) for past, coming in pairwise(np.diff(logs, axis=0))
    ]
    return float(np.mean(found)), float(np.std(found) / np.sqrt(len(found)))


def test_no_signal_is_no_predictability() -> None:
    mean, error = correlations(0.0)
    assert abs(mean) < 3 * error


def test_the_planted_reversal_is_as_strong_as_stated() -> None:
    half, error = correlations(0.5)
    whole, _ = correlations(1.0)
    assert half == pytest.approx(0.10, abs=3 * error)
    assert half > 5 * error
    assert whole > half + 3 * error
