"""Does the gate accept noise? Simulated archives without and with a planted signal, from zip to promotion.

`.venv/bin/python benchmarks/evidence/noise.py [--seeds 20] [--planted 5] [--write docs/noise.md] [--results FILE]
[--most N]` simulates an archive for each seed, processes it from zip to features in its own workspace, trains a
logistic model for an account of the best 20 shares, runs the leakage checks, registers the model and evaluates the
gate. Without a signal the mean AUC must be one half within its error, and the gate must refuse. With a signal the
model must be promoted, and its rank IC must be close to the planted IC, which is computed from the equations of the
simulation, not from the simulated archives. The error rate of the rule about rank ICs is measured on many score sets
that are worthless by construction; that of the rule about luck by `gate_error_rate.py`. The exit code is 1 if one of
these conditions does not hold. `--results` keeps each seed, so that a stopped run continues; `--most` limits the
seeds of one run.
"""

import math
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import beta, rankdata, t as student

from benchmarks import meter
from benchmarks.backfill import backfill
from champion.lake import Lake
from champion.modeling import gate_rules, leakage_checks, metrics, training
from champion.modeling.estimators import Recipe
from champion.modeling.splits import PurgedWalkForward
from champion.modeling.universe import find
from champion.pipeline.ingest.datasets import PUBLICATIONS
from champion.pipeline.models import frames, looks, recipes
from champion.pipeline.models.evaluate import CANARY, evaluate_and_promote
from champion.pipeline.models.register import Task, register_challenger
from champion.portfolio.construction import Rule
from champion.portfolio.simulator import MarketRules
from champion.settings import Settings
from champion.simulate import publish
from champion.simulate.market import MARKET_VOLATILITY, MEMORY, REVERSAL, SECTOR_VOLATILITY
from champion.simulate.universe import build
from champion.tracking import runs

START, END, INSTRUMENTS, HORIZON = date(2023, 1, 2), date(2024, 6, 28), 60, 5
SPLITTER = PurgedWalkForward(4, HORIZON, HORIZON, lag=frames.LAG)
UNIVERSE = find("all")
PLANTED = 2.0  # at 1.5 a first decision, at 41% of the level, refuses after charges
CONSTRUCTION = (Rule(top=20), MarketRules())
WORTHLESS = 50  # score sets a seed that stay the same, and as many that are drawn again each session


@dataclass(frozen=True, slots=True)
class Found:
    """The skill that one seed's workspace found, and the decisions of the gate."""

    signal: float
    seed: int
    auc: float
    rank_ic: float
    t: float
    promoted: bool
    canary: bool
    fooled_lasting: int
    fooled_redrawn: int
    planted: float
    reachable: float
    seconds: float


def one(seed: int, signal: float, folder: Path) -> Found:
    """Return the findings of a workspace that is made from a simulated archive."""
    began = time.perf_counter()
    archive = publish(folder / "archive", instruments=INSTRUMENTS, start=START, end=END, seed=seed, signal=signal)
    settings = Settings(home=folder / "home", archive=str(archive.root))
    backfill(settings, START, END, publications=PUBLICATIONS[:1])  # the model learns from bars alone
    lake, inputs, recipe = Lake(settings.lake), frames.inputs(), Recipe("logistic", seed=seed)
    frame = frames.training_frame(lake, START, END, horizon=HORIZON, universe=UNIVERSE)
    result = training.fit(frame, recipe, inputs, SPLITTER)
    sessions = frame["trade_date"].unique().sort()
    recomputed = frames.recompute_inputs(lake, [sessions[len(sessions) // 2], sessions[-1]], universe=UNIVERSE)
    leakage = leakage_checks.LeakageChecks(
        leakage_checks.shuffled_label_check(frame, recipe, inputs, SPLITTER),
        leakage_checks.implausible_inputs(frame, inputs, HORIZON),
        leakage_checks.lookahead_check(frame, recomputed, inputs),
    )
    decision = _decided(settings, result, frame, canary=leakage.passed)
    planted, reachable = truth(seed, signal)
    return Found(
        signal, seed, result.metrics["auc"], result.metrics["rank_ic"], result.metrics["rank_ic_t"], decision,
        leakage.passed, *fooled(result.out_of_sample, seed), planted, reachable, time.perf_counter() - began,
    )  # fmt: skip


def _decided(settings: Settings, result: training.TrainingResult, frame: pl.DataFrame, *, canary: bool) -> bool:
    """Register the model and record its run and trial as the flow does; return whether the gate promoted it."""
    task = Task(UNIVERSE, HORIZON, frames.LAG)
    tried = recipes.constructed(recipes.of_training(task, result.recipe, result.inputs, SPLITTER), *CONSTRUCTION)
    look = looks.begin(settings, tried, window=looks.window(frame), data={}, source="noise")
    look.complete(result.scores, looks.simulated(settings, result.scores, CONSTRUCTION), result.metrics)
    run_id = runs.open_run(settings, "equity-price-prediction", "training")
    runs.close_run(settings, run_id, "succeeded", metrics={CANARY: float(canary)})
    version = register_challenger(settings, result, frame, task, run_id=run_id, look=look)
    return bool(evaluate_and_promote(settings, version.number)["promoted"])


def fooled(out_of_sample: pl.DataFrame, seed: int) -> tuple[int, int]:
    """Return how many of `WORTHLESS` score sets pass the rule about rank ICs: of constant ones, and of redrawn ones.

    Constant scores behave like scores from slow inputs: their IC values overlap as much as the labels do.
    """
    rng = np.random.default_rng((seed, 99))
    names = out_of_sample["instrument_id"].unique().sort()
    place = out_of_sample["instrument_id"].replace_strict(names, range(len(names))).to_numpy()
    lasting = sum(_believed(out_of_sample, rng.normal(size=len(names))[place]) for _ in range(WORTHLESS))
    return lasting, sum(_believed(out_of_sample, rng.normal(size=out_of_sample.height)) for _ in range(WORTHLESS))


def _believed(out_of_sample: pl.DataFrame, scores: NDArray[np.float64]) -> bool:
    ranked = metrics.rank_ic(out_of_sample.with_columns(score=pl.Series(scores)))
    no_series = pl.DataFrame(schema={"trade_date": pl.Date})
    evidence = gate_rules.Evidence("worthless", no_series, HORIZON, HORIZON, neutral_ic=ranked)
    return next(rule.passed for rule in gate_rules.rules(evidence) if rule.name == "neutral skill")


def truth(seed: int, signal: float, sessions: int = 4000) -> tuple[float, float]:
    """Return two mean rank ICs: with the hidden state of the market known, and ranked by the last 5 sessions.

    Computed from the equations of the simulation (own returns revert by `REVERSAL` per unit of signal of the sum of
    their last `MEMORY`), independently of the archive and of everything that reads it.
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
        for _ in range(frames.LAG + HORIZON):  # the expectation: the same equation without its shocks
            ahead.append(-pull * np.sum(ahead[-MEMORY:], axis=0))
        expected = np.sum(ahead[MEMORY + frames.LAG :], axis=0)
        came = rankdata(total[day + 1 + frames.LAG : day + 1 + frames.LAG + HORIZON].sum(axis=0))
        known.append(_correlation(expected, came))
        seen.append(_correlation(-total[day - MEMORY + 1 : day + 1].sum(axis=0), came))
    return float(np.mean(known)), float(np.mean(seen))


def _correlation(score: NDArray[np.float64], came: NDArray[np.float64]) -> float:
    return float(np.corrcoef(rankdata(score), came)[0, 1]) if score.std() > 0 else 0.0


def verdicts(noise: list[Found], planted: list[Found]) -> list[tuple[bool, str]]:
    """Return the statements that must hold, and whether they do."""
    aucs = np.array([one.auc for one in noise])
    mean, wide = aucs.mean(), _wide(aucs)
    centred = f"without a signal the mean AUC of {len(noise)} seeds is {mean:.4f} ± {wide:.4f} (95%), which covers 0.5"
    lasting, redrawn = sum(one.fooled_lasting for one in noise), sum(one.fooled_redrawn for one in noise)
    return [
        (abs(mean - 0.5) <= wide, centred),
        _rate("the gate", "worthless models", sum(one.promoted for one in noise), len(noise)),
        _rate("the rule about rank ICs", "worthless score sets that stay the same", lasting, WORTHLESS * len(noise)),
        _rate(
            "the rule about rank ICs", "worthless score sets drawn again each session", redrawn, WORTHLESS * len(noise)
        ),
        (all(one.canary for one in [*noise, *planted]), "the leakage checks passed on every archive"),
        *(_signal(planted) if planted else []),
    ]


def _rate(judge: str, what: str, taken: int, tried: int) -> tuple[bool, str]:
    """Return whether the stated rate lies above the lower bound of the measured one (Clopper and Pearson)."""
    level = gate_rules.Levels().luck
    low = float(beta.ppf(0.025, taken, tried - taken + 1)) if taken else 0.0
    high = float(beta.ppf(0.975, taken + 1, tried - taken)) if taken < tried else 1.0
    return low <= level, (
        f"{judge} passed {taken} of {tried:,} {what}: {taken / tried:.2%}, between {low:.2%} and {high:.2%} with "
        f"95% confidence; stated: at most {level:.1%}"
    )


def _signal(planted: list[Found]) -> list[tuple[bool, str]]:
    """Return whether the signal was found, and whether its rank IC is in the possible range.

    Only luck gives more than the rank IC with the hidden state known. A model that learns from a year of 60 shares may
    lose three tenths of the IC of the plain rule that it has to find.
    """
    ics = np.array([one.rank_ic for one in planted])
    ours, wide = ics.mean(), _wide(ics)
    hidden, reachable = (np.mean([getattr(one, name) for one in planted]) for name in ("planted", "reachable"))
    through = sum(one.promoted for one in planted)
    promoted = f"a planted signal of {PLANTED:g} was found and promoted in {through} of {len(planted)} seeds"
    near = (
        f"the measured rank IC of these models is {ours:.4f} ± {wide:.4f} (95%); the rank IC would be {hidden:.4f} if "
        f"the hidden state of the market were known, and {reachable:.4f} if shares were ranked by the return of the "
        f"past {MEMORY} sessions"
    )
    return [(through == len(planted), promoted), (bool(0.7 * reachable <= ours <= hidden + wide), near)]


def _wide(values: NDArray[np.float64]) -> float:
    """Return half of the 95% confidence interval of a mean."""
    return float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))


def page(noise: list[Found], planted: list[Found], held: list[tuple[bool, str]]) -> str:
    """Return the report as Markdown."""
    intro = f"""# Noise

Does the gate accept models without predictive power, and does it promote models of a planted signal?
`benchmarks/evidence/noise.py` writes this page. It simulates archives of {INSTRUMENTS} instruments, {START} to {END},
processes them from zip to gate, and trains logistic models for an account of the best 20 shares. Label and trade start
at the next close and last {HORIZON} sessions. The planted IC is computed from the equations of the simulation, not from
its archives. Labels overlap, so the rule about rank ICs uses every fifth session only. IC values of constant score sets
overlap like the labels, and at most the stated share of these sets passes. IC values of score sets drawn again each
session do not overlap, and hardly any passes.
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
    given = meter.arguments(__doc__, seeds=20, planted=5, write=Path, results=Path, most=int)
    wanted = [(0.0, seed + 1) for seed in range(given.seeds)] + [(PLANTED, seed + 1) for seed in range(given.planted)]
    kept = {(one["signal"], one["seed"]): Found(**one) for one in meter.read_lines(given.results)}
    for signal, seed in [each for each in wanted if each not in kept][: given.most]:
        with tempfile.TemporaryDirectory(prefix="champion-noise-") as folder:
            kept[signal, seed] = one(seed, signal, Path(folder))
        print(kept[signal, seed], flush=True)
        meter.append_line(given.results, kept[signal, seed])
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
