"""Identity and knowledge through the pipeline: one name through renames, and the past as it was known."""

from __future__ import annotations

import shutil
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import champion as ch
from champion import contracts, workspace
from champion.contracts.datasets import BARS, CHANGES, RAW_BARS
from champion.lake import Lake
from champion.market.envelope import session_close, stamp_list
from champion.pipeline.ingest import quality, symbol_changes
from champion.pipeline.ingest.adjusted_bars import adjusted_bars
from champion.pipeline.ingest.bars import equity_bars
from champion.pipeline.ingest.fetch import fetch, staged
from champion.pipeline.ingest.ingest import ingest
from champion.pipeline.ingest.rename_instruments import outdated_files, rename_instruments
from champion.settings import Settings
from champion.simulate import SimulatedArchive
from champion.sources.publications import BHAVCOPY, bhavcopy_paths
from champion.sources.udiff import HEADERS

WHOLE = (date(2023, 11, 1), date(2024, 8, 30))
RENAMED = date(2024, 5, 7)  # KOSIFIN to KOSIFININD, which the simulated exchange's list leaves out
SPLIT = date(2024, 5, 20)  # 10:1, months after DECCANHOLD became DECCANHOLDIND


LATER = date(2200, 1, 1)  # after the list that was read on the day of the test


def test_renamed_symbols_keep_their_instrument(known: Settings, archive: SimulatedArchive) -> None:
    borne = equity_bars(Lake(known.lake)).group_by("instrument_id").agg(pl.col("symbol").unique()).collect()
    by_symbol = {symbol: one for one, symbols in borne.rows() for symbol in symbols}
    renames = [change for change in archive.changes if change.attribute == "symbol"]
    assert {change.published for change in renames} == {True, False}
    for change in renames:
        assert by_symbol[change.before] == by_symbol[change.after]
    bars = Lake(known.lake).scan(BARS).collect()
    assert not bars.select(pl.struct("instrument_id", "trade_date").is_duplicated().any()).item()


def test_an_action_adjusts_the_bars_before_a_rename(known: Settings) -> None:
    bars = adjusted_bars(Lake(known.lake)).filter(pl.col("instrument_id") == "NSE:DECCANHOLD").sort("trade_date")
    assert set(bars["symbol"]) == {"DECCANHOLD", "DECCANHOLDIND"}
    assert bars.filter(pl.col("trade_date") < SPLIT)["adjustment_factor"].unique().to_list() == [10.0]
    moves = (bars["close"] / bars["close"].shift(1) - 1).drop_nulls().abs()
    assert moves.max() < 0.2  # type: ignore[operator]


def test_a_late_symbol_change_renames_only_later_sessions(
    settings: Settings, archive: SimulatedArchive, tmp_path: Path
) -> None:
    copy = tmp_path / "archive"
    shutil.copytree(archive.root, copy)
    mine = settings.model_copy(update={"archive": str(copy)})
    first, last = SPLIT - timedelta(days=14), SPLIT + timedelta(days=14)
    fetch(mine, first, last)
    symbol_changes.refresh(mine)
    lake = Lake(mine.lake)
    ingest(lake, staged(mine, first, last)).require_complete()
    before = {session: lake.digest(BARS, session, session) for session in lake.sessions(BARS)}
    assert outdated_files(mine) == []
    listed = (copy / symbol_changes.PATH).read_text()
    (copy / symbol_changes.PATH).write_text(f"{listed}Deccan,DECCANBEFORE,DECCANHOLDIND,{SPLIT:%d-%b-%Y}\n".upper())
    assert symbol_changes.refresh(mine).outcome == "written"
    assert rename_instruments(mine).written == [], "DECCANHOLDIND traded before and after the date: no such rename"
    assert [(one.kind, one.session) for one in symbol_changes.review_history(lake)[1]] == [
        ("rename_contradicted", SPLIT)
    ]
    (copy / symbol_changes.PATH).write_text(f"{listed}Deccan,DECCANBEFORE,DECCANHOLDIND,{first:%d-%b-%Y}\n".upper())
    assert symbol_changes.refresh(mine).outcome == "written"
    renamed = rename_instruments(mine)
    after = {session: lake.digest(BARS, session, session) for session in lake.sessions(BARS)}
    assert renamed.written == [session for session in before if before[session] != after[session]]
    assert renamed.written == lake.sessions(BARS, first)
    assert rename_instruments(mine).written == []
    assert symbol_changes.refresh(mine).outcome == "already"


def market(
    home: Path,
    days: dict[date, list[tuple[str, str, float, float]]],
    renames: str = "Nobody,BEFORE,AFTER,01-JAN-2000\n",
    series: str = "EQ",
) -> Settings:
    """Return a workspace of these bars: symbol, ISIN, previous close and close of each session."""
    folder = home / "archive" / "content" / "cm"
    folder.mkdir(parents=True)
    for session, bars in days.items():
        lines = [HEADERS[1]]
        for symbol, isin, before, close in bars:
            lines.append(
                f"{session},{session},CM,NSE,STK,1,{isin},{symbol},{series},,,,,{symbol} LTD,"
                f"{close},{close},{close},{close},{close},{before},,{close},,,100,{100 * close},10,F1,1,,,,,"
            )
        name = f"BhavCopy_NSE_CM_0_0_0_{session:%Y%m%d}_F_0000.csv"
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as packed:
            packed.writestr(name, "\n".join([*lines, ""]))
    path = home / "archive" / symbol_changes.PATH
    path.parent.mkdir(parents=True)
    path.write_text(renames)
    made = Settings(home=home / "home", archive=str(home / "archive"))
    fetch(made, min(days), max(days), publications=[BHAVCOPY])
    symbol_changes.refresh(made)
    ingest(Lake(made.lake), staged(made, min(days), max(days), [BHAVCOPY])).require_complete()
    rename_instruments(made).require_complete()
    return made


def instruments(made: Settings) -> list[tuple[str, str]]:
    bars = Lake(made.lake).scan(BARS).sort("trade_date", "symbol")
    return bars.select("symbol", "instrument_id").unique(maintain_order=True).collect().rows()


def test_a_share_in_series_sz_keeps_its_id_also_in_a_lake_that_gave_it_another(tmp_path: Path) -> None:
    """BRIGHT moved from SM to SZ on 2024-07-01; before, `NSE:BRIGHT:SZ` was an instrument beside `NSE:BRIGHT`."""
    first, second = date(2024, 7, 1), date(2024, 7, 8)
    one = ("BRIGHT", "INE684Z01010", 100.0, 100.0)
    made = market(tmp_path, {first: [one], second: [one]}, series="SZ")
    assert instruments(made) == [("BRIGHT", "NSE:BRIGHT")]
    lake = Lake(made.lake)
    manifest = lake.manifest(BARS, first)
    assert manifest is not None
    earlier = lake.scan(BARS, first, first).with_columns(instrument_id=pl.lit("NSE:BRIGHT:SZ")).collect()
    lake.write(BARS, first, earlier, {**manifest.current.inputs, "names": symbol_changes.NO_NAMES})
    assert instruments(made)[0] == ("BRIGHT", "NSE:BRIGHT:SZ")
    assert rename_instruments(made).written == [first]
    assert instruments(made) == [("BRIGHT", "NSE:BRIGHT")]
    assert rename_instruments(made).written == []


@pytest.mark.parametrize("wrong", ["DUMMY", "INE000000000", "INE003P01012"])
def test_a_placeholder_isin_does_not_merge_companies(tmp_path: Path, wrong: str) -> None:
    august, september = date(2024, 8, 5), date(2024, 9, 9)
    days = {
        august: [("ONE", wrong, 0.0, 320.0)],
        august + timedelta(1): [("ONE", "INE003P01014", 320.0, 321.0)],
        september: [("ONE", "INE003P01014", 321.0, 330.0), ("TWO", wrong, 0.0, 90.0)],
        september + timedelta(1): [("ONE", "INE003P01014", 330.0, 331.0), ("TWO", "INE004P01012", 90.0, 91.0)],
    }
    made = market(tmp_path, days)
    assert instruments(made) == [("ONE", "NSE:ONE"), ("TWO", "NSE:TWO")]
    found = quality.check(Lake(made.lake), august, september, identity=True).findings.filter(gate="identity")
    assert found.select("session", "symbol").rows() == [(august, "ONE"), (september, "TWO")]
    assert found["detail"].unique().to_list() == [f"isin_invalid: '{wrong}' is no ISIN"]


def test_a_list_row_contradicted_by_bars_is_a_finding(tmp_path: Path) -> None:
    """JUBLCPL: the list dates its rename within its history, from a symbol that never traded."""
    july = date(2025, 7, 2)
    bars = {july: ("JUBLCPL", "INE0BCK01013", 1724.7, 1701.3), july + timedelta(1): ("JUBLCPL", "", 1701.3, 1731.5)}
    listed = "Jubilant Agri and Consumer Products Limited,JACPL,JUBLCPL,03-JUL-2025\n"
    made = market(tmp_path, {session: [bar] for session, bar in bars.items()}, listed)
    assert instruments(made) == [("JUBLCPL", "NSE:JUBLCPL")]
    ((kind, session, symbol),) = [
        (one.kind, one.session, one.symbol) for one in symbol_changes.review_history(Lake(made.lake))[1]
    ]
    assert (kind, session, symbol) == ("rename_contradicted", july + timedelta(1), "JUBLCPL")


def test_a_reused_symbol_with_new_isin_and_price_is_a_new_instrument(tmp_path: Path) -> None:
    then, now = date(2020, 3, 2), date(2024, 3, 4)
    days = {
        then: [("AGAIN", "INE003P01014", 99.0, 100.0)],
        now: [("AGAIN", "INE004P01012", 20.0, 21.0)],
        now + timedelta(1): [("AGAIN", "INE004P01012", 21.0, 22.0)],
    }
    assert instruments(market(tmp_path, days)) == [("AGAIN", "NSE:AGAIN"), ("AGAIN", f"NSE:AGAIN@{now}")]


def test_history_is_computed_again_only_after_a_change_of_its_inputs(tmp_path: Path) -> None:
    first = date(2024, 8, 5)
    bar = {first: [("OLD", "INE003P01014", 0.0, 320.0)], first + timedelta(1): [("NEW", "INE003P01014", 320.0, 321.0)]}
    lake = Lake(market(tmp_path, bar).lake)
    history = symbol_changes.symbol_history(lake)
    assert history.name("NEW", first + timedelta(1)) == "OLD"
    moved = [(path, path.with_suffix(".moved")) for path in lake.files(RAW_BARS)]
    for path, aside in moved:
        path.rename(aside)
    assert symbol_changes.symbol_history(lake) == history  # no bar is read
    for path, aside in moved:
        aside.rename(path)
    listed = pl.DataFrame([(first, "LONE", "TWO")], schema=["session", "before", "after"], orient="row")
    lake.write(CHANGES, LATER, _change(listed), {"list": "1"})
    assert symbol_changes.symbol_history(lake).name("TWO", first) == "LONE"
    raw = lake.scan(RAW_BARS, first, first).collect().with_columns(TckrSymb=pl.lit("SAME"))
    lake.write(RAW_BARS, first, raw, {"file": "corrected"}, known_at=datetime(2024, 8, 6, tzinfo=UTC))
    assert symbol_changes.symbol_history(lake).name("NEW", first + timedelta(1)) == "SAME"


def _change(listed: pl.DataFrame) -> pl.DataFrame:
    read_at = pl.lit(datetime(2024, 8, 5, tzinfo=UTC))
    dated = listed.with_columns(list_date=pl.lit(LATER), source_sha256=pl.lit("00"))
    return stamp_list(dated, contracts.load(CHANGES), source=pl.lit("a test"), read_at=read_at, entity="after")


def test_ingestion_order_does_not_change_instrument_names(settings: Settings, ingested: Settings) -> None:
    shutil.copytree(ingested.staging, settings.staging)
    symbol_changes.refresh(settings)
    lake = Lake(settings.lake)
    files = staged(settings, *WHOLE)
    late = [file for file in files if file.session >= RENAMED]
    ingest(lake, late)  # without the earlier sessions the old symbol is unknown
    assert lake.scan(BARS).filter(pl.col("instrument_id") == "NSE:KOSIFININD").collect().height > 0
    ingest(lake, [file for file in files if file.session < RENAMED])
    assert {file.session for file in outdated_files(settings)} <= {file.session for file in late}
    rename_instruments(settings)
    assert lake.scan(BARS).filter(pl.col("instrument_id") == "NSE:KOSIFININD").collect().is_empty()
    assert lake.digest(BARS) == Lake(ingested.lake).digest(BARS)


def test_adjusted_bars_as_of_the_eve_and_the_day_of_a_split(known: Settings) -> None:
    lake = Lake(known.lake)
    sessions = lake.sessions(BARS, end=SPLIT)
    eve, day = (
        adjusted_bars(lake, as_of=session_close(session)).filter(pl.col("instrument_id") == "NSE:DECCANHOLD")
        for session in sessions[-2:]
    )
    assert eve["trade_date"].max() == sessions[-2]
    assert eve["adjustment_factor"].unique().to_list() == [1.0]
    assert day["trade_date"].max() == SPLIT
    assert day.sort("trade_date")["adjustment_factor"].to_list() == [*[10.0] * eve.height, 1.0]
    assert adjusted_bars(lake, as_of=datetime(2000, 1, 1, tzinfo=UTC)).is_empty()


def test_bars_as_of_a_moment_use_the_file_published_by_then(
    settings: Settings, archive: SimulatedArchive, tmp_path: Path
) -> None:
    copy = tmp_path / "archive"
    shutil.copytree(archive.root, copy)
    mine = settings.model_copy(update={"archive": str(copy)})
    first, last = SPLIT - timedelta(days=4), SPLIT + timedelta(days=3)
    fetch(mine, first, last)
    lake = Lake(mine.lake)
    ingest(lake, staged(mine, first, last))
    then = equity_bars(lake).collect()
    path = copy / bhavcopy_paths(SPLIT)[0]
    with zipfile.ZipFile(path) as packed:
        lines = packed.read(packed.namelist()[0]).decode().splitlines()
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("a.csv", "\n".join([*lines[:-1], ""]))
    between = datetime.now(UTC)
    fetch(mine, first, last, refresh=True)
    assert ingest(lake, staged(mine, first, last)).written == [SPLIT]
    assert equity_bars(lake).collect().height == then.height - 1
    as_of_then = equity_bars(lake, as_of=between).collect()
    order = ["trade_date", "instrument_id"]
    assert as_of_then["trade_date"].is_sorted(), "a session that was corrected keeps its place"
    assert_frame_equal(as_of_then.sort(order), then.sort(order), check_exact=True)


def test_scan_adjusted_accepts_dates_as_text(known: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAMPION_HOME", str(known.home))
    workspace.settings.cache_clear()
    try:
        eve = ch.scan_adjusted("2024-05-13", as_of="2024-05-17").collect()
        paid = ch.scan_adjusted("2024-05-13", "2024-05-31", total_return=True).collect()
    finally:
        workspace.settings.cache_clear()
    assert (eve["trade_date"].min(), eve["trade_date"].max()) == (date(2024, 5, 13), date(2024, 5, 17))
    assert paid["adjustment_factor"].max() >= 10.0
    order = ["trade_date", "instrument_id"]
    assert all(frame.equals(frame.sort(order)) for frame in (eve, paid))
