"""Does the workbench believe in noise? Simulated archives without and with a planted signal, through the whole gate.

    python benchmarks/evidence/noise.py [--seeds 20] [--planted 5] [--write docs/noise.md]

For each seed an archive is simulated and taken from zip to features, a logistic model is trained, judged by the
canaries, registered, and put before the gate of a workspace of its own. Without a signal the AUC must be centred on one
half within its error and the gate must refuse; with one it must be found and promoted, with a rank IC near what the
simulation planted, which is drawn from the simulation's equations, not from its archives. The gate's own error rate is
then measured on many scores that are worthless by construction, held against the returns of the same archives. Exits 1
where one of these does not hold.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import beta, rankdata, t as student

from benchmarks.backfill import backfill
from champion.lake import Lake
from champion.modeling import leakage_checks, metrics, training
from champion.modeling.estimators import Recipe
from champion.modeling.splits import PurgedWalkForward
from champion.modeling.universe import find
from champion.pipeline.ingest.datasets import PUBLICATIONS
from champion.pipeline.models import frames
from champion.pipeline.models.evaluate import CANARY, evaluate_and_promote
from champion.pipeline.models.register import Task, register_challenger
from champion.settings import Settings
from champion.simulate import publish
from champion.simulate.market import MARKET_VOLATILITY, MEMORY, REVERSAL, SECTOR_VOLATILITY
from champion.simulate.universe import build
from champion.tracking import promotion, runs
from champion.tracking.promotion import Rules

START, END, INSTRUMENTS, HORIZON = date(2023, 1, 2), date(2024, 6, 28), 60, 5
SPLITTER = PurgedWalkForward(4, HORIZON, HORIZON, lag=frames.LAG)
UNIVERSE = find("all")
PLANTED = 0.5
WORTHLESS = 50  # score sets a seed that last, and as many that are drawn anew each session


@dataclass(frozen=True, slots=True)
class Found:
    """What one seed's workspace found, and what the gate said."""

    signal: float
    seed: int
    auc: float
    rank_ic: float
    t: float
    promoted: bool
    canary: bool
    fooled_lasting: int
    fooled_anew: int
    planted: float
    reachable: float
    seconds: float


def one(seed: int, signal: float, folder: Path) -> Found:
    """Return what a workspace made from a simulated archive finds in it."""
    begun = time.perf_counter()
    archive = publish(folder / "archive", instruments=INSTRUMENTS, start=START, end=END, seed=seed, signal=signal)
    settings = Settings(home=folder / "home", archive=str(archive.root))
    backfill(settings, START, END, publications=PUBLICATIONS[:1])  # bars are all that a model here learns from
    lake, inputs, recipe = Lake(settings.lake), frames.inputs(), Recipe("logistic", seed=seed)
    frame = frames.training_frame(lake, START, END, horizon=HORIZON, universe=UNIVERSE)
    result = training.fit(frame, recipe, inputs, SPLITTER)
    sessions = frame["trade_date"].unique().sort()
    anew = frames.recompute_inputs(lake, [sessions[len(sessions) // 2], sessions[-1]], universe=UNIVERSE)
    heard = leakage_checks.LeakageChecks(
        leakage_checks.shuffled_label_check(frame, recipe, inputs, SPLITTER),
        leakage_checks.implausible_inputs(frame, inputs, HORIZON),
        leakage_checks.lookahead_check(frame, anew, inputs),
    )
    decision = _decided(settings, result, frame, folder, canary=heard.passed)
    planted, reachable = truth(seed, signal)
    return Found(
        signal, seed, result.metrics["auc"], result.metrics["rank_ic"], result.metrics["rank_ic_t"], decision,
        heard.passed, *fooled(result.out_of_sample, seed), planted, reachable, time.perf_counter() - begun,
    )  # fmt: skip


def _decided(
    settings: Settings, result: training.TrainingResult, frame: pl.DataFrame, folder: Path, *, canary: bool
) -> bool:
    """Return whether the gate made the model champion: registered, recorded and considered as the flow does."""
    run_id = runs.open_run(settings, "equity-price-prediction", "training")
    tables = folder / "result" / "tables"
    tables.mkdir(parents=True)
    result.out_of_sample.write_parquet(tables / "out_of_sample.parquet")
    runs.log_files(settings, run_id, folder / "result", "result")
    runs.close_run(settings, run_id, "succeeded", metrics={CANARY: float(canary)})
    task = Task(UNIVERSE, HORIZON, frames.LAG)
    version = register_challenger(settings, result, frame, task, run_id=run_id)
    return bool(evaluate_and_promote(settings, version.number)["promoted"])


def fooled(out_of_sample: pl.DataFrame, seed: int) -> tuple[int, int]:
    """Return how many of `WORTHLESS` score sets the gate would have made the first champion: lasting, drawn anew.

    Opinions that last are those of slow inputs; their coefficients overlap as much as the labels do.
    """
    rng = np.random.default_rng((seed, 99))
    names = out_of_sample["instrument_id"].unique().sort()
    place = out_of_sample["instrument_id"].replace_strict(names, range(len(names))).to_numpy()
    lasting = sum(_believed(out_of_sample, rng.normal(size=len(names))[place]) for _ in range(WORTHLESS))
    return lasting, sum(_believed(out_of_sample, rng.normal(size=out_of_sample.height)) for _ in range(WORTHLESS))


def _believed(out_of_sample: pl.DataFrame, scores: NDArray[np.float64]) -> bool:
    found = metrics.summarise_ic(metrics.rank_ic(out_of_sample.with_columns(score=pl.Series(scores))), HORIZON)
    judged = {"rank_ic": found["mean"], "rank_ic_t": found["t"], "sessions": found["sessions"], "horizon": HORIZON}
    return promotion.gate(judged, None, rules=Rules(), canary=True).promote


def truth(seed: int, signal: float, sessions: int = 4000) -> tuple[float, float]:
    """Return the mean rank IC of who knows the hidden state of the market, and of who ranks by the last 5 sessions.

    Drawn here from the equations the simulation states (own returns revert by `REVERSAL` per unit of signal of their
    last `MEMORY` sum), independently of the archive and of everything that reads it.
    """
    shares = [instrument for instrument in build(INSTRUMENTS, seed) if instrument.is_equity]
    rng, count, pull = np.random.default_rng((seed, 1)), len(shares), REVERSAL * signal
    volatility, beta = np.array([s.volatility for s in shares]), np.array([s.beta for s in shares])
    sector = np.array([s.sector for s in shares])
    own, total = np.zeros((sessions, count)), np.zeros((sessions, count))
    for day in range(sessions):
        own[day] = volatility * rng.normal(size=count) - pull * own[max(0, day - MEMORY) : day].sum(axis=0)
        common = beta * MARKET_VOLATILITY * rng.normal()
        total[day] = common + SECTOR_VOLATILITY * rng.normal(size=sector.max() + 1)[sector] + own[day]
    known, seen = [], []
    for day in range(MEMORY, sessions - HORIZON - frames.LAG, HORIZON):
        ahead = list(own[day - MEMORY + 1 : day + 1])
        for _ in range(frames.LAG + HORIZON):  # what is expected: the same equation without its shocks
            ahead.append(-pull * np.sum(ahead[-MEMORY:], axis=0))
        expected = np.sum(ahead[MEMORY + frames.LAG :], axis=0)
        came = rankdata(total[day + 1 + frames.LAG : day + 1 + frames.LAG + HORIZON].sum(axis=0))
        known.append(_correlation(expected, came))
        seen.append(_correlation(-total[day - MEMORY + 1 : day + 1].sum(axis=0), came))
    return float(np.mean(known)), float(np.mean(seen))


def _correlation(score: NDArray[np.float64], came: NDArray[np.float64]) -> float:
    return float(np.corrcoef(rankdata(score), came)[0, 1]) if score.std() > 0 else 0.0


def verdicts(noise: list[Found], planted: list[Found]) -> list[tuple[bool, str]]:
    """Return what must hold and whether it does."""
    aucs = np.array([one.auc for one in noise])
    mean, wide = aucs.mean(), _wide(aucs)
    said = f"without a signal the AUC over {len(noise)} seeds is {mean:.4f} ± {wide:.4f} (95%): one half is within it"
    lasting, anew = sum(one.fooled_lasting for one in noise), sum(one.fooled_anew for one in noise)
    return [
        (abs(mean - 0.5) <= wide, said),
        _rate("worthless models", sum(one.promoted for one in noise), len(noise)),
        _rate("worthless score sets whose opinions last", lasting, WORTHLESS * len(noise)),
        _rate("worthless score sets drawn anew each session", anew, WORTHLESS * len(noise)),
        (all(one.canary for one in [*noise, *planted]), "the canaries were quiet on every archive"),
        *(_signal(planted) if planted else []),
    ]


def _rate(what: str, taken: int, tried: int) -> tuple[bool, str]:
    """Return whether the gate's stated rate lies above the lower bound of what was measured (Clopper and Pearson)."""
    level = Rules().level
    low = float(beta.ppf(0.025, taken, tried - taken + 1)) if taken else 0.0
    high = float(beta.ppf(0.975, taken + 1, tried - taken)) if taken < tried else 1.0
    return low <= level, (
        f"the gate took {taken} of {tried:,} {what}: {taken / tried:.2%}, between {low:.2%} and {high:.2%} with 95% "
        f"confidence; stated is at most {level:.1%}"
    )


def _signal(planted: list[Found]) -> list[tuple[bool, str]]:
    """Return whether the signal was found, and is as strong as it can be.

    Nobody beats who knows the hidden state but by luck; a model that learns from a year of 60 shares may lose three
    tenths to the plain rule that it has to find.
    """
    ics = np.array([one.rank_ic for one in planted])
    ours, wide = ics.mean(), _wide(ics)
    hidden, reachable = (np.mean([getattr(one, name) for one in planted]) for name in ("planted", "reachable"))
    through = sum(one.promoted for one in planted)
    promoted = f"a planted signal of {PLANTED:g} was found and promoted in {through} of {len(planted)} seeds"
    near = (
        f"its measured rank IC is {ours:.4f} ± {wide:.4f} (95%); planted is {hidden:.4f} for who knows the market's "
        f"hidden state, {reachable:.4f} for who ranks by the past {MEMORY} sessions' return"
    )
    return [(through == len(planted), promoted), (bool(0.7 * reachable <= ours <= hidden + wide), near)]


def _wide(values: NDArray[np.float64]) -> float:
    """Return half of the 95% confidence interval of a mean."""
    return float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))


def page(noise: list[Found], planted: list[Found], held: list[tuple[bool, str]]) -> str:
    """Return the report as Markdown."""
    intro = f"""# Noise

Written by `benchmarks/evidence/noise.py`: simulated archives of {INSTRUMENTS} instruments, {START} to {END}, from zip to gate,
logistic models, label and trade at the next close over {HORIZON} sessions. What is planted is drawn from the
simulation's own equations, without its archives. The gate counts every fifth session only, as labels overlap: scores
that last, whose coefficients overlap as much, are believed at its stated rate at most; scores drawn anew each session,
whose coefficients do not, hardly ever.
"""
    lines = [intro, *(f"- {'holds' if yes else '**does not hold**'}: {text}" for yes, text in held), ""]
    for title, rows in (("No signal", noise), (f"Signal {PLANTED:g}", planted)):
        lines += [f"## {title}", "", "| seed | AUC | rank IC | t | gate | planted IC | reachable IC | s |"]
        lines += ["|---|---|---|---|---|---|---|---|"]
        lines += [_row(one) for one in rows]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _row(one: Found) -> str:
    gate = "promoted" if one.promoted else "refused"
    skill = f"{one.auc:.4f} | {one.rank_ic:.4f} | {one.t:.2f} | {gate}"
    return f"| {one.seed} | {skill} | {one.planted:.4f} | {one.reachable:.4f} | {one.seconds:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--planted", type=int, default=5)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--results", type=Path, help="keeps each seed as it ends; what is there is not done again")
    parser.add_argument("--most", type=int, help="seeds done in this run")
    given = parser.parse_args()
    wanted = [(0.0, seed + 1) for seed in range(given.seeds)] + [(PLANTED, seed + 1) for seed in range(given.planted)]
    lines = given.results.read_text().splitlines() if given.results and given.results.exists() else []
    kept = {(one["signal"], one["seed"]): Found(**one) for one in map(json.loads, lines)}
    for signal, seed in [each for each in wanted if each not in kept][: given.most]:
        with tempfile.TemporaryDirectory(prefix="champion-noise-") as folder:
            kept[signal, seed] = one(seed, signal, Path(folder))
        print(kept[signal, seed], flush=True)
        if given.results:
            with given.results.open("a") as stream:
                stream.write(json.dumps(asdict(kept[signal, seed])) + "\n")
    if missing := [each for each in wanted if each not in kept]:
        print(f"{len(missing)} seeds are left: run it again with the same --results")
        return
    noise, planted = ([kept[each] for each in wanted if (each[0] > 0) is strong] for strong in (False, True))
    held = verdicts(noise, planted)
    for yes, text in held:
        print("holds:" if yes else "DOES NOT HOLD:", text)
    if given.write:
        given.write.write_text(page(noise, planted, held))
    raise SystemExit(0 if all(yes for yes, _ in held) else 1)


if __name__ == "__main__":
    main()
