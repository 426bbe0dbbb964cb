"""An account beside published indices, on the sessions that their histories cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from champion import workspace
from champion.errors import UsageError
from champion.lake import Lake
from champion.pipeline.models.portfolio import Portfolio
from champion.pipeline.reference.benchmarks import BENCHMARKS, benchmark
from champion.portfolio.inputs import require_kind
from champion.portfolio.report import years

INDICES = ("NIFTY 50", "NIFTY 500")
UNIVERSE = "scored instruments, equally weighted"
_COLUMNS = {
    "benchmark": pl.String, "basis": pl.String, "first": pl.Date, "last": pl.Date, "net_return": pl.Float64,
    "benchmark_return": pl.Float64, "active_return": pl.Float64, "note": pl.String,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class IndexComparison:
    """An account beside its benchmarks.

    `table` has a row per benchmark: its basis (`simulated`, `published`, or `estimated` from a price index and its
    yield), the first and last session that are compared, the growth a year of the account after costs and of the
    benchmark between their closes, and their difference. The first session is the one before the first trade, as for
    `Portfolio.summary`, so its active_return is that of the first row; without a trade, the figures are null. Where the
    index is not known, the figures are null and `note` says what is covered; where it is known on a part of the
    account's sessions, they are of this part, and it says so.

    `growth` has trade_date and a column per index that has values: its growth, which starts where the account was on
    the first session that the index covers; null where it is not known.

    >>> row = ("NIFTY 50", "published", None, None, 0.12, 0.1, 0.02, "")
    >>> compared = IndexComparison(pl.DataFrame([row], schema=_COLUMNS, orient="row"), pl.DataFrame())
    >>> compared.texts
    {'NIFTY 50': '10.0% a year (published), the account 12.0%'}
    >>> compared.metrics
    {'active_return_nifty_50': 0.02}
    """

    table: pl.DataFrame
    growth: pl.DataFrame

    @property
    def texts(self) -> dict[str, str]:
        """Each benchmark's name with its return a year and basis, and the note if it has one."""
        texts = {}
        for row in self.table.iter_rows(named=True):
            figures = "{benchmark_return:.1%} a year ({basis}), the account {net_return:.1%}"
            known = figures.format(**row) if row["active_return"] is not None else "not known"
            dates = f", from {row['first']} to {row['last']}" if row["note"] and row["first"] else ""
            texts[row["benchmark"]] = known + dates + (f": {row['note']}" if row["note"] else "")
        return texts

    @property
    def metrics(self) -> dict[str, float]:
        """active_return_nifty_50 and so on: the active returns to the indices that cover all sessions."""
        whole = self.table.filter(pl.col("note") == "", pl.col("basis") != "simulated").drop_nulls("active_return")
        names = whole["benchmark"].str.to_lowercase().str.replace_all(" ", "_")
        return {f"active_return_{name}": value for name, value in zip(names, whole["active_return"], strict=True)}


def compare(found: Portfolio, lake: Lake | None = None, indices: Sequence[str] = INDICES) -> IndexComparison:
    """Return an account beside indices with dividends, and beside its equally weighted universe.

    An index pays no costs; an account that follows it does.

    Args:
        found: the simulated account.
        lake: by default that of this workspace.
        indices: names in `pipeline.reference.benchmarks.BENCHMARKS`, with the basis given there.

    Raises:
        UsageError: `found` is no `Portfolio`, or an index is not known.

    >>> from datetime import date
    >>> from champion.pipeline.models.portfolio import simulate
    >>> scores = pl.DataFrame({"trade_date": [date(2024, 1, 15)], "instrument_id": ["NSE:ACME"], "score": [1.0]})
    >>> found = compare(simulate(scores))
    >>> isinstance(found, IndexComparison), found.table.select("benchmark", "basis", "active_return").row(1)
    (True, ('NIFTY 50', 'published', None))
    """
    require_kind("found", found, Portfolio)
    where = lake or workspace.lake()
    net = found.growth.select("trade_date", "net")
    first, last = net["trade_date"][0], net["trade_date"][-1]
    universe = found.growth.select("trade_date", level="benchmark")
    if found.account.trades.is_empty():
        net, universe = net.clear(), universe.clear()
    rows, growth = [_row(UNIVERSE, "simulated", net, universe, "")], found.growth.select("trade_date")
    for name in indices:
        note = ""
        try:
            levels = benchmark(name, first, last, lake=where)
        except UsageError as error:
            note = str(error)
            levels = benchmark(name, first, last, lake=where, allow_gaps=True)
        known = levels.select("trade_date", "level").drop_nulls()
        rows.append(_row(name, BENCHMARKS[name], net, known, note))
        if known.height > 1 and net.height:
            growth = growth.join(_since_first(net, known, name), on="trade_date", how="left")
    return IndexComparison(pl.DataFrame(rows, schema=_COLUMNS, orient="row"), growth)


def _row(name: str, basis: str, net: pl.DataFrame, levels: pl.DataFrame, note: str) -> tuple[object, ...]:
    both = net.join(levels, on="trade_date").sort("trade_date")
    if both.height < 2:  # noqa: PLR2004 - a return is between two closes
        nothing = "no session in common" if net.height else "the account has no trade"
        return name, basis, None, None, None, None, None, note or nothing
    first, last = both["trade_date"][0], both["trade_date"][-1]
    power = 1 / years(first, last)
    ours, theirs = ((both[column][-1] / both[column][0]) ** power - 1 for column in ("net", "level"))
    return name, basis, first, last, ours, theirs, ours - theirs, note


def _since_first(net: pl.DataFrame, known: pl.DataFrame, name: str) -> pl.DataFrame:
    """Return the growth of an index that starts where the account was on the index's first session."""
    both = net.join(known, on="trade_date").sort("trade_date")
    return both.select("trade_date", (pl.col("level") / pl.col("level").first() * pl.col("net").first()).alias(name))
