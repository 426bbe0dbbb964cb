"""The simulated files: the same bytes for the same arguments, in the exchange's formats, oddities included."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from champion import simulate
from champion.errors import UsageError
from champion.simulate import calendar

if TYPE_CHECKING:
    from collections.abc import Iterator

START, END = date(2024, 5, 6), date(2024, 7, 31)  # both headers, both formats, a drill Saturday, four holidays
UDIFF = "content/cm/BhavCopy_NSE_CM_0_0_0_{:%Y%m%d}_F_0000.csv.zip"
PRICES = ("OpnPric", "HghPric", "LwPric", "ClsPric", "PrvsClsgPric")
FULL = "products/content/sec_bhavdata_full_{:%d%m%Y}.csv"
INDICES = "content/indices/ind_close_all_{:%d%m%Y}.csv"


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
    assert other.files == 7 + 4 + 7  # four lists of the session; lots and six index histories


def test_a_finished_archive_is_not_written_again(published: Published) -> None:
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
        ({"signal": 2.5}, "from 0 .none. over 1 .strong. to 2"),
        ({"seed": -1}, "from 0 on"),
        ({"martingale": "close"}, "log or price; asked for 'close'"),
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
        assert (root / FULL.format(day)).exists() == (root / INDICES.format(day)).exists() == (day in sessions)
    assert date(2024, 5, 18) in sessions  # a Saturday
    assert date(2024, 8, 15) not in calendar.sessions(date(2024, 8, 1), date(2024, 8, 31))
    assert not {day for day in every_day if day.weekday() > 4} & set(sessions) - {date(2024, 5, 18)}


@pytest.mark.parametrize("session", [date(2024, 6, 20), date(2024, 6, 21)])
def test_udiff_headers_are_the_exchange_s_own(session: date, published: Published, nse: Path) -> None:
    real = nse / UDIFF.format(session)
    simulated = member(published.archive.root / UDIFF.format(session))
    real_header, real_row = member(real).split(b"\n")[:2]
    header, row = simulated.split(b"\n")[:2]
    assert header == real_header
    assert row.count(b",") == real_row.count(b",") == 33


def test_all_other_headers_are_the_exchange_s_own(published: Published, nse: Path) -> None:
    root, path = published.archive.root, legacy_path(date(2024, 7, 5))
    assert member(root / path).split(b"\n")[0] == member(nse / path).split(b"\n")[0]
    patterns = {
        "content/equities": "EQUITY_L.csv",
        "corporates": "CF-CA-equities-*.csv",
        "products/content": "sec_bhavdata_full_*12*.csv",
        "content/indices": "ind_close_all_*.csv",
    }
    for folder, pattern in patterns.items():
        ours, theirs = min((root / folder).glob(pattern)), min((nse / folder).glob(pattern))
        assert ours.read_bytes().split(b"\n")[0] == theirs.read_bytes().split(b"\n")[0]


def test_full_reports_are_laid_out_like_real_ones(published: Published, nse: Path) -> None:
    layout = re.compile(r"[A-Z0-9&-]+, [A-Z0-9]{2}, \d\d-[A-Z][a-z]{2}-\d{4}(, (\d+\.\d\d|\d+|-|))+")
    for path in (nse / FULL.format(date(2023, 12, 1)), published.archive.root / FULL.format(START)):
        header, *lines = path.read_text().splitlines()
        assert header.count(", ") == header.count(",") == 14
        assert all(layout.fullmatch(line) and line.count(",") == 14 for line in lines)


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


def test_odd_symbols_series_and_missing_prices_occur(published: Published) -> None:
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


def test_a_special_session_has_little_turnover(published: Published) -> None:
    turnover = dict(published.rows.group_by("TradDt").agg(pl.col("TtlTrfVal").sum()).iter_rows())
    typical = float(np.median(list(turnover.values())))
    assert 0.05 * typical < turnover[date(2024, 5, 18)] < 0.3 * typical


def test_progress_counts_sessions(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    last = date(2024, 1, 10)
    simulate.publish(
        tmp_path, instruments=3, start=date(2024, 1, 1), end=last, progress=lambda done, all_: seen.append((done, all_))
    )
    assert seen == [(done, 8) for done in range(1, 9)]


def full_report(published: Published, session: date) -> pl.DataFrame:
    """Return a full report's rows without the spaces, `-` and blanks as nulls."""
    text = (published.archive.root / FULL.format(session)).read_bytes().replace(b", ", b",")
    return pl.read_csv(text, infer_schema=False, null_values=["", "-"]).with_columns(
        pl.all().exclude("SYMBOL", "SERIES", "DATE1").cast(float)
    )


def test_full_reports_agree_with_the_bhavcopy(published: Published) -> None:
    compared = {
        "PREV_CLOSE": "PrvsClsgPric",
        "OPEN_PRICE": "OpnPric",
        "HIGH_PRICE": "HghPric",
        "LOW_PRICE": "LwPric",
        "LAST_PRICE": "LastPric",
        "CLOSE_PRICE": "ClsPric",
        "TTL_TRD_QNTY": "TtlTradgVol",
        "NO_OF_TRADES": "TtlNbOfTxsExctd",
    }
    for session in published.archive.sessions:
        report, bhavcopy = full_report(published, session), published.rows.filter(pl.col("TradDt") == session)
        assert set(report["DATE1"]) == {f"{session:%d-%b-%Y}"}
        both = report.join(bhavcopy, left_on=["SYMBOL", "SERIES"], right_on=["TckrSymb", "SctySrs"], how="left")
        for ours, theirs in compared.items():
            assert both[ours].to_list() == both[theirs].to_list()
        assert (both["TURNOVER_LACS"] - both["TtlTrfVal"] / 100_000).abs().max() <= 0.00501  # type: ignore[operator]
        average = both["TtlTrfVal"] / both["TtlTradgVol"]
        assert (both["AVG_PRICE"] - average).abs().max() <= 0.00501  # type: ignore[operator]
        left_out = bhavcopy.join(report, left_on=["TckrSymb", "SctySrs"], right_on=["SYMBOL", "SERIES"], how="anti")
        assert set(left_out["SctySrs"]) <= {"T0", "N1"}


def test_series_with_intraday_trading_have_delivery_figures(published: Published) -> None:
    report = pl.concat([full_report(published, session) for session in published.archive.sessions])
    none = pl.col("SERIES") == "BE"
    assert (
        report.filter(none).select(pl.col("DELIV_QTY", "DELIV_PER").null_count()).row(0)
        == (report.filter(none).height,) * 2
    )
    figures = report.filter(~none)
    share = 100 * pl.col("DELIV_QTY") / pl.col("TTL_TRD_QNTY")
    assert figures.filter(~pl.col("DELIV_QTY").is_between(0, pl.col("TTL_TRD_QNTY"))).is_empty()
    assert figures.filter((share - pl.col("DELIV_PER")).abs() > 0.00501).is_empty()
    usual = (
        figures.filter(pl.col("SERIES") == "EQ")
        .group_by("SYMBOL")
        .agg(mean=pl.col("DELIV_PER").mean(), spread=pl.col("DELIV_PER").std())
    )
    assert usual["mean"].is_between(10, 95).all()
    assert usual["spread"].is_between(3, 10).all()


def test_index_closes_are_rows_of_thirteen_with_dashes(published: Published) -> None:
    for session in published.archive.sessions:
        header, *lines = (published.archive.root / INDICES.format(session)).read_text().splitlines()
        rows = {line.split(",")[0]: line.split(",")[1:] for line in lines}
        assert list(rows) == ["Nifty 50", "Nifty50 Dividend Points", "India VIX", "Nifty Bank", "Nifty 500"]
        assert header.count(",") == 12
        for name, (stamp, *figures) in rows.items():
            assert stamp == f"{session:%d-%m-%Y}"
            assert len(figures) == 11
            assert figures[6:] == ["-"] * 5 or name.startswith("Nifty ")
            opened, high, low, close = (None if one == "-" else float(one) for one in figures[:4])
            assert close is not None
            assert opened is high is low is None or low <= min(opened, close) <= max(opened, close) <= high  # type: ignore[operator,type-var]


def test_three_index_reports_of_april_2023_are_dated_month_first(tmp_path: Path) -> None:
    archive = simulate.publish(tmp_path, instruments=12, start=date(2023, 4, 3), end=date(2023, 4, 12))
    stamps = [(tmp_path / INDICES.format(session)).read_text().split(",")[13] for session in archive.sessions]
    assert stamps[:4] == ["03-04-2023", "04-04-2023", "05-04-2023", "04-06-2023"]
    assert stamps[4:] == ["04-10-2023", "04-11-2023", "12-04-2023"]


def test_planted_mistakes_are_rows_to_reject_and_an_open_to_question(tmp_path: Path) -> None:
    """The rest of the archive is the same, and its own marker refuses to mix both."""
    start, end = date(2024, 7, 8), date(2024, 8, 30)
    right, wrong = (
        simulate.publish(tmp_path / str(wrong), instruments=110, start=start, end=end, with_mistakes=wrong)
        for wrong in (False, True)
    )
    paths = {path.relative_to(right.root) for path in right.root.rglob("*") if path.is_file()}
    changed = {path for path in paths if (right.root / path).read_bytes() != (wrong.root / path).read_bytes()}
    days = [right.sessions[-1 - left] for left in (33, 21, 12)]
    assert changed == {Path("simulation.json"), *(Path(UDIFF.format(day)) for day in days)}
    rows = pl.concat([parse(member(wrong.root / UDIFF.format(day))) for day in days])
    opened, high, low, close = (pl.col(name).cast(float) for name in ("OpnPric", "HghPric", "LwPric", "ClsPric"))
    assert rows.filter(low > high)["TradDt"].to_list() == [str(days[0]), str(days[2])]
    assert rows.filter(opened > 1.35 * close)["TradDt"].to_list() == [str(days[1])]
