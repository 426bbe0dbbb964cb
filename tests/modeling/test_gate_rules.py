"""The gate's rules: what each refuses, and what it says."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

from champion.modeling.gate_rules import Evidence, Levels, RuleResult, beside, judged, rules, table
from champion.modeling.luck.gate_luck import spent_level

FIRST, SESSIONS = date(2023, 1, 2), 500
DAYS = [FIRST + timedelta(days=n) for n in range(SESSIONS)]
CHECKS = pl.DataFrame({
    "canary": ["shuffled labels", "implausible inputs", "recomputed inputs"],
    "passed": [True, True, True],
    "found": ["AUC 0.5012, standard error 0.0031", "no mean rank IC beyond 0.25", "no input looks ahead"],
})  # fmt: skip


def returns(**means: float) -> pl.DataFrame:
    """Return independent series with exact means, in daily standard deviations."""
    rng = np.random.default_rng(11)
    columns = {"trade_date": pl.Series(DAYS)}
    for name, mean in means.items():
        noise = rng.standard_normal(SESSIONS)
        columns[name] = pl.Series(0.005 * ((noise - noise.mean()) / noise.std() + mean))
    return pl.DataFrame(columns)


def ic(mean: float) -> pl.DataFrame:
    noise = np.random.default_rng(3).normal(0, 0.1, SESSIONS)
    return pl.DataFrame({"trade_date": DAYS, "ic": noise - noise.mean() + mean})


GOOD = Evidence(
    "t1", returns(t1=0.25, t2=0.0, t3=-0.1, t4=0.05), horizon=5, own_horizon=5, checks=CHECKS, neutral_ic=ic(0.03),
    wider=1.0,
)  # fmt: skip


def by_name(evidence: Evidence, levels: Levels | None = None) -> dict[str, RuleResult]:
    return {rule.name: rule for rule in rules(evidence, levels)}


def test_skilled_version_passes_every_rule() -> None:
    found = by_name(GOOD)
    assert list(found) == ["data", "luck", "neutral skill"]
    assert all(rule.passed for rule in found.values())
    assert found["luck"].figure == pytest.approx(0.25 * 252**0.5, rel=0.01)
    assert found["luck"].figure > found["luck"].threshold > 0
    assert "the best of 4 recorded trials without skill exceeds" in found["luck"].sentence


@pytest.mark.parametrize(
    ("changed", "rule", "says"),
    [
        ({"checks": None}, "data", "not run"),
        ({"neutral_ic": None}, "neutral skill", "not measured"),
        ({"neutral_ic": ic(0.005)}, "neutral skill", "t-statistic of 0.50"),
        ({"neutral_ic": ic(0.03).head(8)}, "neutral skill", "over 8 sessions"),
        ({"neutral_ic": ic(float("nan"))}, "neutral skill", "chance exceeds"),
        ({"returns": returns(t2=0.0)}, "luck", "no series"),
        ({"returns": returns(t1=0.25).head(40)}, "luck", "it needs at least 50 sessions"),
        ({"returns": returns(t1=0.25).with_columns(t1=0.0)}, "luck", "does not vary"),
        ({"returns": returns(t1=0.05)}, "luck", "without skill exceeds"),
        ({"independent": 10**9}, "luck", "best of 1,000,000,004 recorded trials"),
        ({"wider": float("nan")}, "luck", "few instruments earned it is not known"),
        ({"wider": 3.0}, "luck", "without skill exceeds"),
        ({"champion": "t9"}, "champion", "known for 0 sessions, and 50 are needed"),
        ({"champion": "t2", "apart": "Its universe is another"}, "champion", "universe is another. It blocks until 50"),
    ],
)
def test_each_rule_refuses_what_it_does_not_know_or_trust(changed: dict[str, object], rule: str, says: str) -> None:
    found = by_name(replace(GOOD, **changed))  # type: ignore[arg-type]
    assert not found[rule].passed
    assert says in found[rule].sentence
    others = [one.passed for name, one in found.items() if name != rule]
    assert all(others)


def test_failed_checks_name_the_inputs_in_full_and_what_to_do() -> None:
    inputs = ", ".join(f"an_input_with_a_long_name_{number}" for number in range(12))
    failing = CHECKS.with_columns(
        passed=pl.col("canary") != "recomputed inputs",
        found=pl.when(canary="recomputed inputs").then(pl.lit(inputs)).otherwise("found"),
    )
    rule = by_name(replace(GOOD, checks=failing))["data"]
    assert (rule.passed, rule.figure) == (False, 1.0)
    assert inputs in rule.sentence
    assert "run `champion features` and train again" in rule.sentence
    skipped = CHECKS.with_columns(passed=None, found=pl.lit("not run"))
    assert "The check of recomputed inputs was not run" in by_name(replace(GOOD, checks=skipped))["data"].sentence


def test_version_must_beat_the_champion_on_common_sessions() -> None:
    with_champion = replace(GOOD, champion="t2", returns=returns(t1=0.25, t2=0.0))
    assert by_name(with_champion)["champion"].passed
    equal = replace(GOOD, champion="t2", returns=returns(t1=0.25, t2=0.24, t3=0.0))
    rule = by_name(equal)["champion"]
    assert not rule.passed
    assert "over 500 common sessions" in rule.sentence
    apart = equal.returns.with_columns(t2=pl.when(pl.col("trade_date") < DAYS[30]).then("t2"))
    assert "known for 30 sessions" in by_name(replace(equal, returns=apart))["champion"].sentence
    apart = apart.with_columns(t1=pl.when(pl.col("trade_date") >= DAYS[200]).then("t1"), t2="t3")
    apart = apart.with_columns(t2=pl.when(pl.col("trade_date") < DAYS[230]).then("t2"))
    assert "It shares 30 sessions with the champion" in by_name(replace(equal, returns=apart))["champion"].sentence
    same = by_name(replace(equal, returns=equal.returns.with_columns(t2="t1")))["champion"]
    assert not same.passed
    assert "On 500 sessions it earns exactly what the champion earns" in same.sentence


def test_champion_without_skill_since_its_promotion_stops_blocking() -> None:
    """The champion has the same mean in all, but before its promotion only."""
    lucky = returns(t1=0.25, t2=0.0).with_columns(
        t2=pl.col("t2") + pl.when(pl.col("trade_date") < DAYS[200]).then(0.004).otherwise(-0.0002)
    )
    champion = replace(GOOD, champion="t2", returns=lucky, promoted_on=DAYS[200])
    assert "does not block" in by_name(champion)["champion"].sentence
    assert "of refits of its recipe and its published scores is" in by_name(champion)["champion"].sentence
    assert by_name(champion)["champion"].passed
    # Too few sessions say nothing, so it blocks.
    early = by_name(replace(champion, promoted_on=DAYS[470]))["champion"]
    assert "does not block" not in early.sentence
    skilled = replace(GOOD, champion="t2", returns=returns(t1=0.25, t2=0.24), promoted_on=DAYS[200])
    assert not by_name(skilled)["champion"].passed


def test_champion_without_known_returns_stops_blocking_after_the_sessions_that_would_show_them() -> None:
    """Ten blocks of the longest horizon, 50 sessions, are what the judgement of a champion needs."""
    lost = replace(GOOD, champion="t9", promoted_on=DAYS[-1], sessions_since=49)
    assert "It blocks until 50 sessions since its promotion are known, 49 so far" in by_name(lost)["champion"].sentence
    late = by_name(replace(lost, sessions_since=50))["champion"]
    assert (late.passed, "does not block" in late.sentence) == (True, True)
    universe = replace(lost, champion="t2", apart="Its universe is another")
    assert [by_name(replace(universe, sessions_since=n))["champion"].passed for n in (49, 50)] == [False, True]


def test_scores_published_since_its_promotion_judge_the_champion_first() -> None:
    live = returns(other=0.0, up=0.2, down=-0.2)
    champion = replace(GOOD, champion="t9", promoted_on=DAYS[0], sessions_since=SESSIONS - 1)
    down, up = (
        by_name(replace(champion, live=live.select("trade_date", active=name)))["champion"] for name in ("down", "up")
    )
    assert "does not block: since its promotion on 2023-01-02 the Sharpe ratio" in down.sentence
    assert "of the scores that it published in time is" in down.sentence
    assert down.passed
    assert "less the champion's is" in up.sentence, "the live returns are the champion's series if it has no other"
    assert not up.passed
    apart = by_name(replace(champion, live=live.select("trade_date", active="up"), apart="Its universe is another"))
    assert "blocks while it earns more than chance" in apart["champion"].sentence


def test_refit_of_the_champion_is_no_new_chance() -> None:
    champion = replace(GOOD, champion="t1", judged_before=4)
    found = by_name(replace(champion, proven=True))
    assert found["champion"].passed
    assert "refit" in found["champion"].sentence
    assert "at a rate of 2.50%" in found["luck"].sentence
    assert "at a rate of 2.50%" not in by_name(champion)["luck"].sentence, "the champion was forced"
    assert "at a rate of 2.50%" not in by_name(replace(GOOD, judged_before=3))["luck"].sentence


def test_earlier_series_of_a_refit_are_judged_beside_it() -> None:
    earlier = returns(t1=0.25).select("trade_date", first="t1").with_columns(second="first").head(400)
    refit = replace(GOOD, judged_before=4, refits=2, earlier=earlier)
    rule = by_name(refit)["luck"]
    assert "the best of 4 recorded trials, and of 2 earlier series of this one, without skill exceeds" in rule.sentence
    # Both are one series, nearly that of the trial: the smaller level raises the threshold, and their number does not.
    level = spent_level(0.025, 4, 4, refits=2, own=2)
    assert level < spent_level(0.025, 4, 4)
    assert f"at a rate of {level:.2%}" in rule.sentence
    alone = judged(replace(GOOD, returns=GOOD.returns), level)
    assert judged(refit, level).sharpe_needed == pytest.approx(alone.sharpe_needed, abs=0.1)
    exempt = replace(refit, champion="t1", proven=True)
    assert judged(exempt, 0.025) == judged(replace(exempt, earlier=None), 0.025)


def test_one_long_horizon_does_not_change_the_blocks_of_a_short_one() -> None:
    """A trial of 250 sessions, by which all would need 2,500 sessions if it set the blocks."""
    long = replace(GOOD, horizons={"t2": 250})
    assert judged(long, 0.025).block == 8
    assert by_name(long)["luck"].passed
    blocked = by_name(replace(long, champion="t2", returns=returns(t1=0.25, t2=0.0).head(600)))["champion"]
    assert "known for 500 sessions, and 630 are needed" in blocked.sentence, "ten blocks of a quarter"


@pytest.mark.parametrize("level", [0.025, 0.1])
def test_worthless_scores_pass_the_neutral_rule_at_the_stated_rate(level: float) -> None:
    """Rank ICs of worthless scores over overlapping labels, with 60 sessions only."""
    rng, tries, passed = np.random.default_rng(11), 1000, 0
    for _ in range(tries):
        daily = np.convolve(rng.normal(size=64), np.ones(5) / 5, mode="valid")
        measured = pl.DataFrame({"trade_date": DAYS[:60], "ic": daily})
        evidence = Evidence("none", pl.DataFrame({"trade_date": []}), 5, 5, neutral_ic=measured)
        passed += by_name(evidence, Levels(neutral=level))["neutral skill"].passed
    assert binom.ppf(0.001, tries, level / 2) <= passed <= binom.ppf(0.999, tries, 1.5 * level)


def test_rules_as_a_table_and_the_figures_beside() -> None:
    found = table(rules(replace(GOOD, neutral_ic=None)))
    assert found["rule"].to_list() == ["data", "luck", "neutral skill"]
    assert found["figure"].null_count() == 1
    figures = beside(GOOD, 0.025)
    assert figures["effective_trials"] == judged(GOOD, 0.025).effective == pytest.approx(4, abs=0.3)
    assert figures["deflated_sharpe"] > 0.99
    assert figures["overfitting_probability"] < 0.05
    assert beside(replace(GOOD, trial="t9"), 0.025) == {}
