"""Purged splits, walk-forward and combinatorial: no training label overlaps a test block.

The label of session t uses prices up to session t + lag + horizon. Training sessions whose labels overlap the labels of
the test block are purged, and also `embargo` further sessions. Both splitters count sessions, not rows, so all
instruments of a session are on one side. `split` takes the session of each row as `groups`, as scikit-learn's group
splitters do; skfolio's count the rows of a single series and do not fit a panel.
Source: M. Lopez de Prado, Advances in Financial Machine Learning (2018), chapters 7 and 12.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from math import comb
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from champion.base.counting import quantity
from champion.errors import ModelError

__all__ = ["CombinatorialPurged", "PurgedWalkForward", "Window"]
__dir__ = __all__.copy

Groups: TypeAlias = Sequence[date] | NDArray[np.datetime64]
Fold: TypeAlias = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True, slots=True)
class Window:
    """One fold: train on sessions up to `train_end`, test on `test_start` to `test_end`, all inclusive.

    >>> window = Window(date(2024, 2, 9), date(2024, 2, 15), date(2024, 3, 12))
    >>> (window.test_start - window.train_end).days
    6
    """

    train_end: date
    test_start: date
    test_end: date


@dataclass(frozen=True, slots=True)
class PurgedWalkForward:
    """An expanding walk-forward with purge and embargo; scikit-learn accepts it as a splitter.

    Args:
        n_splits: number of test blocks, consecutive and of equal length; the last ends with the last session.
        horizon: sessions that a label looks ahead.
        embargo: additional sessions left out before each test block.
        min_train: minimum number of training sessions of the first fold.
        lag: sessions between the features' last close and the entry price of the label.

    >>> days = np.repeat(np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]"), 2)  # two instruments
    >>> splitter = PurgedWalkForward(n_splits=2, horizon=5, embargo=0, min_train=20)
    >>> [(len(train), len(test)) for train, test in splitter.split(days, groups=days)]
    [(42, 34), (76, 34)]
    >>> splitter.get_n_splits()
    2
    """

    n_splits: int = 5
    horizon: int = 5
    embargo: int = 5
    min_train: int = 40
    lag: int = 0

    def windows(self, sessions: Sequence[date]) -> list[Window]:
        """Return the folds over distinct sessions in order.

        Raises:
            ModelError: there are too few sessions.

        >>> from datetime import timedelta
        >>> days = [date(2024, 1, 1) + timedelta(n) for n in range(100)]
        >>> first = PurgedWalkForward(n_splits=2, horizon=5, embargo=0, min_train=40).windows(days)[0]
        >>> str(first.train_end), str(first.test_start), str(first.test_end)
        ('2024-02-10', '2024-02-16', '2024-03-13')
        """
        ordered = sorted(set(sessions))
        gap = self.lag + self.horizon + self.embargo
        block = (len(ordered) - self.min_train - gap) // self.n_splits
        if block < 1:
            needed = self.min_train + gap + self.n_splits
            raise ModelError(
                f"{quantity(len(ordered), 'session is', 'sessions are')} too few for {self.n_splits} folds: "
                f"at least {needed} are needed ({self.min_train} to train on, {gap} between, one for each fold)"
            )
        first = len(ordered) - block * self.n_splits
        starts = range(first, len(ordered), block)
        return [Window(ordered[s - gap - 1], ordered[s], ordered[s + block - 1]) for s in starts]

    def split(self, X: ArrayLike, y: ArrayLike | None = None, groups: Groups | None = None) -> Iterator[Fold]:
        """Yield training and test row numbers; `groups` is the session of each row.

        Raises:
            ModelError: `groups` is missing, or holds too few sessions.
        """
        sessions = _sessions_of(groups)
        for window in self.windows([date.fromisoformat(str(session)) for session in np.unique(sessions)]):
            train = sessions <= np.datetime64(window.train_end)
            test = (sessions >= np.datetime64(window.test_start)) & (sessions <= np.datetime64(window.test_end))
            yield np.flatnonzero(train), np.flatnonzero(test)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds."""
        return self.n_splits


@dataclass(frozen=True, slots=True)
class CombinatorialPurged:
    """Combinatorial purged cross-validation: each choice of `n_test` of `n_groups` blocks of sessions is tested once.

    Each row is tested in `n_paths` splits. The tests combine to `n_paths` complete histories out of sample, which give
    a result its spread. Unlike a walk-forward, it also trains on sessions after a test block whose labels do not
    overlap the block. The result measures a model's stability, not returns that could have been traded.

    Args:
        n_groups: number of consecutive blocks of sessions, of nearly equal length.
        n_test: blocks tested at a time.
        horizon: sessions that a label looks ahead.
        embargo: additional sessions left out before and after each run of test blocks.
        lag: sessions between the features' last close and the entry price of the label.

    >>> CombinatorialPurged(n_groups=6, n_test=2).n_paths
    5

    >>> splitter = CombinatorialPurged(n_groups=3, n_test=1, horizon=1, embargo=0)
    >>> splitter.chosen()
    [(0,), (1,), (2,)]
    >>> days = np.arange("2024-01-01", "2024-01-10", dtype="datetime64[D]")
    >>> [test.tolist() for _, test in splitter.split(days, groups=days)]
    [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    >>> splitter.get_n_splits()
    3
    """

    n_groups: int = 6
    n_test: int = 2
    horizon: int = 5
    embargo: int = 5
    lag: int = 0

    def __post_init__(self) -> None:
        """Require at least one test block and one training block."""
        if not 1 <= self.n_test < self.n_groups:
            raise ModelError(f"{self.n_test} of {self.n_groups} blocks cannot be tested: at least one, not all")

    @property
    def n_paths(self) -> int:
        """Number of splits in which each row is tested."""
        return comb(self.n_groups - 1, self.n_test - 1)

    def chosen(self) -> list[tuple[int, ...]]:
        """Return the blocks that each split tests, in the order of `split`."""
        return list(combinations(range(self.n_groups), self.n_test))

    def split(self, X: ArrayLike, y: ArrayLike | None = None, groups: Groups | None = None) -> Iterator[Fold]:
        """Yield training and test row numbers; `groups` is the session of each row.

        Raises:
            ModelError: `groups` is missing, or holds so few sessions that a split has no training session.
        """
        days, number = np.unique(_sessions_of(groups), return_inverse=True)
        if days.size < self.n_groups:
            few = quantity(days.size, "session is", "sessions are")
            raise ModelError(f"{few} too few for {self.n_groups} blocks: each needs at least one")
        block = np.concatenate([np.full(len(part), n) for n, part in enumerate(np.array_split(days, self.n_groups))])
        reach = self.lag + self.horizon + self.embargo
        for tested in self.chosen():
            test = np.isin(block, tested)
            near = np.convolve(test, np.ones(2 * reach + 1), mode="full")[reach:-reach] > 0 if reach else test
            if near.all():
                raise ModelError(
                    f"{quantity(days.size, 'session leaves', 'sessions leave')} nothing to train on "
                    f"beside blocks {tested}, with {quantity(reach, 'session')} between: "
                    "train on more sessions, or with fewer blocks"
                )
            yield np.flatnonzero(~near[number]), np.flatnonzero(test[number])

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits."""
        return comb(self.n_groups, self.n_test)

    def paths(self) -> list[list[tuple[int, int]]]:
        """Return, for each path, the pairs of block and split whose tests combine to one complete history.

        >>> CombinatorialPurged(n_groups=3, n_test=2).paths()
        [[(0, 0), (1, 0), (2, 1)], [(0, 1), (1, 2), (2, 2)]]
        """
        by_block = [[n for n, tested in enumerate(self.chosen()) if one in tested] for one in range(self.n_groups)]
        return [[(block, splits[path]) for block, splits in enumerate(by_block)] for path in range(self.n_paths)]


def _sessions_of(groups: Groups | None) -> NDArray[np.datetime64]:
    if groups is None:
        raise ModelError("a purged split needs the session of each row: pass it as groups")
    return np.asarray(groups, dtype="datetime64[D]")
