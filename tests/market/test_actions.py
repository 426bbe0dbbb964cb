"""Corporate actions: parsed texts, the list that applies at a time, and continuous adjusted bars."""

from __future__ import annotations

import csv
import math
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from champion import features
from champion.contracts.datasets import ACTIONS, BARS, FEATURES
from champion.errors import ContractError, FormatError, LakeError
from champion.lake import Lake
from champion.market.actions import adjustment, corporate_actions
from champion.market.actions.action_text import parse_purpose
from champion.market.actions.corporate_actions import ListOrigin
from champion.market.identity.symbol_history import SymbolHistory
from champion.modeling.universe import find
from champion.pipeline.feature_store import build
from champion.pipeline.ingest import corporate_actions as corporate, quality
from champion.pipeline.ingest.adjusted_bars import adjusted_bars
from champion.pipeline.ingest.fetch import fetch, staged
from champion.pipeline.ingest.ingest import ingest
from champion.pipeline.models import frames
from champion.settings import Settings
from champion.simulate import SimulatedArchive
from champion.sources import actions as lists

HEADER = ",".join(f'"{name}"' for name in lists.HEADER)
READ = datetime(2024, 7, 1, 12, tzinfo=UTC)
EX = datetime(2024, 5, 1, 18, 30, tzinfo=UTC)  # 2 May begins in India
SPLIT = date(2024, 4, 8)  # of the simulated archive: a bonus and a split in one row
PRICED = {"split", "bonus", "consolidation"}


def published(*rows: tuple[str, str, str]) -> bytes:
    """Return a list of symbol, purpose and ex-date in the exchange's format."""
    lines = (f'"{symbol}","A, B & Co","EQ","{text}","1","{day}","-","-","-"' for symbol, text, day in rows)
    return "\n".join([HEADER, *lines, ""]).encode("utf-8-sig")


def normalized(*rows: tuple[str, str, str], changes: str = "", read: datetime = READ) -> pl.DataFrame:
    parsed = lists.parse_actions("a.csv", published(*rows))
    covers = (date(2024, 1, 1), date(2024, 12, 31))
    renames = lists.parse_symbol_changes("b.csv", changes.encode("latin-1"))
    return corporate_actions.normalize(
        parsed, SymbolHistory.of(renames), ListOrigin("test", read.isoformat(), read, covers)
    )


def factor(text: str) -> float:
    return math.prod(action.price_factor or 1.0 for action in parse_purpose(text))


# Texts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" Bonus 1: 2", [("bonus", 1.5)]),
        ("Bonus- 1:2", [("bonus", 1.5)]),
        ("Bonus Ncrps 1:116", [("bonus", None)]),
        ("Scheme Of Arangement- Bonus - 1 Debenture For 1 Equity Share Held", [("bonus", None), ("scheme", None)]),
        (" Fv Splt Frm Rs 10 To Re 1", [("split", 10.0)]),
        ("Face Value Split (Sub-Division) - From Rs10/- Per Share To Re 1/- Per Share", [("split", 10.0)]),
        ("Face Value Split", [("split", None)]),
        ("Consolidation Of Equity Shares From Re 1 Per Share To Rs 10 Per Share", [("consolidation", 0.1)]),
        (
            "Bonus 1:1/Face Value Split (Sub-Division) - From Rs 10/- Per Share To Re 1/- Per Share",
            [("split", 10.0), ("bonus", 2.0)],
        ),
        ("Interim Dividend - Rs 2 Per Share/ Splecial Dividend - Rs 18 Per Share", [("dividend", None)] * 2),
        ("Agm/Spl Div- Rs.5/- Div-7.5/-", [("meeting", None), ("dividend", None), ("dividend", None)]),
        ("Sheme Of Arrangement", [("scheme", None)]),
        ("De-Merger", [("demerger", None)]),
        ("Buy-Back", [("buyback", None)]),
        ("Annual Book Closure", [("other", None)]),
    ],
)
def test_texts(text: str, expected: list[tuple[str, float | None]]) -> None:
    assert [(action.kind, action.price_factor) for action in parse_purpose(text)] == expected


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("Interim Dividend - Rs 974", [974.0]),
        (" Annual General Meeting/Dividend - Rs 4.50 Per Share/Special Dividend - Rs 1.10 Per Share", [4.5, 1.1]),
        ("Interim Div - Rs 6/- Per Share + Face Value Split From Rs 10/- Per Share To Re 1/- Per Share", [6.0]),
        ("Annual General Meeting/Dividend - Rs  Per Share", [None]),
        ("Dividend/Bonus 1:1", [None]),
    ],
)
def test_amounts(text: str, amounts: list[float | None]) -> None:
    assert [action.amount for action in parse_purpose(text) if action.kind == "dividend"] == amounts


def test_rights_keep_ratio_and_premium_and_have_no_factor() -> None:
    (found,) = parse_purpose("Rights 588:1000@ Premium Rs 2/-")
    assert (found.kind, found.detail, found.amount, found.price_factor) == ("rights", "588:1000", 2.0, None)
    assert found.reason


def test_all_real_samples(nse: Path) -> None:
    with (nse / "corporates" / "purpose_string_samples.csv").open(encoding="utf-8-sig", newline="") as stream:
        samples = list(csv.DictReader(stream))
    assert len(samples) == 250
    judged = 0
    for sample in samples:
        text, wanted = sample["purpose_raw"], sample["category"]
        kinds = {action.kind for action in parse_purpose(text)}
        assert kinds
        for word in ("bonus", "rights", "buyback", "meeting", "consolidation", "capital_reduction", "distribution"):
            assert word not in wanted.split("+") or word in kinds, text
        if factor(text) != 1.0 and sample["prev_close_over_ex_open"]:
            judged += 1
            assert float(sample["prev_close_over_ex_open"]) / factor(text) == pytest.approx(1, abs=0.1), text
    assert judged == 31


def test_every_text_of_the_real_list_is_understood(nse: Path) -> None:
    path = next((nse / "corporates").glob("CF-CA-*.csv"))
    rows = lists.parse_actions(path.name, path.read_bytes())
    found = pl.DataFrame(
        [(a.kind, a.price_factor is not None) for text in rows["purpose"] for a in parse_purpose(text)],
        schema=["kind", "has_factor"],
        orient="row",
    )
    with_factor = dict(found.filter("has_factor").group_by("kind").len().iter_rows())
    assert with_factor == {"bonus": 366, "split": 331, "consolidation": 2}
    assert found.filter(~pl.col("has_factor") & pl.col("kind").is_in(PRICED)).height == 4  # not in equity shares
    assert found.filter(pl.col("kind") == "other").height <= 10


# Lists


def test_a_list_becomes_rows_by_kind() -> None:
    both = "Bonus 1:1/ Dividend - Rs 5 Per Share"
    rows = [
        ("ACME", both, "02-May-2024"),
        ("ACME", both, "02-May-2024"),
        ("ACME", " Fv Splt Frm Rs 10 To Rs 5", "02-May-2024"),
    ]
    found = normalized(*rows)
    shown = found.select("instrument_id", "kind", "price_factor", "volume_factor", "amount").sort("kind").rows()
    assert shown == [
        ("NSE:ACME", "bonus", 2.0, 2.0, None),
        ("NSE:ACME", "dividend", None, None, 5.0),
        ("NSE:ACME", "split", 2.0, 2.0, None),
    ]
    assert found["known_at"].unique().to_list() == [READ]
    assert found["face_value"].unique().to_list() == [1.0]


def test_rows_that_disagree_have_no_factor() -> None:
    found = normalized(("ACME", "Bonus 1:1", "02-May-2024"), ("ACME", "Bonus 1:2 (Revised)", "02-May-2024"))
    assert found.select("price_factor", "reason").rows() == [(None, "rows of one ex-date disagree")]
    same = normalized(("ACME", "Bonus 1:1", "02-May-2024"), ("ACME", "Bonus 1:1 (Revised)", "02-May-2024"))
    assert same["price_factor"].to_list() == [2.0]


def test_symbols_are_those_of_the_ex_date() -> None:
    changes = "A Ltd,OLD,MID,01-MAR-2024\nA Ltd, MID,NEW,01-JUN-2024\nCafé,X,Y,01-JUN-2024\n"
    days = ["28-Feb-2024", "01-Mar-2024", "31-May-2024", "01-Jun-2024"]
    found = normalized(*(("NEW", "Bonus 1:1", day) for day in days), changes=changes)
    assert found.sort("ex_date")["symbol"].to_list() == ["OLD", "MID", "MID", "NEW"]
    assert set(found["listed_symbol"]) == {"NEW"}
    assert set(found["instrument_id"]) == {"NSE:OLD"}


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"SYMBOL,PURPOSE\n", "unknown header"),
        (published(("ACME", "Bonus 1:1", "soon")), "line 2"),
        (f'{HEADER}\n"ACME","A"\n'.encode(), "line 2"),
        (b"<html>busy</html>", "HTML"),
    ],
)
def test_damaged_lists_are_refused(content: bytes, match: str) -> None:
    with pytest.raises(FormatError, match=match):
        lists.parse_actions("a.csv", content)
    with pytest.raises(FormatError, match="not a symbol change"):
        lists.parse_symbol_changes("b.csv", b"A,B,C,someday\n")


def test_an_ex_date_outside_the_list_is_refused() -> None:
    with pytest.raises(ContractError, match="list_covers_it"):
        normalized(("ACME", "Bonus 1:1", "02-May-2025"))


def test_a_later_list_replaces_an_earlier_one() -> None:
    later = READ + timedelta(days=3)
    first = normalized(("A", "Bonus 1:1", "02-May-2024"), ("B", "Bonus 1:1", "02-May-2024"))
    second = normalized(("A", "Bonus 1:1", "02-May-2024"), ("C", "Bonus 1:2", "02-May-2024"), read=later)
    both = pl.concat([second, first])
    assert corporate_actions.as_known(both)["symbol"].to_list() == ["A", "C"]
    assert corporate_actions.as_known(both)["known_at"].to_list() == [EX, later]  # A stood in the first list of all
    assert corporate_actions.as_known(both, as_of=READ)["symbol"].to_list() == ["A", "B"]
    assert corporate_actions.as_known(both, as_of=EX)["symbol"].to_list() == [
        "A",
        "B",
    ]  # a look back, by the first list
    assert corporate_actions.as_known(both, as_of=EX - timedelta(seconds=1)).is_empty()


def test_an_action_of_a_list_read_early_is_known_since_then() -> None:
    early = EX - timedelta(days=20)
    first = normalized(("A", "Bonus 1:1", "02-May-2024"), read=early)
    assert corporate_actions.as_known(first, as_of=early)["known_at"].to_list() == [early]
    assert corporate_actions.as_known(first, as_of=early - timedelta(seconds=1)).is_empty()


# Archive to lake


@pytest.fixture(scope="module")
def adjusted(ingested: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The ingested workspace, with corporate actions."""
    settings = ingested.model_copy(update={"home": tmp_path_factory.mktemp("adjusted") / "home"})
    shutil.copytree(ingested.lake, settings.lake)
    assert corporate.refresh(settings).outcome == "written"
    return settings


def test_the_same_list_again_changes_nothing(adjusted: Settings) -> None:
    lake = Lake(adjusted.lake)
    before = lake.digest(ACTIONS)
    assert corporate.refresh(adjusted).outcome == "already"
    assert lake.digest(ACTIONS) == before
    assert len(lake.sessions(ACTIONS)) == 1
    assert lake.verify(ACTIONS) == []


def test_an_archive_without_a_list_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    for archive in (str(tmp_path / "archive"), "http://127.0.0.1:9"):
        found = corporate.refresh(Settings(home=tmp_path / "home", archive=archive))
        assert (found.outcome, found.rows) == ("absent", 0)
    assert corporate.known_factors(Lake(tmp_path / "home" / "lake")).is_empty()


def test_the_newest_list_is_the_one_with_the_latest_ex_date(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "archive" / "corporates"
    folder.mkdir(parents=True)
    old, new = "CF-CA-equities-01-01-2024-to-31-12-2024.csv", "CF-CA-equities-01-01-2024-to-01-02-2025.csv"
    (folder / old).write_bytes(published(("ACME", "Bonus 1:1", "02-May-2024")))
    (folder / new).write_bytes(published(("ACME", "Bonus 1:2", "02-May-2024")))
    corporate.refresh(settings.model_copy(update={"archive": str(tmp_path / "archive")}))
    assert corporate.known_factors(Lake(settings.lake))["price_factor"].to_list() == [1.5]


def test_local_lists_serve_an_archive_that_cannot_be_listed(tmp_path: Path) -> None:
    folder = tmp_path / "downloads" / "corporates"
    folder.mkdir(parents=True)
    (folder / "CF-CA-equities-01-01-2024-to-31-12-2024.csv").write_bytes(published(("A", "Bonus 1:1", "02-May-2024")))
    settings = Settings(home=tmp_path / "home", archive="http://127.0.0.1:9", lists=str(tmp_path / "downloads"))
    assert corporate.refresh(settings).outcome == "written"
    assert corporate.refresh(settings).outcome == "already"


def test_every_simulated_action_is_found(adjusted: Settings, archive: SimulatedArchive) -> None:
    found = adjustment.effective_factors(corporate.known_factors(Lake(adjusted.lake)))
    got = {
        (symbol, ex_date): product
        for symbol, ex_date, product in found.group_by("symbol", "ex_date").agg(pl.col("price_factor").product()).rows()
    }
    wanted: dict[tuple[str, date], float] = {}
    for action in archive.actions:
        if action.price_factor != 1.0:
            key = (action.traded_symbol, action.ex_date)
            wanted[key] = wanted.get(key, 1.0) * action.price_factor
    assert len(wanted) >= 4
    assert got == pytest.approx(wanted, rel=1e-4)  # a demerger is known by its first open, in paise


def test_adjusted_series_are_continuous(adjusted: Settings, archive: SimulatedArchive) -> None:
    bars = adjusted_bars(Lake(adjusted.lake)).sort("instrument_id", "trade_date")
    moves = bars.with_columns(move=(pl.col("close") / pl.col("close").shift(1).over("instrument_id")).log().abs())
    gap = (pl.col("open") / pl.col("prev_close")).log().abs()
    for action in archive.actions:
        if action.price_factor != 1.0:
            mine = moves.filter(pl.col("symbol") == action.traded_symbol).with_columns(gap=gap)
            there = mine.filter(pl.col("trade_date") == action.ex_date)
            rest = mine.filter(pl.col("trade_date") != action.ex_date)
            assert there["move"].item() <= rest["move"].drop_nulls().max()
            assert there["gap"].item() <= rest["gap"].drop_nulls().max()


def test_the_gap_gate_finds_unexplained_gaps(adjusted: Settings, ingested: Settings) -> None:
    start, end = date(2024, 1, 1), date(2024, 4, 30)
    gate = pl.col("gate") == "unexplained_gaps"
    without, known = (
        quality.check(Lake(settings.lake), start, end).gates.filter(gate).row(0, named=True)
        for settings in (ingested, adjusted)
    )
    assert (without["passed"], known["passed"]) == (False, True)
    assert without["severity"] == "warning"
    assert without["detail"].startswith("5 opens")  # two splits, a bonus, a demerger, half the price as a dividend
    assert known["value"] == 0.0


# Features and models


def copy_of(settings: Settings, tmp_path: Path) -> Settings:
    made = settings.model_copy(update={"home": tmp_path / "copy"})
    shutil.copytree(settings.lake, made.lake)
    return made


def test_session_by_session_equals_a_rebuild(adjusted: Settings, tmp_path: Path) -> None:
    start, end = SPLIT - timedelta(days=5), SPLIT + timedelta(days=3)
    whole, daily = (Lake(copy_of(adjusted, tmp_path / name).lake) for name in ("whole", "daily"))
    build.build_features(whole, start, end)
    for session in daily.sessions(BARS, start, end):
        assert build.build_features(daily, session, session).totals["written"] == 1
    assert daily.digest(FEATURES) == whole.digest(FEATURES)
    assert build.build_features(daily, start, end).totals["written"] == 0


def test_a_late_action_rebuilds_sessions_from_its_ex_date(
    ingested: Settings, adjusted: Settings, tmp_path: Path
) -> None:
    start, end = SPLIT - timedelta(days=5), SPLIT + timedelta(days=3)
    settings = copy_of(ingested, tmp_path)
    lake = Lake(settings.lake)
    build.build_features(lake, start, end)
    frame = frames.training_frame(lake, start, end, horizon=1, universe=find("all")).filter(symbol="HUGLIFIN")
    assert frame["across_gap"].sum() == 1, "no list explains 6.25 shares for one: the label is left out, and counted"
    assert frame["forward_return"].drop_nulls().abs().max() < 0.2  # type: ignore[operator]
    kept = published(("HUGLIFIN", "Bonus 1:4/Fv Splt Frm Rs 5 To Re 1", f"{SPLIT:%d-%b-%Y}"))
    folder = tmp_path / "archive" / "corporates"
    folder.mkdir(parents=True)
    (folder / "CF-CA-equities-01-01-2024-to-31-12-2024.csv").write_bytes(kept)
    corporate.refresh(settings.model_copy(update={"archive": str(tmp_path / "archive")}))
    with pytest.raises(LakeError, match="champion features 2024-04-08 2024-04-11"):
        frames.training_frame(lake, start, end, horizon=1, universe=find("all"))
    rebuilt = build.build_features(lake, start, end).sessions.filter(pl.col("outcome") == "written")
    assert rebuilt["session"].to_list() == lake.sessions(BARS, SPLIT, end)
    assert frames.training_frame(lake, start, end, horizon=1, universe=find("all")).height > 0
    assert corporate.digest(lake, SPLIT - timedelta(days=1)) != corporate.digest(lake, SPLIT)
    assert corporate.digest(Lake(adjusted.lake), end) != corporate.digest(lake, end)


def test_models_get_features_and_bars_in_one_scale(adjusted: Settings, tmp_path: Path) -> None:
    lake = Lake(copy_of(adjusted, tmp_path).lake)
    start, end = SPLIT - timedelta(days=5), SPLIT + timedelta(days=14)
    build.build_features(lake, start, end)
    frame = frames.training_frame(lake, start, end, horizon=1, universe=find("all"))
    returns = frame.filter(pl.col("symbol") == "HUGLIFIN")["forward_return"].drop_nulls()
    assert returns.len() >= 8
    assert returns.abs().max() < 0.2  # type: ignore[operator]  # 6.25 to 1 unadjusted is -84%
    bars = adjusted_bars(lake, end=end)
    scale = frames._bars(lake, start, end)
    chosen = frames._chosen(lake, scale, start, end, find("all"), "v1")
    stored = frames._features(lake, start, end, scale, chosen, "v1").sort("instrument_id", "trade_date")
    assert stored.height == lake.scan(FEATURES, start, end).collect().height
    whole = features.build(bars).join(stored, on=["instrument_id", "trade_date"], how="semi")
    columns = ["instrument_id", "trade_date", "sma_20", "ema_12", "rsi_14", "bb_upper", "atr_14", "volume_ma_20"]
    assert_frame_equal(stored.select(columns), whole.select(columns), rel_tol=1e-3, abs_tol=1e-2)
    before = lake.scan(FEATURES, start, SPLIT - timedelta(days=1)).filter(pl.col("symbol") == "HUGLIFIN")
    traded = lake.scan(BARS).filter(pl.col("symbol") == "HUGLIFIN").collect()
    averages = before.select("trade_date", "sma_5").collect().join(traded, on="trade_date")
    assert (averages["sma_5"] / averages["close"] - 1).abs().max() < 0.2  # type: ignore[operator]  # as that session saw it


def test_reliance_bonus_of_2024(nse: Path, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, archive=str(nse))
    start, end = date(2024, 10, 24), date(2024, 10, 30)
    fetch(settings, start, end)
    lake = Lake(settings.lake)
    ingest(lake, staged(settings, start, end)).require_complete()
    assert corporate.refresh(settings).rows > 20_000
    bars = adjusted_bars(lake).filter(pl.col("symbol") == "RELIANCE").sort("trade_date")
    assert bars["close"].to_list() == [1339.8, 1327.85, 1334.35, 1340.0, 1343.9]
    assert bars["prev_close"].to_list()[1:] == bars["close"].to_list()[:-1]
    assert bars["adjustment_factor"].to_list() == [2.0, 2.0, 1.0, 1.0, 1.0]
    listed = lake.scan(ACTIONS).filter((pl.col("listed_symbol") == "UNOMINDA") & (pl.col("kind") == "split")).collect()
    assert listed["symbol"].to_list() == ["UNOMINDA"]  # no list of symbol changes was read
