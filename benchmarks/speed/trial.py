"""What one trial costs, with a frame that is built first and with a kept one: the stages of the training notebook.

`CHAMPION_HOME=HOME .venv/bin/python benchmarks/speed/trial.py [--model NAME] [--universe NAME] [--start DATE]
[--end DATE] [--json PATH]` needs bars and features in the workspace. It removes the kept frames of the workspace, then
measures two trials, each in a separate process, like the notebook's kernel. No model is registered and no trial is
recorded. The digest of the scores shows whether both trials, or two versions of Champion, give the same scores.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TypeVar

from benchmarks import meter
from champion.lake import Lake
from champion.modeling.universe import find
from champion.pipeline.feature_store.frame_cache import FrameCache
from champion.pipeline.models import frames
from champion.settings import Settings
from champion.settings.quality_limits import Limits

HORIZON, SPLITS = 5, 5
PASSIVE = {"OMP_WAIT_POLICY": "passive"}
"""As in the environment of a kernel."""
_PEAKS = (3, 6)  # columns of the table
Result = TypeVar("Result")


def trial(model: str, universe: str, start: date, end: date) -> dict[str, object]:
    """Return CPU seconds, wall seconds and peak MB of each stage, and the digest of the scores."""
    from champion import portfolio  # noqa: PLC0415 - as in the kernel: the caller needs none of these
    from champion.modeling import leakage_checks, metrics, styles, training  # noqa: PLC0415
    from champion.modeling.estimators import Recipe  # noqa: PLC0415
    from champion.modeling.splits import PurgedWalkForward  # noqa: PLC0415
    from champion.pipeline.models import looks, portfolio_report, styled  # noqa: PLC0415

    settings, chosen, inputs = Settings(), find(universe), frames.inputs()
    lake, costs = Lake(settings.lake), dict[str, meter.Cost]()

    def stage(name: str, call: Callable[[], Result]) -> Result:
        result, costs[name] = meter.measured(call)
        print(name, costs[name], file=sys.stderr, flush=True)
        return result

    recipe, splitter = Recipe(model), PurgedWalkForward(SPLITS, HORIZON, HORIZON, lag=frames.LAG)
    asked = {"horizon": HORIZON, "universe": chosen, "limits": Limits.of(settings)}
    frame = stage("gates and frame", lambda: frames.kept_training_frame(settings, start, end, **asked))  # type: ignore[arg-type]
    result = stage("walk-forward and final fit", lambda: training.fit(frame, recipe, inputs, splitter))
    tested = result.out_of_sample
    stage("rank IC and quantiles", lambda: (metrics.rank_ic(tested), metrics.quantile_returns(tested)))
    stage("styles and neutral IC", lambda: styles.neutral_ic(styled.with_styles(lake, tested)))
    stage(
        "simulated account",
        lambda: portfolio_report.simulated(lambda: portfolio.simulate(result.scores, end=end, lake=lake), lake).metrics,
    )
    days = frame["trade_date"].unique().sort()
    some = [days[len(days) // 2], days[-1]]
    recomputed = stage("inputs recomputed", lambda: frames.kept_recomputed_inputs(settings, some, universe=chosen))
    stage("shuffled labels", lambda: leakage_checks.shuffled_label_check(frame, recipe, inputs, splitter))
    stage("each input alone", lambda: leakage_checks.implausible_inputs(frame, inputs, HORIZON))
    leakage_checks.lookahead_check(frame, recomputed, inputs)
    figures = {"scores": looks.fingerprint(result.scores), "rank_ic": result.metrics["rank_ic"], "rows": frame.height}
    return {"stages": {name: [cost.cpu, cost.wall, cost.peak_mb] for name, cost in costs.items()}, **figures}


def main() -> None:
    """Measure both trials and print their stages side by side."""
    chosen = meter.arguments(
        __doc__, model="hist_gradient_boosting", universe="all", start=date(2019, 1, 1), end=date(2024, 12, 31),
        json=Path, inside=False,
    )  # fmt: skip
    words = (chosen.model, chosen.universe, chosen.start, chosen.end)
    if chosen.inside:
        print(json.dumps(trial(*words)))
        return
    FrameCache.of(Settings()).trim(0)
    options = [f"--{name}={value}" for name, value in zip(("model", "universe", "start", "end"), words, strict=True)]
    command = [sys.executable, Path(__file__).resolve(), *options, "--inside"]
    home = {"CHAMPION_HOME": str(Settings().home.resolve()), "PYTHONPATH": os.pathsep.join(sys.path)}
    reports = [meter.json_of(command, PASSIVE | home) for _ in range(2)]
    first, kept = (report["stages"] for report in reports)
    rows = [(name, *first[name], *kept[name]) for name in first]
    totals = [max if column in _PEAKS else sum for column in range(1, 7)]
    rows.append(("all", *(total(row[column] for row in rows) for column, total in enumerate(totals, start=1))))
    columns = ("stage", "CPU s", "wall s", "peak MB", "kept: CPU s", "wall s", "peak MB")
    meter.print_table(f"{' '.join(map(str, words))}; {reports[0]['rows']:,} rows; {meter.machine()}", columns, rows)
    print(f"scores {'equal' if reports[0]['scores'] == reports[1]['scores'] else 'DIFFER'}: {reports[0]['scores']}")
    meter.write_json(chosen.json, reports)


if __name__ == "__main__":
    main()
