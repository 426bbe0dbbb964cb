"""The simulated account of scores as a training or a paper account publishes it, or the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from champion.errors import ChampionError
from champion.pipeline.models.portfolio import Portfolio
from champion.portfolio.contract_note import COMPONENTS

PREFIX = "portfolio_"
"""The beginning of the names of an account's metrics and tables in a run that has others, as portfolio_net_return."""
_NO_GROWTH = {"trade_date": pl.Date, "net": pl.Float64, "gross": pl.Float64, "benchmark": pl.Float64}
_NO_COSTS = {"component": pl.String, "basis_points": pl.Float64}
_NO_ACTIVE = {"trade_date": pl.Date, "active": pl.Float64}


@dataclass(frozen=True, slots=True)
class SimulatedAccount:
    """An account that was simulated, or the `problem` that prevented it: then every figure is unknown, not 0.

    >>> missing = SimulatedAccount(None, "the lake has no bars of 1 scored instrument")
    >>> missing.text, missing.metrics, missing.active.height
    ('not simulated: the lake has no bars of 1 scored instrument', {}, 0)
    """

    result: Portfolio | None
    problem: str = ""

    @property
    def text(self) -> str:
        """One sentence: sessions and growth after costs beside the benchmark, or why there is no account."""
        if self.result is None:
            return f"not simulated: {self.problem}"
        growth, fills = self.result.growth, self.result.account.trades.height
        net, gross, benchmark = (growth[name][-1] - 1 for name in ("net", "gross", "benchmark"))
        return (
            f"{growth['trade_date'][0]} to {growth['trade_date'][-1]}: {net:.1%} after costs, {gross:.1%} before, "
            f"benchmark {benchmark:.1%}, {fills:,} fills"
        )

    @property
    def metrics(self) -> dict[str, float]:
        """The known figures of `Portfolio.summary`, each as portfolio_<name>; empty without an account."""
        summary = {} if self.result is None else self.result.summary
        return {PREFIX + name: value for name, value in summary.items() if math.isfinite(value)}

    @property
    def tables(self) -> dict[str, pl.DataFrame]:
        """Account, trades, charges, cuts and active returns, each as portfolio_<name>; empty without an account.

        `charges` has the contract note of each session with trades, in rupees: trade_date, the components, rounding and
        charges.
        """
        if self.result is None:
            return {}
        found, columns = self.result.account, ("trade_date", *COMPONENTS, "rounding", "charges")
        charges = found.account.filter(pl.col("charges") > 0).select(columns)
        tables = {"account": found.account, "trades": found.trades, "charges": charges, "cuts": found.cuts}
        return {PREFIX + name: table for name, table in (tables | {"active": self.active}).items()}

    @property
    def active(self) -> pl.DataFrame:
        """The net return of each session less the benchmark's (`Portfolio.active`); no rows without an account."""
        return pl.DataFrame(schema=_NO_ACTIVE) if self.result is None else self.result.active

    @property
    def growth(self) -> pl.DataFrame:
        """The growth of account and benchmark (`Portfolio.growth`); no rows without an account."""
        return pl.DataFrame(schema=_NO_GROWTH) if self.result is None else self.result.growth

    @property
    def costs(self) -> pl.DataFrame:
        """The costs of a year by component (`Portfolio.costs`); no rows without an account."""
        return pl.DataFrame(schema=_NO_COSTS) if self.result is None else self.result.costs


def simulated(simulate: Callable[[], Portfolio]) -> SimulatedAccount:
    """Return what `simulate` returns, or the problem that it names: a training must not fail for want of an account.

    Only Champion's own errors are such problems, as bars that are missing or a day without known charges.

    >>> from champion import portfolio
    >>> no_scores = pl.DataFrame(schema={"trade_date": pl.Date, "instrument_id": pl.String, "score": pl.Float64})
    >>> simulated(lambda: portfolio.simulate(no_scores)).text
    'not simulated: there are no scores to simulate; give trade_date, instrument_id and score'
    """
    try:
        return SimulatedAccount(simulate())
    except ChampionError as error:
        return SimulatedAccount(None, str(error))
