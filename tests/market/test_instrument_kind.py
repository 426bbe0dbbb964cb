"""Kinds of instruments: real securities, every combination of a real file, other evidence, and what stays unknown."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from champion.base import package_data
from champion.contracts.instrument_kinds import EQUITY, KINDS, UNKNOWN
from champion.errors import UsageError
from champion.market.reference import instrument_kind
from champion.market.reference.kind_rules import RULES
from champion.sources.parse import parse

COLUMNS = ("isin", "series", "symbol")
# Securities in the exchange's bhavcopies of 2016 to 2025; what each one is follows from its name in UDiFF files, the
# issuer's announcement or the exchange's legend of series, not from the rules.
REAL: dict[tuple[str | None, ...], str] = {
    ("INE002A01018", "EQ", "RELIANCE"): "equity",
    ("INE079A01024", "T0", "AMBUJACEM"): "trading_window",
    ("INE650K01021", "BZ", "8KMILES"): "equity",
    ("INE0D0U01013", "ST", "AAATECH"): "equity",
    ("INE040A01026", "IL", "HDFCBANK"): "trading_window",
    ("INE768P01012", "IT", "3RDROCK"): "equity",  # listed on the institutional platform alone
    ("INF204KB14I2", "EQ", "NIFTYBEES"): "fund",
    ("INF109KC1N59", "EQ", "ALPL30IETF"): "fund",
    ("INF846K01X63", "EQ", "AXISBNKETF"): "fund",
    ("INF789F1AUX7", "EQ", "GOLDSHARE"): "fund",
    ("INF209KB1UV4", "MF", "ABSLFTQVDG"): "fund",
    ("IN9155A01020", "EQ", "TATAMTRDVR"): "dvr",
    ("IN9155A01020", "BL", "TATAMTRDVR"): "trading_window",
    ("IN9175A01010", "BE", "JISLDVREQS"): "dvr",
    ("INE224E01036", "EQ", "SCAPDVR"): "dvr",  # type 01, as the ordinary share's INE224E01028
    ("INE224E01028", "EQ", "STAMPEDE"): "equity",
    ("INE224E20028", "BE", "GACMDVR-RE"): "rights_entitlement",
    ("INE647O20011", "BE", "ABFRL-RE"): "rights_entitlement",
    ("INE219X20010", "ID", "IGRID-RE"): "rights_entitlement",
    ("IN9397D01014", "E1", "AIRTELPP"): "partly_paid",
    ("IN9737B01023", "X1", "ADROITPP"): "partly_paid",
    ("DUMMY", "E1", "ABFRLPP1"): "partly_paid",  # 2023, as published
    ("INE628A03024", "Q1", "UPL"): "preference",
    ("INE256A04022", "P2", "ZEEL"): "preference",
    ("INE001A13049", "W3", "HDFC"): "warrant",
    ("INE041025011", "RR", "EMBASSY"): "reit_invit",
    ("INE219X23014", "IV", "INDIGRID"): "reit_invit",
    ("INE219X23014", "BL", "INDIGRID"): "trading_window",
    ("INE028L21018", "DR", "STAN"): "depositary_receipt",
    ("INE583D07257", "N3", "1015UCL24"): "debt",
    ("INE053A08081", "D1", "INDHOTEL"): "debt",
    ("INE00QS24019", "N0", "IMC1"): "debt",
    ("INE005A11309", "NB", "ICICI1098"): "debt",
    ("IN0020230085", "GS", "718GS2033"): "government",
    ("IN002023Y185", "TB", "182D010224"): "government",
    ("IN1920200459", "SG", "653KA30"): "government",
    ("IN0020150085", "GB", "SGBNOV23"): "gold_bond",
    (None, "BE", "AIRTEL-RE"): "rights_entitlement",
    (None, "ST", "BRIGHT-RE"): "rights_entitlement",
    (None, "SM", "DUDIGITAL"): "equity",
    (None, "GB", "SGBNOV23"): "gold_bond",
    (None, "NB", "CHOLAFIN"): "debt",
    (None, "AA", "IBULHSGFIN"): "debt",
    (None, "MF", "ABSLDAF2DG"): "fund",
    (None, "EQ", "TATAMTRDVR"): "dvr",
    (None, "EQ", "NIFTYBEES"): UNKNOWN,  # as RELIANCE: the full report shows no difference
    (None, "EQ", "RELIANCE"): UNKNOWN,
    (None, "BE", "KALYANI"): UNKNOWN,
    (None, "BO", "ATUL"): "trading_window",
    (None, "BL", "TRIDENT"): "trading_window",
}

INVENTED: dict[tuple[str | None, ...], str] = {
    ("INE", "EQ", "X"): UNKNOWN,  # no ISIN, but once in a real file
    ("INE000099012", "EQ", "X"): UNKNOWN,  # a type without a rule is not taken for a share
    ("US0378331005", "EQ", "AAPL"): UNKNOWN,
    ("IN9397D01014", "EQ", "AIRTELPP"): UNKNOWN,  # partly paid or DVR: the series does not say
    (None, None, None): UNKNOWN,
}


def kinds(rows: list[tuple[str | None, ...]]) -> list[str]:
    schema = dict.fromkeys(COLUMNS, pl.String)
    found: list[str] = (
        pl.DataFrame(rows, schema=schema, orient="row")
        .select(instrument_kind.kind(*map(pl.col, COLUMNS)))
        .to_series()
        .to_list()
    )
    return found


def bars(*rows: tuple[str, str | None, str, date]) -> pl.DataFrame:
    """Return bars of (symbol, isin, series, session)."""
    schema = {"symbol": pl.String, "isin": pl.String, "series": pl.String, "trade_date": pl.Date}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(instrument_id="N:" + pl.col("symbol"))


def day(number: int) -> date:
    return date(2024, 1, number)


def no_evidence(instruments: list[str]) -> pl.DataFrame:
    raise AssertionError(instruments)


def test_real_securities_are_what_they_are() -> None:
    assert dict(zip(REAL, kinds(list(REAL)), strict=True)) == REAL
    assert dict(zip(INVENTED, kinds(list(INVENTED)), strict=True)) == INVENTED
    assert set(REAL.values()) == set(KINDS), "each kind has an example"


def test_every_rule_says_a_kind_and_its_reason() -> None:
    assert {rule.kind for rule in RULES} == set(KINDS)
    assert all(rule.reason and (rule.isin or rule.series or rule.symbol or rule.name) for rule in RULES)
    assert {rule.kind for rule in RULES if not rule.isin} == {"trading_window"}, "others would overrule the ISIN"


def test_evidence_gives_isin_series_and_the_reason_of_the_deciding_rule() -> None:
    frame = pl.DataFrame([*REAL, *INVENTED], schema=dict.fromkeys(COLUMNS, pl.String), orient="row")
    columns = [pl.col(name) for name in COLUMNS]
    found = frame.select(instrument_kind.kind(*columns), instrument_kind.evidence(*columns))
    reasons = {rule.reason: rule.kind for rule in RULES}
    for isin, (kind, text) in zip(frame["isin"], found.rows(), strict=True):
        assert text is None or text.startswith(f"ISIN {isin or 'none'}, series ")
        if text is not None and (reason := text.partition(": ")[2]) in reasons:
            assert reasons[reason] == kind
        else:
            assert kind == UNKNOWN


def test_a_bar_without_isin_has_the_kind_of_the_instruments_other_days() -> None:
    rows = bars(
        ("FUND", "INF204KB14I2", "EQ", day(1)), ("FUND", None, "EQ", day(2)),
        ("LATER", None, "EQ", day(1)), ("LATER", "INE002A01018", "BE", day(2)),
        ("NEVER", None, "EQ", day(1)), ("NEVER", None, "BE", day(2)),
        ("BOTH", "INE002A01018", "EQ", day(1)), ("BOTH", "INF204KB14I2", "EQ", day(2)), ("BOTH", None, "EQ", day(3)),
        ("SPLIT", "INE237A01010", "EQ", day(1)), ("SPLIT", "INE237A01028", "EQ", day(2)),
    )  # fmt: skip
    found = instrument_kind.classify(rows)
    assert dict(found.select("symbol", "instrument_kind").rows()) == {
        "FUND": "fund", "LATER": "equity", "NEVER": UNKNOWN, "BOTH": UNKNOWN, "SPLIT": "equity",
    }  # fmt: skip
    texts = dict(found.select("symbol", "evidence").rows())
    assert texts["BOTH"] == "the instrument's bars contradict each other: equity, fund"
    assert texts["NEVER"].startswith("ISIN none, series BE: ")
    assert "INE237A01028" in texts["SPLIT"], "the latest evidence"
    assert found.filter(symbol="FUND")["isin"].item() == "INF204KB14I2"
    by_bar = instrument_kind.with_kinds(rows, lambda _: found)
    assert by_bar.filter(symbol="FUND")["instrument_kind"].to_list() == ["fund"] * 2
    assert by_bar.filter(symbol="BOTH")["instrument_kind"].to_list() == ["equity", "fund", UNKNOWN]


def test_a_list_decides_where_no_bar_does() -> None:
    rows = bars(("LISTED", None, "EQ", day(1)), ("NAMED", None, "EQ", day(1)), ("SHARE", "INE002A01018", "EQ", day(1)))
    texts = {"symbol": pl.String, "isin": pl.String, "company": pl.String, "list_date": pl.Date}
    listed = pl.DataFrame(
        [
            ("LISTED", "INE144J01027", "20 Microns Limited", day(2)),
            ("NAMED", None, "Kotak Nifty Bank Etf", day(2)),
            ("SHARE", "INF204KB14I2", "Fund", day(2)),
        ],
        schema=texts,
        orient="row",
    ).with_columns(instrument_id="N:" + pl.col("symbol"))
    found = instrument_kind.classify(rows, listed)
    assert found["instrument_kind"].to_list() == ["equity", "fund", "equity"]
    assert found["evidence"][0].startswith("list of 2024-01-02: ISIN INE144J01027")


def test_a_name_that_ends_in_limited_does_not_prove_a_share() -> None:
    """ITBEES is published as 'NIPPON LIFE INDIA ASSET MANAGEMENT LIMITED' in the price bands of 2026."""
    names = pl.DataFrame(
        {"n": ["NIPPON LIFE INDIA ASSET MANAGEMENT LIMITED", "KOTAK NIFTY IT ETF", "AXIS MUTUAL FUND"]}
    )
    columns = pl.lit(None, pl.String), pl.lit("EQ"), pl.lit("IT"), pl.col("n")
    assert names.select(instrument_kind.kind(*columns)).to_series().to_list() == [UNKNOWN, "fund", "fund"]


@settings(max_examples=8)
@given(seed=st.randoms(use_true_random=False), kinds=st.sets(st.sampled_from(KINDS), min_size=1))
def test_chosen_bars_are_those_of_the_kinds_in_the_same_order(seed: st.DataObject, kinds: set[str]) -> None:
    rows = [(str(symbol), isin, str(series), day(1)) for isin, series, symbol in REAL]
    seed.shuffle(rows)  # type: ignore[attr-defined]
    frame = bars(*rows)
    learn = instrument_kind.classify(frame.clear())
    chosen = instrument_kind.of_kinds(frame.lazy(), kinds, lambda _: learn).collect()
    by_loop = [row for row in rows if REAL[row[1], row[2], row[0]] in kinds]
    assert chosen.select("symbol", "isin", "series", "trade_date").rows() == by_loop


def test_bars_that_decide_for_themselves_need_no_other_evidence() -> None:
    decided = bars(("A", "INE002A01018", "EQ", day(1)), ("F", "INF204KB14I2", "EQ", day(1)))
    assert instrument_kind.of_kinds(decided.lazy(), EQUITY, no_evidence).collect()["symbol"].to_list() == ["A"]
    empty = instrument_kind.with_kinds(decided.clear(), no_evidence)
    assert empty.columns == [*decided.columns, "instrument_kind"]


def test_unknown_kinds_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no kind of instrument is called 'etf': there are equity, dvr, "):
        instrument_kind.require_kinds(["share", "etf", "fund"])


def test_the_warehouse_has_the_same_rules() -> None:
    """The expression in the newest migration that has it is what the table of rules gives today."""
    migrations = sorted((package_data.folder("sql") / "migrations").glob("*.sql"), reverse=True)
    text = next(text for path in migrations if "as kind\n" in (text := path.read_text()))
    assert " ".join(instrument_kind.clickhouse().split()) in " ".join(text.split())


def test_every_combination_of_real_files_has_a_rule(nse: Path) -> None:
    """On rows with an ISIN, the rules of series alone agree with those of the ISIN or leave it open."""
    names = {
        date(2024, 1, 15): "content/cm/BhavCopy_NSE_CM_0_0_0_20240115_F_0000.csv.zip",
        date(2024, 11, 18): "content/cm/BhavCopy_NSE_CM_0_0_0_20241118_F_0000.csv.zip",
        date(2019, 6, 3): "content/historical/EQUITIES/2019/JUN/cm03JUN2019bhav.csv.zip",
    }
    rows = pl.concat(
        parse(name, (nse / name).read_bytes(), session).rows.select(isin="ISIN", series="SctySrs", symbol="TckrSymb")
        for session, name in names.items()
    )
    columns = [pl.col(name) for name in COLUMNS]
    without = pl.lit(None, pl.String), *columns[1:]
    found = rows.with_columns(instrument_kind.kind(*columns), by_series=instrument_kind.kind(*without))
    assert found.filter(pl.col("instrument_kind") == UNKNOWN).is_empty()
    wrong = found.filter(pl.col("by_series") != UNKNOWN, pl.col("by_series") != pl.col("instrument_kind"))
    assert wrong.is_empty()
    funds = found.filter(pl.col("series") == "EQ", pl.col("instrument_kind") == "fund")
    assert funds["symbol"].n_unique() > 200
    assert {"NIFTYBEES", "LIQUIDBEES", "GOLDBEES"} <= set(funds["symbol"])
