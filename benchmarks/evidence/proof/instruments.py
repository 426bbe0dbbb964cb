"""Identity: instruments through renames, symbols that are used again, and new ISINs."""

import polars as pl

from benchmarks.evidence.proof.page import Section, table
from benchmarks.evidence.proof.stages import Run
from champion.contracts.datasets import CHANGES
from champion.market.identity.symbol_history import SymbolHistory
from champion.pipeline.ingest.bars import equity_bars
from champion.pipeline.ingest.corporate_actions import known_factors
from champion.pipeline.ingest.symbol_changes import review_history

_ID = "instrument_id"
_NEW_FACE = ("split", "consolidation")
_LATE = 2  # sessions from a split to its new ISIN
_UNSEEN = 20  # sessions without an ISIN, after which a change cannot be dated


def identity(run: Run) -> Section:
    """Return the numbers of instruments, symbols and ISINs, and the explanation of each change."""
    bars = equity_bars(run.lake, run.start, run.end, kinds=None).select(_ID, "symbol", "isin", "trade_date").collect()
    shares = bars.select("symbol", _ID).unique()
    seen = _renames(bars)
    listed = _listed(run)
    known, contradictions = review_history(run.lake)
    learned = sorted(set(known.changes) - set(listed.changes))
    shown = seen.with_columns(listed=pl.struct("session", "before", "after").is_in(_structs(listed)))
    reused = shares.filter(pl.col(_ID).str.contains("@", literal=True)).sort(_ID)
    changes = _isin_changes(bars, run)
    ignored = pl.DataFrame(
        [(one.kind, one.session, one.symbol, one.detail) for one in contradictions],
        schema=["what", "session", "symbol", "detail"],
        orient="row",
    )
    twice = bars.height - bars.select(_ID, "trade_date").n_unique()
    found = pl.DataFrame(learned, schema=["session", "before", "after"], orient="row")
    by_what = changes.group_by("what").len("ISIN changes").sort("ISIN changes", descending=True)
    return Section(
        "Identity",
        [
            (
                f"{shares['symbol'].n_unique():,} symbols of company shares belong to {shares[_ID].n_unique():,} "
                f"instruments; {twice} instruments have two bars in one session. {shown.height:,} renames appear in "
                f"the bars, {int(shown['listed'].sum()):,} of them on the date in the exchange's list."
            ),
            f"The bars show these renames, which the list lacks or has on another date ({len(learned)}):",
            table(found),
            (
                f"These symbols were used again by another instrument ({reused.height}); the id contains the date on "
                "which the symbol became free:"
            ),
            table(reused),
            (
                f"These are contradictions between the list, symbols and ISINs ({ignored.height}), for which Champion "
                "uses the bars:"
            ),
            table(ignored),
            (
                f"Instruments got another ISIN {changes.height:,} times. Full reports have no ISIN, so a change has no "
                "date if it happened while they replaced the bhavcopy:"
            ),
            table(by_what),
        ],
        {"renames": shown, "learned": found, "isin_changes": changes},
    )


def _renames(bars: pl.DataFrame) -> pl.DataFrame:
    before = pl.col("symbol").shift(1).over(_ID, order_by="trade_date")
    changed = bars.with_columns(before=before).filter(pl.col("before") != pl.col("symbol"))
    return changed.select(_ID, "before", pl.col("symbol").alias("after"), pl.col("trade_date").alias("session"))


def _listed(run: Run) -> SymbolHistory:
    lists = run.lake.sessions(CHANGES)
    return SymbolHistory.of(run.lake.scan(CHANGES, lists[-1]).collect()) if lists else SymbolHistory()


def _structs(listed: SymbolHistory) -> pl.Series:
    fields = {"session": pl.Date(), "before": pl.String(), "after": pl.String()}
    return pl.DataFrame(listed.changes, schema=fields, orient="row").to_struct()


def _isin_changes(bars: pl.DataFrame, run: Run) -> pl.DataFrame:
    """Return every change of ISIN with its cause: a split up to two sessions before, a rename, or neither."""
    order = bars.select(pl.col("trade_date").unique().sort()).with_row_index("number").cast({"number": pl.Int64})
    known = bars.drop_nulls("isin").join(order, on="trade_date")
    before = pl.col("isin", "symbol", "number").shift(1).over(_ID, order_by="trade_date").name.prefix("before_")
    changed = known.with_columns(before).filter(pl.col("before_isin") != pl.col("isin"))
    faces = known_factors(run.lake).filter(pl.col("kind").is_in(_NEW_FACE)).select(_ID, "ex_date").unique()
    placed = changed.sort("trade_date").join_asof(
        faces.sort("ex_date"), left_on="trade_date", right_on="ex_date", by=_ID, coalesce=False, check_sortedness=False
    )
    since = order.select(pl.col("trade_date").alias("ex_date"), pl.col("number").alias("ex_number")).sort("ex_date")
    dated = placed.sort("ex_date", nulls_last=True).join_asof(since, on="ex_date", strategy="forward")
    late = pl.col("number") - pl.col("ex_number")
    gap = pl.col("ex_number") > pl.col("before_number")
    what = (
        pl.when(late.is_between(0, _LATE))
        .then(pl.format("split or consolidation, {} session(s) before", late))
        .when(gap)
        .then(pl.lit("split or consolidation since the last ISIN seen"))
        .when(pl.col("number") - pl.col("before_number") > _UNSEEN)
        .then(pl.lit("not dated: no ISIN was published, or no trade, in between"))
        .when(pl.col("before_symbol") != pl.col("symbol"))
        .then(pl.lit("with a rename"))
        .when(pl.col("isin").str.starts_with("INF"))
        .then(pl.lit("a fund, whose splits are not in the list"))
        .when(~pl.col("instrument_id").is_in(faces["instrument_id"].implode()))
        .then(pl.lit("no split in the list: SME shares are mostly absent from it"))
        .otherwise(pl.lit("another date than its split in the list"))
    )
    return dated.select(_ID, "symbol", "trade_date", "before_isin", "isin", what.alias("what")).sort("trade_date", _ID)
