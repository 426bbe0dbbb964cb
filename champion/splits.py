"""Purged walk-forward splits: train on the past, test on what follows, and let no label reach from one to the other.

A label of session t speaks of the `horizon` sessions after it. Training sessions whose labels end inside or next to the
test block would know what they are tested on; they are purged, and `embargo` sessions more. Source: M. Lopez de Prado,
Advances in Financial Machine Learning (2018), chapter 7.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import ArrayLike, NDArray

from champion.errors import ModelError


@dataclass(frozen=True, slots=True)
class Window:
    """One fold: learn from sessions up to `train_end`, test from `test_start` to `test_end`, all included."""

    train_end: date
    test_start: date
    test_end: date


@dataclass(frozen=True, slots=True)
class PurgedWalkForward:
    """An expanding walk-forward with purge and embargo, usable wherever scikit-learn takes a splitter.

    Args:
        n_splits: test blocks, consecutive and of equal length, that end with the last session.
        horizon: sessions a label looks ahead.
        embargo: sessions left out besides.
        min_train: sessions the first fold must have to learn from.
    """

    n_splits: int = 5
    horizon: int = 5
    embargo: int = 5
    min_train: int = 40

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
        gap = self.horizon + self.embargo
        block = (len(ordered) - self.min_train - gap) // self.n_splits
        if block < 1:
            needed = self.min_train + gap + self.n_splits
            raise ModelError(
                f"{len(ordered)} sessions are too few for {self.n_splits} folds: at least {needed} are needed "
                f"({self.min_train} to learn from, {gap} between, one for each fold)"
            )
        first = len(ordered) - block * self.n_splits
        starts = range(first, len(ordered), block)
        return [Window(ordered[s - gap - 1], ordered[s], ordered[s + block - 1]) for s in starts]

    def split(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        groups: Sequence[date] | None = None,
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield training and test row numbers; `groups` is the session of each row.

        Raises:
            ModelError: `groups` is missing, or holds too few sessions.
        """
        if groups is None:
            raise ModelError("a walk-forward needs the session of each row: pass it as groups")
        sessions = np.asarray(groups, dtype="datetime64[D]")
        for window in self.windows([date.fromisoformat(str(session)) for session in np.unique(sessions)]):
            train = sessions <= np.datetime64(window.train_end)
            test = (sessions >= np.datetime64(window.test_start)) & (sessions <= np.datetime64(window.test_end))
            yield np.flatnonzero(train), np.flatnonzero(test)

    def get_n_splits(
        self,
        X: ArrayLike | None = None,
        y: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> int:
        """Return the number of folds."""
        return self.n_splits
