"""Figures of a simulated account: its equity beside the benchmark's, and what trading cost."""

from itertools import cycle

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from champion.plots import style

_SOURCE = "simulated account"
_OTHERS = (style.ORANGE, style.GREEN, style.PURPLE)
_SECTORS = 6
_MOSTLY = 0.7  # invested: the label is below the line
_COLORS = [style.BLUE, style.SKY, style.ORANGE, style.VERMILION, style.GREY, style.INK, "#BBBBBB"]
_LINES = (
    ("beta", "beta", 1.0),
    ("volatility", "volatility, %", 0.01),
    ("traded_value", "crore a session", style.CRORE),
)


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
        ax.yaxis.set_major_formatter(PercentFormatter(1.0))
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


@style.plot("Profit by group", "group", "profit", source=_SOURCE)
def profit_by_group(groups: pl.DataFrame) -> Figure:
    """Draw the profit of an account by group, the largest at the top.

    Columns: group; profit (rupees), as `portfolio.by_group` returns them.

    >>> groups = pl.DataFrame({"group": ["IT", "Metals"], "profit": [300_000.0, -100_000.0]})
    >>> profit_by_group(groups).axes[0].get_title(loc="left")
    'Profit by group: 2.0 lakh rupees, IT the most'
    """
    ordered = groups.sort("profit")
    values, names = ordered["profit"].to_numpy() / style.LAKH, ordered["group"].to_list()
    figure, (ax,) = style.panels((8, 0.35 * len(names) + 1.8), grid="x")
    style.signed_bars(ax, names, values, int((values < 0).sum()))
    style.bar_labels(ax, [style.signed(value, ",.1f") for value in values])
    ax.margins(x=0.14)
    total = style.signed(values.sum(), ",.1f")
    extreme = f"{names[-1]} the most" if values.sum() > 0 else f"{names[0]} lost most"
    ax.set(title=f"Profit by group: {total} lakh rupees, {extreme}")
    ax.set_xlabel("lakh rupees, after charges and impact")
    return figure


@style.plot("Capacity", "capital", "net_return", "gross_return", "invested_share", source=_SOURCE)
def capacity_curve(found: pl.DataFrame) -> Figure:
    """Draw the return of the same weights against the capital, before and after costs, and the share that is invested.

    Columns: capital (rupees); net_return and gross_return, a year, and invested_share, as `portfolio.capacity` returns
    them for one coefficient of impact. Where the invested share falls, orders are not filled, and the return nears that
    of cash: it shows no capacity.

    >>> found = pl.DataFrame({"capital": [1e6, 1e7], "net_return": [0.05, 0.02], "gross_return": [0.09, 0.08]})
    >>> capacity_curve(found.with_columns(invested_share=pl.Series([0.98, 0.4]))).axes[0].get_title(loc="left")
    'Capacity: 5.0% with 10 lakh rupees, 2.0% with 1 crore'
    """
    found = found.sort("capital")
    figure, (ax, lower) = style.panels((8, 5), nrows=2, sharex=True, height_ratios=[2, 1])
    capital = found["capital"].to_numpy()
    style.line(ax, capital, found["gross_return"].to_numpy(), label="before costs", color=style.SKY)
    style.line(ax, capital, found["net_return"].to_numpy(), label="after costs", color=style.BLUE)
    ax.scatter(capital, found["net_return"].to_numpy(), color=style.BLUE, s=18, zorder=3)
    style.line(lower, capital, found["invested_share"].to_numpy(), color=style.GREY)
    lower.set_xscale("log")
    lower.set_xticks(capital, [_rupees(each) for each in capital])
    lower.minorticks_off()
    lower.set_ylim(0, 1)
    ax.axhline(0, color=style.INK, linewidth=0.8)
    for each in (ax, lower):
        each.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.legend(loc="best")
    first, last = (style.percent(found["net_return"][place]) for place in (0, -1))
    title = f"Capacity: {first} with {_rupees(capital[0])} rupees, {last} with {_rupees(capital[-1])}"
    ax.set(title=title, ylabel="return a year")
    for place, share in zip(capital, found["invested_share"].to_list(), strict=True):
        shift = (0, 4 if share < _MOSTLY else -12)
        lower.annotate(f"{share:.0%}", (place, share), shift, textcoords="offset points", ha="center", fontsize=9)
    lower.set(xlabel="capital in rupees", ylabel="invested")
    return figure


@style.plot("Exposures", "trade_date", "exposure", "name", "value", source=_SOURCE)
def holdings_exposure(shown: pl.DataFrame) -> Figure:
    """Draw the sectors of an account's holdings by session, and the means of their beta, volatility and traded value.

    Columns: trade_date (Date), exposure, name and value, as `portfolio.exposures` returns them. Sectors beyond the six
    largest are drawn as one.

    >>> from datetime import date
    >>> kinds = {"exposure": ["beta", "sector"], "name": ["", "IT"], "value": [1.1, 0.9]}
    >>> holdings_exposure(pl.DataFrame({"trade_date": date(2024, 1, 15), **kinds})).axes[0].get_title(loc="left")
    'Exposures: mostly IT, 90% of the equity on average'
    """
    days = shown["trade_date"].unique().sort()
    figure, (upper, *lower) = style.panels((9.5, 7), nrows=4, sharex=True, height_ratios=[2, 1, 1, 1])
    places = style.sessions_axis(upper, days.to_list())
    sectors = shown.filter(exposure="sector")
    sizes = sectors.group_by("name").agg(pl.col("value").sum() / len(days)).sort("value", "name", descending=True)
    largest = sizes["name"].head(_SECTORS).to_list()
    grouped = sectors.with_columns(
        pl.when(pl.col("name").is_in(largest)).then("name").otherwise(pl.lit("others")).alias("name")
    )
    for_each = grouped.group_by("trade_date", "name").agg(pl.col("value").sum())
    names = [*largest, *(["others"] if sizes.height > _SECTORS else [])]
    heights_of = [_by_day(for_each.filter(name=name), days).fill_null(0.0).to_numpy() for name in names]
    if names:
        upper.stackplot(places, *heights_of, labels=names, colors=_COLORS)
        upper.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)
    upper.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    for ax, (name, label, unit) in zip(lower, _LINES, strict=True):
        values = _by_day(shown.filter(exposure=name), days).to_numpy() / unit
        style.line(ax, places, values, color=style.BLUE)
        ax.set_ylabel(label)
    most = f"mostly {largest[0]}, {sizes['value'][0]:.0%} of the equity on average" if largest else "no sectors"
    upper.set(title=f"Exposures: {most}", ylabel="share of equity")
    return figure


def _by_day(rows: pl.DataFrame, days: pl.Series) -> pl.Series:
    """Return the value of each day, null where there is none."""
    return (
        days.to_frame()
        .join(rows.select("trade_date", "value"), on="trade_date", how="left")
        .sort("trade_date")["value"]
    )


def _rupees(amount: float) -> str:
    return f"{amount / style.CRORE:,g} crore" if amount >= style.CRORE else f"{amount / style.LAKH:,g} lakh"
