"""Training finds a planted signal, finds none in noise, and never looks ahead."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from champion.errors import ModelError
from champion.modeling import estimators, training
from champion.modeling.estimators import Recipe
from champion.modeling.splits import CombinatorialPurged, PurgedWalkForward
from champion.modeling.training import TrainingResult

SESSIONS, INSTRUMENTS, HORIZON, EMBARGO, SPLITS = 90, 30, 5, 2, 2
DAYS = [date(2024, 1, 1) + timedelta(days=n) for n in range(SESSIONS)]
INPUTS = ("signal", "noise", "unknown")
SPLITTER = PurgedWalkForward(n_splits=SPLITS, horizon=HORIZON, embargo=EMBARGO)


def panel(strength: float = 1.0, seed: int = 7) -> pl.DataFrame:
    """Return a market whose returns follow `signal`; `unknown` is always null, and one signal in ten is."""
    random = np.random.default_rng(seed)
    count = SESSIONS * INSTRUMENTS
    market = np.repeat(random.normal(size=SESSIONS), INSTRUMENTS)
    signal = random.uniform(-0.5, 0.5, size=count)
    return pl.DataFrame(
        {
            "instrument_id": [f"I{n:02}" for n in range(INSTRUMENTS)] * SESSIONS,
            "symbol": [f"S{n:02}" for n in range(INSTRUMENTS)] * SESSIONS,
            "trade_date": [day for day in DAYS for _ in range(INSTRUMENTS)],
            "signal": pl.Series(signal).set(pl.Series(random.random(count) < 0.1), None),
            "noise": random.uniform(-0.5, 0.5, size=count),
            "unknown": pl.Series([None] * count, dtype=pl.Float64),
            "forward_return": market + strength * signal + 0.3 * random.normal(size=count),
        }
    ).with_columns(label_end=pl.col("trade_date") + timedelta(days=HORIZON))


def fit(frame: pl.DataFrame, model: str = "logistic") -> TrainingResult:
    return training.fit(frame, Recipe(model, seed=3), INPUTS, SPLITTER)


def windows(frame: pl.DataFrame) -> list[tuple[date, date]]:
    return [(window.test_start, window.test_end) for window in SPLITTER.windows(frame["trade_date"].to_list())]


# Boosting for regression is in test_targets.py.
@pytest.fixture(scope="module", params=[name for name in estimators.MODELS if not name.endswith("regression")])
def fitted(request: pytest.FixtureRequest) -> TrainingResult:
    if request.param.startswith("lightgbm"):
        pytest.importorskip("lightgbm", reason="LightGBM is not installed: pip install 'champion[lightgbm]'")
    return fit(panel(), request.param)


def test_every_model_finds_a_planted_signal(fitted: TrainingResult) -> None:
    assert fitted.metrics["auc"] > 0.7
    assert fitted.metrics["rank_ic"] > 0.3
    assert fitted.importance["input"][0] == "signal"
    assert fitted.importance["importance"][0] > 0.1
    others = fitted.importance.filter(pl.col("input") != "signal")["importance"].to_list()
    assert max(others) < 0.05


def test_out_of_sample_scores_cover_exactly_the_test_blocks(fitted: TrainingResult) -> None:
    scores = fitted.out_of_sample
    assert scores["score"].is_between(0, 1).all()
    assert scores.select("trade_date", "instrument_id").is_unique().all()
    by_fold = scores.group_by("fold", maintain_order=True).agg(
        pl.col("trade_date").min().alias("start"), pl.col("trade_date").max().alias("end")
    )
    assert by_fold.rows() == [(n, *window) for n, window in enumerate(windows(panel()), start=1)]
    assert fitted.folds["fold"].to_list() == [1, 2]


def test_scores_have_rows_whose_return_never_became_known() -> None:
    first, last = windows(panel())[0][0], windows(panel())[-1][1]
    unknown = (pl.col("instrument_id") == "I03") & pl.col("trade_date").dt.day().is_in([5, 20])
    frame = panel().with_columns(forward_return=pl.when(~unknown).then("forward_return"))
    found, tested = fit(frame), frame.filter(pl.col("trade_date").is_between(first, last))
    key = ["trade_date", "instrument_id"]
    assert found.scores.select(key).equals(tested.select(key).sort(key))
    assert found.out_of_sample.height == tested.filter(~unknown).height < tested.height
    both = found.scores.join(found.out_of_sample, on=key)
    assert both["score"].equals(both["score_right"])


def test_every_model_is_saved_and_loaded_without_running_code(fitted: TrainingResult) -> None:
    import skops.io  # noqa: PLC0415

    content = skops.io.dumps(fitted.estimator)
    foreign = skops.io.get_untrusted_types(data=content)
    assert {name.split(".")[0] for name in foreign} <= {"sklearn", "numpy", "champion"}
    loaded = skops.io.loads(content, trusted=foreign)
    assert_frame_equal(
        training.score(loaded, panel(), INPUTS), training.score(fitted.estimator, panel(), INPUTS), check_exact=True
    )


def test_same_seed_gives_the_same_model_in_any_row_order(fitted: TrainingResult) -> None:
    again = fit(panel().sample(fraction=1, shuffle=True, seed=1), fitted.recipe.model)
    assert_frame_equal(again.out_of_sample, fitted.out_of_sample, check_exact=True)
    assert_frame_equal(again.importance, fitted.importance, check_exact=True)


def test_noise_shows_no_skill() -> None:
    found = fit(panel(strength=0.0)).metrics
    assert abs(found["auc"] - 0.5) < 0.05
    assert abs(found["rank_ic_t"]) < 3


def test_labels_are_neutral_to_the_market() -> None:
    jump = pl.col("trade_date").dt.ordinal_day() * 0.5
    moved = fit(panel().with_columns(pl.col("forward_return") + jump)).out_of_sample
    usual = fit(panel()).out_of_sample
    assert usual["label"].mean() == 0.5  # half of an even number of instruments is above the median
    assert_frame_equal(moved.drop("forward_return"), usual.drop("forward_return"))


def test_scores_do_not_depend_on_later_data_or_purged_labels() -> None:
    start, end = windows(panel())[0]
    known = pl.col("label_end") < start - timedelta(days=EMBARGO)
    upside_down = panel().with_columns(
        pl.when(known).then("forward_return").otherwise(-pl.col("forward_return")),
        pl.when(pl.col("trade_date") > end).then(0.25).otherwise("signal").alias("signal"),
    )
    first = pl.col("fold") == 1
    usual, changed = (fit(frame).out_of_sample.filter(first)["score"] for frame in (panel(), upside_down))
    assert changed.equals(usual)
    # The last allowed label has an effect; otherwise the test would pass for a model that learns nothing.
    last = pl.col("label_end") == start - timedelta(days=EMBARGO + 1)
    counted = panel().with_columns(pl.when(last).then(-pl.col("forward_return")).otherwise("forward_return"))
    assert not fit(counted).out_of_sample.filter(first)["score"].equals(usual)


def test_label_that_ends_late_is_purged() -> None:
    start = windows(panel())[0][0]
    odd = pl.col("trade_date") == DAYS[10]  # well inside the first train window
    late = panel().with_columns(pl.when(odd).then(pl.lit(start)).otherwise("label_end").alias("label_end"))
    flipped = late.with_columns(pl.when(odd).then(-pl.col("forward_return")).otherwise("forward_return"))
    first = pl.col("fold") == 1
    assert fit(flipped).out_of_sample.filter(first)["score"].equals(fit(late).out_of_sample.filter(first)["score"])


def test_rows_without_a_label_are_left_out() -> None:
    ahead = panel().with_columns(
        pl.when(pl.col("trade_date") < DAYS[-HORIZON]).then(name).alias(name)
        for name in ("forward_return", "label_end")
    )
    assert fit(ahead).metrics["train_rows"] == (SESSIONS - HORIZON) * INSTRUMENTS
    assert fit(ahead).out_of_sample["trade_date"].max() == DAYS[-HORIZON - 1]


def test_progress_counts_the_folds() -> None:
    steps: list[tuple[int, int, str]] = []
    training.fit(
        panel(), Recipe(), INPUTS, SPLITTER, progress=lambda done, total, label: steps.append((done, total, label))
    )
    assert steps == [(1, 2, "fold 1 of 2"), (2, 2, "fold 2 of 2")]


def test_scores_are_ranked_per_session_and_ties_by_instrument() -> None:
    model = fit(panel()).estimator
    same = {"signal": 0.4, "noise": 0.0, "unknown": None}
    rows = [
        {"instrument_id": name, "symbol": name, "trade_date": day, **same, "signal": signal}
        for day, name, signal in ((DAYS[1], "A", 0.4), (DAYS[0], "C", 0.4), (DAYS[0], "B", -0.4), (DAYS[0], "A", 0.4))
    ]
    schema = {name: panel().schema[name] for name in rows[0]}
    scored = training.score(model, pl.DataFrame(rows, schema=schema), INPUTS)
    assert scored.columns == ["instrument_id", "symbol", "trade_date", "score", "rank"]
    assert scored.select("trade_date", "instrument_id", "rank").rows() == [
        (DAYS[0], "A", 1),
        (DAYS[0], "B", 3),
        (DAYS[0], "C", 2),
        (DAYS[1], "A", 1),
    ]


def test_preprocessing_is_not_fitted_on_test_rows() -> None:
    recipe, start = Recipe(prepare=("median", "winsorize", "robust"), seed=3), windows(panel())[0][0]
    later, first = pl.col("trade_date") >= start, pl.col("fold") == 1
    scores = []
    for wild in (1e3, 1e9):
        frame = panel().with_columns(noise=pl.when(later).then(wild).otherwise("noise"))
        scores.append(training.fit(frame, recipe, INPUTS, SPLITTER).out_of_sample.filter(first)["score"])
    # With quantiles of training rows only, a billion is clipped to the same value as a thousand.
    assert scores[0].equals(scores[1])
    usual = training.fit(panel(), recipe, INPUTS, SPLITTER).out_of_sample.filter(first)["score"]
    assert not scores[0].equals(usual)


def test_weights_of_overlapping_labels_change_the_model() -> None:
    weighted, plain = (training.fit(panel(), Recipe(weighted=w), INPUTS, SPLITTER).out_of_sample for w in (True, False))
    assert not weighted["score"].equals(plain["score"])
    assert np.corrcoef(weighted["score"], plain["score"])[0, 1] > 0.99


def test_combinatorial_paths_find_the_signal_and_differ() -> None:
    splitter = CombinatorialPurged(n_groups=4, n_test=2, horizon=HORIZON, embargo=EMBARGO)
    found = training.paths(panel(), Recipe(), INPUTS, splitter)
    assert found["path"].to_list() == [1, 2, 3]
    assert found["sessions"].to_list() == [SESSIONS] * 3
    assert found["auc"].min() > 0.7  # type: ignore[operator]
    assert found["auc"].n_unique() == 3


def test_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match="'oracle' is not known; there are logistic, random_forest, hist_gradient"):
        fit(panel(), "oracle")


def test_too_few_sessions_are_refused() -> None:
    with pytest.raises(ModelError, match="sessions are too few for 2 folds"):
        fit(panel().filter(pl.col("trade_date") < DAYS[40]))


def test_single_instrument_is_refused() -> None:
    with pytest.raises(ModelError, match="one class only"):
        fit(panel().filter(pl.col("instrument_id") == "I00"))
