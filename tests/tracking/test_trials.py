"""The trial ledger: which looks are one trial, series, damage, two writers and a kill."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from champion.errors import ModelError, UsageError
from champion.modeling.estimators import Recipe
from champion.modeling.luck import gate_luck
from champion.modeling.splits import PurgedWalkForward
from champion.modeling.universe import find
from champion.pipeline.maintenance import record_retention
from champion.pipeline.models import looks, recipes, trials
from champion.pipeline.models.register import Task
from champion.settings import Settings
from champion.tracking import ledger_storage, runs, store
from champion.tracking.promotion_ledger import Entry as Decision
from champion.tracking.trials import ledger, series
from champion.tracking.trials.entry import content, parse

FIRST, LAST = date(2023, 1, 2), date(2023, 12, 29)
MOMENT = datetime(2024, 1, 15, tzinfo=UTC)
DATA = {"normalized_equity_ohlc": "a" * 64}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def recipe(**options: object) -> dict[str, object]:
    task = Task(find("all"), horizon=5, lag=1)
    model = Recipe("logistic", seed=int(str(options.pop("seed", 7))), parameters=options)
    return recipes.of_training(task, model, ["rsi_14"], PurgedWalkForward(3, 5, 5))


def scores(seed: int, first: date = FIRST, sessions: int = 40) -> pl.DataFrame:
    days = [first + timedelta(days=n) for n in range(sessions)]
    random = np.random.default_rng(seed).normal(size=sessions)
    return pl.DataFrame({"trade_date": days, "instrument_id": "NSE:A", "score": random})


def active(seed: int, first: date = FIRST, sessions: int = 40) -> pl.DataFrame:
    return scores(seed, first, sessions).select("trade_date", active=pl.col("score") / 100)


def look(
    settings: Settings,
    tried: dict[str, object],
    *,
    seed: int = 1,
    start: date = FIRST,
    end: date = LAST,
    sessions: int = 40,
    data: dict[str, str] = DATA,
) -> str:
    begun = looks.begin(settings, tried, window=(start, end), data=data, source="training")
    begun.complete(scores(seed, sessions=sessions), active(seed, sessions=sessions))
    return begun.id


def facts(settings: Settings) -> list[dict[str, object]]:
    return [one.facts for one in ledger.read(settings)]


def test_equal_looks_are_one_trial_and_others_are_more(settings: Settings) -> None:
    first = look(settings, recipe())
    lines = facts(settings)
    look(settings, recipe())
    assert facts(settings) == lines, "an identical rerun adds no line"
    assert trials.count(settings) == trials.Count(1, 1)

    for week in range(1, 53):  # a rolling window, refitted each week on revised data
        moved = timedelta(weeks=week)
        look(settings, recipe(), start=FIRST + moved, end=LAST + moved, sessions=40 + week, data={"bars": str(week)})
    assert trials.count(settings) == trials.Count(1, 1), "52 weekly refits add no trial"
    held = trials.matrix(settings)
    assert held.columns == ["trade_date", trials.recorded(settings)[0].id]
    assert held.height == 92

    others = [recipe(C=1.0), recipe(seed=8), {**recipe(), "universe": find("liquid").text}]
    for added, tried in enumerate(others, start=2):
        look(settings, tried)
        assert trials.count(settings).total == added
    look(settings, recipe(), start=FIRST + timedelta(days=90))  # a later start, and the same end
    look(settings, recipe(), seed=2)  # the same recipe and data, and other scores: a cell was edited
    assert trials.count(settings) == trials.Count(6, 6)
    names = [trial.id for trial in trials.recorded(settings)]
    assert len(set(names)) == 6

    begun = looks.begin(settings, recipe(C=5.0), window=(FIRST, LAST), data=DATA, source="training")
    assert trials.count(settings) == trials.Count(7, 6), "a training that was killed counts as independent"
    assert [trial.id for trial in trials.recorded(settings)][:6] == names, "ids do not change"
    assert trials.known(settings, begun.id).count == 6
    assert trials.known(settings, first).sessions.width == 1 + 4


def test_refits_spend_the_level_of_luck_and_their_earlier_series_are_judged_too(settings: Settings) -> None:
    other, forced = recipe(C=1.0), {"rules": [{"rule": "luck", "passed": True}]}
    look(settings, other, seed=90)
    levels, decisions = list[float](), list[Decision]()
    for week in range(4):
        look(settings, recipe(), seed=week, start=FIRST, end=LAST + timedelta(weeks=week), sessions=60 + 5 * week)
        known = trials.recorded(settings)
        found = trials.evidence_of_luck(settings, known[1], known, decisions, wider=1.0)
        assert (found.horizon, found.independent, found.returns.width, found.refits) == (5, 0, 3, week)
        assert found.earlier is not None
        assert found.earlier.width == 1 + week
        levels.append(gate_luck.spent(found, 0.025))
        again = trials.evidence_of_luck(settings, known[1], known, [], wider=1.0)
        assert gate_luck.spent(again, 0.025) >= levels[-1], "a decision was spent"
        evidence = {trials.TRIALS: 2, trials.LEDGER: found.ledger, **forced}
        decisions.append(Decision(week, "promote", "done", 1, None, "", forced=True, at=MOMENT, evidence=evidence))
        same = trials.evidence_of_luck(settings, known[1], known, decisions, wider=1.0)
        assert gate_luck.spent(same, 0.025) == levels[-1], "decisions about the same series spend the level once"
    assert levels[0] == pytest.approx(gate_luck.spent_level(0.025, 2))
    assert levels[1:] == [pytest.approx(gate_luck.spent_level(0.025, 2, 2, n, n)) for n in (1, 2, 3)]
    assert trials.count(settings).total == 2
    assert gate_luck.judged(found, levels[-1]).trials == 2 + 3
    assert not trials.has_passed_luck(decisions, 1)
    assert trials.has_passed_luck([*decisions, replace(decisions[0], forced=False)], 1)
    assert not trials.has_passed_luck([replace(decisions[0], forced=False, state="refused")], 1)


def test_edited_features_and_expressions_are_other_trials() -> None:
    task = {"universe": "all", "horizon": 5, "lag": 1}
    one, two = (recipes.of_expression(pl.col("close").pct_change(n), "mine", **task) for n in (5, 6))  # type: ignore[arg-type]
    assert one != two
    assert one == recipes.of_expression(pl.col("close").pct_change(5), "mine", **task)  # type: ignore[arg-type]


def test_series_of_the_newest_look_counts_and_a_lost_one_is_independent(settings: Settings) -> None:
    look(settings, recipe(), seed=1)
    look(settings, recipe(), seed=3, end=LAST + timedelta(days=7), sessions=20)
    (trial,) = trials.recorded(settings)
    expected = pl.concat([active(3, sessions=20), active(1)[20:]])
    assert trials.matrix(settings).rename({trial.id: "active"}).equals(expected)
    first, second = (one.series for one in trial.latest)
    path = settings.home / "trials" / f"{second}.parquet"
    path.write_bytes(path.read_bytes() + b"x")
    assert trials.lost(settings, [trial]) == [second]
    assert trials.matrix(settings)[trial.id].to_list() == active(1)["active"].to_list()
    (settings.home / "trials" / f"{first}.parquet").unlink()
    assert trials.count(settings) == trials.Count(1, 0), "no trial is lost with its series"
    assert trials.matrix(settings).shape == (0, 1)
    look(settings, recipe(), seed=1)
    assert trials.count(settings) == trials.Count(1, 1), "a rerun brings the series back"


def test_declared_trials_count_and_a_damaged_ledger_is_refused(
    settings: Settings,
) -> None:
    for seed in (1, 2, 3):
        look(settings, recipe(seed=seed))
    trials.declare(settings, 5, "a spreadsheet of momentum windows")
    trials.declare(settings, 5, "a spreadsheet of momentum windows")
    assert trials.count(settings) == trials.Count(13, 3)
    for wrong in ((0, "none"), (1, " ")):
        with pytest.raises(UsageError, match="declare at least one trial"):
            trials.declare(settings, *wrong)
    shown = trials.frame(settings)
    assert shown["count"].to_list() == [1, 1, 1, 5, 5]
    assert shown["recipe"][0] == "logistic (seed 1) on v1 (1 inputs), 5 sessions ahead, all"
    assert stat.S_IMODE((settings.home / "trials.jsonl").stat().st_mode) == 0o600
    assert stat.S_IMODE((settings.home / "trials").stat().st_mode) == 0o700

    # A registry that machines share holds the same lines, and the series by their digests.
    shared, stored = ledger_storage.RegistryStorage(settings, ledger_storage.TRIALS), ledger.read(settings)
    for line in stored:
        assert ledger_storage.add_sealed(shared, shared.held(), content(line))
    assert ledger_storage.parse_lines(shared, shared.held(), parse) == stored
    digest = next(line.series for line in stored if line.series)
    file = (settings.home / "trials" / f"{digest}.parquet").read_bytes()
    for _ in range(2):
        series._share(settings, digest, file)
    assert series._shared(settings, digest) == file
    assert series._shared(settings, "0" * 64) is None

    path = settings.home / "trials.jsonl"
    whole = path.read_bytes().splitlines(keepends=True)
    damaged = {
        "the rest is missing": whole[:-3],
        "does not match its seal": [*whole[:2], whole[2].replace(b'"training"', b'"traininh"'), *whole[3:]],
        "is not a ledger entry": [*whole[:2], b"{}\n", *whole[3:]],
    }
    with pytest.raises(UsageError, match="is intact"):
        ledger.begin(settings, reason="why not")
    for message, lines in damaged.items():
        path.write_bytes(b"".join(lines))
        with pytest.raises(ModelError, match=message):
            trials.count(settings)
        with pytest.raises(ModelError, match=message):
            look(settings, recipe(seed=9))
    ledger.begin(settings, reason="the disk failed")
    assert trials.count(settings) == trials.Count(13, 1), "the unreadable line may have been a trial"
    path.write_bytes(b"")
    ledger.begin(settings, reason="and then the file was gone")
    assert trials.count(settings) == trials.Count(13, 0), "no count shrinks"
    assert len(list(settings.home.glob("trials.jsonl.before-*"))) == 2


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_trials import look, recipe
from champion.settings import Settings
for seed in map(int, sys.argv[2:]):
    look(Settings(home=Path(sys.argv[1])), recipe(seed=seed), seed=seed)
    print(seed, flush=True)
"""


def writer(settings: Settings, seeds: Sequence[int]) -> subprocess.Popen[str]:
    program = WRITER.format(tests=str(Path(__file__).parent))
    command = [sys.executable, "-c", program, str(settings.home), *map(str, seeds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_writers_and_a_killed_one_leave_the_undisturbed_ledger(settings: Settings, tmp_path: Path) -> None:
    undisturbed = Settings(home=tmp_path / "undisturbed")
    seeds = list(range(20))
    for seed in seeds:
        look(undisturbed, recipe(seed=seed), seed=seed)
    killed, other = writer(settings, seeds), writer(settings, seeds[::-1])
    assert killed.stdout is not None
    for _ in range(7):
        killed.stdout.readline()
    os.kill(killed.pid, signal.SIGKILL)
    assert other.wait() == 0
    killed.wait()
    for process in (killed, other):
        assert process.stdout is not None
        process.stdout.close()
    for seed in seeds:
        look(settings, recipe(seed=seed), seed=seed)
    ordered = [sorted(json.dumps(one, sort_keys=True) for one in facts(each)) for each in (settings, undisturbed)]
    assert ordered[0] == ordered[1]
    assert trials.count(settings) == trials.Count(20, 20)
    columns = sorted(trials.matrix(undisturbed).columns)
    assert trials.matrix(settings).select(columns).equals(trials.matrix(undisturbed).select(columns))


def test_counts_stay_when_the_workspace_moves_and_when_all_runs_are_deleted(settings: Settings, tmp_path: Path) -> None:
    for seed, name in enumerate(("training", "portfolio")):
        run = runs.open_run(settings, trials.EXPERIMENT, name, tags={"champion.notebook": name})
        begun = looks.begin(settings, recipe(seed=seed), window=(FIRST, LAST), data=DATA, source=name, run=run)
        begun.complete(scores(seed), active(seed), {"rank_ic": 0.01})
        (page := tmp_path / str(seed) / "notebook" / f"{name}.html").parent.mkdir(parents=True)
        page.write_text("<p>a page</p>")
        runs.log_files(settings, run, tmp_path / str(seed))
        runs.close_run(settings, run, "succeeded", metrics={"rank_ic": 0.01})
    trials.declare(settings, 3, "a spreadsheet")
    ledger.write_anchor(settings)
    counted, held, lines = trials.count(settings), trials.matrix(settings), facts(settings)
    assert counted == trials.Count(5, 2)
    moved = Settings(home=tmp_path / "on another disk" / "home")
    moved.home.parent.mkdir()
    settings.home.rename(moved.home)

    found = runs.find_runs(moved, limit=None)
    assert len(found) == 2
    expired = record_retention.prune(moved.model_copy(update={"pages_days": 1}), date(2099, 1, 1))
    assert [one.name for one in expired] == [one.run_id for one in found if one.name == "portfolio"]
    client = store.prepare(moved)
    for one in found:
        client.delete_run(one.run_id)
    client.delete_experiment(client.get_experiment_by_name(trials.EXPERIMENT).experiment_id)  # type: ignore[union-attr]
    for one in found:  # as `mlflow gc` does
        client._tracking_client.store._hard_delete_run(one.run_id)
    shutil.rmtree(moved.artifacts, ignore_errors=True)
    assert runs.find_runs(moved, limit=None) == []

    assert (trials.count(moved), facts(moved)) == (counted, lines)
    assert trials.matrix(moved).equals(held)
    look(moved, recipe(seed=3), seed=3)
    assert trials.count(moved) == trials.Count(6, 3), "the next trial is added to the same ledger"
    path = moved.home / "trials.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    with pytest.raises(ModelError, match="the rest is missing"):
        trials.count(moved)


def test_series_are_the_same_file_for_the_same_returns(settings: Settings) -> None:
    held = series.known(active(1))
    digest = series.put(settings, held)
    assert series.put(settings, held) == digest
    stored = series.get(settings, digest)
    assert stored is not None
    assert stored.equals(held)
    assert series.get(settings, "0" * 64) is None
