"""Styles, neutralised scores and targets: compared with plain loops, and used in training."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from champion.errors import UsageError
from champion.modeling import leakage_checks, styles, targets, training
from champion.modeling.estimators import Recipe
from champion.modeling.metrics import rank_ic, summarise_ic
from champion.modeling.splits import PurgedWalkForward
from champion.modeling.styles import SECTOR, STYLES

FIRST = date(2024, 1, 1)
SESSIONS, INSTRUMENTS = 70, 12


def bars(seed: int = 4) -> pl.DataFrame:
    """Return shuffled bars whose instruments skip sessions; one starts late."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"I{number:02}", FIRST + timedelta(days=session), float(rng.lognormal(4, 0.05)), float(rng.lognormal(15, 1)))
        for number in range(INSTRUMENTS)
        for session in range(55 if number == 0 else 0, SESSIONS)
        if rng.random() < 0.9
    ]
    schema = ["instrument_id", "trade_date", "close", "turnover"]
    return pl.DataFrame(rows, schema=schema, orient="row").sample(fraction=1, shuffle=True, seed=seed)


def panel(seed: int = 2, sessions: int = 60) -> pl.DataFrame:
    """Return scores, returns, styles and sectors of 40 instruments, with unknown cells."""
    rng, count = np.random.default_rng(seed), 40 * sessions
    known = pl.DataFrame({name: rng.uniform(-0.5, 0.5, count) for name in (*STYLES, "score", "forward_return")})
    unknown = pl.Series(rng.random(count) < 0.05)
    return known.with_columns(
        trade_date=pl.Series([FIRST + timedelta(days=n // 40) for n in range(count)]),
        sector=pl.Series(rng.choice(["Energy", "Banks", "Unknown"], count)),
        style_beta=pl.when(~unknown).then("style_beta"),
    )


def test_styles_equal_a_plain_loop_over_own_bars() -> None:
    given, last = bars().sort("trade_date"), FIRST + timedelta(days=SESSIONS - 1)
    moves = {
        (name, day): move
        for name, day, move in given.with_columns(
            move=(pl.col("close") / pl.col("close").shift(1) - 1).over("instrument_id")
        )
        .select("instrument_id", "trade_date", "move")
        .rows()
        if move is not None
    }
    market = {day: np.mean([move for (_, one), move in moves.items() if one == day]) for _, day in moves}
    raw = {}
    for (name,), part in given.partition_by("instrument_id", as_dict=True).items():
        days = [day for day in part["trade_date"] if (name, day) in moves][-60:]
        own, other = [moves[str(name), day] for day in days], [market[day] for day in days]
        if part["trade_date"].max() == last:
            enough = len(days) >= 20
            beta = float(np.cov(own, other, ddof=0)[0, 1] / np.var(other)) if enough else None
            volatility = float(np.std(own, ddof=1)) if enough else None
            raw[name] = volatility, beta, float(np.median(part["turnover"].tail(20))) if part.height >= 20 else None
    found = styles.styles(given).filter(trade_date=last).sort("instrument_id")
    assert found["instrument_id"].to_list() == sorted(raw)
    for place, style in enumerate(STYLES):
        values = pl.Series([raw[name][place] for name in sorted(raw)], dtype=pl.Float64)
        expected = ((values.rank() - 0.5) / values.count() - 0.5).to_list()
        assert found[style].to_list() == pytest.approx(expected, nan_ok=True), style
    assert found.filter(instrument_id="I00").select(STYLES[:2]).row(0) == (None, None)  # too young


def test_styles_of_a_session_do_not_depend_on_later_bars() -> None:
    given, day = bars(), FIRST + timedelta(days=50)
    early = styles.styles(given.filter(pl.col("trade_date") <= day))
    whole = styles.styles(given).filter(pl.col("trade_date") <= day)
    order = ["instrument_id", "trade_date"]
    assert_frame_equal(early.sort(order), whole.sort(order))


def test_neutralised_scores_equal_a_least_squares_fit_on_styles_and_sectors() -> None:
    frame = panel(sessions=3)
    found = frame.with_columns(left=styles.neutralised(frame, "score"))
    for part in found.partition_by("trade_date"):
        known = part.drop_nulls("style_beta")
        dummies = known[SECTOR].to_dummies().to_numpy()
        matrix = np.hstack([dummies, known.select(STYLES).to_numpy()])
        fitted = matrix @ np.linalg.lstsq(matrix, known["score"].to_numpy(), rcond=None)[0]
        assert np.allclose(known["left"].to_numpy(), known["score"].to_numpy() - fitted, atol=1e-9)
        assert part.filter(pl.col("style_beta").is_null())["left"].null_count() == part["style_beta"].null_count()


def test_bet_on_low_volatility_has_no_skill_after_neutralisation() -> None:
    """Calm shares earn more, and the score is calmness with noise: it ranks returns, but only as the style does."""
    rng, frame = np.random.default_rng(9), panel()
    noise = [pl.Series(rng.normal(0, 0.05, frame.height)) for _ in range(2)]
    bet = frame.with_columns(
        score=0.5 - pl.col("style_volatility") + noise[0], forward_return=noise[1] - 0.1 * pl.col("style_volatility")
    )
    assert summarise_ic(rank_ic(bet))["t"] > 20
    assert abs(summarise_ic(styles.neutral_ic(bet))["t"]) < 3
    exposure = styles.exposures(bet).row(0, named=True)
    assert exposure["style"] == "style_volatility"
    assert exposure["correlation"] < -0.9
    assert exposure["held"] < -0.3
    skilled = bet.with_columns(forward_return=pl.col("forward_return") + 3 * noise[0])
    assert summarise_ic(styles.neutral_ic(skilled))["t"] > 5


def test_targets_by_hand() -> None:
    frame = pl.DataFrame({"trade_date": [FIRST] * 4, "forward_return": [0.03, -0.01, 0.01, None]})
    assert targets.add_target(frame, "rank")["target"].to_list() == pytest.approx([5 / 6, 1 / 6, 0.5, None])
    # Mean 0.01 and deviation 0.02: one deviation above, one below, none.
    logistic = 1 / (1 + np.exp(-1.0))
    found = targets.add_target(frame, "excess")["target"].to_list()
    assert found == pytest.approx([logistic, 1 - logistic, 0.5, None])
    two = frame.with_columns(short=pl.Series([0.0, 0.02, 0.01, 0.05]))
    combined = targets.add_target(two, "rank", ["short", "forward_return"])["target"].to_list()
    # The ranks of the short horizon are 1/8, 5/8, 3/8 and 7/8, so the means are 23/48, 19/48 and 21/48.
    assert combined == pytest.approx([5 / 6, 1 / 6, 0.5, None])


def test_residual_target_is_what_styles_and_sectors_do_not_explain() -> None:
    frame = panel()
    own = pl.col("forward_return")
    moved = frame.with_columns(own + 5 * pl.col("style_volatility") + pl.when(sector="Banks").then(3).otherwise(0))
    usual, same = (targets.add_target(each, "residual")["target"] for each in (frame, moved))
    assert usual.to_list() == pytest.approx(same.to_list())
    assert usual.null_count() == frame["style_beta"].null_count() > 0


def test_unknown_target_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="'alpha' is not known; there are above_median, rank, excess, residual"):
        targets.add_target(panel(), "alpha")
    with pytest.raises(UsageError, match="'rank 1 x': 'x' is no horizon in sessions"):
        targets.parse("rank 1 x")
    with pytest.raises(UsageError, match="'' is not known"):
        targets.parse("")
    with pytest.raises(UsageError, match="target residual lacks style_beta"):
        targets.add_target(panel().drop("style_beta"), "residual")


@pytest.mark.parametrize("model", ["ridge", "pairwise", "hist_gradient_boosting_regression", "logistic"])
def test_models_learn_a_target_and_its_shuffle_shows_no_skill(model: str) -> None:
    rng, sessions, count = np.random.default_rng(1), 90, 30
    signal = rng.uniform(-0.5, 0.5, sessions * count)
    days = [FIRST + timedelta(days=n // count) for n in range(sessions * count)]
    frame = pl.DataFrame(
        {
            "instrument_id": [f"I{n % count:02}" for n in range(sessions * count)],
            "symbol": "S",
            "trade_date": days,
            "signal": signal,
            "forward_return": signal + rng.normal(0, 0.5, len(days)),
            "label_end": [day + timedelta(days=5) for day in days],
        }
    )
    splitter, recipe = PurgedWalkForward(n_splits=2, horizon=5, embargo=2), Recipe(model, seed=3, target="rank")
    given = targets.add_target(frame, recipe.target)
    found = training.fit(given, recipe, ["signal"], splitter)
    assert found.metrics["target_ic"] == pytest.approx(found.metrics["rank_ic"])
    assert found.metrics["rank_ic"] > 0.3
    assert found.out_of_sample["score"].is_between(0, 1).all()
    assert training.outcome(training.labelled(given), recipe).dtype == (np.int8 if model == "logistic" else np.float64)
    assert leakage_checks.shuffled_label_check(given, recipe, ["signal"], splitter).passed
