"""Scores of a workspace's model become a simulated account, in a notebook and by a command."""

from __future__ import annotations

import io
import json
import re
import shutil
from dataclasses import asdict, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from champion.cli.app import app
from champion.contracts.datasets import BARS, INDEX_BARS, PREDICTIONS
from champion.errors import NotebookError, UsageError
from champion.lake import Lake
from champion.market.envelope import session_close
from champion.modeling.metrics import SESSIONS_PER_YEAR
from champion.pipeline.feature_store.risk_model import risk_model
from champion.pipeline.models import portfolio, recipes, trials
from champion.pipeline.models.evaluate import out_of_sample
from champion.pipeline.models.index_comparison import compare
from champion.pipeline.models.paper_account import paper_account
from champion.pipeline.models.portfolio_report import compared
from champion.pipeline.targets import publish
from champion.portfolio.construction import Rule
from champion.portfolio.contract_note import COMPONENTS
from champion.portfolio.simulator import MarketRules
from champion.runner import NotebookRequest, Outcome, run_notebook
from champion.settings import Settings
from champion.tracking import registry, runs, store
from champion.tracking.promotion_ledger import Entry

RULE = Rule(top=5, cap=0.25)


@pytest.fixture(scope="module")
def scores(modelled: Settings) -> pl.DataFrame:
    return out_of_sample(modelled, registry.find(modelled, "champion"))


def test_scores_become_an_account_and_a_benchmark(modelled: Settings, scores: pl.DataFrame) -> None:
    lake = Lake(modelled.lake)
    found = portfolio.simulate(scores, RULE, lake=lake)
    account, benchmark = found.account.account, found.benchmark.account
    assert account["trade_date"].equals(benchmark["trade_date"])
    assert account["trade_date"][0] == scores["trade_date"].min()
    assert ((account["cash"] + account["holdings"] - account["equity"]).abs() < 1e-6).all()
    assert found.account.trades["instrument_id"].is_in(scores["instrument_id"].unique().to_list()).all()
    assert (account["positions"] <= RULE.top * 2).all()
    summary = found.summary
    assert summary["gross_return"] > summary["net_return"]
    assert summary["charges_bps"] == pytest.approx(sum(summary[f"{name}_bps"] for name in COMPONENTS))
    assert benchmark["charges"].sum() == benchmark["impact"].sum() == 0
    active = found.active
    first = found.account.trades["trade_date"][0]
    assert active["trade_date"].to_list() == [day for day in account["trade_date"] if day >= first]
    assert summary["tracking_error"] == pytest.approx(active["active"].std() * SESSIONS_PER_YEAR**0.5)
    starts = portfolio.phases(scores, RULE, arrays=found.market, lake=lake)
    assert starts["phase"].to_list() == [0, 1, 2, 3, 4]
    assert starts["net_return"][0] == summary["net_return"], "the rule's own phase is among them"
    assert starts["net_return"].n_unique() > 1
    growth = found.growth
    assert growth["trade_date"][1] == first, "growth and figures start at the close before the first trade"
    days = (growth["trade_date"][-1] - growth["trade_date"][0]).days
    assert growth["net"][-1] ** (365.25 / days) - 1 == pytest.approx(summary["net_return"])
    free = portfolio.simulate(scores, RULE, MarketRules(charged=False, impact=0.0), lake=lake)
    assert free.summary["charges_bps"] == free.summary["impact_bps"] == 0
    assert free.summary["net_return"] == pytest.approx(free.summary["gross_return"])


def test_an_index_is_compared_where_its_values_are_known(modelled: Settings, scores: pl.DataFrame) -> None:
    lake = Lake(modelled.lake)
    found = portfolio.simulate(scores, RULE, lake=lake)
    beside = compare(found, lake)
    fewer = scores.filter(pl.col("trade_date") >= scores["trade_date"].unique().sort()[3])
    late = portfolio.simulate(fewer, RULE, arrays=found.market, lake=lake)  # a market that begins before the scores
    assert compare(late, lake).table["active_return"][0] == pytest.approx(late.summary["active_return"], abs=1e-12)
    universe, nifty_50, nifty_500 = beside.table.iter_rows(named=True)
    assert universe["active_return"] == pytest.approx(found.summary["active_return"], abs=1e-12)
    assert (nifty_50["benchmark_return"], nifty_50["active_return"]) == (None, None)
    assert "NIFTY 50 (published) has no value" in nifty_50["note"]
    assert "covered: none" in nifty_50["note"]
    days = found.growth["trade_date"]
    index = lake.scan(INDEX_BARS, days[0], days[-1]).filter(index_id="NSE:NIFTY 500").collect().sort("trade_date")
    assert index["trade_date"].equals(days)
    rows, level = index.select("trade_date", "close", "dividend_yield").rows(), 1.0
    for (before, old, income), (day, new, _) in pairwise(rows):
        level *= float(new) / float(old) + float(income) / 100 * (day - before).days / 365
    assert nifty_500["benchmark_return"] == pytest.approx(level ** (365.25 / (days[-1] - days[0]).days) - 1)
    assert (nifty_500["basis"], nifty_500["note"]) == ("estimated", "")
    assert beside.metrics == {"active_return_nifty_500": nifty_500["active_return"]}
    assert beside.growth["NIFTY 500"][-1] == pytest.approx(level * beside.growth["NIFTY 500"][0])


@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_a_gap_that_nothing_explains_earns_and_loses_nothing(modelled: Settings, tmp_path: Path, factor: float) -> None:
    lake, made = Lake(modelled.lake), Lake(tmp_path)
    days = lake.sessions(BARS)[-8:]
    name = lake.scan(BARS, days[0], days[0]).filter(series="EQ").sort("instrument_id").collect()["instrument_id"][0]
    for number, day in enumerate(days):
        bars, scale = lake.scan(BARS, day, day).collect(), factor if number >= 4 else 1.0
        is_split = pl.col("instrument_id") == name
        split = bars.filter(is_split).with_columns(
            pl.col("open", "high", "low", "close", "turnover") * scale,
            prev_close=pl.col("prev_close") * (factor if number > 4 else 1.0),
        )
        typed = split.select(pl.col(column).cast(kind) for column, kind in bars.schema.items())
        made.write(BARS, day, pl.concat([bars.filter(~is_split), typed]), {"copy": "bars"})
    scores = pl.DataFrame({"trade_date": [days[0]], "instrument_id": [name], "score": [1.0]})
    found = portfolio.simulate(scores, Rule(top=1, cap=1.0, every=20), lake=made).account
    sales = found.trades.filter(side="sell")
    assert sales["trade_date"][0] == days[4]
    assert set(sales["reason"]) == {"undecided_action"}
    assert (sales["instrument_id"] == name).all()
    moves = found.account["equity"].pct_change().drop_nulls()
    assert moves.abs().max() < 0.1, "the gap was booked"  # type: ignore[operator]


def test_settings_of_another_kind_are_refused(modelled: Settings, scores: pl.DataFrame) -> None:
    lake, first = Lake(modelled.lake), scores["trade_date"].min()
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"rule": {"top": 5}}, "rule is a dict; give a Rule"),
        ({"rules": {"capital": 5}}, "rules is a dict; give a MarketRules"),
        ({"end": "2024-01-31"}, "end is a str, '2024-01-31'; give a date"),
        ({"end": datetime(2024, 1, 31, 9)}, "end is a datetime"),  # noqa: DTZ001 - as read from a file
        ({"end": first - timedelta(1)}, "before the first score of"),  # type: ignore[operator]
    ]
    for settings, message in wrong:
        with pytest.raises(UsageError, match=message):
            portfolio.simulate(scores, **settings, lake=lake)
    with pytest.raises(UsageError, match="found is a str; give a Portfolio"):
        compare("x", lake)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"the first session, 2024-02-01, is after the last one, 2024-01-01"):
        risk_model("2024-02-01", "2024-01-01", lake=lake)
    for after in (-1, "5", 1.5, None):
        with pytest.raises(UsageError, match=r"after is .*; give a whole number of sessions"):
            portfolio.market(lake, scores, after=after)  # type: ignore[arg-type]


def test_more_capital_pays_more_impact(modelled: Settings, scores: pl.DataFrame) -> None:
    lake = Lake(modelled.lake)
    rules = [MarketRules(capital=capital) for capital in (1e6, 1e9)]
    small, large = (portfolio.simulate(scores, RULE, each, lake=lake) for each in rules)
    levels = [each.growth["benchmark"].to_list() for each in (small, large)]
    assert levels[0] == pytest.approx(levels[1], rel=1e-9), "the benchmark depends on the capital"
    cost = pl.col("impact").sum() / (pl.col("bought") + pl.col("sold")).sum()
    costs = [each.account.account.select(cost).item() for each in (small, large)]
    assert costs[0] < costs[1]
    cuts = [each.account.cuts.filter(reason="volume").height for each in (small, large)]
    assert cuts[0] < cuts[1]


def test_the_command_prints_the_account_and_records_another_rule_as_a_trial(
    modelled: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = modelled.model_copy(update={"home": tmp_path / "home"})
    shutil.copytree(modelled.home, own.home)
    monkeypatch.setenv("CHAMPION_HOME", str(own.home))
    before = trials.count(own)
    ran = CliRunner().invoke(app, ["portfolio", "champion", "--json"])
    assert ran.exit_code == 0
    assert trials.count(own) == before, "the rule of the training"
    trained, _ = recipes.tagged(registry.find(modelled, "champion").tags)
    assert json.loads(ran.output)["rule"] == asdict(trained)
    ran = CliRunner().invoke(app, ["portfolio", "champion", "--top", "5", "--json"])
    assert ran.exit_code == 0, ran.output
    shown = json.loads(ran.output)
    assert shown["rule"] == asdict(replace(trained, top=5))
    champion = registry.find(modelled, "champion")
    assert shown["scores"] == f"version {champion.number}"
    by_run = CliRunner().invoke(app, ["portfolio", champion.run_id, "--top", "5", "--json"])
    assert json.loads(by_run.output) == {**shown, "scores": f"run {champion.run_id}"}
    assert trials.count(own).total == before.total + 1
    assert trials.count(own).with_series == before.with_series + 1
    for option in (["--capital", "100"], ["--top", "100000"]):
        refused = CliRunner().invoke(app, ["portfolio", "champion", *option, "--json"])
        assert refused.exit_code == 1
        assert "no figure is shown and no trial recorded: give a smaller top" in str(refused.exception)
        assert not refused.output.strip().startswith("{")
    assert trials.count(own).total == before.total + 1
    nothing = CliRunner().invoke(app, ["portfolio", "99", "--json"])
    assert nothing.exit_code == 1
    assert "has no version 99" in str(nothing.exception)
    assert {
        "equity",
        "benchmark_equity",
        "net_return",
        "gross_return",
        "charges_bps",
        "stt_bps",
        "cuts",
        "left_out",
        "notes",
    } <= shown.keys()


def test_the_notebook_follows_the_version_and_records_account_and_costs(
    modelled: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = modelled.model_copy(update={"home": tmp_path / "home"})
    shutil.copytree(modelled.home, own.home)
    version = registry.find(own, "champion").number
    monkeypatch.setenv("CHAMPION_HOME", str(own.home))
    client = store.prepare(own)
    client.set_model_version_tag(registry.MODEL, str(version), recipes.CONSTRUCTION, '{"top": 7, "every": 3}')
    shown = json.loads(CliRunner().invoke(app, ["portfolio", str(version), "--json"]).output)
    before = trials.count(own)
    usual = run_notebook(own, NotebookRequest("portfolio", {"version": version}))
    assert usual.outcome is Outcome.SUCCEEDED
    assert usual.values["equity"] == pytest.approx(shown["equity"], abs=0.01), "not the rule of the version"
    assert trials.count(own) == before, "notebook and command record one trial"
    ran = run_notebook(own, NotebookRequest("portfolio", {"version": version, "top": 5}))
    assert ran.outcome is Outcome.SUCCEEDED
    assert trials.count(own).total == before.total + 1
    assert json.loads(CliRunner().invoke(app, ["portfolio", str(version), "--top", "5", "--json"]).output)
    assert trials.count(own).total == before.total + 1
    assert ran.values["version"] == version
    assert {"net_return", "gross_return", "charges_bps", "active_return"} <= ran.metrics.keys()
    assert {"active_market", "active_style", "risk_forecast", "active_risk_realised"} <= ran.metrics.keys()
    table = runs.read_file(own, ran.run_id, "result/tables/account.parquet")
    assert table is not None
    assert pl.read_parquet(io.BytesIO(table))["equity"][-1] == ran.values["equity"]


def test_the_notebook_says_what_is_missing_in_an_empty_workspace(tmp_path: Path) -> None:
    with pytest.raises(NotebookError, match="has no version 1; registered: none, run `champion train` first"):
        run_notebook(Settings(home=tmp_path / "home"), NotebookRequest("portfolio", {"version": 1}))


def test_no_scores_are_refused(modelled: Settings, scores: pl.DataFrame) -> None:
    with pytest.raises(UsageError, match="there are no scores to simulate"):
        portfolio.simulate(scores.clear(), lake=Lake(modelled.lake))
    unknown = scores.head(1).with_columns(instrument_id=pl.lit("NSE:NOBODY"))
    with pytest.raises(UsageError, match="the lake has no bars of 1 scored instrument"):
        portfolio.simulate(unknown, lake=Lake(modelled.lake))


def test_scores_that_match_nothing_are_refused_and_a_part_is_counted(modelled: Settings, scores: pl.DataFrame) -> None:
    lake = Lake(modelled.lake)
    arrays = portfolio.market(lake, scores, after=RULE.every)
    closed = next(day for day in map(timedelta, range(7)) if scores["trade_date"][0] + day not in arrays.sessions)
    usual = portfolio.simulate(scores, RULE, arrays=arrays, lake=lake).left_out.counts
    assert usual.keys() <= {"small"}
    wrong = {
        "of days without a session": scores.with_columns(trade_date=pl.lit(scores["trade_date"][0] + closed)).unique(
            "instrument_id"
        ),
        "of instruments without bars": scores.with_columns(instrument_id=pl.lit("NSE:NSE:") + pl.col("instrument_id")),
    }
    for reason, each in wrong.items():
        with pytest.raises(UsageError, match=rf"{each.height:,} scores were left out: {each.height:,} {reason} \("):
            portfolio.simulate(each, RULE, arrays=arrays, lake=lake)
        both = portfolio.simulate(pl.concat([scores, each]), RULE, arrays=arrays, lake=lake)
        assert sum(both.left_out.counts.values()) == sum(usual.values()) + each.height
        assert reason in compared(both, lake).text
    with pytest.raises(UsageError, match="there are no scores to simulate"):
        portfolio.simulate(scores.with_columns(score=float("nan")), RULE, arrays=arrays, lake=lake)
    poor = portfolio.simulate(scores, RULE, MarketRules(capital=1.0), arrays=arrays, lake=lake)
    assert poor.notes[-1].startswith("there is no trade, so no figure is known: ")
    for given in ({"fill": "close"}, {"end": date(2024, 1, 1)}):
        with pytest.raises(UsageError, match="arrays have their own fill and end"):
            portfolio.simulate(scores, RULE, arrays=arrays, lake=lake, **given)


@pytest.fixture(scope="module")
def published(modelled: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, list[date]]:
    """A lake whose scores were published on the evening of their session, but the seventh after the next open."""
    lake, made = Lake(modelled.lake), Lake(tmp_path_factory.mktemp("published"))
    days = lake.sessions(PREDICTIONS)
    for number, day in enumerate(days):
        made.write(BARS, day, lake.scan(BARS, day, day).collect(), {"copy": "bars"})
        late = timedelta(hours=21) if number == 6 else timedelta(hours=3)
        published = pl.lit(session_close(day) + late, pl.Datetime("ms", "UTC"))
        scores = lake.scan(PREDICTIONS, day, day).collect().with_columns(ingest_time=published)
        made.write(PREDICTIONS, day, scores, {"copy": "scores"})
    return made, days


def test_a_paper_account_follows_what_was_published_since_the_promotion(published: tuple[Lake, list[date]]) -> None:
    lake, days = published
    promoted = session_close(days[3]) + timedelta(hours=1)
    champion = Entry(1, "promote", "done", 1, None, "a test", forced=True, at=promoted, effective=promoted)
    found = paper_account(lake, champion, days[-1])
    assert (found.version, found.since, found.late) == (1, days[3], 1)
    assert found.followed == len(days) - 3 - 1
    result = found.account.result
    assert result is not None
    account = result.account.account
    assert account["trade_date"].to_list() == days[3:], "nothing before the promotion, and to the last session"
    assert result.account.trades["trade_date"][0] == days[4]
    assert f"version 1, champion since {days[3]}: {days[3]} to {days[-1]}" in found.text
    earlier = paper_account(lake, champion, days[9]).account.result
    assert earlier is not None
    assert earlier.account.account.equals(account.head(7)), "a later session changed an earlier one"
    for other, end in ((replace(champion, version=2), days[-1]), (champion, days[2])):
        nothing = paper_account(lake, other, end)
        assert (nothing.followed, nothing.account.result, nothing.account.metrics) == (0, None, {})
        assert "no score since then was published" in nothing.text


def test_published_targets_are_those_that_the_paper_account_decides(
    modelled: Settings, published: tuple[Lake, list[date]], tmp_path: Path
) -> None:
    """Of each session, with one that was scored late, on a day that decides."""
    original, days = published
    settings = modelled.model_copy(update={"home": tmp_path / "home"})
    shutil.copytree(original.root, settings.lake)
    lake, version, rule = Lake(settings.lake), registry.find(modelled, 1), Rule(top=5, cap=0.25, every=1)
    promoted = session_close(days[0]) - timedelta(days=9)
    champion = Entry(1, "promote", "done", 1, None, "a test", forced=True, at=promoted, effective=promoted)
    paper = paper_account(lake, champion, days[-1], (rule, MarketRules())).account.result
    assert paper is not None
    weights = paper.construction.weights.filter(pl.col("weight") > 0)
    decided = weights["trade_date"].unique().sort().to_list()
    assert days[6] not in decided, "it was scored late"
    for day in days[5:9]:
        found = publish.publish(settings, day, version, rule)
        last = max(each for each in decided if each <= day)
        expected = weights.filter(trade_date=last).select("instrument_id", "weight").sort("instrument_id")
        ours = found.targets.filter(pl.col("weight") > 0).select("instrument_id", "weight").sort("instrument_id")
        assert ours.equals(expected), day
        assert found.targets["decided_on"].unique().to_list() == [last]
        late = f"{day} was scored after {days[7]} opened: the weights are those that were decided before"
        assert (late in found.note) is (day == days[6])


def test_scores_of_later_change_nothing_in_the_past_of_a_paper_account(
    published: tuple[Lake, list[date]], tmp_path: Path
) -> None:
    original, days = published
    shutil.copytree(original.root, tmp_path / "lake")
    lake, promoted = Lake(tmp_path / "lake"), session_close(days[0]) + timedelta(hours=1)
    champion = Entry(1, "promote", "done", 1, None, "a test", forced=True, at=promoted, effective=promoted)
    before = paper_account(lake, champion, days[-1])
    ours = before.account.result
    assert ours is not None
    decided = set(ours.construction.weights["trade_date"])
    quiet = next(day for day in days if day not in decided)  # what is known by the next open is followed
    for day in days[:-1]:
        at = session_close(day) + (timedelta(hours=5) if day == quiet else timedelta(days=30))
        time = pl.lit(at, pl.Datetime("ms", "UTC"))
        mine = lake.scan(PREDICTIONS, day, day).collect()
        again = mine.with_columns(score=1 - pl.col("score"), ingest_time=time)
        lake.write(PREDICTIONS, day, again, {"copy": "again"}, known_at=at)
    after = paper_account(lake, champion, days[-1])
    assert (after.followed, after.late) == (before.followed, before.late)
    theirs = after.account.result
    assert theirs is not None
    assert theirs.construction.weights.equals(ours.construction.weights)
    assert theirs.account.account.equals(ours.account.account), "a later score changed the past"


def test_a_short_leg_is_refused_with_its_reason(modelled: Settings, scores: pl.DataFrame) -> None:
    with pytest.raises(UsageError, match=r"no short leg is simulated\. A short position needs stock futures"):
        portfolio.simulate(scores, RULE, short=RULE, lake=Lake(modelled.lake))


def test_small_companies_are_neither_held_nor_in_the_benchmark(modelled: Settings, scores: pl.DataFrame) -> None:
    lake = Lake(modelled.lake)
    arrays = portfolio.market(lake, scores, after=RULE.every)
    best = scores.group_by("instrument_id").agg(pl.col("score").mean()).sort("score")["instrument_id"][-1]
    small = arrays.sme.copy()
    small[:, arrays.instruments.index(best)] = True
    usual, refused, wanted = (
        portfolio.simulate(scores, RULE, MarketRules(sme=sme), arrays=market, lake=lake)
        for market, sme in ((arrays, True), (replace(arrays, sme=small), False), (replace(arrays, sme=small), True))
    )
    assert best in usual.account.trades["instrument_id"]
    for each in (refused.account, refused.benchmark):
        assert best not in each.trades["instrument_id"]
        assert best not in each.cuts["instrument_id"]
    assert wanted.account.trades.equals(usual.account.trades)


def test_a_rule_gets_the_volatility_and_the_sectors_that_it_needs(modelled: Settings, scores: pl.DataFrame) -> None:
    lake = Lake(modelled.lake)
    rule = Rule(top=10, cap=1.0, weighting="inverse_volatility", sector_cap=0.5, every=5)
    with pytest.raises(UsageError, match="sector_cap needs sectors, and that of no scored instrument is known"):
        portfolio.simulate(scores, rule, lake=lake)
    worst = scores.sort("trade_date", "score")["instrument_id"][0]
    listed = scores.with_columns(sector=pl.when(pl.col("instrument_id") == worst).then(pl.lit("Metals")))
    result = portfolio.simulate(listed, rule, MarketRules().without_frictions(), lake=lake)
    found = result.account
    share = found.account.select(pl.col("holdings") / pl.col("equity")).to_series()
    assert 0.4 < share.max() < 0.7, "shares of unknown sector count as one"  # type: ignore[operator]
    assert re.match(r"left in cash on average: .*the sector cap [34]\d\.\d%", result.notes[-1]), result.notes
    first = found.trades.filter(trade_date=found.trades["trade_date"][0])
    worth = first.select("instrument_id", worth=pl.col("quantity") * pl.col("reference"))
    market = portfolio.market(lake, scores, after=5)
    risk = pl.DataFrame({"instrument_id": market.instruments, "risk": market.volatility[0]})
    both = worth.join(risk, on="instrument_id")
    assert both.height == rule.top
    assert both.select(pl.corr("worth", 1 / pl.col("risk"))).item() > 0.97
