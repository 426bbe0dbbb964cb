"""Properties of the purged splitters, tested with Hypothesis and with scikit-learn."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from champion.errors import ModelError
from champion.modeling.splits import CombinatorialPurged, PurgedWalkForward, Window

SPLITTERS = st.builds(
    PurgedWalkForward,
    n_splits=st.integers(1, 6),
    horizon=st.integers(1, 12),
    embargo=st.integers(0, 12),
    min_train=st.integers(1, 30),
    lag=st.integers(0, 3),
)


@st.composite
def combinatorial(draw: st.DrawFn) -> tuple[CombinatorialPurged, list[int]]:
    """Draw a splitter and the session number of each row: one to three rows per session, in any order."""
    groups = draw(st.integers(3, 7))
    splitter = CombinatorialPurged(
        n_groups=groups,
        n_test=draw(st.integers(1, groups - 1)),
        horizon=draw(st.integers(1, 4)),
        embargo=draw(st.integers(0, 3)),
        lag=draw(st.integers(0, 2)),
    )
    # Long enough that a single training block is not purged completely.
    block = 2 * (splitter.lag + splitter.horizon + splitter.embargo) + draw(st.integers(1, 4))
    sessions = groups * block + draw(st.integers(0, groups - 1))
    rows = [number for number in range(sessions) for _ in range(draw(st.integers(1, 3)))]
    draw(st.randoms(use_true_random=False)).shuffle(rows)
    return splitter, rows


def days(count: int) -> list[date]:
    """Return every third day, so dates differ from session numbers."""
    return [date(2024, 1, 1) + timedelta(days=3 * n) for n in range(count)]


def enough(splitter: PurgedWalkForward, more: int) -> list[date]:
    return days(splitter.min_train + splitter.lag + splitter.horizon + splitter.embargo + splitter.n_splits + more)


@given(SPLITTERS, st.integers(0, 40), st.randoms())
def test_no_training_label_reaches_a_test_window_and_the_embargo_is_kept(
    splitter: PurgedWalkForward, more: int, random: Random
) -> None:
    sessions = enough(splitter, more)
    rows = [number for number in range(len(sessions)) for _ in range(2)]
    random.shuffle(rows)
    for train, test in splitter.split(rows, groups=[sessions[number] for number in rows]):
        starts = min(rows[row] for row in test)
        label_ends = [rows[row] + splitter.lag + splitter.horizon for row in train]
        assert max(label_ends) < starts
        assert starts - max(label_ends) - 1 == splitter.embargo  # exactly the requested number of sessions


@given(SPLITTERS, st.integers(0, 40))
def test_rows_are_tested_at_most_once_in_order_up_to_the_last_session(splitter: PurgedWalkForward, more: int) -> None:
    sessions = enough(splitter, more)
    tested: list[int] = []
    trained = 0
    for train, test in splitter.split(range(len(sessions)), groups=sessions):
        assert train.max() < test.min()
        assert train.tolist() == list(range(len(train)))
        assert len(train) >= max(trained, splitter.min_train)
        trained = len(train)
        tested += test.tolist()
    assert tested == list(range(tested[0], len(sessions)))


@given(SPLITTERS, st.integers(0, 40))
def test_windows_equal_the_split(splitter: PurgedWalkForward, more: int) -> None:
    sessions = enough(splitter, more)
    windows = splitter.windows([*reversed(sessions), *sessions])
    folds = list(splitter.split(range(len(sessions)), groups=sessions))
    assert len(windows) == len(folds) == splitter.get_n_splits()
    assert len({len(test) for _, test in folds}) == 1
    for window, (train, test) in zip(windows, folds, strict=True):
        assert window == Window(sessions[train[-1]], sessions[test[0]], sessions[test[-1]])


def test_blocks_of_a_small_range_by_hand() -> None:
    sessions = days(13)  # 13 - 3 to train on - 3 between leaves two blocks of 3; the odd session is trained on
    first, second = PurgedWalkForward(n_splits=2, horizon=2, embargo=1, min_train=3).windows(sessions)
    assert first == Window(sessions[3], sessions[7], sessions[9])
    assert second == Window(sessions[6], sessions[10], sessions[12])


def test_too_few_sessions_are_refused_with_the_number_needed() -> None:
    splitter = PurgedWalkForward(n_splits=3, horizon=5, embargo=2, min_train=10)
    assert len(splitter.windows(days(20))) == 3
    with pytest.raises(ModelError, match="19 sessions are too few for 3 folds: at least 20 are needed"):
        splitter.windows(days(19))


@pytest.mark.parametrize("splitter", [PurgedWalkForward(), CombinatorialPurged()])
def test_rows_without_groups_are_refused(splitter: PurgedWalkForward | CombinatorialPurged) -> None:
    with pytest.raises(ModelError, match="session of each row"):
        next(splitter.split([1, 2, 3]))


@settings(max_examples=60)
@given(combinatorial())
def test_combinatorial_labels_do_not_overlap_and_the_embargo_is_kept(
    case: tuple[CombinatorialPurged, list[int]],
) -> None:
    splitter, rows = case
    sessions, reach = days(max(rows) + 1), splitter.lag + splitter.horizon
    for train, test in splitter.split(rows, groups=[sessions[number] for number in rows]):
        tested = {rows[row] for row in test}
        spans = {day for number in tested for day in range(number, number + reach + 1)}
        for number in {rows[row] for row in train}:
            assert not spans & set(range(number, number + reach + 1))
            apart = min(abs(number - other) for other in tested)
            assert apart > reach + splitter.embargo
        # no other session is left out
        kept = {rows[row] for row in train}
        for number in set(rows) - kept - tested:
            assert min(abs(number - other) for other in tested) <= reach + splitter.embargo


@settings(max_examples=60)
@given(combinatorial())
def test_combinatorial_rows_are_tested_once_per_path(case: tuple[CombinatorialPurged, list[int]]) -> None:
    splitter, rows = case
    sessions = days(max(rows) + 1)
    folds = list(splitter.split(rows, groups=[sessions[number] for number in rows]))
    assert len(folds) == splitter.get_n_splits() == len(splitter.chosen())
    times = np.zeros(len(rows), dtype=int)
    for train, test in folds:
        assert not set(train) & set(test)
        times[test] += 1
    assert set(times) == {splitter.n_paths}
    blocks = np.array_split(np.arange(max(rows) + 1), splitter.n_groups)
    for path in splitter.paths():
        tested = sorted(row for block, fold in path for row in folds[fold][1] if rows[row] in set(blocks[block]))
        assert tested == list(range(len(rows)))


def test_combinatorial_paths_use_every_test_once() -> None:
    splitter = CombinatorialPurged(n_groups=6, n_test=2)
    used = [pair for path in splitter.paths() for pair in path]
    assert (splitter.get_n_splits(), splitter.n_paths) == (15, 5)
    assert len(used) == len(set(used)) == 15 * 2


def test_invalid_combinatorial_splits_are_refused() -> None:
    with pytest.raises(ModelError, match="3 of 3 blocks cannot be tested"):
        CombinatorialPurged(n_groups=3, n_test=3)
    with pytest.raises(ModelError, match="5 sessions are too few for 6 blocks"):
        next(CombinatorialPurged().split(range(5), groups=days(5)))
    with pytest.raises(ModelError, match="leave nothing to train on"):
        next(CombinatorialPurged(n_groups=3, n_test=2, horizon=5).split(range(12), groups=days(12)))


@pytest.mark.parametrize(
    ("splitter", "folds"),
    [
        (PurgedWalkForward(n_splits=3, horizon=3, embargo=2, min_train=20), 3),
        (CombinatorialPurged(n_groups=4, n_test=2, horizon=3, embargo=2), 6),
    ],
)
def test_scikit_learn_cross_validates_with_it(splitter: PurgedWalkForward | CombinatorialPurged, folds: int) -> None:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.model_selection import cross_val_score  # noqa: PLC0415

    groups = np.repeat(np.array(days(60), dtype="datetime64[D]"), 4)
    inputs = np.random.default_rng(7).normal(size=(len(groups), 2))
    scores = cross_val_score(LogisticRegression(), inputs, inputs[:, 0] > 0, groups=groups, cv=splitter)
    assert len(scores) == folds
    assert scores.min() > 0.85
