"""Validation: rejected rows and their reasons; other rows are unchanged."""

from __future__ import annotations

from datetime import date

import polars as pl
from hypothesis import given, settings as hypothesis_settings, strategies as st

from champion import contracts
from champion.market import validation

BARS = contracts.load("normalized_equity_ohlc")
RAW = contracts.load("raw_equity_ohlc")


def strings(**values: str | None) -> pl.DataFrame:
    row = {"TradDt": "2024-01-15", "TckrSymb": "ABB", "SctySrs": "EQ", "ClsPric": "10.5", "TtlTradgVol": "7", **values}
    return pl.DataFrame([{"row_number": 2, **row}], schema_overrides=dict.fromkeys(row, pl.String))


def test_coerce_returns_the_contract_types() -> None:
    typed = validation.coerce(strings(), RAW).accepted.row(0, named=True)
    assert (typed["TradDt"], typed["ClsPric"], typed["TtlTradgVol"]) == (date(2024, 1, 15), 10.5, 7)


def test_an_invalid_value_rejects_its_row_with_its_text() -> None:
    found = validation.coerce(strings(TradDt="15/01/2024", ClsPric="abc", TtlTradgVol="7.5"), RAW)
    assert found.accepted.is_empty()
    row = found.rejected.row(0, named=True)
    assert row["reasons"] == [
        "TradDt: '15/01/2024' is not a date (YYYY-MM-DD)",
        "ClsPric: 'abc' is not a number",
        "TtlTradgVol: '7.5' is not a whole number",
    ]
    assert row["ClsPric"] == "abc"


def test_numbers_are_finite() -> None:
    for text in ("nan", "inf", "-inf", "1e999"):
        assert validation.coerce(strings(ClsPric=text), RAW).accepted.is_empty()


def test_null_stays_null() -> None:
    assert validation.coerce(strings(ClsPric=None), RAW).accepted["ClsPric"].to_list() == [None]


def raw(**values: object) -> dict[str, object]:
    return {"TradDt": date(2024, 1, 15), "TckrSymb": "ABB", "SctySrs": "EQ", "Sgmt": "CM", "TtlTradgVol": 7, **values}


def test_reasons_are_collected() -> None:
    frame = pl.DataFrame([raw(), raw(TckrSymb=None, Sgmt="FO"), raw(TckrSymb="B", TtlTradgVol=-1)])
    found = validation.validate(frame.with_columns(TtlTrfVal=1.0, TtlNbOfTxsExctd=1), RAW)
    assert found.accepted.height == 1
    assert found.rejected["reasons"].to_list() == [
        ["TckrSymb is null", "segment_is_cash_market"],
        ["volume_is_not_negative"],
    ]


def test_a_repeated_row_is_refused_once_and_a_conflicting_one_whole() -> None:
    frame = pl.DataFrame([raw(), raw(), raw(TckrSymb="B"), raw(TckrSymb="B", TtlTradgVol=8)])
    found = validation.validate(frame.with_row_index("row_number"), RAW)
    assert found.accepted["row_number"].to_list() == [0]
    assert found.rejected.select("row_number", pl.col("reasons").list.first()).rows() == [
        (1, "duplicate_row"),
        (2, "conflicting_key"),
        (3, "conflicting_key"),
    ]


def test_a_missing_price_is_valid_raw_and_invalid_in_a_bar() -> None:
    frame = pl.DataFrame(
        [raw(OpnPric=None, HghPric=None, LwPric=None, ClsPric=None)], schema_overrides={"ClsPric": pl.Float64}
    )
    assert validation.validate(frame, RAW).accepted.height == 1
    bar = pl.DataFrame({"open": [None], "close": [1.0]}, schema={"open": pl.Float64, "close": pl.Float64})
    assert validation.validate(bar, BARS).rejected["reasons"].to_list() == [["open is null"]]


@hypothesis_settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from("ABC"), st.integers(-2, 2), st.sampled_from(["CM", "FO", None])), max_size=12)
)
def test_every_row_is_either_accepted_or_rejected(rows: list[tuple[str, int, str | None]]) -> None:
    frame = pl.DataFrame(
        [raw(TckrSymb=s, TtlTradgVol=v, Sgmt=g, row_number=i) for i, (s, v, g) in enumerate(rows)],
        schema={
            "TradDt": pl.Date,
            "TckrSymb": pl.String,
            "SctySrs": pl.String,
            "Sgmt": pl.String,
            "TtlTradgVol": pl.Int64,
            "row_number": pl.Int64,
        },
    )
    found = validation.validate(frame, RAW)
    assert sorted([*found.accepted["row_number"], *found.rejected["row_number"]]) == list(range(len(rows)))
    assert (found.rejected["reasons"].list.len() > 0).all()
