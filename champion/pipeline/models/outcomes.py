"""Outcomes: scores joined with the forward returns that followed."""

from dataclasses import dataclass
from datetime import date

import polars as pl

from champion.contracts.datasets import PREDICTIONS
from champion.errors import ModelError
from champion.lake import Lake
from champion.modeling import metrics
from champion.modeling.labels import Returns, forward_return
from champion.pipeline.ingest.adjusted_bars import adjusted_bars
from champion.pipeline.ingest.corporate_actions import unadjusted_gaps
from champion.pipeline.models.evaluate import LABEL_END, LAG as LAG_TAG, returns_of
from champion.pipeline.models.frames import LAG, RETURNS
from champion.settings import Settings
from champion.tracking import registry

_COLUMNS = ("trade_date", "instrument_id", "symbol", "model_version", "horizon", "score", "rank")


@dataclass(frozen=True, slots=True)
class LiveSkill:
    """The rank IC of live scores, for the versions that are still registered.

    `ic` has model_version, trade_date and ic, for each session whose outcomes are known. `waiting` counts the sessions
    whose outcomes are not known yet, `in_sample` the sessions whose outcomes a version was trained on; these are left
    out. `left_out` says why all scores of a version are missing.
    """

    ic: pl.DataFrame
    waiting: int
    in_sample: int
    left_out: tuple[str, ...] = ()

    def summary(self, horizon: int) -> dict[str, float]:
        """Return mean, std, icir, t and sessions of the newest version's live rank IC."""
        newest = self.ic.filter(pl.col("model_version") == pl.col("model_version").max())
        return metrics.summarise_ic(newest, horizon)


def score_outcomes(
    lake: Lake, start: date | None = None, end: date | None = None, lag: int = LAG, returns: Returns = RETURNS
) -> pl.DataFrame:
    """Return every score with its forward_return, label_end and exit_date.

    forward_return has the dividends, or is that of the price if `returns` is `price`. It is null near the end of the
    bars, where it is not known yet, and across a price gap that is not adjusted for.

    Columns: trade_date, instrument_id, symbol, model_version, horizon, score, rank, and the columns of
        `forward_return`.
    """
    if (scores := lake.scan(PREDICTIONS, start, end).select(_COLUMNS).collect()).is_empty():
        no_date = pl.lit(None, pl.Date)
        return scores.with_columns(forward_return=pl.lit(None, pl.Float64), label_end=no_date, exit_date=no_date)
    first: date = scores["trade_date"].min()  # type: ignore[assignment]
    columns = ("instrument_id", "symbol", "trade_date", "close")
    # of whatever kinds a version scored
    bars = adjusted_bars(lake, first, columns=columns, total_return=returns == "total", kinds=None)
    gaps = unadjusted_gaps(lake, first, bars["trade_date"].max())  # type: ignore[arg-type]
    parts = []
    for (horizon,), part in scores.partition_by("horizon", as_dict=True).items():
        followed = forward_return(bars, int(horizon), lag, gaps).drop("across_gap")
        parts.append(part.join(followed, on=["instrument_id", "trade_date"], how="left"))
    return pl.concat(parts).sort("trade_date", "model_version", "rank")


def live_skill(settings: Settings, start: date | None = None, end: date | None = None) -> LiveSkill:
    """Return the live rank IC of every version's scores between `start` and `end`, by the bars in the lake."""
    lake = Lake(settings.lake)
    scored = set(lake.scan(PREDICTIONS, start, end).select("model_version").unique().collect().to_series())
    terms, left_out = dict[int, tuple[tuple[int, Returns], date]](), list[str]()
    for version in registry.versions(settings):
        if version.number in scored:
            try:
                lag = version.integer(LAG_TAG) if LAG_TAG in version.tags else LAG
                label_end = version.day(LABEL_END) if LABEL_END in version.tags else date.min
                terms[version.number] = (lag, returns_of(version)), label_end
            except ModelError as error:  # a tag is damaged
                left_out.append(str(error))
    by_label = {label: score_outcomes(lake, start, end, *label) for label in {label for label, _ in terms.values()}}
    schema = {"model_version": pl.Int64, "trade_date": pl.Date, "ic": pl.Float64}
    parts, waiting, in_sample = [pl.DataFrame(schema=schema)], 0, 0
    for number, (label, label_end) in reversed(terms.items()):
        scores = by_label[label].filter(pl.col("model_version") == number)
        live = scores.filter(pl.col("trade_date") >= label_end)
        in_sample += scores["trade_date"].n_unique() - live["trade_date"].n_unique()
        ic = metrics.rank_ic(live)
        waiting += live["trade_date"].n_unique() - ic.height
        parts.append(ic.select(pl.lit(number, pl.Int64).alias("model_version"), "trade_date", "ic"))
    return LiveSkill(pl.concat(parts), waiting, in_sample, tuple(left_out))
