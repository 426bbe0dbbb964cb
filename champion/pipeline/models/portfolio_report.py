"""The simulated account of scores as a training or a paper account publishes it, or the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from champion.base.counting import quantity
from champion.errors import ChampionError, UsageError
from champion.lake import Lake
from champion.pipeline.feature_store.risk_model import before
from champion.pipeline.models.index_comparison import IndexComparison, compare
from champion.pipeline.models.portfolio import Portfolio
from champion.portfolio.contract_note import COMPONENTS
from champion.portfolio.risk_attribution import active_parts, parts_by_year, risk_by_year, risk_periods

PREFIX = "portfolio_"
"""The beginning of the names of an account's metrics and tables in a run that has others, as portfolio_net_return."""
LEAST_INVESTED = 0.05
"""Mean share of the equity in holdings below which the figures of an account say nothing about its scores."""
_NO_GROWTH = {"trade_date": pl.Date, "net": pl.Float64, "gross": pl.Float64, "benchmark": pl.Float64}
_NO_COSTS = {"component": pl.String, "basis_points": pl.Float64}
_NO_ACTIVE = {"trade_date": pl.Date, "active": pl.Float64}


@dataclass(frozen=True, slots=True)
class SimulatedAccount:
    """An account that was simulated, or the `problem` that prevented it: then every figure is unknown, not 0.

    >>> missing = SimulatedAccount(None, "the lake has no bars of 1 scored instrument")
    >>> missing.text, missing.metrics, missing.figures, missing.tables, missing.named_tables
    ('not simulated: the lake has no bars of 1 scored instrument', {}, {}, {}, {})
    >>> [frame.height for frame in (missing.active, missing.growth, missing.costs, missing.benchmarks)]
    [0, 0, 0, 0]
    """

    result: Portfolio | None
    problem: str = ""
    comparison: IndexComparison | None = None

    @property
    def text(self) -> str:
        """Growth after costs since the close before the first trade, the benchmark's, and `Portfolio.notes`.

        Without an account, the reason.
        """
        if self.result is None:
            return f"not simulated: {self.problem}"
        growth, fills = self.result.growth, self.result.account.trades.height
        net, gross, benchmark = (growth[name][-1] - 1 for name in ("net", "gross", "benchmark"))
        figures = (
            f"{growth['trade_date'][0]} to {growth['trade_date'][-1]}: {net:.1%} after costs, {gross:.1%} before, "
            f"benchmark {benchmark:.1%}, {fills:,} fills"
        )
        return "; ".join((figures, *self.result.notes))

    @property
    def figures(self) -> dict[str, float]:
        """The finite figures of `Portfolio.summary` and `IndexComparison.metrics`; empty without an account."""
        summary = {} if self.result is None else self.result.summary
        summary = summary | (self.comparison.metrics if self.comparison else {})
        return {name: value for name, value in summary.items() if math.isfinite(value)}

    @property
    def metrics(self) -> dict[str, float]:
        """The `figures`, each as portfolio_<name>."""
        return {PREFIX + name: value for name, value in self.figures.items()}

    @property
    def tables(self) -> dict[str, pl.DataFrame]:
        """The `named_tables`, each as portfolio_<name>."""
        return {PREFIX + name: table for name, table in self.named_tables.items()}

    @property
    def named_tables(self) -> dict[str, pl.DataFrame]:
        """Account, trades, charges, cuts, active returns and benchmarks by name; empty without an account.

        `charges` has the contract note of each session with trades, in rupees: trade_date, the components, rounding and
        charges.
        """
        if self.result is None:
            return {}
        found, columns = self.result.account, ("trade_date", *COMPONENTS, "rounding", "charges")
        charges = found.account.filter(pl.col("charges") > 0).select(columns)
        tables = {"account": found.account, "trades": found.trades, "charges": charges, "cuts": found.cuts}
        return tables | {"active": self.active, "benchmarks": self.benchmarks}

    @property
    def benchmarks(self) -> pl.DataFrame:
        """The account beside its benchmarks (`IndexComparison.table`); no rows if it was not compared."""
        return pl.DataFrame() if self.comparison is None else self.comparison.table

    @property
    def active(self) -> pl.DataFrame:
        """The net return of each session less the benchmark's (`Portfolio.active`); no rows without an account."""
        return pl.DataFrame(schema=_NO_ACTIVE) if self.result is None else self.result.active

    @property
    def growth(self) -> pl.DataFrame:
        """The growth of account, benchmark and known indices (`Portfolio.growth`); no rows without an account."""
        if self.result is None:
            return pl.DataFrame(schema=_NO_GROWTH)
        growth = self.result.growth
        return growth if self.comparison is None else growth.join(self.comparison.growth, on="trade_date", how="left")

    @property
    def costs(self) -> pl.DataFrame:
        """The costs of a year by component (`Portfolio.costs`); no rows without an account."""
        return pl.DataFrame(schema=_NO_COSTS) if self.result is None else self.result.costs


def simulated(simulate: Callable[[], Portfolio], lake: Lake | None = None) -> SimulatedAccount:
    """Return what `simulate` returns, or the problem that it names: a training must not fail for want of an account.

    The account is compared with the indices that the lake has, by default that of this workspace. Only Champion's own
    errors are such problems, as bars that are missing or a day without known charges.

    >>> from champion import portfolio
    >>> no_scores = pl.DataFrame(schema={"trade_date": pl.Date, "instrument_id": pl.String, "score": pl.Float64})
    >>> simulated(lambda: portfolio.simulate(no_scores)).text
    'not simulated: there are no scores to simulate; give trade_date, instrument_id and score'
    """
    try:
        return compared(simulate(), lake)
    except ChampionError as error:
        return SimulatedAccount(None, str(error))


def compared(found: Portfolio, lake: Lake | None = None) -> SimulatedAccount:
    """Return a simulated account beside the indices that the lake has; see `index_comparison.compare`.

    >>> from datetime import date
    >>> from champion import portfolio
    >>> scores = pl.DataFrame({"trade_date": [date(2024, 1, 15)], "instrument_id": ["NSE:ACME"], "score": [1.0]})
    >>> compared(portfolio.simulate(scores)).benchmarks["benchmark"].to_list()
    ['scored instruments, equally weighted', 'NIFTY 50', 'NIFTY 500']
    """
    return SimulatedAccount(found, comparison=compare(found, lake))


def require_invested(found: Portfolio) -> Portfolio:
    """Return an account if it holds shares for a twentieth of its equity or more, on average since its first trade.

    Raises:
        UsageError: it holds less, as with a capital that buys no whole share, or a rule of more instruments than are
            scored. Call it before figures are shown or a trial is recorded.

    >>> from datetime import date
    >>> from champion import portfolio
    >>> scores = pl.DataFrame({"trade_date": [date(2024, 1, 15)], "instrument_id": ["NSE:ACME"], "score": [1.0]})
    >>> small = portfolio.MarketRules(capital=10_000)
    >>> require_invested(portfolio.simulate(scores, portfolio.Rule(top=1), small)).summary["cash_share"] < 0.95
    True
    >>> require_invested(portfolio.simulate(scores, portfolio.Rule(top=1)))  # far more capital than could be invested
    Traceback (most recent call last):
    ...
    champion.errors.UsageError: the account holds 0.1% of its equity on average, and less than 5% says nothing about \
the scores, so no figure is shown and no trial recorded: give a smaller top, or a capital that fits
    """
    share = 1 - found.summary["cash_share"]
    if share >= LEAST_INVESTED:
        return found
    holds = "made no trade" if math.isnan(share) else f"holds {share:.1%} of its equity on average"
    notes = "; ".join(found.notes)
    raise UsageError(
        f"the account {holds}, and less than {LEAST_INVESTED:.0%} says nothing about the scores, so no figure is shown "
        f"and no trial recorded: give a smaller top, or a capital that fits{f'. {notes}' if notes else ''}"
    )


@dataclass(frozen=True, slots=True)
class RiskReport:
    """The active return by part, and forecast against realised risk, by year; see `risk_attribution`.

    >>> RiskReport(pl.DataFrame(), pl.DataFrame(), "no risk is known").metrics
    {}
    """

    parts: pl.DataFrame
    risk: pl.DataFrame
    text: str = ""

    @property
    def metrics(self) -> dict[str, float]:
        """The sums of the parts of all years as active_<part>, and forecast, realised and bias of the risk.

        Those of the active return begin with active_risk_, those of the account with risk_.
        """
        found = dict[str, float]()
        for row in self.parts.tail(1).iter_rows(named=True):
            found |= {f"active_{name}": row[name] for name in row if name not in {"year", "active"}}
        for row in self.risk.filter(pl.col("year").is_null()).iter_rows(named=True) if self.risk.height else ():
            prefix = "risk_" if row["portfolio"] == "account" else "active_risk_"
            found |= {prefix + name: row[name] for name in ("forecast", "realised", "bias")}
        return {name: value for name, value in found.items() if value is not None and math.isfinite(value)}


def by_risk(found: Portfolio, lake: Lake) -> RiskReport:
    """Return what the factor risk model of all company shares explains of an account; `text` says what it cannot.

    >>> from datetime import date
    >>> from champion import portfolio, workspace
    >>> scores = pl.DataFrame({"trade_date": [date(2024, 1, 15)], "instrument_id": ["NSE:ACME"], "score": [1.0]})
    >>> report = by_risk(portfolio.simulate(scores, portfolio.Rule(top=1)), workspace.lake())
    >>> report.risk.height, report.text
    (0, 'the risk is known on no session of the account: a forecast needs 60 sessions of factor returns before')
    """
    days = found.account.account["trade_date"]
    model = before(lake, days[0], days[-1])
    parts = parts_by_year(active_parts(found.account, found.benchmark, model))
    periods = risk_periods(found.account, found.benchmark, model)
    nothing = (
        "the risk is known on no session of the account: a forecast needs "
        f"{quantity(model.estimation.fewest, 'session')} of factor returns before"
    )
    first = "" if periods.is_empty() else f"forecasts from {periods['trade_date'][0]} on"
    return RiskReport(parts, risk_by_year(periods), first or nothing)
