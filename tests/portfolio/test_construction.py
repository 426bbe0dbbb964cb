"""Laws of target weights: caps by instrument and sector, turnover budget, mean-variance."""

from __future__ import annotations

import sys
from datetime import date
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from accounts import sessions
from hypothesis import given, settings, strategies as st

from champion.errors import UsageError
from champion.portfolio.arrays import MarketArrays, market_arrays
from champion.portfolio.construction import Rule, Weighting, decision_days, target_weights
from champion.portfolio.mean_variance import mean_variance_weights

NAMES = [f"S{number:02d}" for number in range(12)]
SECTORS = ["IT", "IT", "IT", "IT", "Metals", "Metals", "Power", "Power", None, None, None, None]


def scores(seed: int, count: int = 6, start: date = date(2023, 1, 16)) -> pl.DataFrame:
    """Return scores of most instruments on each session, and their sectors."""
    random = np.random.default_rng(seed)
    keys = pl.DataFrame({"trade_date": sessions(count, start)}).join(
        pl.DataFrame({"instrument_id": NAMES, "sector": SECTORS}), how="cross"
    )
    values = {"score": random.standard_normal(keys.height), "volatility": random.uniform(0.01, 0.05, keys.height)}
    return keys.with_columns(**{name: pl.Series(each) for name, each in values.items()}).filter(
        pl.Series(random.random(keys.height) < 0.9)
    )


def by_decision(weights: pl.DataFrame) -> list[dict[str, float]]:
    return [
        dict(rows.select("instrument_id", "weight").iter_rows())
        for rows in weights.sort("trade_date").partition_by("trade_date")
    ]


def moved(before: dict[str, float], after: dict[str, float]) -> float:
    return sum(abs(after.get(name, 0.0) - before.get(name, 0.0)) for name in before | after) / 2


def require_caps(weights: pl.DataFrame, scored: pl.DataFrame, rule: Rule) -> None:
    sector = dict(zip(NAMES, SECTORS, strict=True))
    for decision in by_decision(weights):
        assert min(decision.values()) > 0
        assert max(decision.values()) <= rule.largest_weight + 1e-6
        assert sum(decision.values()) <= rule.invested + 1e-6
        for group in set(SECTORS):
            assert sum(w for name, w in decision.items() if sector[name] == group) <= rule.sector_cap + 1e-6
    assert set(weights["trade_date"]) <= set(scored["trade_date"])


RULES = st.builds(
    Rule,
    top=st.integers(2, 8),
    buffer=st.sampled_from([0.0, 0.5]),
    weighting=st.sampled_from(["equal", "score", "inverse_volatility"]),
    cap=st.sampled_from([0.15, 0.4, 1.0]),
    sector_cap=st.sampled_from([0.25, 0.5]),
    turnover=st.sampled_from([0.05, 0.3, 1.0]),
    every=st.integers(1, 2),
)


@settings(max_examples=25)
@given(st.integers(0, 10**6), RULES)
def test_weights_keep_the_caps_also_of_the_unknown_sector(seed: int, rule: Rule) -> None:
    scored = scores(seed)
    require_caps(target_weights(scored, rule), scored, rule)


@settings(max_examples=40)
@given(st.integers(0, 10**6), RULES)
def test_a_decision_moves_at_most_the_turnover_budget(seed: int, rule: Rule) -> None:
    decisions = by_decision(target_weights(scores(seed), rule))
    for before, after in pairwise(decisions):
        assert moved(before, after) <= rule.turnover + 1e-6 * len(before)


@settings(max_examples=25)
@given(
    st.integers(0, 10**6),
    st.integers(4, 12),
    st.sampled_from([0.02, 0.1, 0.35]),
    st.sampled_from(["score", "inverse_volatility", "equal"]),
    st.floats(0.02, 1.0),
)
def test_a_turnover_budget_holds_at_most_two_more_than_top_whatever_the_weights(
    seed: int, top: int, budget: float, weighting: Weighting, scored: float
) -> None:
    """Large positions leave and small ones come, and on some days few instruments have a score."""
    random, days, names = np.random.default_rng(seed), sessions(60), [f"S{number:03d}" for number in range(150)]
    keys = pl.DataFrame({"trade_date": days}).join(pl.DataFrame({"instrument_id": names}), how="cross")
    columns = {"score": random.standard_normal(keys.height), "volatility": np.exp(random.normal(0, 1.5, keys.height))}
    known = np.repeat(np.where(random.random(60) < 0.8, 1.0, scored), 150) >= random.random(keys.height)
    rows = keys.with_columns(pl.Series(name, each) for name, each in columns.items()).filter(pl.Series(known))
    decisions = by_decision(target_weights(rows, Rule(top=top, every=1, turnover=budget, weighting=weighting, cap=1.0)))
    assert max(map(len, decisions)) <= top + 2
    assert max(moved(*both) for both in pairwise(decisions)) <= budget + 1e-6 * (top + 2)
    assert sum(sum(each.values()) for each in decisions) / len(decisions) > (0.75 if scored > 0.5 else 0.3)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(4, 12), st.sampled_from([0.05, 0.1, 0.2, 0.35]))
def test_a_turnover_budget_holds_about_top_instruments(seed: int, top: int, budget: float) -> None:
    """Whole positions are exchanged: besides them one is sold in part, and one bought in part, at a time."""
    random, days = np.random.default_rng(seed), sessions(40)
    keys = pl.DataFrame({"trade_date": days}).join(
        pl.DataFrame({"instrument_id": [f"S{number:03d}" for number in range(150)]}), how="cross"
    )
    scored = keys.with_columns(score=pl.Series(random.standard_normal(keys.height)))
    decisions = by_decision(target_weights(scored, Rule(top=top, every=1, turnover=budget)))
    assert max(map(len, decisions)) <= top + 2
    assert all(sum(decision.values()) == pytest.approx(0.98) for decision in decisions)
    changes = [moved(*both) for both in pairwise(decisions)]
    assert changes == pytest.approx([budget] * len(changes), rel=1e-4), "the budget is used, and kept"


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 21), st.data())
def test_neither_the_start_nor_a_gap_moves_a_later_decision(seed: int, every: int, data: st.DataObject) -> None:
    days = pl.Series(sessions(120))
    rule = Rule(every=every, phase=data.draw(st.integers(0, every - 1)))
    chosen = pl.Series(np.random.default_rng(seed).random(120) < 0.9)  # some sessions are not scored, as holidays
    start = data.draw(st.integers(0, 60))
    whole, later = (decision_days(each, rule) for each in (days, days.filter(chosen)[start:]))
    assert later[0] == days.filter(chosen)[start], "an account buys on its first day"
    ends = [*whole[1:], date.max]
    for first, end in zip(whole, ends, strict=True):
        inside = later.filter((later >= first) & (later < end))
        scored = days.filter(chosen)[start:]
        present = scored.filter((scored >= first) & (scored < end))
        assert inside.to_list() == present[:1].to_list(), "the first scored session of each block decides"
    gaps = whole.diff().drop_nulls().dt.total_days() * 5 / 7
    assert gaps[1:].is_between(every - 1.5, every + 1.5).all()


@settings(max_examples=20)
@given(st.integers(0, 10**6), RULES)
def test_later_scores_change_no_earlier_decision(seed: int, rule: Rule) -> None:
    scored = scores(seed)
    day = scored["trade_date"].unique().sort()[3]
    early = target_weights(scored.filter(pl.col("trade_date") <= day), rule)
    assert early.equals(target_weights(scored, rule).filter(pl.col("trade_date") <= day))


def test_a_sector_above_its_cap_leaves_the_rest_in_cash() -> None:
    scored = scores(1, 1).with_columns(score=pl.when(pl.col("sector") == "IT").then(9.0).otherwise(0.0))
    rule = Rule(top=3, cap=1.0, sector_cap=0.3, invested=0.9)
    weights = target_weights(scored, rule)
    assert weights["weight"].to_list() == pytest.approx([0.1, 0.1, 0.1])


def test_a_sector_cap_needs_sectors() -> None:
    with pytest.raises(UsageError, match="the scores lack sector; they have"):
        target_weights(scores(1).drop("sector"), Rule(sector_cap=0.3))


@pytest.mark.parametrize("values", [{"sector_cap": 0.0}, {"turnover": 0.0}, {"turnover": 1.5}])
def test_impossible_limits_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"no portfolio can have .*sector_cap, turnover"):
        Rule(**values)  # type: ignore[arg-type]


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 12), st.sampled_from([0.0, 1.0]))
def test_score_weights_are_ranks_among_those_held(seed: int, top: int, buffer: float) -> None:
    """The weights of n instruments, in the order of their scores, are 1, 2, ..., n over their sum."""
    scored = scores(seed)
    weights = target_weights(scored, Rule(top=top, buffer=buffer, weighting="score", every=1))
    held = weights.join(scored, on=["trade_date", "instrument_id"]).sort("trade_date", "score")
    for day in held.partition_by("trade_date"):
        ranks = np.arange(1, day.height + 1)
        invested = 0.98 * day.height / top
        assert day["weight"].to_numpy() == pytest.approx(ranks / ranks.sum() * invested)


@given(st.integers(1, 12), st.sampled_from(["equal", "score"]))
def test_by_default_no_cap_leaves_a_full_portfolio_in_cash(top: int, weighting: Weighting) -> None:
    full = scores(3, 1)
    rule = Rule(top=min(top, full.height), weighting=weighting)
    assert target_weights(full, rule)["weight"].sum() == pytest.approx(rule.invested)
    assert rule.largest_weight >= 0.1


@pytest.fixture(scope="module")
def market() -> MarketArrays:
    """Return 90 sessions of independent returns; the later an instrument in the alphabet, the more volatile."""
    random = np.random.default_rng(5)
    moves = random.normal(0, 1, (90, len(NAMES))) * np.linspace(0.01, 0.04, len(NAMES))
    close = 100 * np.cumprod(1 + moves, axis=0)
    before = np.vstack([np.full((1, len(NAMES)), 100.0), close[:-1]])
    keys = pl.DataFrame({"trade_date": sessions(90)}).join(pl.DataFrame({"instrument_id": NAMES}), how="cross")
    columns = {"open": before, "high": close * 1.1, "low": close * 0.9, "close": close, "prev_close": before}
    return market_arrays(
        keys.with_columns(
            **{name: pl.Series(each.ravel()) for name, each in columns.items()},
            volume=pl.lit(1000),
            turnover=pl.Series(close.ravel() * 1000),
        )
    )


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.1, 1.0]))
def test_mean_variance_weights_keep_the_same_laws(market: MarketArrays, seed: int, budget: float) -> None:
    scored = scores(seed, 4, market.sessions[80])
    rule = Rule(top=8, cap=0.4, sector_cap=0.5, turnover=budget, every=1)
    weights = mean_variance_weights(scored, market, rule)
    require_caps(weights, scored, rule)
    days = weights["trade_date"].unique().sort()
    for day, (before, after) in zip(days[1:], pairwise(by_decision(weights)), strict=True):
        candidates = set(scored.filter(trade_date=day)["instrument_id"])
        left = sum(weight for name, weight in before.items() if name not in candidates)  # sold whole
        assert moved(before, after) <= max(budget, left) + 1e-5


def test_mean_variance_without_constraints_is_the_closed_form(market: MarketArrays) -> None:
    """The inverse of the covariance times expected returns, over the risk aversion, where that needs no limit."""
    from sklearn.covariance import LedoitWolf  # noqa: PLC0415

    scored = scores(2, 1, market.sessions[-1]).with_columns(score=pl.lit(1.0) + pl.col("score").rank() / 100)
    rule = Rule(top=12, buffer=0.0, cap=1.0, invested=1.0, every=5)
    found = mean_variance_weights(scored, market, rule, risk_aversion=40.0, skill=0.05)
    ordered = scored.sort("score", "instrument_id", descending=[True, False])
    places = [market.instruments.index(name) for name in ordered["instrument_id"]]
    covariance = LedoitWolf().fit(market.simple_return[:, places]).covariance_ * 5
    score = ordered["score"].to_numpy()
    expected = 0.05 * np.sqrt(np.diag(covariance)) * (score - score.mean()) / score.std()
    ours = dict(found.select("instrument_id", "weight").iter_rows())
    weight = np.array([ours.get(name, 0.0) for name in ordered["instrument_id"]])
    assert weight.sum() < 1
    # Karush, Kuhn and Tucker: the gradient is 0 where an instrument is held, and not positive where it is not.
    gradient = expected - 40.0 * covariance @ weight
    assert np.abs(gradient[weight > 1e-4]).max() < 1e-6
    assert gradient.max() < 1e-6


def test_mean_variance_without_cvxpy_names_the_extra(market: MarketArrays, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cvxpy", None)  # Python's own way to say that a module is not to be had
    with pytest.raises(UsageError, match=r"pip install 'champion\[optimize\]'"):
        mean_variance_weights(scores(1), market, Rule())


def test_rules_of_construction() -> None:
    by_day = {date(2024, 1, 1): (4, 3, 2, 1), date(2024, 1, 2): (2, 3, 4, 1), date(2024, 1, 3): (1, 2, 4, 3)}
    rows = [(day, name, float(score)) for day, each in by_day.items() for name, score in zip("ABCD", each, strict=True)]
    scores = pl.DataFrame(rows, schema=["trade_date", "instrument_id", "score"], orient="row")

    def held(rule: Rule) -> list[str]:
        weights = target_weights(scores, rule)
        return ["".join(day["instrument_id"].sort()) for day in weights.partition_by("trade_date")]

    assert held(Rule(top=2, buffer=0.0, every=1)) == ["AB", "BC", "CD"]
    assert held(Rule(top=2, buffer=0.5, every=1)) == ["AB", "AB", "BC"], "A stays as third, and goes as fourth"
    assert held(Rule(top=2, buffer=0.0, every=2, phase=1)) == ["AB", "CD"]
    equal = target_weights(scores, Rule(top=8, cap=1.0, invested=1.0, every=1))
    assert equal["weight"].unique().to_list() == [1 / 8], "with fewer instruments than top, the rest stays in cash"
    ranked = target_weights(scores, Rule(top=2, buffer=0.0, weighting="score", cap=1.0, invested=1.0, every=3))
    assert dict(ranked.select("instrument_id", "weight").iter_rows()) == pytest.approx({"A": 2 / 3, "B": 1 / 3})
    with pytest.raises(UsageError, match="the scores lack volatility"):
        target_weights(scores, Rule(weighting="inverse_volatility"))
    with pytest.raises(UsageError, match="no portfolio can have top 0"):
        Rule(top=0)
    with pytest.raises(UsageError, match=r"the scores name . twice on"):
        target_weights(pl.concat([scores, scores]), Rule())
