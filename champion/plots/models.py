"""Figures of a model out of sample: rank IC, returns, errors, calibration and importance of inputs."""

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from champion.base.counting import quantity
from champion.indicators.numeric.variation import varies
from champion.plots import style

_SOURCE = "out-of-sample scores"
_RANKED = "scores and forward returns"
_THRESHOLD = 0.5
_DECILES = 10
_INPUTS = 20
_SIDES = ("below median", "above median")


@style.plot("Rank IC", "trade_date", "ic", source=_RANKED)
def ic_series(ic: pl.DataFrame) -> Figure:
    """Draw the information coefficient per session and its running sum; from 40 sessions on also a 20-session mean.

    Columns: trade_date (Date), ic (-1 to 1). The ICIR is the mean over the standard deviation, per session.

    >>> from datetime import date
    >>> ic = pl.DataFrame({"trade_date": [date(2024, 1, 15), date(2024, 1, 16)], "ic": [0.01, 0.05]})
    >>> ic_series(ic).axes[0].get_title(loc="left")
    'Rank IC: mean 0.030, ICIR 1.06'
    """
    ic = ic.sort("trade_date")
    values = ic["ic"].cast(pl.Float64)
    mean = values.to_numpy().mean()
    is_varied = values.to_frame("ic").select(varies(pl.col("ic"), scale=1.0)).item()
    ratio = style.signed(mean / values.to_numpy().std(ddof=1), ".2f") if is_varied else "unknown"
    figure, (upper, lower) = style.panels((9.5, 5), nrows=2, sharex=True, height_ratios=[2, 1])
    places = style.sessions_axis(upper, ic["trade_date"].to_list())
    style.session_bars(upper, places, values.to_numpy(), style.SKY, alpha=0.6)
    if ic.height >= 2 * style.ROLLING:  # with fewer sessions the line is too short
        rolling = values.rolling_mean(style.ROLLING).to_numpy()
        style.line(upper, places, rolling, label=f"mean of {style.ROLLING} sessions")
        style.legend_above(upper)
    style.line(lower, places, values.cum_sum().to_numpy())
    upper.set(title=f"Rank IC: mean {style.signed(mean, '.3f')}, ICIR {ratio}", ylabel="per session")
    lower.set_ylabel("running sum")
    for ax in (upper, lower):
        ax.axhline(0, color=style.INK, linewidth=0.8)
    return figure


@style.plot("IC by horizon", "horizon", "mean", "std", "sessions", source=_RANKED)
def ic_decay(decay: pl.DataFrame) -> Figure:
    """Draw the mean information coefficient per horizon, with two standard errors to either side.

    Columns: horizon (sessions), mean, std, sessions, as in `metrics.summarise_ic`. Labels overlap, so only
    every `horizon`-th session counts: the error is std / sqrt(sessions / horizon). A mean is blue if 0 is outside two
    standard errors.

    >>> rows = {"horizon": [1, 5], "mean": [0.03, 0.01], "std": [0.1, 0.1], "sessions": [250.0, 250.0]}
    >>> ic_decay(pl.DataFrame(rows)).axes[0].get_title(loc="left")
    'IC by horizon: highest at 1 session, 0.030'
    """
    decay = decay.sort("horizon")
    means = decay["mean"].to_numpy()
    errors = 2 * (decay["std"] / (decay["sessions"] / decay["horizon"]).sqrt()).to_numpy()
    colors = [style.BLUE if abs(mean) > error else style.GREY for mean, error in zip(means, errors, strict=True)]
    figure, (ax,) = style.panels((7, 4))
    places = np.arange(decay.height)
    ax.vlines(places, means - errors, means + errors, colors=colors, linewidth=2.5, alpha=0.45)
    ax.scatter(places, means, color=colors, s=55, zorder=3)
    ax.axhline(0, color=style.INK, linewidth=0.8)
    ax.set_xticks(places, [f"{horizon:,}" for horizon in decay["horizon"]])
    ax.set_xlim(-0.6, decay.height - 0.4)
    for place, mean in zip(places, means, strict=True):
        text = style.signed(mean, ".3f")
        ax.annotate(text, (place, mean), xytext=(9, 0), textcoords="offset points", va="center", fontsize=9)
    best = int(np.argmax(means))
    highest = f"highest at {quantity(decay['horizon'][best], 'session')}, {style.signed(means[best], '.3f')}"
    ax.set(title=f"IC by horizon: {highest}", xlabel="sessions ahead", ylabel="mean IC, two standard errors")
    return figure


@style.plot("Mean forward return by score quantile", "quantile", "mean_return", source=_RANKED)
def quantile_bars(quantiles: pl.DataFrame) -> Figure:
    """Draw the mean forward return of each quantile of scores, in basis points.

    Columns: quantile (1 holds the lowest scores), mean_return (a decimal).

    >>> figure = quantile_bars(pl.DataFrame({"quantile": [1, 2], "mean_return": [-0.001, 0.002]}))
    >>> [round(bar.get_height()) for bar in figure.axes[0].patches]
    [-10, 20]
    """
    quantiles = quantiles.sort("quantile")
    points = quantiles["mean_return"].to_numpy() * 10_000
    figure, (ax,) = style.panels((7, 4))
    ax.bar(quantiles["quantile"].cast(pl.String).to_list(), points, color=style.BLUE, width=0.7)
    style.bar_labels(ax, [style.signed(point, ",.1f") for point in points], size=9)
    ax.axhline(0, color=style.INK, linewidth=0.8)
    ax.margins(y=0.15)
    spread = style.signed(points[-1] - points[0], ",.1f")
    ax.set_title(f"Forward return by score quantile: top less bottom {spread} bp")
    ax.set_xlabel(f"quantile of scores (1 lowest, {quantiles['quantile'][-1]} highest)")
    ax.set_ylabel("mean return, basis points")
    return figure


@style.plot("Long-short equity", "trade_date", "net_return", "equity", source=_SOURCE)
def equity_curve(equity: pl.DataFrame) -> Figure:
    """Draw the growth of 1 after costs and, below it, the drawdown from the highest point so far.

    Both are sampled at rebalances. Columns: trade_date (Date), net_return (a decimal per period), equity (growth of 1).

    >>> from datetime import date
    >>> sessions = [date(2024, 1, 15), date(2024, 1, 22)]
    >>> rows = {"trade_date": sessions, "net_return": [0.02, 0.01], "equity": [1.02, 1.0302]}
    >>> equity_curve(pl.DataFrame(rows)).axes[0].get_title(loc="left")
    'Long-short equity: 3.0% after costs, maximum drawdown 0.0%, 100% of periods up'
    """
    equity = equity.sort("trade_date")
    growth = equity["equity"].to_numpy()
    drawdown = growth / np.maximum.accumulate(np.maximum(growth, 1.0)) - 1
    figure, (upper, lower) = style.panels((9.5, 5), nrows=2, sharex=True, height_ratios=[2, 1])
    places = style.sessions_axis(upper, equity["trade_date"].to_list())
    style.line(upper, places, growth)
    upper.axhline(1, color=style.INK, linewidth=0.8)
    lower.fill_between(places, drawdown, color=style.VERMILION, alpha=0.35, linewidth=0)
    style.line(lower, places, drawdown, style.VERMILION, linewidth=1)
    lower.set_ylim(min(float(drawdown.min()) * 1.1, -0.01), 0)
    lower.yaxis.set_major_formatter(lambda value, _: style.percent(value))
    up = style.percent((equity["net_return"] > 0).to_numpy().mean(), 0)
    gain, lost = style.percent(growth[-1] - 1), style.percent(drawdown.min())
    title = f"Long-short equity: {gain} after costs, maximum drawdown {lost}, {up} of periods up"
    upper.set(title=title, ylabel="growth of 1")
    lower.set_ylabel("drawdown\nat rebalances")
    return figure


@style.plot("Confusion at threshold 0.5", "label", "score", source=_SOURCE)
def confusion(out_of_sample: pl.DataFrame) -> Figure:
    """Draw the confusion matrix at a score of 0.5, with counts and shares.

    Columns: label (true or 1: return above the median), score (0 to 1). Rows without a label are left out.

    >>> scores = pl.DataFrame({"label": [1, 1, 0, 0], "score": [0.7, 0.4, 0.6, 0.2]})
    >>> confusion(scores).axes[0].get_title(loc="left")
    'Accuracy 50.0%, precision 50.0%, recall 50.0%'
    """
    actual = out_of_sample["label"].cast(pl.Boolean).to_numpy()
    predicted = (out_of_sample["score"] >= _THRESHOLD).to_numpy()
    counts = np.histogram2d(actual, predicted, bins=2, range=[[0, 1], [0, 1]])[0].astype(int)
    shares = counts / counts.sum()
    text = [f"{count:,}\n{style.percent(share)}" for count, share in zip(counts.flat, shares.flat, strict=True)]
    figure, (ax,) = style.panels((5.6, 4.8), grid="none")
    import seaborn as sns  # noqa: PLC0415 - a second to import, with pandas and scipy

    sns.heatmap(
        shares, ax=ax, cmap="Blues", vmin=0, vmax=0.6, cbar=False, square=True, linewidths=2,
        annot=np.array(text).reshape(2, 2), fmt="", annot_kws={"fontsize": 13}, xticklabels=_SIDES, yticklabels=_SIDES,
    )  # fmt: skip
    precision = style.percent(counts[1, 1] / counts[:, 1].sum()) if counts[:, 1].any() else "unknown"
    recall = style.percent(counts[1, 1] / counts[1].sum()) if counts[1].any() else "unknown"
    accuracy = style.percent(shares.trace())
    ax.set_title(f"Accuracy {accuracy}, precision {precision}, recall {recall}", fontsize=10.5)
    ax.set(xlabel="predicted", ylabel="actual")
    ax.tick_params(length=0)
    return figure


@style.plot("Importance of inputs", "input", "importance", source="the fitted model")
def importance(importance: pl.DataFrame) -> Figure:
    """Draw the 20 inputs with the largest absolute importance.

    Columns: input, importance (any measure with one scale for all inputs; below 0 is orange).

    >>> inputs = pl.DataFrame({"input": ["rsi_14", "bb_width"], "importance": [0.01, 0.02]})
    >>> [label.get_text() for label in importance(inputs).axes[0].get_yticklabels()]
    ['bb_width', 'rsi_14']
    """
    top = importance.sort(pl.col("importance").abs(), descending=True).head(_INPUTS)
    figure, (ax,) = style.panels((9.5, 1.3 + 0.27 * top.height), grid="x")
    values = top["importance"].cast(pl.Float64)
    colors = [style.BLUE if value >= 0 else style.ORANGE for value in values]
    ax.barh(top["input"].to_list(), values.to_numpy(), color=colors, height=0.75, linewidth=0)
    ax.invert_yaxis()
    ax.axvline(0, color=style.INK, linewidth=0.8)
    of = f" (top {top.height} of {importance.height})" if importance.height > top.height else ""
    ax.set(xlabel="importance", title=f"Importance of inputs{of}")
    return figure


@style.plot("Calibration", "label", "score", source=_SOURCE)
def calibration(out_of_sample: pl.DataFrame) -> Figure:
    """Draw the share of true labels against the mean score, for each tenth of the scores; the diagonal is ideal.

    Columns: label (true or 1: return above the median), score (0 to 1). Rows without a label are left out.

    >>> scores = pl.DataFrame({"label": [0, 1, 1, 0], "score": [0.2, 0.4, 0.6, 0.8]})
    >>> model = calibration(scores).axes[0].lines[1]
    >>> model.get_xdata().tolist(), model.get_ydata().tolist()
    ([0.2, 0.4, 0.6, 0.8], [0.0, 1.0, 1.0, 0.0])
    """
    place = (pl.col("score").rank("ordinal") - 1).cast(pl.Int64) * _DECILES // pl.len()
    known = out_of_sample.select(pl.col("label", "score").cast(pl.Float64))
    tenths = known.group_by(tenth=place).agg(pl.col("score", "label").mean()).sort("tenth")
    figure, (ax,) = style.panels((5.6, 5), grid="both")
    both = [*tenths["score"], *tenths["label"]]
    slack = max(0.02, (max(both) - min(both)) * 0.06)
    ends = (max(0.0, min(both) - slack), min(1.0, max(both) + slack))
    ax.plot(ends, ends, color=style.GREY, linewidth=1, linestyle="--", label="ideal")
    scores, labels = tenths["score"].to_numpy(), tenths["label"].to_numpy()
    ax.plot(scores, labels, color=style.BLUE, linewidth=1.8, marker="o", label="model")
    ax.set(xlim=ends, ylim=ends, aspect="equal", xlabel="mean score", ylabel="share above median")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1))
    ax.set_title("Calibration by tenths of the scores")
    ax.legend(loc="upper left")
    return figure


@style.plot("Score distribution", "score", source="champion's scores")
def score_distribution(scores: pl.DataFrame) -> Figure:
    """Draw a histogram of scores with their median.

    Columns: score (0 to 1).

    >>> score_distribution(pl.DataFrame({"score": [0.4, 0.5, 0.6]})).axes[0].get_title(loc="left")
    'Score distribution: 3 instruments, standard deviation 0.0816'
    """
    values = scores["score"].cast(pl.Float64).to_numpy()
    median = float(np.median(values))
    figure, (ax,) = style.panels((9.5, 3.8))
    ax.set_title(f"Score distribution: {quantity(len(values), 'instrument')}, standard deviation {values.std():.4f}")
    if values.min() == values.max():
        style.note(ax, f"every score is {median:g}")
        return figure
    ax.hist(values, bins=40, color=style.SKY, edgecolor="white", linewidth=0.5)
    ax.axvline(median, color=style.BLUE, linewidth=1.8, label=f"median {median:.3f}")
    ax.set(xlabel="score", ylabel="instruments")
    style.legend_above(ax)
    return figure


@style.plot("Top scores", "symbol", "score", "rank", source="champion's scores")
def top_scores(scores: pl.DataFrame, n: int = 10) -> Figure:
    """Draw the `n` instruments with the best (blue) and the `n` with the last ranks (orange), around a score of 0.5.

    Columns: symbol, score (0 to 1), rank (1 is best). With fewer than 2n instruments, each is shown once.

    >>> scores = pl.DataFrame({"symbol": ["A", "B", "C"], "score": [0.6, 0.5, 0.4], "rank": [1, 2, 3]})
    >>> [label.get_text() for label in top_scores(scores, n=1).axes[0].get_yticklabels()]
    ['C  3', 'A  1']
    """
    ranked = scores.sort("rank", "symbol")
    best = ranked.head(min(n, -(-ranked.height // 2)))
    last = ranked.slice(best.height).tail(n)
    shown = pl.concat([best, last]).reverse()
    figure, (ax,) = style.panels((9.5, 1.4 + 0.26 * shown.height), grid="x")
    names = [f"{symbol}  {rank:,}" for symbol, rank in shown.select("symbol", "rank").iter_rows()]
    values = shown["score"].cast(pl.Float64).to_numpy()
    style.signed_bars(ax, names, values, last.height, base=_THRESHOLD)
    style.bar_labels(ax, [f"{value:.3f}" for value in values])
    ax.axhline(last.height - 0.5, color=style.GREY, linewidth=0.8, linestyle=":")
    ax.margins(x=0.12)
    ax.set(xlabel="score", ylabel="symbol and rank")
    ax.set_title(f"Top scores: best {best.height} and last {last.height} of {ranked.height:,}")
    return figure
