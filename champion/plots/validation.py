"""Validation figures: a result by fold, month, delay and group, and against another model."""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from champion.base.counting import quantity
from champion.plots import style

_SOURCE = "out-of-sample scores"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DARK = 0.65  # share of the colour limit from which text is white
_LINE = 105  # characters of a sentence in a line
_LEAST = 0.02  # minimum colour limit in rank IC, so small values have pale colours


@style.plot("Metrics by fold", "fold", "rank_ic", "auc", source=_SOURCE)
def fold_metrics(folds: pl.DataFrame) -> Figure:
    """Draw rank IC and AUC of each fold of the walk-forward, oldest first, which shows a decaying model.

    Columns: fold (from 1), rank_ic (-1 to 1), auc (0 to 1).

    >>> folds = pl.DataFrame({"fold": [1, 2], "rank_ic": [0.03, -0.01], "auc": [0.52, 0.49]})
    >>> [ax.get_title(loc="left") for ax in fold_metrics(folds).axes]
    ['Rank IC above 0 in 1 of 2 folds', 'AUC (0.5 without skill)']
    """
    folds = folds.sort("fold")
    names = [str(fold) for fold in folds["fold"].to_list()]
    figure, (left, right) = style.panels((9.5, 3.4), ncols=2)
    for ax, name, base, label in ((left, "rank_ic", 0.0, "rank IC"), (right, "auc", 0.5, "AUC")):
        values = folds[name].cast(pl.Float64).to_numpy()
        colors = [style.BLUE if value >= base else style.ORANGE for value in values]
        ax.bar(names, values - base, bottom=base, color=colors, width=0.7, linewidth=0)
        style.bar_labels(ax, [style.signed(value, ".3f") for value in values])
        ax.axhline(base, color=style.INK, linewidth=0.8)
        ax.margins(y=0.2)
        ax.set(xlabel="fold", ylabel=label)
    good = int((folds["rank_ic"] > 0).sum())
    left.set_title(f"Rank IC above 0 in {good} of {folds.height} folds")
    right.set_title("AUC (0.5 without skill)")
    return figure


@style.plot("Rank IC by month", "trade_date", "ic", source=_SOURCE)
def ic_by_month(ic: pl.DataFrame) -> Figure:
    """Draw a heat map of the mean rank IC, with a row per year and a column per month.

    Columns: trade_date (Date), ic (-1 to 1).

    >>> from datetime import date
    >>> sessions = [date(2024, 1, 15), date(2024, 1, 16), date(2024, 2, 1)]
    >>> ic = pl.DataFrame({"trade_date": sessions, "ic": [0.02, 0.04, 0.01]})
    >>> [text.get_text() for text in ic_by_month(ic).axes[0].texts]
    ['3.0', '1.0']
    """
    month, year = pl.col("trade_date").dt.month().alias("month"), pl.col("trade_date").dt.year().alias("year")
    means = ic.group_by(year, month).agg(pl.col("ic").cast(pl.Float64).mean())
    years = sorted(set(means["year"].to_list()))
    grid = np.full((len(years), len(_MONTHS)), np.nan)
    for each, number, value in means.iter_rows():
        grid[years.index(each), number - 1] = value
    figure, (ax,) = style.panels((9.5, 1.7 + 0.42 * len(years)), grid="none")
    limit = max(_LEAST, float(np.nanmax(np.abs(grid))))
    ax.pcolormesh(np.ma.masked_invalid(grid), cmap="RdBu", vmin=-limit, vmax=limit, edgecolors="white", linewidth=1.5)
    style.cell_texts(ax, grid, lambda value: style.signed(100 * value, ".1f"), dark=_DARK * limit, size=9)
    ax.set_xticks(np.arange(len(_MONTHS)) + 0.5, _MONTHS)
    ax.set_yticks(np.arange(len(years)) + 0.5, list(map(str, years)))
    ax.invert_yaxis()
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    good = int((means["ic"] > 0).sum())
    ax.set_title(f"Rank IC by month, in hundredths: above 0 in {good} of {quantity(means.height, 'month')}")
    return figure


@style.plot("Portfolio turnover", "trade_date", "turnover", "cost", source=_SOURCE)
def portfolio_turnover(equity: pl.DataFrame) -> Figure:
    """Draw the weight traded at each rebalance, about 2 for a complete replacement, and the running sum of costs.

    Turnover is measured from the weights as they drifted since the previous rebalance.

    Columns: trade_date (Date), turnover (weight), cost (a decimal of the capital).

    >>> from datetime import date
    >>> rows = {"trade_date": [date(2024, 1, 15), date(2024, 1, 22)], "turnover": [1.0, 0.5], "cost": [0.001, 0.0005]}
    >>> portfolio_turnover(pl.DataFrame(rows)).axes[0].get_title(loc="left")
    'Portfolio turnover: 0.75 per rebalance, total costs 0.1% of capital'
    """
    equity = equity.sort("trade_date")
    figure, (upper, lower) = style.panels((9.5, 4.6), nrows=2, sharex=True, height_ratios=[2, 1])
    places = style.sessions_axis(upper, equity["trade_date"].to_list())
    traded, cost = equity["turnover"].cast(pl.Float64).to_numpy(), equity["cost"].cast(pl.Float64).to_numpy()
    style.session_bars(upper, places, traded, style.SKY)
    style.line(lower, places, 100 * cost.cumsum(), style.VERMILION)
    total = f"total costs {style.percent(cost.sum())} of capital"
    upper.set(title=f"Portfolio turnover: {traded.mean():.2f} per rebalance, {total}", ylabel="weight traded")
    lower.set_ylabel("total costs, %")
    return figure


@style.plot("Two models", "trade_date", "challenger", "champion", source="rank IC of sessions both scored")
def against(sessions: pl.DataFrame) -> Figure:
    """Draw the running sums of both models' rank IC and, below, of their difference.

    Columns: trade_date (Date), challenger and champion (rank IC, -1 to 1).

    >>> from datetime import date
    >>> rows = {"trade_date": [date(2024, 1, 15)], "challenger": [0.04], "champion": [0.01]}
    >>> against(pl.DataFrame(rows)).axes[0].get_title(loc="left")
    'Rank IC 0.0400 against 0.0100'
    """
    sessions = sessions.sort("trade_date")
    challenger, champion = (sessions[name].cast(pl.Float64).to_numpy() for name in ("challenger", "champion"))
    figure, (upper, lower) = style.panels((9.5, 5), nrows=2, sharex=True, height_ratios=[2, 1])
    places = style.sessions_axis(upper, sessions["trade_date"].to_list())
    style.line(upper, places, challenger.cumsum(), style.BLUE, label="challenger")
    style.line(upper, places, champion.cumsum(), style.ORANGE, label="champion")
    style.legend_above(upper)
    style.line(lower, places, (challenger - champion).cumsum(), style.GREEN)
    upper.set_title(f"Rank IC {style.signed(challenger.mean(), '.4f')} against {style.signed(champion.mean(), '.4f')}")
    upper.set_ylabel("running sum")
    lower.set_ylabel("difference")
    for ax in (upper, lower):
        ax.axhline(0, color=style.INK, linewidth=0.8)
    return figure


@style.plot("Rank IC by delay", "lag", "ic", source=_SOURCE)
def ic_by_lag(decay: pl.DataFrame) -> Figure:
    """Draw the mean rank IC by the delay of trading in sessions, with two standard errors if they are given.

    Columns: lag (sessions), ic; optional error (standard error of ic).

    >>> ic_by_lag(pl.DataFrame({"lag": [0, 1], "ic": [0.05, 0.02]})).axes[0].get_title(loc="left")
    'Rank IC by delay: 0.050 at 0, 0.020 at 1 session'
    """
    decay = decay.sort("lag")
    lags, values = decay["lag"].to_numpy(), decay["ic"].cast(pl.Float64).to_numpy()
    figure, (ax,) = style.panels((7, 3.8))
    if "error" in decay.columns:
        error = 2 * decay["error"].cast(pl.Float64).to_numpy()  # no band where it is null
        ax.fill_between(lags, values - error, values + error, color=style.SKY, alpha=0.3, linewidth=0)
    ax.plot(lags, values, color=style.BLUE, marker="o", linewidth=1.8)
    ax.axhline(0, color=style.INK, linewidth=0.8)
    ax.set(xticks=lags, xlabel="delay of trading, sessions", ylabel="mean rank IC")
    first, last = (style.signed(value, ".3f") for value in (values[0], values[-1]))
    ax.set_title(f"Rank IC by delay: {first} at {lags[0]}, {last} at {quantity(int(lags[-1]), 'session')}")
    return figure


@style.plot("Rank IC by group", "group", "ic", source=_SOURCE)
def ic_by_group(groups: pl.DataFrame, names: Sequence[str] | None = None) -> Figure:
    """Draw the mean rank IC of each group of instruments, in the order of `names` or of the frame.

    Columns: group (text), ic.

    >>> groups = pl.DataFrame({"group": ["large", "small"], "ic": [0.01, 0.03]})
    >>> [label.get_text() for label in ic_by_group(groups, ["small", "large"]).axes[0].get_yticklabels()]
    ['large', 'small']
    """
    if names is not None:
        groups = groups.join(pl.DataFrame({"group": list(names)}).with_row_index("_n"), on="group").sort("_n")
    figure, (ax,) = style.panels((9.5, 1.2 + 0.34 * groups.height), grid="x")
    values = groups["ic"].cast(pl.Float64).to_numpy()[::-1]
    labels = [str(name) for name in groups["group"].to_list()][::-1]
    ax.barh(labels, values, color=[style.BLUE if v >= 0 else style.ORANGE for v in values], height=0.7, linewidth=0)
    style.bar_labels(ax, [style.signed(value, ".3f") for value in values])
    ax.axvline(0, color=style.INK, linewidth=0.8)
    ax.margins(x=0.15)
    ax.set(xlabel="mean rank IC", title="Rank IC by group of instruments")
    return figure


@style.plot("Style exposures", "style", "correlation", "held", source=_SOURCE)
def style_exposures(exposures: pl.DataFrame) -> Figure:
    """Draw how much scores are a bet on each style: their rank correlation, and what the best fifth holds more of.

    Columns: style, correlation (-1 to 1), held (mean style rank of the best fifth less that of all, -0.5 to 0.5).

    >>> exposures = pl.DataFrame({"style": ["style_volatility"], "correlation": [-0.72], "held": [-0.31]})
    >>> style_exposures(exposures).axes[0].get_title(loc="left").partition(":")[0]
    'Largest rank correlation'
    """
    names = [str(name).removeprefix("style_") for name in exposures["style"].to_list()]
    figure, axes = style.panels((9.5, 1.6 + 0.45 * len(names)), ncols=2, sharey=True)
    labels = {"correlation": "rank correlation", "held": "held more, in ranks"}
    for ax, (column, label) in zip(axes, labels.items(), strict=True):
        values = exposures[column].cast(pl.Float64).to_numpy()[::-1]
        ax.barh(names[::-1], values, color=[style.BLUE if v >= 0 else style.ORANGE for v in values], height=0.6)
        style.bar_labels(ax, [style.signed(value, ".2f") for value in values])
        ax.axvline(0, color=style.INK, linewidth=0.8)
        ax.margins(x=0.2)
        ax.set_xlabel(label)
    values = exposures["correlation"].cast(pl.Float64).to_numpy()
    largest = int(np.argmax(np.abs(values)))
    axes[0].set_title(f"Largest rank correlation: {names[largest]} {style.signed(values[largest], '.2f')}")
    return figure


@style.plot("Rules of the gate", "rule", "passed", "sentence", source="promotion gate", nulls="keep")
def gate_rules(rules: pl.DataFrame) -> Figure:
    """Draw the rules of the gate: how each was decided, and why.

    Columns: rule, passed (true or false), sentence.

    >>> rules = pl.DataFrame({"rule": ["luck"], "passed": [False], "sentence": ["The Sharpe ratio is 0.50."]})
    >>> gate_rules(rules).axes[0].get_title(loc="left")
    'Refused by luck'
    """
    texts = [fill(str(text), _LINE) for text in rules["sentence"].to_list()]
    heights = [1 + text.count("\n") for text in texts]
    figure, (ax,) = style.panels((9.5, 1.2 + 0.26 * (sum(heights) + len(texts))), grid="none")
    top = 0.0
    for name, passed, text, height in zip(rules["rule"], rules["passed"], texts, heights, strict=True):
        color = style.GREEN if passed else style.VERMILION
        ax.text(0.0, -top, "passed" if passed else "refused", color=color, weight="bold", va="top")
        ax.text(0.1, -top, str(name), weight="bold", va="top")
        ax.text(0.25, -top, text, va="top", fontsize=9)
        top += height + 1
    ax.set(xlim=(0, 1), ylim=(-top + 0.5, 0.5), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    against = [str(name) for name in rules.filter(~pl.col("passed").fill_null(value=False))["rule"].to_list()]
    ax.set_title(f"Refused by {', '.join(against)}" if against else "Passed by every rule")
    return figure


@style.plot("Recipes and luck", "place", "recipe", "score", "low", "middle", "high", source="trial ledger")
def recipes_and_luck(scores: pl.DataFrame, needed: float | None = None) -> Figure:
    """Draw the recipes of a search, the best first, beside what the same places show by luck alone.

    Columns: place (from 1), recipe (number), score (standard normal), low, middle and high (what luck alone shows in
    the place, 5% to 95%). `needed` is the score that the best of all trials exceeds by luck at the stated rate.

    >>> rows = {"place": [1, 2], "recipe": [7, 3], "score": [2.5, 0.1], "low": [0.2, -1.5], "middle": [0.6, -0.5]}
    >>> recipes_and_luck(pl.DataFrame(rows | {"high": [1.9, 0.6]}), needed=2.2).axes[0].get_title(loc="left")
    'Recipe 7 is best of 2: score 2.50, 2.20 needed'
    """
    scores = scores.sort("place")
    places, low, middle, high, values = (
        scores[name].cast(pl.Float64).to_numpy() for name in ("place", "low", "middle", "high", "score")
    )
    figure, (ax,) = style.panels((9.5, 3.8))
    ax.fill_between(places, low, high, color=style.SKY, alpha=0.3, linewidth=0, label="luck alone, 5% to 95%")
    ax.plot(places, middle, color=style.SKY, linewidth=1.2)
    ax.plot(places, values, color=style.BLUE, marker="o", linewidth=0, label="recipes")
    ax.axhline(0, color=style.INK, linewidth=0.8)
    if needed is not None:
        ax.axhline(needed, color=style.VERMILION, linewidth=1.2, linestyle="--", label="needed by the best")
    ax.legend(loc="lower left")
    ax.set(xlabel="place among the recipes", ylabel="mean net active return\nover its standard error")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    bar = "" if needed is None else f", {style.signed(needed, '.2f')} needed"
    best = style.signed(values[0], ".2f")
    ax.set_title(f"Recipe {scores['recipe'][0]} is best of {scores.height}: score {best}{bar}")
    return figure
