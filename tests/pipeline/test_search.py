"""Search: strict spaces, a choice that sees nothing later, and a search that is killed and resumed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from datetime import date, timedelta
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import searches
from copies import copied
from hypothesis import given, settings as hypothesis_settings, strategies as st
from searches import SPACE, searched
from waiting import PATIENCE

from champion.errors import ChampionError, UsageError
from champion.lake import Lake
from champion.pipeline.models import evaluate, portfolio, trials
from champion.pipeline.search import choice, outcomes, plan as plans, report, space as spaces
from champion.portfolio.construction import Rule
from champion.settings import Settings
from champion.tracking import promotion, registry
from champion.tracking.trials import ledger
from champion.tracking.trials.former_runs import LOOK

MODEL = '\n[[model]]\nname = "logistic"\n'


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("name =", r"the space is not TOML \(Invalid value"),
        ('name = "x"', "model: field required"),
        ('nam = "x"' + MODEL, "nam: did you mean 'name'"),
        ('name = "a/b"' + MODEL, "name: string should match pattern"),
        ('name = "x"\nfolds = "3"' + MODEL, "folds: input should be a valid integer"),
        ('name = "x"\nfolds = 1' + MODEL, "folds: input should be greater than or equal to 2"),
        ('name = "x"\n[recipe]\nunivers = "all"' + MODEL, r"recipe.univers: did you mean 'universe'"),
        ('name = "x"\n[recipe]\nhorizon = [5, "a"]' + MODEL, r"recipe.horizon.1: input should be a valid integer"),
        ('name = "x"\n[recipe]\nhorizon = 0' + MODEL, "recipe.horizon: 0 is no horizon"),
        ('name = "x"\n[recipe]\ntarget = []' + MODEL, "recipe.target: value should have at least 1 item"),
        ('name = "x"\ntrials = 3' + MODEL, "trials: a grid tries all recipes"),
        ('name = "x"\nmethod = "random"' + MODEL, "trials: a search by method random needs the number"),
        ('name = "x"\nstart = 2024-02-01\nend = 2024-01-01' + MODEL, "end: 2024-01-01 is not after start"),
        ('name = "x"' + MODEL + "param = 1", "model.0.param: the keys are name, parameters"),
        ('name = "x"' + MODEL + "parameters = {C = []}", "model.0.parameters.C: an empty list"),
        ('name = "x"' + MODEL + "parameters = {C = {low = 1, high = 2}}", "a grid needs a list of values"),
        ('name = "x"' + MODEL + "[[rule]]\ntopp = 3", "rule.0.topp: did you mean 'top'"),
        ('name = "x"' + MODEL + "[[rule]]\ntop = [10, 0]", "rule.0.top: no portfolio can have top 0"),
    ],
)
def test_wrong_spaces_are_refused_by_the_key(text: str, wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong):
        spaces.parse(text)


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("{low = 2, high = 1}", "low 2 is not below high 1"),
        ("{low = 0.0, high = 1.0, scale = 'log'}", "has no logarithm"),
        ("{low = 1, high = 2, scale = 'ln'}", "it is linear or log"),
        ("{low = 'a', high = 2}", "low and high are numbers"),
        ("{low = 1, high = 2, step = 1}", "step: a range has low, high and scale"),
    ],
)
def test_wrong_ranges_are_refused(value: str, wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong):
        spaces.parse(f'name = "x"\nmethod = "random"\ntrials = 2{MODEL}parameters = {{C = {value}}}')


def test_grids_have_limits_and_no_duplicates() -> None:
    several = 'name = "x"\n[recipe]\nhorizon = [5, 5, 10]\n[[model]]\nname = "logistic"\n[[rule]]\ntop = [50, 20, 50]'
    assert [one.text for one in spaces.candidates(spaces.parse(several))] == [
        "logistic",
        "logistic; top 20",
        "logistic, horizon 10",
        "logistic, horizon 10; top 20",
    ]
    many = f'name = "x"{MODEL}parameters = {{C = {list(range(1, 502))}}}'
    with pytest.raises(UsageError, match="has 501 recipes; at most 500 are searched"):
        spaces.candidates(spaces.parse(many))


@hypothesis_settings(max_examples=20)
@given(st.integers(1, 30), st.integers(0, 5), st.integers(0, 99))
def test_more_draws_keep_the_first_ones(count: int, more: int, seed: int) -> None:
    def drawn(trials: int) -> list[spaces.Candidate]:
        parameters = "{C = {low = 0.001, high = 10.0, scale = 'log'}, max_iter = {low = 50, high = 500}}"
        head = f'name = "x"\nmethod = "random"\ntrials = {trials}\nseed = {seed}\n[recipe]\nhorizon = [5, 10]'
        return spaces.candidates(spaces.parse(f"{head}{MODEL}parameters = {parameters}"))

    first, longer = drawn(count), drawn(count + more)
    assert (longer[:count], len(longer)) == (first, count + more)
    for one in longer:
        assert 0.001 <= one.parameters["C"] <= 10
        assert 50 <= one.parameters["max_iter"] <= 500
        assert one.shared["horizon"] in {5, 10}
    assert len({str(one) for one in longer}) == len(longer)


def test_a_random_search_says_when_a_space_is_too_small() -> None:
    text = f'name = "x"\nmethod = "random"\ntrials = 3{MODEL}parameters = {{C = [1.0, 2.0]}}'
    with pytest.raises(UsageError, match="shall draw 3 recipes, and after 2 no other was found"):
        spaces.candidates(spaces.parse(text))


@hypothesis_settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_a_choice_depends_on_earlier_folds_alone(seed: int, fold: int) -> None:
    rng = np.random.default_rng(seed)
    days = [date(2024, 1, 1) + timedelta(n) for n in range(160)]
    starts = [days[10], days[50], days[90], days[120]]
    returns = pl.DataFrame({"trade_date": days, **{str(n): rng.normal(0, 0.01, 160) for n in range(1, 6)}})
    later = pl.col("trade_date") >= starts[fold]
    changed = returns.with_columns(
        pl.when(later).then(0.01 - 7 * pl.col(str(n))).otherwise(str(n)).alias(str(n)) for n in range(1, 6)
    )
    before, after = choice.choose(returns, starts), choice.choose(changed, starts)
    assert before["chosen"][:fold].to_list() == after["chosen"][:fold].to_list()
    # The plain loop beside it.
    for row in before.rows(named=True):
        seen = returns.filter(pl.col("trade_date").is_between(starts[0], row["start"], closed="left")).drop(
            "trade_date"
        )
        ratios = {int(name): seen[name].mean() / seen[name].std() for name in seen.columns}  # type: ignore[operator]
        assert row["chosen"] == max(ratios, key=lambda number: ratios[number])


def test_recipes_without_enough_sessions_are_not_chosen() -> None:
    days = [date(2024, 1, 1) + timedelta(n) for n in range(60)]
    rising = [0.02, 0.03] * 30
    returns = pl.DataFrame(
        {
            "trade_date": days,
            "1": [None] * 25 + rising[:35],  # five sessions before the second fold
            "2": [0.0] * 60,  # does not vary
            "3": [-0.01, 0.005] * 30,
        }
    )
    (row,) = choice.choose(returns, [days[0], days[30]]).rows(named=True)
    assert (row["chosen"], row["best"]) == (3, 1)
    assert choice.choose(returns.drop("3"), [days[0], days[30]])["chosen"].to_list() == [None]


@hypothesis_settings(max_examples=20)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 159), min_size=5, max_size=5))
def test_a_recipe_is_chosen_only_after_the_figures_that_proposed_it(seed: int, places: list[int]) -> None:
    rng = np.random.default_rng(seed)
    days = [date(2024, 1, 1) + timedelta(n) for n in range(160)]
    starts = [days[10], days[50], days[90], days[120]]
    returns = pl.DataFrame({"trade_date": days, **{str(n): rng.normal(0, 0.01, 160) for n in range(1, 6)}})
    seen = {number: days[place] for number, place in enumerate(places, start=1) if place}
    for row in choice.choose(returns, starts, seen).rows(named=True):
        may = [str(n) for n in range(1, 6) if n not in seen or seen[n] < row["start"]]
        alone = choice.choose(returns.select("trade_date", *may), starts)  # as if there were no others
        assert row["chosen"] == alone.filter(fold=row["fold"])["chosen"][0]


@pytest.mark.skipif(find_spec("optuna") is not None, reason="Optuna is installed")
def test_a_search_by_optuna_needs_the_extra(modelled: Settings) -> None:
    space = spaces.parse(f'name = "x"\nmethod = "optuna"\ntrials = 5{MODEL}parameters = {{C = {{low = 1, high = 9}}}}')
    with pytest.raises(UsageError, match=r"pip install 'champion\[optuna\]', or set method = \"random\""):
        plans.make(modelled, space)


@pytest.fixture(scope="module")
def undisturbed(modelled: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, dict[str, Any]]:
    """A workspace after one whole search, and what the search showed."""
    made = copied(modelled, tmp_path_factory.mktemp("undisturbed"))
    return made, searched(made, SPACE)


def _facts(settings: Settings) -> set[str]:
    return {str(one.facts) for one in ledger.read(settings)}


def test_a_search_counts_its_recipes_and_promotes_nothing(
    modelled: Settings, undisturbed: tuple[Settings, dict[str, Any]]
) -> None:
    settings, shown = undisturbed
    before = trials.count(modelled).total
    # Two trainings, each under two rules, a training that failed after its look, and the choice.
    assert trials.count(settings).total == before + 2 * 2 + 1 + 1
    assert promotion.history(settings) == promotion.history(modelled)
    failures = [row for row in shown["recipes"] if row["error"]]
    assert [row["recipe"] for row in failures] == [3, 4]
    assert all("'C' parameter of LogisticRegression" in row["error"] for row in failures)
    assert [row["fold"] for row in shown["choices"]] == [2, 3]
    assert not list((settings.home / "searches").glob("*.begun"))
    # The chosen account earns in a fold what its recipe earns, but for the first sessions after a change.
    last, chosen = shown["choices"][-1], dict(shown["active"])
    planned = plans.make(settings, spaces.parse(SPACE))
    series = outcomes.returns(settings, outcomes.read(settings, planned.id))
    assert min(chosen) > shown["choices"][0]["start"]
    same = series.filter(pl.col("trade_date") > last["start"] + timedelta(days=14)).select(
        "trade_date", str(last["chosen"])
    )
    assert np.allclose([chosen[day] for day, _ in same.rows()], same[:, 1].to_numpy(), atol=0.004)


def test_the_page_judges_the_best_recipe_as_the_gate_does(undisturbed: tuple[Settings, dict[str, Any]]) -> None:
    """The recipe under the rule that its training simulated is the version's own trial."""
    settings = undisturbed[0]
    found = outcomes.read(settings, plans.make(settings, spaces.parse(SPACE)).id)
    looks_of = {one.number: registry.find(settings, one.version or 0).tags[LOOK] for one in found.known}
    trained = tuple(one for one in found.known if one.look == looks_of[one.number])
    page = report.against_luck(settings, replace(found, recipes=trained))
    (version,) = (one.version for one in trained if one.number == page.recipe)
    gate = evaluate.evaluate(settings, version or 0).rules.filter(rule="luck").row(0, named=True)
    assert page.best is not None
    assert (page.best.sharpe, page.best.sharpe_needed) == (gate["figure"], gate["threshold"])
    assert f"at a rate of {page.best.level:.2%}" in gate["sentence"]
    assert page.best.level < settings.gate_luck, "a part of the level was spent"
    assert page.scores["score"][0] == pytest.approx(page.best.score, rel=0.05), "the plot shows the same score"
    key = report.inputs(settings, found)
    trials_before = key.pop("trials")
    assert report.inputs(settings.model_copy(update={"gate_luck": 0.1}), found)["gate"] != key["gate"]
    assert trials_before != trials.fingerprint(trials.recorded(settings)), (
        "the page's own choice is no reason to repeat"
    )


def test_a_change_of_the_rule_changes_the_benchmark_to_that_of_the_new_rule(
    undisturbed: tuple[Settings, dict[str, Any]],
) -> None:
    """The benchmark of a rule that decides once a fortnight drifts between its decisions."""
    settings = undisturbed[0]
    found = outcomes.read(settings, plans.make(settings, spaces.parse(SPACE)).id)
    first, second = found.known[0], found.known[-1]
    rules = {first.number: Rule(top=5, cap=0.25), second.number: Rule(top=5, cap=0.25, every=10, phase=3)}
    tried = tuple(replace(one, rule=asdict(rules[one.number])) for one in (first, second))
    starts = choice.fold_starts(settings, found)
    rows = [(2, starts[1], starts[2] - timedelta(1), first.number), (3, starts[2], date.max, second.number)]
    choices = pl.DataFrame(rows, schema=["fold", "start", "end", "chosen"], orient="row")
    followed = choice.follow(settings, replace(found, recipes=tried), choices).growth

    scores = evaluate.scores(settings, str(second.version))[1].filter(pl.col("trade_date") >= starts[2])
    alone, weekly = (
        portfolio.simulate(scores, rule, end=found.end, lake=Lake(settings.lake)).growth
        for rule in (rules[second.number], rules[first.number])
    )
    days = alone.filter(pl.col("trade_date") > starts[2] + timedelta(days=7))["trade_date"].head(25)

    def daily(growth: pl.DataFrame) -> list[float]:
        change = growth.sort("trade_date").with_columns(change=pl.col("benchmark").pct_change())
        return change.filter(pl.col("trade_date").is_in(days.implode()))["change"].to_list()

    assert np.allclose(daily(followed), daily(alone), atol=1e-9)
    assert not np.allclose(daily(followed), daily(weekly), atol=1e-6)


def test_a_plan_is_checked_and_keeps_its_sessions_until_it_is_finished(
    undisturbed: tuple[Settings, dict[str, Any]],
) -> None:
    settings = undisturbed[0]
    space = spaces.parse(SPACE)
    planned = plans.make(settings, space)
    cost = plans.cost(settings, planned, 2)  # the fixture has a run of each model
    assert (cost.recipes, cost.trainings, cost.unknown) == (6, 3, ())
    assert cost.seconds is not None
    other = plans.make(settings, spaces.parse('name = "x"\n[[model]]\nname = "ridge"'))
    assert plans.cost(settings, other, 1).unknown == ("ridge",)
    for wrong, message in {
        'name = "logistik"': "model 'logistik' is not known",
        'name = "logistic"\nparameters = {c = 1}': "Invalid parameter 'c'",
        'name = "ridge"\n[recipe]\nuniverse = "liqid"': "liqid",
        'name = "ridge"\n[recipe]\ntarget = "rank 5"': "not shorter than horizon 5",
        'name = "ridge"\n[recipe]\nhorizon = [5, 120]': "too few for 5 folds",
    }.items():
        with pytest.raises(ChampionError, match=message):
            plans.make(settings, spaces.parse(f'name = "x"\n[[model]]\n{wrong}'))

    earlier = replace(planned, end=planned.end - timedelta(days=7))  # a search that was begun a week ago
    with plans.running(settings, earlier, print):
        assert plans.make(settings, space).id == earlier.id
    assert plans.make(settings, space).id == earlier.id != planned.id
    plans.finish(settings, earlier)
    assert plans.make(settings, space).id == planned.id


def test_a_repeated_search_adds_no_trial(undisturbed: tuple[Settings, dict[str, Any]], tmp_path: Path) -> None:
    settings, shown = undisturbed
    repeated = copied(settings, tmp_path)
    lines = _facts(repeated)
    again = searched(repeated, SPACE.replace('"small"', '"renamed"'))
    assert _facts(repeated) == lines
    assert {**again, "best": None} == {**shown, "best": None}


def test_a_killed_search_is_resumed_by_two_concurrent_ones_to_the_same_result(
    modelled: Settings, undisturbed: tuple[Settings, dict[str, Any]], tmp_path: Path
) -> None:
    settings = copied(modelled, tmp_path)
    (tmp_path / "space.toml").write_text(SPACE)
    command = [sys.executable, searches.__file__, str(tmp_path / "space.toml")]
    environment = {**os.environ, **settings.environment()}
    started = partial(subprocess.Popen, command, env=environment, stdout=subprocess.PIPE, text=True)
    with started() as first:
        assert first.stdout is not None
        for _ in range(4):
            assert first.stdout.readline()
        first.send_signal(signal.SIGSTOP)  # it holds the search until the second waits
        with started() as second:
            assert second.stdout is not None
            waits = second.stdout.readline()
            begun = list((settings.home / "searches").glob("*.begun"))
            first.send_signal(signal.SIGKILL)
            first.wait(PATIENCE)
            assert waits.endswith("is running: waiting for it to end\n")
            assert begun, "the sessions of a search that was begun are kept"
            shown = searched(settings, SPACE)  # at the same time as the second
            second.stdout.read()
        assert second.returncode == 0
    assert _facts(settings) == _facts(undisturbed[0])
    assert {**shown, "best": None} == {**undisturbed[1], "best": None}


def test_the_example_and_the_space_on_the_page_are_right(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    example = spaces.candidates(spaces.read(settings, "example"))
    assert len({one.text for one in example}) == len(example) == 24
    page = (Path(__file__).resolve().parents[2] / "docs" / "howto" / "search.md").read_text()
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (settings.home / "searches").mkdir(parents=True)
    (settings.home / "searches" / "momentum.toml").write_text(text)
    assert len(spaces.candidates(spaces.read(settings, "momentum"))) == 40
    with pytest.raises(UsageError, match="did you mean 'momentum'"):
        spaces.read(settings, "momentun")
    with pytest.raises(UsageError, match=r"no search 'a'; known: none"):
        outcomes.read(settings, "a")
