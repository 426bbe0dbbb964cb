"""Draw a small picture of each figure from a demo workspace, and write `reference/figures.md`, which shows them.

`CHAMPION_HOME=data/demo .venv/bin/python docs/images.py` after `make demo`. The pictures are kept in the repository, so
that the pages build without a workspace; the page uses the figures' own docstrings.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from PIL import Image

from champion import features, plots, workspace
from champion.indicators import bollinger_lower, bollinger_upper, rsi, sma
from champion.modeling import drift, gate_rules, labels, metrics, multiplicity, styles
from champion.pipeline.ingest import quality
from champion.pipeline.ingest.adjusted_bars import scan_adjusted
from champion.pipeline.models import portfolio, styled
from champion.pipeline.operations.status import last_runs
from champion.pipeline.provenance.upstream import back
from champion.pipeline.reference.membership import with_sectors
from champion.portfolio import attribution
from champion.portfolio.construction import Rule
from champion.tracking import promotion, runs

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "images" / "figures"
PAGE = HERE / "reference" / "figures.md"
DPI, COLORS = 75, 96  # resolution on a page, and size of the palette
HEAD = """# Figures

Functions of `champion.plots`. Each takes a Polars frame and returns a matplotlib figure with colours for all kinds of
colour vision, and with source and dates in the footer. `docs/images.py` draws these examples from the demo workspace.
"""


def main() -> None:
    """Write the pictures and the page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    parts = [HEAD]
    for name, figure in figures():
        save(figure, FOLDER / f"{name}.png")
        first = (getattr(plots, name).__doc__ or "").strip().splitlines()[0]
        parts.append(f"## {name}\n\n{first}\n\n![{name}](../images/figures/{name}.png)\n")
    PAGE.write_text("\n".join(parts), encoding="utf-8")


def figures() -> Iterator[tuple[str, Figure]]:
    """Yield each figure with the name of the function that drew it."""
    lake, last = workspace.lake(), workspace.last_session()
    sessions = lake.sessions("normalized_equity_ohlc")
    history = scan_adjusted().collect()
    recent = history.filter(pl.col("trade_date") >= sessions[-120])
    today = recent.filter(trade_date=last)
    yield "market_map", plots.market_map(today)
    yield "index_map", plots.index_map(workspace.scan("normalized_index_ohlc").collect())
    yield "movers", plots.movers(today, n=6)
    yield "breadth", plots.breadth(recent)
    yield "turnover_by_session", plots.turnover_by_session(recent)
    rows = [(day, lake.rows("normalized_equity_ohlc", day, day)) for day in sessions]
    counted = pl.DataFrame(rows, schema=["session", "rows"], orient="row")
    yield "calendar", plots.calendar(counted)
    rejected = workspace.scan("quarantine_equity_ohlc").group_by(session="trade_date").len("rejected").collect()
    account = counted.tail(250).rename({"rows": "normalized"}).join(rejected, on="session", how="left").fill_null(0)
    yield "sessions_and_rows", plots.sessions_and_rows(account)
    yield "quality_gates", plots.quality_gates(quality.check(lake, sessions[-20], last).gates)
    yield from of_one_share(history)
    yield from of_features(history)
    yield from of_a_model(history)
    yield from of_ledgers()


def of_one_share(history: pl.DataFrame) -> Iterator[tuple[str, Figure]]:
    """Yield the figures of one instrument: the split share with the highest turnover."""
    split = history.filter(pl.col("adjustment_factor") > 1).group_by("instrument_id").agg(pl.col("turnover").sum())
    who = split.sort("turnover")["instrument_id"][-1]
    close = pl.col("close")
    bands = {"sma_20": sma(close, 20), "upper": bollinger_upper(close, 20), "lower": bollinger_lower(close, 20)}
    bars = history.filter(instrument_id=who).sort("trade_date").with_columns(**bands, value=rsi(close, 14))
    change = bars.filter(pl.col("adjustment_factor") > 1).height  # bars before the last action
    shown = bars.slice(max(0, change - 60), 120)
    reports = workspace.scan("normalized_equity_delivery").filter(instrument_id=who)
    shares = reports.select("trade_date", "delivered_volume", "delivered_share").collect()
    shown = shown.join(shares, on="trade_date", how="left")
    yield "candles", plots.candles(shown, *bands)
    technical = features.build(bars, "technical").drop("symbol", "feature_version")
    charted = bars.join(technical, on=["instrument_id", "trade_date"], how="left").tail(120)
    yield "chart_levels", plots.chart_levels(charted)
    yield "chart_trends", plots.chart_trends(charted)
    yield "chart_patterns", plots.chart_patterns(charted, "cdl_engulfing", "cdl_hammer", "cdl_3inside", "cdl_harami")
    yield "delivered", plots.delivered(shown)
    yield "indicator", plots.indicator(shown, "RSI, 14 sessions")
    yield "adjustment", plots.adjustment(bars)
    told = {"adjusted": bars, "as traded": bars.with_columns(pl.col("close") * pl.col("adjustment_factor"))}
    both = [frame.with_columns(version=pl.lit(name)) for name, frame in told.items()]
    yield "price_versions", plots.price_versions(pl.concat(both).filter(pl.col("trade_date") >= shown["trade_date"][0]))


def of_features(history: pl.DataFrame) -> Iterator[tuple[str, Figure]]:
    """Yield the figures of features and of their relation to returns."""
    built = features.build(history, "v1")
    names = ["rsi_14", "stochastic_k", "macd_histogram", "bb_width", "obv"]
    now, before = (built.filter(pl.col("trade_date").dt.year() == year).select(names) for year in (2024, 2023))
    yield "feature_coverage", plots.feature_coverage(built.select(names))
    yield "feature_distributions", plots.feature_distributions(now, before)
    yield "feature_correlation", plots.feature_correlation(now)
    yield "feature_drift", plots.feature_drift(drift.between(now, before))
    score = built.select("instrument_id", "trade_date", score=-pl.col("rsi_14"))
    ranked = {
        ahead: score.join(labels.forward_return(history, ahead, lag=1), on=["instrument_id", "trade_date"])
        for ahead in (1, 2, 5, 10)
    }
    told = [{"horizon": n, **metrics.summarise_ic(metrics.rank_ic(frame), n)} for n, frame in ranked.items()]
    yield "ic_series", plots.ic_series(metrics.rank_ic(ranked[5]))
    yield "ic_decay", plots.ic_decay(pl.DataFrame(told))
    yield "quantile_bars", plots.quantile_bars(metrics.quantile_returns(ranked[5], 5))
    yield "equity_curve", plots.equity_curve(metrics.long_short_return(ranked[5], horizon=5))
    late = [{"lag": n, "ic": later(score, history, n)["ic"].mean()} for n in (0, 1, 2, 3, 5, 8)]
    yield "ic_by_lag", plots.ic_by_lag(pl.DataFrame(late))
    thirds = pl.col("turnover").rank("ordinal").over("trade_date") * 3 / (pl.len().over("trade_date") + 1)
    size = history.select("instrument_id", "trade_date", third=thirds.floor().cast(pl.Int64))
    sized = ranked[5].join(size, on=["instrument_id", "trade_date"])
    groups = [
        {"group": name, "ic": metrics.rank_ic(sized.filter(third=third))["ic"].mean()}
        for third, name in enumerate(("least traded third", "middle third", "most traded third"))
    ]
    yield "ic_by_group", plots.ic_by_group(pl.DataFrame(groups))


def later(score: pl.DataFrame, history: pl.DataFrame, lag: int) -> pl.DataFrame:
    """Return the rank IC per session if scores are traded `lag` sessions late."""
    return metrics.rank_ic(score.join(labels.forward_return(history, 5, lag), on=["instrument_id", "trade_date"]))


def of_an_account(found: portfolio.Portfolio) -> Iterator[tuple[str, Figure]]:
    """Yield the figures of an account's profit, exposures and capacity."""
    lake, account = workspace.lake(), found.account
    known = attribution.characteristics(found.market)
    sectors = with_sectors(account.positions.select("trade_date", "instrument_id"), lake).rename({"sector": "group"})
    groups = attribution.quantile_groups(known, "volatility")
    yield "profit_by_group", plots.profit_by_group(attribution.by_group(account, groups))
    yield "holdings_exposure", plots.holdings_exposure(attribution.exposures(account, known, sectors))
    curve = attribution.capacity(found.market, found.construction.weights, impacts=())
    yield "capacity_curve", plots.capacity_curve(curve)


def of_a_model(history: pl.DataFrame) -> Iterator[tuple[str, Figure]]:
    """Yield the figures of a model out of sample, from the tables of its training run, compared with a plain RSI."""
    (run,) = runs.find_runs(workspace.settings(), tags={"champion.notebook": "training"}, limit=1)
    tables = Path(runs.location(run, "result/tables"))
    scores, ic = (pl.read_parquet(tables / f"{name}.parquet") for name in ("out_of_sample", "ic"))
    yield "calibration", plots.calibration(scores)
    yield "confusion", plots.confusion(scores)
    yield "importance", plots.importance(pl.read_parquet(tables / "importance.parquet"))
    yield "fold_metrics", plots.fold_metrics(pl.read_parquet(tables / "folds.parquet"))
    yield "ic_by_month", plots.ic_by_month(ic)
    yield "portfolio_turnover", plots.portfolio_turnover(pl.read_parquet(tables / "equity.parquet"))
    account = portfolio.simulate(scores, Rule(top=20))
    yield "account_equity", plots.account_equity(account.growth)
    yield "trading_costs", plots.trading_costs(account.costs)
    yield from of_an_account(account)
    yield from of_the_gate(scores, account.growth, pl.read_parquet(tables / "canaries.parquet"))
    rsi_14 = features.build(history, "v1").select("instrument_id", "trade_date", score=-pl.col("rsi_14"))
    rival = later(rsi_14, history, 1).rename({"ic": "champion"})
    yield "against", plots.against(ic.rename({"ic": "challenger"}).join(rival, on="trade_date"))


def of_the_gate(scores: pl.DataFrame, growth: pl.DataFrame, checks: pl.DataFrame) -> Iterator[tuple[str, Figure]]:
    """Yield the figures of a model's bets on styles, and of the gate's rules about it as the only trial."""
    styled_scores = styled.with_styles(workspace.lake(), scores)
    yield "style_exposures", plots.style_exposures(styles.exposures(styled_scores))
    active = growth.select("trade_date", t1=pl.col("net").pct_change() - pl.col("benchmark").pct_change()).drop_nulls()
    evidence = gate_rules.Evidence(
        "t1", active, horizon=5, own_horizon=5, checks=checks, neutral_ic=styles.neutral_ic(styled_scores)
    )
    yield "gate_rules", plots.gate_rules(gate_rules.table(gate_rules.rules(evidence)))
    yield "recipes_and_luck", of_a_search()


def of_a_search() -> Figure:
    """Return the figure of a search of twenty recipes without skill, by random numbers."""
    noise = np.random.default_rng(7).normal(0, 0.005, (250, 20))
    found = multiplicity.bootstrap(noise, block=7, draws=2_000)
    order = np.argsort(-found.scores)
    low, middle, high = np.quantile(-np.sort(-found.drawn, axis=1), (0.05, 0.5, 0.95), axis=0)
    columns = {"recipe": order + 1, "score": found.scores[order], "low": low, "middle": middle, "high": high}
    needed = multiplicity.judge(found, int(order[0]), level=0.025).critical
    return plots.recipes_and_luck(pl.DataFrame(columns).with_row_index("place", 1), needed)


def of_ledgers() -> Iterator[tuple[str, Figure]]:
    """Yield the figures of runs, champions and scores."""
    scores = workspace.scan("predictions_equity_scores").collect()
    last = scores.filter(trade_date=scores["trade_date"].max())
    yield "top_scores", plots.top_scores(last)
    yield "score_distribution", plots.score_distribution(last)
    yield "runs", plots.runs(pl.DataFrame(last_runs(workspace.settings(), 12)))
    told = [(entry.at, entry.version, entry.state) for entry in promotion.history(workspace.settings())]
    yield "champions", plots.champions(pl.DataFrame(told, schema=["at", "version", "state"], orient="row"))
    traced = back(workspace.settings(), "predictions_equity_scores", last["trade_date"][0])
    title = f"The scores of {last['trade_date'][0]} and their inputs"
    yield "trace_graph", plots.trace_graph(pl.DataFrame(traced.rows), traced.links, title=title)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a small picture with few colours and without metadata."""
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.15)
    Image.open(drawn).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
