"""Figures of a simulated account: its equity beside the benchmark's, and what trading cost."""

from itertools import cycle

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from champion.plots import style

_SOURCE = "simulated account"
_OTHERS = (style.ORANGE, style.GREEN, style.PURPLE)


@style.plot("Equity", "trade_date", "net", "gross", "benchmark", source=_SOURCE)
def account_equity(equity: pl.DataFrame) -> Figure:
    """Draw the growth of an account before and after costs beside its benchmark, and its fall from the last peak.

    Columns: trade_date (Date); net, gross and benchmark, the growth since the first session (1 at the start). Further
    columns are drawn as other benchmarks under their names; they may have nulls.

    >>> from datetime import date
    >>> days = [date(2024, 1, 15), date(2024, 1, 16)]
    >>> growth = pl.DataFrame({"trade_date": days, "net": [1.0, 1.02], "gross": [1.0, 1.03], "benchmark": [1.0, 1.05]})
    >>> account_equity(growth).axes[0].get_title(loc="left")
    'Equity: 2.0% after costs, benchmark 5.0%'
    """
    equity = equity.sort("trade_date")
    figure, (upper, lower) = style.panels((9.5, 5), nrows=2, sharex=True, height_ratios=[2, 1])
    places = style.sessions_axis(upper, equity["trade_date"].to_list())
    lines = {
        "net": ("after costs", style.BLUE),
        "gross": ("before costs", style.SKY),
        "benchmark": ("benchmark", style.GREY),
    }
    others = [name for name in equity.columns if name not in {"trade_date", *lines}]
    lines |= {name: (name, color) for name, color in zip(others, cycle(_OTHERS), strict=False)}
    growth = {name: equity[name].to_numpy() - 1 for name in lines}
    for name, (label, color) in lines.items():
        style.line(upper, places, growth[name], label=label, color=color)
    net = equity["net"].to_numpy()
    style.line(lower, places, net / np.maximum.accumulate(net) - 1, color=style.VERMILION)
    style.legend_above(upper)
    totals = {name: f"{style.signed(100 * values[-1], '.1f')}%" for name, values in growth.items()}
    title = f"Equity: {totals['net']} after costs, benchmark {totals['benchmark']}"
    upper.set(title=title, ylabel="growth")
    lower.set_ylabel("from the peak")
    for ax in (upper, lower):
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        ax.axhline(0, color=style.INK, linewidth=0.8)
    return figure


@style.plot("Costs", "component", "basis_points", source=_SOURCE)
def trading_costs(costs: pl.DataFrame) -> Figure:
    """Draw the costs of a year by component, the largest first.

    Columns: component, basis_points (of the mean equity, a year).

    >>> costs = pl.DataFrame({"component": ["stt", "impact"], "basis_points": [80.0, 20.0]})
    >>> trading_costs(costs).axes[0].get_title(loc="left")
    'Costs: 100 basis points a year, stt 80%'
    """
    costs = costs.filter(pl.col("basis_points") > 0).sort("basis_points")
    values, names = costs["basis_points"].to_numpy(), costs["component"].to_list()
    figure, (ax,) = style.panels((7, 0.4 * len(names) + 1.6))
    places = np.arange(len(names))
    ax.barh(places, values, color=style.BLUE, height=0.7)
    ax.set_yticks(places, names)
    for place, value in zip(places, values, strict=True):
        ax.annotate(f"{value:,.1f}", (value, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9)
    ax.margins(x=0.12)
    largest = f", {names[-1]} {values[-1] / values.sum():.0%}" if names else ""
    ax.set(title=f"Costs: {values.sum():,.0f} basis points a year{largest}", xlabel="basis points of the mean equity")
    return figure
