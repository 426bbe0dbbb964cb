"""Named and free queries, bound parameters, and refused statements."""

from __future__ import annotations

import re
from datetime import date

import polars as pl
import pytest
from warehouse_rows import FRAMES, JANUARY, NORMALIZED, PARAMETERS, SESSIONS, SYMBOLS, normalized

from champion import contracts, warehouse
from champion.errors import WarehouseError
from champion.modeling.labels import forward_return
from champion.settings import Settings
from champion.warehouse import adjustment_cache, queries


def test_every_named_query_is_tested_and_described() -> None:
    assert queries.names() == sorted(PARAMETERS)
    for name in queries.names():
        query = queries.load(name)
        assert query.answers.endswith(".")
        in_text = set(re.findall(r"\{(\w+):(\w+)\}", f"{query.refusal} {query.text.partition('with')[2]}"))
        assert in_text == {(parameter.name, parameter.type) for parameter in query.parameters}
    with pytest.raises(WarehouseError, match="no query is named 'nope'; there are: adjusted_returns, index_members"):
        queries.load("nope")


def test_queries_of_one_session_choose_kinds_and_have_shares_by_default(loaded: Settings) -> None:
    for name in ("session_cross_section", "volume_leaders"):
        found = {
            kinds: queries.run(loaded, name, {"session": SESSIONS[0]} | ({"kinds": kinds} if kinds else {})).height
            for kinds in ("", "equity", "fund,debt")
        }
        assert found == {"": len(SYMBOLS), "equity": len(SYMBOLS), "fund,debt": 0}


def test_named_queries_return_expected_rows(loaded: Settings) -> None:
    got = {name: queries.run(loaded, name, bound) for name, bound in PARAMETERS.items()}
    assert got["instruments"].rows() == [("NSE:M&M", "M&M", *SESSIONS, 2, ["INE000A01013"])]
    bars = normalized(SESSIONS[:1])
    assert got["symbol_history"]["close"].to_list() == [100.25 * 4 + 15, 100.25 * 4 + 16]
    assert got["session_cross_section"]["symbol"].to_list() == list(SYMBOLS)
    assert got["session_cross_section"]["rsi_14"].to_list() == [None, 55.5, 55.5, 55.5]
    assert got["movers"]["symbol"].to_list() == ["BETA", "ACME", "M&M"]  # ZED'S has no equity series
    shares = bars.filter(pl.col("series") == "EQ")
    moves = (shares["close"] / shares["prev_close"] - 1).abs().sort(descending=True)
    assert got["movers"]["simple_return"].abs().to_list() == pytest.approx(
        moves.to_list(), rel=1e-5
    )  # rounded to 1e-4 rupees
    leaders = got["volume_leaders"].select("symbol", "volume", "volume_rank").rows()
    assert leaders == [("ZED'S", 4000, 1), ("M&M", 3000, 2)]
    assert got["liquidity"]["share_of_sessions"].to_list() == [1.0] * 4
    medians = normalized().group_by("instrument_id").agg(pl.col("turnover").median()).sort("turnover", descending=True)
    assert got["liquidity"]["median_turnover"].to_list() == pytest.approx(medians["turnover"].to_list())
    assert got["predictions_of_session"]["model_version"].unique().to_list() == [2]
    assert got["predictions_of_session"]["rank"].to_list() == [1, 2, 3, 4]
    assert got["targets_of_session"].select("trade_date", "action", "excluded_by").rows() == [
        (SESSIONS[0], "none", "rank")
    ]


@pytest.mark.parametrize(
    ("name", "bound", "message"),
    [
        (
            "index_members",
            {"index": "NIFTY 5O"},
            "no list of index NIFTY 5O: did you mean NIFTY 50? There are lists of NIFTY 50",
        ),
        ("index_members", {"session": date(1999, 3, 31)}, "on 1999-03-31 are not known: lists cover {} to {}"),
        ("index_members", {"session": date(2099, 3, 31)}, "on 2099-03-31 are not known: lists cover {} to {}"),
        (
            "sectors",
            {"session": date(1999, 3, 31)},
            "the sectors on 1999-03-31 are not known: lists cover {first} to {}",
        ),
        (
            "sectors",
            {"session": date(2099, 3, 31)},
            "the sectors on 2099-03-31 are not known: lists cover {first} to {}",
        ),
    ],
)
def test_dates_and_names_that_no_list_covers_are_refused(
    loaded: Settings, name: str, bound: dict[str, object], message: str
) -> None:
    covered = FRAMES["normalized_index_members"]().select("covered_from", "covered_until").row(0)
    first = FRAMES["normalized_sectors"]()["sector_from"].min()
    wanted = re.escape(message.format(*(covered if "{first}" not in message else covered[1:]), first=first))
    with pytest.raises(WarehouseError, match=f"the query {name}: .*{wanted}"):
        queries.run(loaded, name, bound)


@pytest.mark.parametrize("spelled", ["nifty50", "Nifty-50", " nifty  50"])
def test_names_of_indices_are_spelled_as_in_python(loaded: Settings, spelled: str) -> None:
    wanted = {"session": SESSIONS[0]}
    expected = queries.run(loaded, "index_members", {"index": "NIFTY 50", **wanted})
    assert expected.height
    assert queries.run(loaded, "index_members", {"index": spelled, **wanted}).equals(expected)


def test_highs_and_returns_use_adjusted_bars(loaded: Settings) -> None:
    """ACME's bonus of 3 for 2 goes ex on the second session: 115.25 before it is 76.83 after it."""
    first, last = SESSIONS
    before, after = round((100.25 + first.day) / 1.5, 4), 100.25 + last.day
    highs = queries.run(loaded, "year_highs", {"min_sessions": 2})
    assert highs.select("symbol", "close", "highest_on", "from_high").row(0) == ("ACME", after, last, 0.0)
    returns = queries.run(loaded, "adjusted_returns", {"symbol": "ACME"})
    assert returns["adjusted_close"].to_list() == [before, after]
    assert returns["adjustment_factor"].to_list() == [1.5, 1.0]
    raw_before = (100.25 + last.day) * 0.9
    assert returns["return_as_traded"][1] == pytest.approx(after / raw_before - 1)
    assert returns["simple_return"][1] == pytest.approx(after / round(raw_before / 1.5, 4) - 1)


def test_outcomes_equal_the_labels_of_polars(fresh: Settings) -> None:
    sessions = tuple(date(2024, 1, day) for day in (15, 16, 17, 18))
    bars = pl.concat([normalized((day,), bump=float(number**2 * 7)) for number, day in enumerate(sessions)])
    bars = bars.with_columns(series=pl.lit("EQ"))
    absent = {
        "BETA": sessions[2:3],
        "M&M": sessions[1:2],
        "ZED'S": sessions[2:],
    }  # one session, the entry of lag 1, all later sessions
    for symbol, days in absent.items():
        bars = bars.filter((pl.col("symbol") != symbol) | ~pl.col("trade_date").is_in(days))
    scores = FRAMES["predictions_equity_scores"]().with_columns(horizon=pl.lit(2, dtype=pl.Int32))
    with warehouse.writer(fresh) as client:
        warehouse.load_month(client, contracts.load(NORMALIZED), JANUARY, bars, "1")
        warehouse.load_month(client, contracts.load("predictions_equity_scores"), JANUARY, scores, "1")
        adjustment_cache.refresh(client)
    for lag in (0, 1):
        got = queries.run(fresh, "prediction_outcomes", {"lag": lag})
        labels = forward_return(bars, 2, lag).filter(pl.col("trade_date") == sessions[0])
        both = got.join(labels, on="instrument_id", suffix="_of_polars", maintain_order="left")
        for name in ("forward_return", "label_end", "exit_date"):
            assert both[name].to_list() == both[f"{name}_of_polars"].to_list()
        assert both["label_end"].unique().to_list() == [sessions[lag + 2]]
        ranked = got.sort("forward_return", descending=True, nulls_last=True)["outcome_rank"].to_list()
        assert ranked == [[1, 2, 3, 4], [1, 2, 3, None]][lag]
    assert got.filter(symbol="ZED'S").select("forward_return", "exit_date").row(0) == (0.0, sessions[1])
    got = queries.run(fresh, "prediction_outcomes")
    assert got["model_version"].unique().to_list() == [2]
    assert queries.run(fresh, "prediction_outcomes", {"version": 1})["model_version"].unique().to_list() == [1]


def test_parameters_without_default_are_required(loaded: Settings) -> None:
    assert queries.run(loaded, "movers", {"min_turnover": 0})["trade_date"].unique().to_list() == [SESSIONS[1]]
    with pytest.raises(
        WarehouseError, match=r"symbol_history needs symbol; it takes symbol \(String\), start \(Date, has"
    ):
        queries.run(loaded, "symbol_history")
    with pytest.raises(WarehouseError, match=r"movers has no parameters \['day'\]"):
        queries.run(loaded, "movers", {"day": SESSIONS[0]})


def test_history_follows_an_instrument_through_renames(fresh: Settings) -> None:
    first, last = SESSIONS
    renamed = (pl.col("trade_date") == last) & (pl.col("symbol") == "BETA")
    reissued = (pl.col("trade_date") == last) & (pl.col("symbol") == "ACME")  # ACME ends; another company takes BETA
    bars = normalized().with_columns(
        symbol=pl.when(renamed).then(pl.lit("NEW")).when(reissued).then(pl.lit("BETA")).otherwise("symbol"),
        instrument_id=pl.when(reissued).then(pl.lit(f"NSE:BETA@{last}")).otherwise("instrument_id"),
    )
    with warehouse.writer(fresh) as client:
        warehouse.load_month(client, contracts.load(NORMALIZED), JANUARY, bars, "1")
        bound = {"start": first, "end": last}
        found = {
            symbol: warehouse.frame(client, queries.load("symbol_history").text, bound | {"symbol": symbol})
            for symbol in ("NEW", "BETA", "GAMMA")
        }
        named = warehouse.frame(client, queries.load("instruments").text, {"symbol": "BETA"})
        everyone = warehouse.frame(client, queries.load("instruments").text, {"symbol": ""})
    own = [(first, "NSE:BETA", "BETA"), (last, "NSE:BETA", "NEW")]
    columns = ("trade_date", "instrument_id", "symbol")
    assert found["NEW"].select(columns).rows() == own
    assert found["BETA"].select(columns).rows() == [*own, (last, f"NSE:BETA@{last}", "BETA")]
    assert found["GAMMA"].is_empty()
    assert named.select("instrument_id", "symbol", "first_session", "last_session", "isins").rows() == [
        ("NSE:BETA", "BETA", first, first, []),
        ("NSE:BETA", "NEW", last, last, ["INE000A01012"]),
        (f"NSE:BETA@{last}", "BETA", last, last, ["INE000A01011"]),
    ]
    assert everyone["instrument_id"].n_unique() == 5


def test_uuid_enum_and_low_cardinality_are_returned_as_text(loaded: Settings) -> None:
    got = warehouse.sql(
        loaded,
        "select cast('b', 'Enum8(\\'a\\' = 1, \\'b\\' = 2)') as e, toInt8(3) as i, toLowCardinality('x') as l, "
        "toUUID('6af613b6-569c-5c22-9c37-2ed93f31d3af') as u, cast(null, 'Nullable(UUID)') as n -- remark",
    )
    assert got.rows() == [("b", 3, "x", "6af613b6-569c-5c22-9c37-2ed93f31d3af", None)]
    assert got.schema["i"] == pl.Int8
    assert got.schema["n"] == pl.String


def test_parameters_are_bound_and_not_inserted_into_the_text(loaded: Settings) -> None:
    text = "select {s:String} as s, {d:Date} as d, {l:Array(String)} as l where 'a%' like '%'"
    sent = {"s": "'; drop table x; --", "d": date(2024, 1, 15), "l": ["a'b", "c"]}
    assert warehouse.sql(loaded, text, sent).to_dicts() == [sent]
    with pytest.raises(WarehouseError, match=r"no parameters \['x'\]"):
        warehouse.sql(loaded, "select 1", {"x": 1})
    with pytest.raises(WarehouseError, match="Substitution `s` is not set"):
        warehouse.sql(loaded, "select {s:String}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("drop table normalized_equity_ohlc", "this statement is a DropQuery"),
        ("with 1 as x insert into loads select x", "this statement is a InsertQuery"),
        ("select 1; select 2", "this text holds 2"),
        ("-- nothing", "this text holds 0"),
        ("selec 1", "the query was refused: .*Syntax error"),
        ("select * from nowhere", "the query was refused: .*nowhere"),
    ],
)
def test_writing_statements_are_refused_in_one_line(loaded: Settings, text: str, message: str) -> None:
    with pytest.raises(WarehouseError, match=message) as caught:
        warehouse.sql(loaded, text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "text", ["show tables", "describe loads", "explain select 1", "explain ast select 1", "exists loads", "select 1;"]
)
def test_reading_statements_are_answered(loaded: Settings, text: str) -> None:
    assert warehouse.sql(loaded, text).height > 0


def test_statement_and_parameters_can_contain_any_bytes_and_spaces(loaded: Settings) -> None:
    content = b"\xff\0'"
    answer = warehouse.sql(loaded, "select hex({ p\n: String }) as x, '{ p : String }' as y", {"p": content})
    assert answer.rows() == [("FF0027", "{ p : String }")]
    with pytest.raises(WarehouseError, match="the name of a column is not UTF-8"):
        warehouse.sql(loaded, "select hex({p:String})", {"p": content})
    with pytest.raises(WarehouseError, match=r"no parameters \['p'\]"):
        warehouse.sql(loaded, "select '{p:String}' /* {p:String} */ as x", {"p": "a"})
