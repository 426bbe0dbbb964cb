"""Which target should be the default? Each target, model and horizon on the real sessions of 2019 to 2022.

`CHAMPION_HOME=HOME .venv/bin/python -m benchmarks.evidence.default_target --work FOLDER [--cases N ...]` needs bars,
features and lists of 2019 to 2022 in the workspace, and reads nothing later. Each case is a purged walk-forward on the
universe `liquid`, the rank IC that is left after volatility, beta, liquidity and sector, and the account of the default
long-only rule after costs. No model is registered and no trial is recorded: `champion trials declare` adds them. FOLDER
keeps each case, so a run that was stopped continues with the next one. All cases together take about 20 CPU minutes.

A classifier learns whether a row is above the session's median. `rank` and `excess` are monotone in the forward return,
so for a classifier they are the target `above_median`, and only `residual` differs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks import meter
from champion.lake import Lake
from champion.modeling import metrics, styles, training
from champion.modeling.estimators import Recipe
from champion.modeling.splits import PurgedWalkForward
from champion.modeling.styles import SECTOR, STYLES
from champion.modeling.targets import TARGET, TARGETS, add_target
from champion.modeling.universe import find
from champion.pipeline.models import frames, portfolio, styled, trials
from champion.portfolio.construction import Rule
from champion.settings import Settings
from champion.settings.quality_limits import Limits

FIRST, LAST = date(2019, 1, 1), date(2022, 12, 30)
SPLITS, EMBARGO, SEED = 5, 5, 7
HORIZONS = (5, 20)
SMALL = {"max_iter": 50}
MODELS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "ridge": ({}, TARGETS),
    "logistic": ({}, ("above_median", "residual")),
    "hist_gradient_boosting": (SMALL, ("above_median", "residual")),
    "hist_gradient_boosting_regression": (SMALL, ("rank", "excess", "residual")),
}
"""Parameters and targets of each model, the cheapest first."""
_KEY = ["instrument_id", "trade_date"]


@dataclass(frozen=True, slots=True)
class Case:
    """One model with one target over one horizon."""

    model: str
    target: str
    horizon: int

    @property
    def name(self) -> str:
        """Model, target and horizon, as in the table."""
        return f"{self.model} {self.target} {self.horizon}"


def cases() -> list[Case]:
    """Return all cases; those of a horizon stand together, because they share its frame."""
    return [
        Case(model, target, horizon)
        for horizon in HORIZONS
        for model, (_, targets) in MODELS.items()
        for target in targets
    ]


def judged(lake: Lake, frame: pl.DataFrame, one: Case, work: Path) -> dict[str, float]:
    """Return the figures of a case, and write its daily net active returns."""
    recipe = Recipe(one.model, MODELS[one.model][0], seed=SEED, target=one.target)
    splitter = PurgedWalkForward(SPLITS, one.horizon, EMBARGO, lag=frames.LAG)
    result = training.fit(add_target(frame, one.target), recipe, frames.inputs(), splitter)
    known = frame.select(*_KEY, *STYLES, SECTOR)
    tested = result.out_of_sample.join(known, on=_KEY, how="left", maintain_order="left")
    neutral = metrics.summarise_ic(styles.neutral_ic(tested), one.horizon)
    volatility = styles.exposures(tested, STYLES[:1]).row(0, named=True)["correlation"]
    account = portfolio.simulate(result.scores, Rule(), end=LAST, lake=lake)
    account.active.write_parquet(work / f"{one.name}.parquet")
    growth, sharpe = trials.figures(account.active["active"])
    return {
        "net_active_return": growth,
        "sharpe": sharpe,
        "neutral_ic": neutral["mean"],
        "neutral_ic_t": neutral["t"],
        "rank_ic": result.metrics["rank_ic"],
        "volatility": volatility,
        "sessions": float(account.active.height),
    }


def shared_frame(settings: Settings, horizon: int) -> pl.DataFrame:
    """Return the training frame of a horizon with the styles and sectors as known on each session."""
    frame = frames.kept_training_frame(
        settings, FIRST, LAST, horizon=horizon, universe=find("liquid"), limits=Limits.of(settings)
    )
    return styled.with_styles(Lake(settings.lake), frame).drop(TARGET, strict=False)


def against(work: Path, one: Case, other: Case) -> tuple[float, float]:
    """Return the mean difference of daily net active returns a year, one less other, and its t statistic."""
    pair = [pl.read_parquet(work / f"{each.name}.parquet") for each in (one, other)]
    both = pair[0].join(pair[1], on="trade_date", suffix="_other")
    gap = both["active"] - both["active_other"]
    mean, spread = float(gap.mean() or 0.0), float(gap.std() or 0.0)  # type: ignore[arg-type]
    return mean * metrics.SESSIONS_PER_YEAR, mean / spread * len(gap) ** 0.5 if spread else float("nan")


def rows(work: Path, results: list[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
    """Yield the lines of the table: figures, and the difference to the first target of the same model and horizon."""
    done = {Case(**each["case"]): each["figures"] for each in results}
    for one in cases():
        if one not in done:
            continue
        found = done[one]
        first = Case(one.model, MODELS[one.model][1][0], one.horizon)
        gap = (None, None) if first == one or first not in done else against(work, one, first)
        shown = [100 * found[name] if name == "net_active_return" else found[name] for name in _COLUMNS]
        yield (one.name, *shown, None if gap[0] is None else 100 * gap[0], gap[1])


_COLUMNS = ("net_active_return", "sharpe", "neutral_ic", "neutral_ic_t", "rank_ic", "volatility")


def main() -> None:
    given = meter.arguments(__doc__, {"--work": Path}, cases=[0])
    given.work.mkdir(parents=True, exist_ok=True)
    settings, kept = Settings(), given.work / "results.jsonl"
    wanted = [one for number, one in enumerate(cases(), start=1) if given.cases == [0] or number in given.cases]
    for horizon in HORIZONS:
        done = {Case(**each["case"]) for each in meter.read_lines(kept)}
        missing = [one for one in wanted if one.horizon == horizon and one not in done]
        if not missing:
            continue
        frame, cost = meter.measured(partial(shared_frame, settings, horizon))
        print(f"frame of horizon {horizon}: {frame.height:,} rows, {cost.cpu:.0f} CPU s", flush=True)
        for one in missing:
            figures, cost = meter.measured(partial(judged, Lake(settings.lake), frame, one, given.work))
            meter.append_line(kept, {"case": asdict(one), "figures": figures, "cost": asdict(cost)})
            print(f"{one.name}: {cost.cpu:.0f} CPU s, {figures}", flush=True)
    columns = ("case", "net active %", "Sharpe", "neutral IC", "t", "rank IC", "volatility", "less first %", "t")
    meter.print_table(f"universe liquid, {FIRST} to {LAST}", columns, list(rows(given.work, meter.read_lines(kept))))


if __name__ == "__main__":
    main()
