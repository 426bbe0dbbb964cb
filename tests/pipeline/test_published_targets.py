"""Scoring publishes target weights for the next session, and why the other instruments have none."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from warehouse_rows import envelope, typed

from champion.contracts.datasets import BAN_LIST, BARS, PREDICTIONS, PRICE_BANDS, TARGETS
from champion.errors import LakeError
from champion.lake import Lake
from champion.market.envelope import session_open
from champion.modeling.universe import Universe, stored
from champion.pipeline.ingest.corporate_actions import known_factors
from champion.pipeline.models import frames, portfolio
from champion.pipeline.models.evaluate import UNIVERSE
from champion.pipeline.provenance.downstream import _Forward
from champion.pipeline.provenance.graph import Node
from champion.pipeline.provenance.upstream import back
from champion.pipeline.targets import orders, publish, published
from champion.portfolio.construction import Rule
from champion.settings import Settings
from champion.tracking import registry
from champion.tracking.registry import Version

RULE = Rule(top=5, cap=0.25, every=3)
AFTER = datetime(2099, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def version(modelled: Settings) -> Version:
    return registry.find(modelled, 1)


@pytest.fixture(scope="module")
def traded(modelled: Settings, version: Version, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The lake of the modelled workspace, with the targets of its last scored sessions."""
    made = _copied(modelled, tmp_path_factory.mktemp("traded"))
    for session in Lake(made.lake).sessions(PREDICTIONS)[-9:]:
        assert publish.publish(made, session, version, RULE).written
    return made


@pytest.fixture
def workspace(traded: Settings, tmp_path: Path) -> Settings:
    return _copied(traded, tmp_path)


def _copied(settings: Settings, folder: Path) -> Settings:
    made = settings.model_copy(update={"home": folder / "home"})
    shutil.copytree(settings.lake, made.lake)
    return made


def test_weights_are_those_that_the_simulator_decides_after_the_close(traded: Settings) -> None:
    lake = Lake(traded.lake)
    scores = lake.scan(PREDICTIONS).filter(model_version=1).collect()
    decided = portfolio.simulate(scores, RULE, lake=lake).construction
    days = decided.uninvested["trade_date"].to_list()
    assert len(days) > 3
    for session in lake.sessions(TARGETS):
        found = published.latest_targets(session, lake=lake)
        last = max(day for day in days if day <= session)
        expected = decided.weights.filter(trade_date=last).select("instrument_id", "weight").sort("instrument_id")
        assert found["decided_on"].unique().to_list() == [last]
        assert found.filter(pl.col("weight") > 0).select(expected.columns).sort("instrument_id").equals(expected)


def test_a_rule_that_weighs_by_volatility_gets_the_volatility_of_the_session(
    workspace: Settings, version: Version
) -> None:
    lake, rule = Lake(workspace.lake), Rule(top=5, weighting="inverse_volatility", every=1)
    session = lake.sessions(TARGETS)[-1]
    scores = lake.scan(PREDICTIONS).filter(model_version=1).collect()
    decided = portfolio.simulate(scores, rule, lake=lake).construction.weights.filter(trade_date=session)
    found = publish.publish(workspace, session, version, rule).targets.filter(pl.col("weight") > 0)
    assert (
        found.select("instrument_id", "weight")
        .sort("instrument_id")
        .equals(decided.select("instrument_id", "weight").sort("instrument_id"))
    )
    assert found["weight"].n_unique() > 1


def test_each_traded_share_has_a_weight_or_a_reason_and_actions_compare_with_the_targets_before(
    traded: Settings,
) -> None:
    lake, seen = Lake(traded.lake), set[str]()
    for before, session in pairwise(lake.sessions(TARGETS)):
        found, earlier = (published.latest_targets(day, lake=lake) for day in (session, before))
        shares = lake.scan(BARS, session, session).filter(pl.col("series").is_in(["EQ", "BE", "BZ", "SM", "ST"]))
        assert set(shares.select("instrument_id").collect()["instrument_id"]) <= set(found["instrument_id"])
        weights = dict(earlier.select("instrument_id", "weight").iter_rows())
        for row in found.iter_rows(named=True):
            assert (row["weight"] > 0) == (row["excluded_by"] is None)
            assert row["previous_weight"] == weights.get(row["instrument_id"], 0.0)
            change = row["weight"] - row["previous_weight"]
            assert row["action"] == (
                "buy" if change > 0 else "sell" if change < 0 else "hold" if row["weight"] else "none"
            )
            assert (row["warnings"] is None) or row["action"] in {"buy", "sell"}
            if row["action"] in {"buy", "sell"}:
                assert {"band_unknown", "fo_ban_unknown"} <= set(row["warnings"].split()), "no list was read"
        if found["decided_on"][0] != session:
            assert set(found["action"]) <= {"hold", "none"}, "the rule decides every third session"
        seen |= set(found["excluded_by"].drop_nulls())
    assert seen >= {"rank", "between_decisions", "sme_series"}


def test_only_lists_known_at_the_close_count_and_what_no_list_says_is_unknown(
    workspace: Settings, version: Version
) -> None:
    lake = Lake(workspace.lake)
    before, session, following = lake.sessions(TARGETS)[:3]
    first, second, third, *_ = published.latest_targets(session, lake=lake)["instrument_id"]
    _bands(lake, session, {first: 5, second: None})
    _bands(lake, following, {first: 20, second: 20, third: 20})  # for the session after the following one
    _bands(lake, before, {third: 2})
    publish.publish(workspace, session, version, RULE)
    rows = {row["instrument_id"]: row for row in published.latest_targets(session, lake=lake).iter_rows(named=True)}
    found = {name: (rows[name]["band_kind"], rows[name]["band_percent"]) for name in (first, second, third)}
    assert found == {first: ("fixed", 5), second: ("dynamic", None), third: ("unknown", None)}
    assert {row["fo_ban"] for row in rows.values()} == {"unknown"}
    assert rows[first]["following"] == following
    banned = rows[first]["symbol"]
    _ban(lake, session, [rows[second]["symbol"]])  # of the session that is over
    _ban(lake, following, [banned])
    assert publish.publish(workspace, session, version, RULE).written
    listed = published.latest_targets(session, lake=lake)
    assert listed.filter(fo_ban="yes")["symbol"].to_list() == [banned]
    assert listed.filter(fo_ban="no").height == listed.height - 1
    weights = ["instrument_id", "weight", "excluded_by"]
    after = pl.DataFrame(list(rows.values()), schema=listed.schema).sort("instrument_id")
    assert listed.sort("instrument_id").select(weights).equals(after.select(weights)), "a ban stops no trade of shares"
    below = [node.name for node in _nodes(workspace, session)]
    assert {PREDICTIONS, BARS, PRICE_BANDS, BAN_LIST} <= set(below)
    forward = _Forward(workspace)
    forward.trace.add(root := Node("dataset", BAN_LIST, following, following))
    forward._targets_of_list(BAN_LIST, following, root)
    assert [(node.name, node.first) for node in forward.trace.nodes.values()][1:] == [(TARGETS, session)]


def test_a_locked_share_an_ex_date_and_a_share_that_did_not_trade_are_warned_of(
    workspace: Settings, version: Version
) -> None:
    lake = Lake(workspace.lake)
    day = next(each for each in lake.sessions(TARGETS)[1:] if "sell" in _actions(lake, each))
    found = published.latest_targets(day, lake=lake)
    bought, sold = (found.filter(action=side)["instrument_id"][0] for side in ("buy", "sell"))
    limit = pl.col("prev_close") * 1.05
    locked = pl.col("instrument_id") == bought
    names = ("open", "high", "low", "close")
    bars = lake.scan(BARS, day, day).collect().filter(pl.col("instrument_id") != sold)
    lake.write(
        BARS,
        day,
        bars.with_columns(pl.when(locked).then(limit).otherwise(name).alias(name) for name in names),
        {"file": "locked"},
    )
    assert publish.publish(workspace, day, version, RULE).written
    warned = {row["instrument_id"]: row for row in published.latest_targets(day, lake=lake).iter_rows(named=True)}
    assert "locked_band" in warned[bought]["warnings"].split()
    assert (warned[sold]["action"], warned[sold]["excluded_by"], warned[sold]["series"]) == ("sell", "no_bar", None)
    assert "no_bar" in warned[sold]["warnings"].split()
    factors = known_factors(lake)
    moving = factors.filter(pl.col("ex_date").is_in(lake.sessions(BARS))).row(0, named=True)
    eve = max(each for each in lake.sessions(BARS) if each < moving["ex_date"])
    row = {"instrument_id": moving["instrument_id"], "trade_date": eve, "action": "sell", "series": None}
    rows = pl.DataFrame([row | {"band_kind": "fixed", "fo_ban": "no"}], schema_overrides={"series": pl.String})
    for following, words in ((moving["ex_date"], "no_bar ex_date"), (eve, "no_bar")):
        assert orders.warned(lake, eve, following, rows)["warnings"].to_list() == [words]


def test_filters_of_the_universe_name_what_they_leave_out(traded: Settings, version: Version) -> None:
    lake = Lake(traded.lake)
    session = lake.sessions(PREDICTIONS)[-1]
    turnover = lake.scan(BARS, session, session).select(pl.col("turnover").median()).collect().item()
    for universe in (
        Universe(min_turnover=turnover),
        Universe(series=("EQ",), min_close=250.0),
        Universe(kinds=(), min_age=100),
        stored(version.text(UNIVERSE)),
    ):
        inside = set(frames.scoring_frame(lake, session, universe=universe)["instrument_id"])
        left_out = frames.outside(lake, session, universe=universe)
        assert inside.isdisjoint(left_out["instrument_id"])
        every = lake.scan(BARS, session, session).filter(pl.col("series").is_in(["EQ", "BE", "BZ", "SM", "ST"]))
        bars = every.collect()
        assert inside | set(left_out["instrument_id"]) == set(bars["instrument_id"])
        for name, reason in left_out.iter_rows():
            bar = bars.row(by_predicate=pl.col("instrument_id") == name, named=True)
            assert reason in {"liquidity", "series", "kind", "price", "age"}
            if reason == "price":
                assert bar["close"] < 250
            if reason == "series":
                assert bar["series"] != "EQ"


def test_a_repeated_call_writes_nothing_and_the_time_of_publication_stays(
    workspace: Settings, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(workspace.lake)
    session = lake.sessions(PREDICTIONS)[-1]
    before = lake.scan(TARGETS, session, session).collect()
    assert not publish.publish(workspace, session, version, RULE).written
    _bands(lake, session, {"NSE:OTHER": 5})  # other inputs, and the same targets
    assert publish.publish(workspace, session, version, RULE).written
    assert lake.scan(TARGETS, session, session).collect().equals(before)
    with pytest.raises(LakeError, match="version 2 has not scored 2024-08-30: run `champion score 2024-08-30` first"):
        publish.publish(workspace, session, replace(version, number=2), RULE)
    with pytest.raises(LakeError, match="no targets of 2020-01-01 were published, the last are of 2024-08-30"):
        published.latest_targets("2020-01-01", lake=lake)
    following = orders.next_session(lake, session, workspace.closed)
    opened = session_open(following)
    _frozen(monkeypatch, opened - timedelta(minutes=1))
    lake.write(TARGETS, session, before.clear(), {"lost": "all"})
    assert publish.publish(workspace, session, version, RULE).written
    in_time = lake.scan(TARGETS, session, session).collect()
    _bands(lake, session, {in_time["instrument_id"][0]: 5})
    _frozen(monkeypatch, opened)
    late = publish.publish(workspace, session, version, Rule(top=3, cap=0.3))
    assert (late.written, late.note) == (False, f"published before {following} opened: they stay as they were")
    assert lake.scan(TARGETS, session, session).collect().equals(in_time)
    assert late.targets.sort("instrument_id").equals(in_time.sort("instrument_id"))


def test_scores_that_were_written_again_after_the_next_open_change_no_later_decision(
    workspace: Settings, version: Version
) -> None:
    lake = Lake(workspace.lake)
    sessions = lake.sessions(TARGETS)
    session = sessions[-1]
    expected = published.latest_targets(session, lake=lake)
    assert expected["decided_on"][0] > sessions[0]
    for day in lake.sessions(PREDICTIONS, end=sessions[-2]):
        scores = lake.scan(PREDICTIONS, day, day).collect()
        lake.write(
            PREDICTIONS, day, scores.with_columns(score=1 - pl.col("score")), {"again": "turned"}, known_at=AFTER
        )
    assert publish.publish(workspace, session, version, RULE).written, "other inputs"
    found = published.latest_targets(session, lake=lake)
    assert found.drop("ingest_time").equals(expected.drop("ingest_time"))


def _actions(lake: Lake, session: date) -> set[str]:
    return set(published.latest_targets(session, lake=lake)["action"])


def _frozen(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(moment.timestamp())))


def _nodes(settings: Settings, session: date) -> list[Node]:
    return list(back(settings, TARGETS, session).nodes.values())


def _bands(lake: Lake, session: date, percents: dict[str, int | None]) -> None:
    rows = list[dict[str, object]]()
    for name, percent in percents.items():
        kind = "fixed" if percent else "dynamic"
        rows.append({"instrument_id": name, "symbol": name, "series": "EQ", "band_percent": percent, "band_kind": kind})
    _write(lake, PRICE_BANDS, session, rows)


def _ban(lake: Lake, session: date, symbols: list[str]) -> None:
    rows: list[dict[str, object]] = [
        {"instrument_id": f"NSE:{name}", "symbol": name, "serial": n} for n, name in enumerate(symbols, start=1)
    ]
    _write(lake, BAN_LIST, session, rows)


def _write(lake: Lake, name: str, session: date, rows: list[dict[str, object]]) -> None:
    """Write rows of a published list, with an envelope."""
    known = {"trade_date": session, "exchange": "NSE"}
    full = [envelope(session, str(row["instrument_id"])) | known | row for row in rows]
    lake.write(name, session, typed(name, full), {"file": repr(rows)})
