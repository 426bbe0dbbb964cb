"""Read published targets: what to buy, hold and sell in the next session, and why other instruments have no weight."""

from __future__ import annotations

from datetime import date

import polars as pl

from champion import contracts, workspace
from champion.base.counting import quantity
from champion.contracts.datasets import TARGETS
from champion.errors import LakeError
from champion.lake import Lake

_ORDERS = ("sell", "buy", "hold", "none")
_SHOWN = (
    "action", "symbol", "weight", "previous_weight", "rank", "score", "close", "excluded_by", "warnings",
    "band_kind", "band_percent", "fo_ban", "series",
)  # fmt: skip


def latest_targets(session: date | str | None = None, *, lake: Lake | None = None) -> pl.DataFrame:
    """Return the targets (contract predictions_equity_targets) of a session, by default of the last one that has some.

    Sales come first, then purchases, holdings, and the instruments without a weight, with their reason. If several
    versions published targets of the session, they are those of the version that did so last. `following` is the
    session in which they can be traded first, `ingest_time` when they were published.

    Raises:
        LakeError: there are none.

    >>> latest_targets("2024-01-15").select("action", "symbol", "weight", "excluded_by").row(0)
    ('none', '549', 0.0, 'rank')
    """
    lake, asked = lake or workspace.lake(), workspace.as_date(session)
    held = lake.sessions(TARGETS)
    if not held or (asked and asked not in held):
        last = f"the last are of {held[-1]}" if held else "there are none yet"
        raise LakeError(
            f"no targets{f' of {asked}' if asked else ''} were published, {last}: run `champion score SESSION`"
        )
    return ordered(latest(lake, asked or held[-1]))


def latest(lake: Lake, until: date) -> pl.DataFrame:
    """Return the targets of the last session with some up to a date, of the version that published last; or no rows."""
    day = lake.sessions(TARGETS, end=until)[-1:]
    if not day:
        return pl.DataFrame(schema=contracts.load(TARGETS).polars_schema)
    rows = lake.scan(TARGETS, day[0], day[0]).collect()
    last = rows.sort("ingest_time", "model_version")["model_version"][-1]
    return rows.filter(model_version=last)


def ordered(targets: pl.DataFrame) -> pl.DataFrame:
    """Return targets in the order of `latest_targets`."""
    place = pl.col("action").replace_strict({name: place for place, name in enumerate(_ORDERS)}, return_dtype=pl.Int8)
    return targets.sort(place, -pl.col("weight"), -pl.col("previous_weight"), "rank", "symbol", nulls_last=True)


def shown(targets: pl.DataFrame) -> pl.DataFrame:
    """Return the columns that a person reads, of the instruments that are or were to be held."""
    return targets.filter(pl.col("action") != "none").select(_SHOWN)


def exclusions(targets: pl.DataFrame) -> pl.DataFrame:
    """Return how many instruments each reason leaves without a weight: excluded_by, instruments; most first."""
    without = targets.drop_nulls("excluded_by")
    return without.group_by("excluded_by").agg(instruments=pl.len()).sort("instruments", "excluded_by", descending=True)


def text(targets: pl.DataFrame) -> str:
    """Return one sentence about the targets of a session.

    >>> text(latest_targets("2024-01-15"))
    'version 1 for 2024-09-02, decided on 2024-08-30: 0 to buy, 0 to sell, 0 to hold, 0 orders with warnings'
    """
    if targets.is_empty():
        return "no targets were published"
    first, counts = targets.row(0, named=True), dict(targets["action"].value_counts().iter_rows())
    parts = ", ".join(f"{counts.get(name, 0):,} to {name}" for name in ("buy", "sell", "hold"))
    doubtful = quantity(targets["warnings"].is_not_null().sum(), "order")
    return (
        f"version {first['model_version']} for {first['following']}, decided on {first['decided_on']}: {parts}, "
        f"{doubtful} with warnings"
    )
