"""How many models does the gate promote from archives without signal, by real trainings from command to ledger?

`.venv/bin/python -m benchmarks.evidence.gate_archives --folder FOLDER [--archives 20] [--trainings 50] [--most N]`
simulates archives whose prices are martingales, and processes each from zip to features in its own workspace. In each
it runs the notebooks `training` and `promotion`, as `champion train` does, for recipes that differ in model, target,
horizon and number of instruments, and carries out the decision. So the trial ledger counts them, and each decision has
what is left of the level. Every promotion is printed with its figures. Results are in FOLDER, so a stopped run
continues where it was, also after a kill in the middle of a training; `--most` ends a run after N trainings. A
workspace may promote anything at a rate of 2.5%, so 4 or more of 20 archives promote something in 0.2% of the runs of
this script; then the exit code is 1.
"""

import itertools
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binom

from benchmarks import meter
from benchmarks.backfill import backfill
from benchmarks.evidence import gate_error_rate
from champion.lake import Lake
from champion.pipeline.ingest.datasets import PUBLICATIONS
from champion.pipeline.models import evaluate, notebook_data, trials
from champion.runner import Execution, NotebookRequest, run_notebook
from champion.settings import Settings
from champion.simulate import publish
from champion.tracking import promotion

START, END, INSTRUMENTS, UNIVERSE = date(2023, 1, 2), date(2024, 6, 28), 60, "all"
RARE = 0.01  # a count of archives that a sound gate exceeds at this rate
_MODELS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    *(("logistic", {"C": strength}) for strength in (0.001, 0.01, 0.1, 1.0)),
    *(("ridge", {"alpha": strength}) for strength in (1.0, 100.0, 10_000.0)),
)
_TARGETS, _HORIZONS, _TOPS = ("above_median", "rank", "excess"), (5, 10, 20), (10, 20)


@dataclass(frozen=True, slots=True)
class Trained:
    """One training of an archive: the version, what the gate decided, the rules that refused, and the cost."""

    archive: int
    training: int
    recipe: str
    version: int
    promoted: bool
    refused_by: str
    sharpe: float | None
    needed: float | None
    trials: int
    cpu: float


def recipes(count: int) -> list[dict[str, Any]]:
    """Return the parameters of the trainings, in an order that mixes all choices."""
    every = list(itertools.product(_MODELS, _TARGETS, _HORIZONS, _TOPS))
    order = np.random.default_rng(21).permutation(len(every))[:count]
    return [
        {"model": model, "model_parameters": dict(options), "target": target, "horizon": horizon, "top": top}
        for (model, options), target, horizon, top in (every[place] for place in order)
    ]


def workspace(folder: Path, archive: int) -> Settings:
    """Return the workspace of an archive; what an earlier run has finished is not made again."""
    place = folder / f"archive-{archive}"
    settings, done = Settings(home=place / "home", archive=str(place / "files")), place / "processed"
    if not done.exists():
        publish(place / "files", instruments=INSTRUMENTS, start=START, end=END, seed=archive, martingale="price")
        backfill(settings, START, END, publications=PUBLICATIONS[:1])  # models learn from bars alone
        done.touch()
    return settings


def train(settings: Settings, archive: int, training: int, chosen: Mapping[str, Any]) -> Trained:
    """Train one recipe, ask the gate, and return its decision."""
    lake = Lake(settings.lake)
    span = {"start": START.isoformat(), "as_of": lake.sessions("normalized_equity_ohlc")[-1].isoformat()}
    given = {**span, **chosen, "universe": UNIVERSE}
    read = notebook_data.of_training(lake, date.fromisoformat(span["as_of"]), "v1", UNIVERSE)

    def run() -> dict[str, Any]:
        trained = run_notebook(settings, NotebookRequest("training", given, inputs=read.inputs))
        version = int(trained.values["version"])
        if not evaluate.has_decision(settings, version):  # a run that was killed after the decision has one
            evaluate.promote_with_report(settings, version, lambda: _report(settings, version))
        return {"version": version}

    found, cost = meter.measured(run)
    decision = [one for one in promotion.history(settings) if one.version == found["version"]][-1]
    rules = {one["rule"]: one for one in decision.evidence["rules"]}
    refused = ", ".join(name for name, one in rules.items() if not one["passed"])
    luck, text = rules["luck"], f"{chosen['model']} {chosen['model_parameters']}, {chosen['target']}"
    text = f"{text}, {chosen['horizon']} sessions, top {chosen['top']}"
    is_promoted, counted = decision.state == "done", int(decision.evidence[trials.TRIALS])
    figures = (luck["figure"], luck["threshold"], counted, round(cost.cpu, 1))
    return Trained(archive, training, text, found["version"], is_promoted, refused, *figures)


def _report(settings: Settings, version: int) -> Execution:
    data = notebook_data.of_promotion(settings, version)
    return run_notebook(settings, NotebookRequest("promotion", {"version": version}, inputs=data.inputs))


def table(found: list[Trained]) -> list[str]:
    """Return a row per archive as Markdown: trainings, promotions, how often each rule refused, and CPU seconds."""
    names = ("data", "luck", "neutral skill", "champion")
    lines = [f"| archive | trainings | promoted | {' | '.join(f'{name} refused' for name in names)} | CPU s each |"]
    lines += ["|---" * (len(names) + 4) + "|"]
    for archive in sorted({one.archive for one in found}):
        part = [one for one in found if one.archive == archive]
        counts = [sum(name in one.refused_by.split(", ") for one in part) for name in names]
        promoted, cpu = sum(one.promoted for one in part), sum(one.cpu for one in part) / len(part)
        lines.append(f"| {archive} | {len(part)} | {promoted} | {' | '.join(map(str, counts))} | {cpu:.0f} |")
    return lines


def main() -> None:
    given = meter.arguments(__doc__, {"--folder": Path}, archives=20, trainings=50, most=10_000)
    meter.forget_workspace()
    given.folder.mkdir(parents=True, exist_ok=True)
    results = given.folder / "results.jsonl"
    found = [Trained(**one) for one in meter.read_lines(results)]
    done, chosen = {(one.archive, one.training) for one in found}, recipes(given.trainings)
    wanted = [(archive + 1, number) for archive in range(given.archives) for number in range(len(chosen))]
    for archive, number in [each for each in wanted if each not in done][: given.most]:
        found.append(train(workspace(given.folder, archive), archive, number, chosen[number]))
        meter.append_line(results, found[-1])
        print(found[-1], flush=True)
    print("\n".join(table(found)))
    lucky = {one.archive for one in found if one.promoted}
    for one in (one for one in found if one.promoted):
        print(f"promoted: {one}")
    tried = len({one.archive for one in found})
    low, high = gate_error_rate.interval(len(lucky), tried)
    print(f"{len(lucky)} of {tried} archives promoted something: between {low:.1%} and {high:.1%}")
    if len(lucky) > binom.ppf(1 - RARE, tried, gate_error_rate.LEVEL):
        sys.exit("more archives than chance explains promoted something")


if __name__ == "__main__":
    main()
