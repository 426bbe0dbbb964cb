"""What a simulated account earned, before and after costs, and against its benchmark."""

from __future__ import annotations

import polars as pl

from champion.modeling import metrics
from champion.portfolio.contract_note import COMPONENTS
from champion.portfolio.simulator import Simulation

_SESSIONS_A_YEAR = 252
_BASIS_POINTS = 1e4


def summary(found: Simulation, benchmark: Simulation | None = None) -> dict[str, float]:
    """Return the figures of an account: returns, risk and costs a year.

    `net_return` and `gross_return` are growth a year; gross has charges and impact added back to each session's profit.
    `charges_bps`, `impact_bps` and each component as `<component>_bps` are basis points of the mean equity a year,
    `turnover` is the traded value over twice the mean equity a year, `cash_share` the mean share of cash. With a
    benchmark, `active_return` is net_return less its net_return, and `tracking_error` the deviation a year.

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
    {'cash_share': 0.6, 'charges_bps': 600.2}
    """
    account = found.account
    first = (account["bought"] > 0).arg_max() if (account["bought"] > 0).any() else None
    names = ["net_return", "gross_return", "volatility", "sharpe", "max_drawdown", "turnover", "cash_share"]
    names += ["charges_bps", "impact_bps", *(f"{name}_bps" for name in COMPONENTS)]
    names += ["active_return", "tracking_error"] if benchmark else []
    if first is None:
        return dict.fromkeys(names, float("nan"))
    start = max(first - 1, 0)
    traded = account[start:]
    years = (traded.height - 1) / _SESSIONS_A_YEAR
    equity = traded["equity"]
    returns = (equity / equity.shift(1) - 1).drop_nulls()
    costs = traded["charges"] + traded["impact"]
    gross = ((equity + costs) / equity.shift(1) - 1).drop_nulls()
    mean = float(equity.mean())  # type: ignore[arg-type]
    result = {
        "net_return": _growth(returns, years),
        "gross_return": _growth(gross, years),
        "volatility": float(returns.std() or 0.0) * _SESSIONS_A_YEAR**0.5,  # type: ignore[arg-type]
        "sharpe": metrics.sharpe_ratio(returns, _SESSIONS_A_YEAR),
        "max_drawdown": metrics.max_drawdown(equity / equity[0]),
        "turnover": float((traded["bought"] + traded["sold"]).sum()) / 2 / mean / years,
        "cash_share": float((traded["cash"] / equity)[1:].mean()),  # type: ignore[arg-type]
    }
    for name in ("charges", "impact", *COMPONENTS):
        result[f"{name}_bps"] = float(traded[name].sum()) / mean / years * _BASIS_POINTS
    if benchmark:
        theirs = benchmark.account["equity"][start:]
        other = (theirs / theirs.shift(1) - 1).drop_nulls()
        active = (returns - other).std()
        result["active_return"] = result["net_return"] - _growth(other, years)
        result["tracking_error"] = float(active or 0.0) * _SESSIONS_A_YEAR**0.5  # type: ignore[arg-type]
    return result


def _growth(returns: pl.Series, years: float) -> float:
    grown: float = (1 + returns).product() ** (1 / years)
    return grown - 1
