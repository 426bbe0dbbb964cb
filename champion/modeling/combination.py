"""Combine the scores of several models: the mean of their ranks, or weights that only earlier folds decide.

Scores of two models have no common unit, ranks within a session have. Weights by information coefficient are fitted
figures like any other: taken from the folds that they are judged on, they would know the outcome.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import polars as pl

from champion.errors import UsageError
from champion.indicators import cross_section
from champion.modeling.metrics import rank_ic

__all__ = ["KNOWN_AFTER", "Weighting", "combined", "weights_by_fold"]
__dir__ = __all__.copy

Weighting: TypeAlias = Literal["equal", "earlier_folds"]
_KEY = ["trade_date", "instrument_id"]
_NAME, _WEIGHT = "_model", "_weight"
KNOWN_AFTER = 6
"""Sessions until a forward return is known: a horizon of 5 and the lag of 1."""


def combined(
    scores: Mapping[str, pl.DataFrame], weighting: Weighting = "equal", *, known_after: int = KNOWN_AFTER
) -> pl.DataFrame:
    """Return trade_date, instrument_id and score: the weighted mean of the models' ranks, sorted by the first two.

    Only rows that all models score are combined; ranks are those among these rows, from -0.5 to 0.5, so the score is
    between them. Nothing is learned from outcomes with `equal` weights.

    Args:
        scores: by model, its out-of-sample scores: trade_date, instrument_id and score; and for `earlier_folds` also
            fold, a number that rises with the sessions, the same for all models, and forward_return (null if unknown).
        weighting: `equal`; or `earlier_folds`, the weights of `weights_by_fold`.
        known_after: sessions from a score until its forward return is known: horizon and lag.

    Raises:
        UsageError: there are fewer than two models, a column is missing, an instrument has two scores in a session, or
            the folds of two models differ.

    >>> from datetime import date
    >>> first = pl.DataFrame({"trade_date": [date(2024, 1, 1)] * 2, "instrument_id": ["A", "B"], "score": [0.9, 0.1]})
    >>> combined({"one": first, "two": first.with_columns(score=pl.Series([0.2, 0.4]))})["score"].to_list()
    [0.0, 0.0]
    >>> combined({"one": first, "two": first})["score"].to_list()
    [0.25, -0.25]
    """
    if weighting not in ("equal", "earlier_folds"):
        raise UsageError(f"no weighting is named {weighting!r}; there are equal and earlier_folds")
    rows = _ranked(scores, ["fold"] if weighting == "earlier_folds" else [])
    if weighting == "equal":
        weighed = rows.with_columns(pl.lit(1 / len(scores)).alias(_WEIGHT))
    else:
        weights = weights_by_fold(scores, known_after).rename({"model": _NAME, "weight": _WEIGHT})
        weighed = rows.join(weights.select("fold", _NAME, _WEIGHT), on=["fold", _NAME])
    summed = weighed.sort(*_KEY, _NAME).group_by(_KEY, maintain_order=True)
    return summed.agg(score=(pl.col("score") * pl.col(_WEIGHT)).sum()).sort(_KEY)


def weights_by_fold(scores: Mapping[str, pl.DataFrame], known_after: int = KNOWN_AFTER) -> pl.DataFrame:
    """Return fold, model and weight: a model's share of the rank ICs before the fold, summing to 1 in each fold.

    The IC of a model is the mean over the sessions of earlier folds, without the last `known_after` of them, whose
    forward returns were not known yet when the fold began. A negative one counts as 0. The first fold, and one before
    which no model has a positive IC, has equal weights. `scores` are those of `combined` for `earlier_folds`.

    Raises:
        UsageError: as `combined`; known_after is negative, or the sessions of two folds overlap.

    >>> from datetime import date, timedelta
    >>> days = [date(2024, 1, 1) + timedelta(n) for n in range(4) for _ in range(3)]
    >>> rows = {"trade_date": days, "instrument_id": ["A", "B", "C"] * 4, "fold": [1] * 6 + [2] * 6}
    >>> good = pl.DataFrame(rows | {"score": [1.0, 2.0, 3.0] * 4, "forward_return": [0.1, 0.2, 0.3] * 4})
    >>> weights_by_fold({"good": good, "bad": good.with_columns(-pl.col("score"))}, known_after=1)["weight"].to_list()
    [0.5, 0.5, 1.0, 0.0]
    """
    if known_after < 0:
        raise UsageError(f"known_after is {known_after}: give the sessions until a forward return is known, 0 or more")
    ranked = _ranked(scores, ["fold"])
    folds = ranked.group_by("fold").agg(start=pl.col("trade_date").min(), end=pl.col("trade_date").max()).sort("fold")
    if (folds["start"] <= folds["end"].shift(1)).any():
        raise UsageError("the folds overlap: fold is a number that rises with the sessions; give it as training does")
    days = ranked["trade_date"].unique().sort()
    rows = list[tuple[int, str, float]]()
    for fold, start in folds.select("fold", "start").iter_rows():
        before = days.filter(days < start)
        known = before.head(max(len(before) - known_after, 0))
        found = {name: _mean_ic(frame, known) for name, frame in scores.items()}
        total = sum(found.values())
        rows += [(fold, name, ic / total if total > 0 else 1 / len(scores)) for name, ic in found.items()]
    weights = pl.DataFrame(rows, schema=["fold", "model", "weight"], orient="row")
    return weights.cast({"fold": folds.schema["fold"], "weight": pl.Float64})


def _mean_ic(scores: pl.DataFrame, days: pl.Series) -> float:
    """Return the mean rank IC of these sessions; 0 if it is negative or not known."""
    earlier = rank_ic(scores.filter(pl.col("trade_date").is_in(days.implode())))["ic"].drop_nulls().drop_nans()
    return max(float(earlier.mean() or 0.0), 0.0)  # type: ignore[arg-type]


def _ranked(scores: Mapping[str, pl.DataFrame], further: list[str]) -> pl.DataFrame:
    """Return the rows that all models score, with each model's rank among them.

    Raises:
        UsageError: as `combined`.
    """
    if len(scores) < 2:  # noqa: PLR2004 - a combination
        raise UsageError(f"{len(scores)} model is no combination: give the scores of two or more by name")
    needed = [*_KEY, "score", *further]
    for name, frame in scores.items():
        if missing := [each for each in needed if each not in frame.columns]:
            raise UsageError(f"the scores of {name} lack {', '.join(missing)}; they have {', '.join(frame.columns)}")
        if frame.select(pl.struct(_KEY).is_duplicated().any()).item():
            raise UsageError(f"the scores of {name} have an instrument twice in a session; give one row of each")
    named = [
        frame.select(needed)
        .drop_nulls(needed)
        .filter(pl.col("score").is_finite())
        .with_columns(pl.lit(name).alias(_NAME))
        for name, frame in scores.items()
    ]
    rows = pl.concat(named, how="vertical_relaxed")
    shared = rows.filter(pl.len().over(_KEY) == len(scores))
    if further and shared.select((pl.col("fold").n_unique().over(_KEY) > 1).any()).item():
        raise UsageError("the models have different folds: train them on the same sessions, splits and embargo")
    return shared.with_columns(cross_section.rank(pl.col("score")).over("trade_date", _NAME))
