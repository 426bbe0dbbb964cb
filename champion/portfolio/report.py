"""What a simulated account earned, before and after costs, and against its benchmark.

A year is 365.25 days in growth, costs and turnover a year, so that the figures of a calendar year are those that
everybody else gives for it. Volatility, tracking error and Sharpe ratio are annualised with 252 sessions, as is usual.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl

from champion.modeling import metrics
from champion.portfolio.contract_note import COMPONENTS
from champion.portfolio.history import Simulation

_BASIS_POINTS = 1e4
_DAYS_PER_YEAR = 365.25


def years(first: date, last: date) -> float:
    """Return the years between two closes, by calendar days.

    >>> years(date(2020, 12, 31), date(2024, 12, 31))
    4.0
    """
    return (last - first).days / _DAYS_PER_YEAR


def summary(found: Simulation, benchmark: Simulation | None = None) -> dict[str, float]:
    """Return the figures of an account: returns, risk and costs a year (`years`).

    `net_return` and `gross_return` are growth a year; gross has charges and impact added back to each session's profit.
    `charges_bps`, `impact_bps` and each component as `<component>_bps` are basis points of the mean equity a year,
    `turnover` is the traded value over twice the mean equity a year, `cash_share` the mean share of cash,
    `unfilled_share` the mean value of the orders still open at the close as a share of the equity, `write_offs_bps`
    what holdings that ended lost of their last value, which gross_return has lost too, and `cash_drag_bps` what the
    cash would have earned in the holdings of its session: what holding it cost, below 0 if the holdings fell. It is not
    paid, and no part of gross less net return. `sharpe` is the mean over the deviation of the daily returns, a year. No
    risk-free rate is taken off, because no rates are in the lake, and cash earns nothing: in a year of high rates
    `sharpe` flatters an account that earns less than treasury bills. With a benchmark, `active_return` is net_return
    less its net_return, a difference of two growth rates, and `tracking_error` the deviation a year of the daily
    differences. What these differences compound to is another figure: the trials' `net_active_return`.

    Sessions before the first trade are left out. All figures are NaN if there is no trade.

    >>> from datetime import date
    >>> from champion.portfolio.arrays import market_arrays
    >>> from champion.portfolio.simulator import MarketRules, simulate
    >>> names = ("open", "high", "low", "close", "prev_close")
    >>> bar = {"instrument_id": "A", **dict.fromkeys(names, 100.0), "volume": 10_000, "turnover": 1_000_000.0}
    >>> bars = pl.DataFrame([bar | {"trade_date": date(2024, 1, day)} for day in (1, 2, 3)])
    >>> weights = pl.DataFrame({"trade_date": [date(2024, 1, 1)], "instrument_id": ["A"], "weight": [0.4]})
    >>> found = simulate(market_arrays(bars), weights, MarketRules(capital=100_000))
    >>> {name: round(value, 2) for name, value in summary(found).items() if name in {"charges_bps", "cash_share"}}
    {'cash_share': 0.6, 'charges_bps': 869.94}
    """
    account = found.account
    names = [
        "net_return",
        "gross_return",
        "volatility",
        "sharpe",
        "max_drawdown",
        "turnover",
        "cash_share",
        "unfilled_share",
    ]
    names += ["cash_drag_bps", "write_offs_bps", "charges_bps", "impact_bps", *(f"{name}_bps" for name in COMPONENTS)]
    names += ["active_return", "tracking_error"] if benchmark else []
    if (start := _start(account)) is None:
        return dict.fromkeys(names, float("nan"))
    traded = account[start:]
    span = years(traded["trade_date"][0], traded["trade_date"][-1])
    equity = traded["equity"]
    returns = _returns(traded)
    mean = float(equity.mean())  # type: ignore[arg-type]
    result = {
        "net_return": _growth(returns, span),
        "gross_return": _growth(_returns(traded, gross=True), span),
        "volatility": float(returns.std() or 0.0) * metrics.SESSIONS_PER_YEAR**0.5,  # type: ignore[arg-type]
        "sharpe": metrics.sharpe_ratio(returns, metrics.SESSIONS_PER_YEAR),
        "max_drawdown": metrics.max_drawdown(equity / equity[0]),
        "turnover": float((traded["bought"] + traded["sold"]).sum()) / 2 / mean / span,
        "cash_share": float((traded["cash"] / equity)[1:].mean()),  # type: ignore[arg-type]
        "unfilled_share": float((traded["unfilled"] / equity)[1:].mean()),  # type: ignore[arg-type]
    }
    result["cash_drag_bps"] = _cash_drag(traded) / mean / span * _BASIS_POINTS
    for name in ("write_offs", "charges", "impact", *COMPONENTS):
        result[f"{name}_bps"] = float(traded[name].sum()) / mean / span * _BASIS_POINTS
    if benchmark:
        other = _returns(benchmark.account[start:])
        active = (returns - other).std()
        result["active_return"] = result["net_return"] - _growth(other, span)
        result["tracking_error"] = float(active or 0.0) * metrics.SESSIONS_PER_YEAR**0.5  # type: ignore[arg-type]
    return result


def active(found: Simulation, benchmark: Simulation) -> pl.DataFrame:
    """Return trade_date and active: the net return of each session less the benchmark's, as decimals.

    The first row is the session of the first trade, whose return has the charges of the first purchases; the deviation
    of `active` is the tracking error of `summary`. Empty if there is no trade.

    >>> account = pl.DataFrame({"trade_date": ["2024-01-01", "2024-01-02"], "equity": [100.0, 75.0], "bought": [0, 50]})
    >>> other = account.with_columns(equity=pl.lit(100.0))
    >>> active(*(Simulation(each, pl.DataFrame(), pl.DataFrame(), pl.DataFrame()) for each in (account, other))).rows()
    [('2024-01-02', -0.25)]
    """
    account = found.account
    if (start := _start(account)) is None:
        return account.select("trade_date", active=pl.lit(0.0)).clear()
    difference = _returns(account[start:]) - _returns(benchmark.account[start:])
    return account[start + 1 :].select("trade_date", active=difference)


def growth(found: Simulation, benchmark: Simulation) -> pl.DataFrame:
    """Return trade_date, net, gross and benchmark: the growth of 1 since the close before the first trade.

    It starts where the figures of `summary` start; without a trade, at the first session.

    >>> columns = {"equity": [50.0], "charges": [0.0], "impact": [0.0], "bought": [0.0]}
    >>> account = pl.DataFrame({"trade_date": ["2024-01-01"], **columns})
    >>> found = Simulation(account, pl.DataFrame(), pl.DataFrame(), pl.DataFrame())
    >>> growth(found, found).row(0)
    ('2024-01-01', 1.0, 1.0, 1.0)
    """
    one, start = pl.Series([1.0]), _start(found.account) or 0
    account, other = found.account[start:], benchmark.account["equity"][start:]
    return account.select(
        "trade_date",
        net=pl.col("equity") / pl.col("equity").first(),
        gross=pl.concat([one, 1 + _returns(account, gross=True)]).cum_prod(),
        benchmark=other / other[0],
    )


def costs(summarised: Mapping[str, float]) -> pl.DataFrame:
    """Return component and basis_points: what a summary has as `<component>_bps` of costs that are paid.

    Their sum `charges` is left out, and so are write_offs, which are losses of holdings.

    >>> costs({"net_return": 0.1, "charges_bps": 60.0, "stt_bps": 60.0, "impact_bps": 5.0}).rows()
    [('stt', 60.0), ('impact', 5.0)]
    """
    parts = {name.removesuffix("_bps"): value for name, value in summarised.items() if name.endswith("_bps")}
    for name in ("charges", "cash_drag", "write_offs"):
        parts.pop(name, None)
    return pl.DataFrame({"component": list(parts), "basis_points": list(parts.values())})


def _cash_drag(account: pl.DataFrame) -> float:
    """Return what the cash of each close would have earned in the next session in the holdings of that close."""
    earned = pl.col("holding_profit") + pl.col("dividends") + pl.col("entitlements") - pl.col("write_offs")
    cash, holdings = (pl.col(name).shift(1) for name in ("cash", "holdings"))
    missed = pl.when(holdings > 0).then(cash * earned / holdings)
    return float(account.select(missed.sum()).item())


def _start(account: pl.DataFrame) -> int | None:
    """Return the row of the session before the first trade; None without a trade."""
    traded = account["bought"] > 0
    return max((traded.arg_max() or 0) - 1, 0) if traded.any() else None


def _returns(account: pl.DataFrame, *, gross: bool = False) -> pl.Series:
    """Return the return of each session after the first, with charges and impact added back if `gross`."""
    equity, before = account["equity"], account["equity"].shift(1)
    after = equity + account["charges"] + account["impact"] if gross else equity
    return (after / before - 1).drop_nulls()


def _growth(returns: pl.Series, span: float) -> float:
    grown: float = (1 + returns).product() ** (1 / span)
    return grown - 1
