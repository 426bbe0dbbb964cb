"""Does the gate refuse the model of 0.2.0 on real files of 2024, and by which rule?

`.venv/bin/python benchmarks/evidence/gate_real.py --home FOLDER` processes the real bhavcopies of 2024 into a
workspace, trains the default model of 0.2.0 (logistic, "above the median" of price returns, universe `liquid` with its
funds) as the notebook does, and prints each rule of the gate for its account. A finished workspace is used again. The
gate of 0.2.0 promoted this model; the exit code is 1 if the gate of today passes it.
"""

from datetime import date
from pathlib import Path

import polars as pl

from benchmarks import meter
from benchmarks.backfill import backfill
from champion.contracts.datasets import FEATURES
from champion.lake import Lake
from champion.modeling import gate_rules, leakage_checks, metrics, training
from champion.modeling.estimators import Recipe
from champion.modeling.splits import PurgedWalkForward
from champion.modeling.universe import Universe
from champion.pipeline.ingest.datasets import PUBLICATIONS
from champion.pipeline.models import frames, portfolio_report, styled
from champion.pipeline.models.portfolio import simulate
from champion.portfolio.construction import Rule
from champion.settings import Settings

FIRST, LAST, HORIZON = date(2024, 1, 1), date(2024, 12, 31), 5
UNIVERSE = Universe(min_turnover=5e6, kinds=())
SPLITTER = PurgedWalkForward(5, HORIZON, HORIZON, lag=frames.LAG)


def main() -> None:
    given = meter.arguments(__doc__, {"--home": Path})
    settings = Settings(home=given.home, archive=str(meter.MIRROR))
    lake, inputs, recipe = Lake(settings.lake), frames.inputs(), Recipe("logistic", seed=7)
    if not lake.sessions(FEATURES):
        backfill(settings, FIRST, LAST, publications=PUBLICATIONS[:1])
    frame = frames.training_frame(lake, FIRST, LAST, horizon=HORIZON, universe=UNIVERSE, returns="price")
    result = training.fit(frame, recipe, inputs, SPLITTER)
    days = frame["trade_date"].unique().sort()
    recomputed = frames.recompute_inputs(lake, [days[len(days) // 2], days[-1]], universe=UNIVERSE)
    checks = leakage_checks.LeakageChecks(
        leakage_checks.shuffled_label_check(frame, recipe, inputs, SPLITTER),
        leakage_checks.implausible_inputs(frame, inputs, HORIZON),
        leakage_checks.lookahead_check(frame, recomputed, inputs),
    )
    ranked = metrics.summarise_ic(metrics.rank_ic(result.out_of_sample), HORIZON)
    print(f"rank IC {ranked['mean']:.4f}, t {ranked['t']:.2f}, {ranked['sessions']:.0f} sessions")
    account = portfolio_report.simulated(lambda: simulate(result.scores, end=LAST, lake=lake), lake)
    print(account.text)
    judged = styled.judged_scores(lake, result.scores, result.out_of_sample, Rule(), HORIZON)
    evidence = gate_rules.Evidence(
        "0.2.0",
        account.active.rename({"active": "0.2.0"}),
        HORIZON,
        HORIZON,
        pl.concat([checks.table, judged.checks]),
        judged.neutral_ic,
        wider=judged.wider,
    )
    found = gate_rules.rules(evidence)
    for rule in found:
        print(f"{rule.name}: {'passed' if rule.passed else 'refused'}. {rule.sentence}")
    raise SystemExit(all(rule.passed for rule in found))


if __name__ == "__main__":
    main()
