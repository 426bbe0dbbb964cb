"""The gate: its requirements for a challenger, and how often chance passes it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

from champion.modeling.metrics import summarise_ic
from champion.tracking.promotion import Rules, gate

GOOD = {"rank_ic": 0.04, "rank_ic_t": 3.0, "sessions": 200.0, "horizon": 5.0}
WORSE = {**GOOD, "rank_ic": 0.02}
AHEAD = {"rank_ic": 0.02, "rank_ic_t": 2.5, "sessions": 200.0, "horizon": 5.0}


@pytest.mark.parametrize(
    ("challenger", "champion", "paired", "canary", "says"),
    [
        (GOOD, None, None, True, None),
        (GOOD, WORSE, AHEAD, True, None),
        (GOOD, {**GOOD, "rank_ic": 0.03}, AHEAD, True, None),
        (GOOD, {**GOOD, "rank_ic": 0.0301}, AHEAD, True, "rank IC 0.0400 is below 0.0401"),
        (GOOD, WORSE, {**AHEAD, "rank_ic_t": 1.9}, True, "paired t-statistic 1.90 is below 2.02: it may be chance"),
        (GOOD, WORSE, {**AHEAD, "rank_ic_t": float("nan")}, True, "it may be chance"),
        (GOOD, WORSE, None, True, "not compared session by session"),
        ({**GOOD, "rank_ic": 0.0}, None, None, True, "not above 0"),
        ({**GOOD, "rank_ic": float("nan")}, None, None, True, "not above 0"),
        ({**GOOD, "rank_ic_t": 2.01}, None, None, True, "t-statistic 2.01 is below 2.02"),
        ({**GOOD, "sessions": 20.0}, None, None, True, "below 3.18"),  # four observations are not much
        ({**GOOD, "sessions": 5.0}, None, None, True, "below inf"),
        ({**GOOD, "rank_ic": -0.01}, {**GOOD, "rank_ic": -0.05}, AHEAD, True, "not above 0"),
        (GOOD, {**GOOD, "sessions": 100.0}, AHEAD, True, "on 200 sessions, the champion on 100"),
        (GOOD, None, None, False, "leakage check"),
        (GOOD, None, None, None, "not run"),
        ({"rank_ic": 0.1}, None, None, True, "has no rank_ic_t, sessions"),
        (GOOD, {"sessions": 200.0}, AHEAD, True, "the champion has no rank_ic"),
    ],
)
def test_gate_decisions_and_reasons(
    challenger: dict[str, float],
    champion: dict[str, float] | None,
    paired: dict[str, float] | None,
    canary: bool | None,
    says: str | None,
) -> None:
    decision = gate(challenger, champion, paired=paired, rules=Rules(margin=0.01, level=0.025), canary=canary)
    assert decision.promote is (says is None)
    assert says is None or says in "; ".join(decision.reasons)


@pytest.mark.parametrize("level", [0.025, 0.1])
def test_worthless_scores_pass_the_gate_at_the_stated_rate(level: float) -> None:
    """Rank ICs of worthless scores over overlapping labels, with 60 sessions only."""
    rng, tries, passed, rules = np.random.default_rng(11), 1000, 0, Rules(level=level)
    for _ in range(tries):
        daily = np.convolve(rng.normal(size=64), np.ones(5) / 5, mode="valid")
        found = summarise_ic(pl.DataFrame({"ic": daily}), horizon=5)
        judged = {"rank_ic": found["mean"], "rank_ic_t": found["t"], "sessions": found["sessions"], "horizon": 5.0}
        passed += gate(judged, None, rules=rules, canary=True).promote
    assert binom.ppf(0.001, tries, level / 2) <= passed <= binom.ppf(0.999, tries, 1.5 * level)
