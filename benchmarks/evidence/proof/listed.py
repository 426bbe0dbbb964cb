"""The lists of corporate actions: verdicts of their texts, instruments without bars, dates that they cover."""

import polars as pl

from benchmarks.evidence.proof.page import Section, table, with_total
from benchmarks.evidence.proof.stages import Run
from champion.contracts.datasets import ACTIONS, BARS
from champion.market.actions.action_questions import list_coverage
from champion.market.actions.action_text import MOVES_NO_PRICE, NOT_UNDERSTOOD, READ
from champion.market.actions.adjustment_factors import DECISION, DIVIDEND, KINDS, made_on
from champion.market.actions.corporate_actions import as_known
from champion.pipeline.ingest.bars import equity_bars
from champion.pipeline.ingest.corporate_actions import known_factors
from champion.pipeline.ingest.symbol_changes import symbol_history

_ID = "instrument_id"
_MOVING = tuple(kind for kind in KINDS if kind != DIVIDEND)
_SHOWN = 60


def verdicts(run: Run) -> Section:
    """Return the verdicts by kind, every text that is not understood, and every action without bars."""
    rows = run.lake.scan(ACTIONS).collect()
    shares = pl.col(_ID).str.count_matches(":", literal=True) == 1
    inside = pl.col("ex_date").is_between(run.start, run.end) & (pl.col("kind") != DECISION)
    known = as_known(rows).filter(shares & inside)
    traded = equity_bars(run.lake, kinds=None).select(pl.col(_ID).unique()).collect()[_ID]
    counted = known.with_columns(no_bars=~pl.col(_ID).is_in(traded.implode()))
    unclear = counted.filter(pl.col("verdict") == NOT_UNDERSTOOD)
    ended = counted.filter(pl.col("no_bars") & pl.col("kind").is_in(_MOVING))
    moved, far = _renamed_since(run, rows), list_coverage(rows, run.lake.sessions(BARS)).text
    return Section(
        "Actions of the lists",
        [
            f"The {far}. {counted.height:,} actions of company shares have their ex-date in the period:",
            table(with_total(_by_kind(counted), "all")),
            (
                f"The texts of these actions ({unclear.height}) are not understood; the actions have no factor, "
                "explain no gap, and wait for a user's decision:"
            ),
            table(_first(unclear, "reason")),
            f"These price-moving actions are assigned to an instrument without bars in the lake ({ended.height}):",
            table(_first(ended, "price_factor")),
            _renamed_note(moved),
            table(moved.filter("moving").drop("moving")),
        ],
        {"verdicts": counted.drop("event_id"), "renamed_since": moved},
    )


def _first(actions: pl.DataFrame, column: str) -> pl.DataFrame:
    return actions.sort("ex_date", "symbol").select("symbol", "ex_date", "kind", column, "purpose").head(_SHOWN)


def _by_kind(counted: pl.DataFrame) -> pl.DataFrame:
    counts = {name: (pl.col("verdict") == verdict).sum() for name, verdict in _COLUMNS.items()}
    counts["ended on no bars"] = pl.col("no_bars").sum()
    return counted.group_by("kind").agg(pl.len().alias("actions"), **counts).sort("actions", descending=True)


_COLUMNS = {"read": READ, "moves no price": MOVES_NO_PRICE, "not understood": NOT_UNDERSTOOD}


def _renamed_since(run: Run, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows whose symbol had one instrument on the list's date and another when the list was read."""
    names = symbol_history(run.lake)
    dated = rows.filter(pl.col("kind") != DECISION).with_columns(_made=made_on())
    found = [
        names.name(symbol, made) != names.name(symbol, read)
        for symbol, made, read in dated.select("listed_symbol", "_made", "list_date").rows()
    ]
    factors = known_factors(run.lake).select(_ID, "ex_date", "kind", factor="price_factor", verdict_now="verdict")
    late = [names.name(symbol, read) for symbol, read in dated.select("listed_symbol", "list_date").rows()]
    return (
        dated.with_columns(pl.Series("read as", late, pl.String))
        .filter(pl.Series(found, dtype=pl.Boolean))
        .join(factors, on=[_ID, "ex_date", "kind"], how="left")
        .select(
            *(pl.col("listed_symbol").alias("symbol in the list"), "ex_date", "kind"),
            *(pl.col("purpose").str.strip_chars(), pl.col("factor").round(4), pl.col(_ID).alias("instrument")),
            pl.format("NSE:{}", "read as").alias("by the day of reading"),
            moving=pl.col("kind").is_in(_MOVING),
            bars=pl.col("verdict_now") != "no_bars",
        )
        .sort("ex_date", "symbol in the list")
    )


def _renamed_note(moved: pl.DataFrame) -> str:
    moving = moved.filter("moving")
    return (
        f"The symbol of {moved.height:,} actions belonged to one instrument on the list's date and to another "
        f"instrument on the day the list was read. {moving.height} of these actions move the price. Champion uses the "
        f"symbols of the list's date, and {int(moving['bars'].sum())} of these {moving.height} are assigned to a share "
        "with bars (a unit of a trust is not a share):"
    )
