"""Walk-forward results on a workspace of real files, with time and memory: writes docs/models.md.

`CHAMPION_HOME=data/nse .venv/bin/python benchmarks/evidence/walk_forward.py [--start DATE] [--end DATE] [--cases N ...]
[--results FILE] [--write docs/models.md]` needs bars and features in the workspace. Each case runs in a process of its
own, for its peak memory; no model is registered. `--results` keeps each case, so that a stopped run continues.
"""

import argparse
import json
import math
import os
import resource
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import meter
from benchmarks.evidence import walk_forward_portfolio
from champion.lake import Lake
from champion.modeling import estimators, leakage_checks, metrics, training
from champion.modeling.estimators import Recipe
from champion.modeling.splits import PurgedWalkForward
from champion.modeling.universe import find
from champion.pipeline.models import frames
from champion.settings import Settings

HORIZON, COST_BPS, SPLITS = 5, 10.0, 5
CASES = (
    ("hist_gradient_boosting", "all"),
    ("hist_gradient_boosting", "liquid"),
    ("logistic", "liquid"),
    ("hist_gradient_boosting", "large"),
    ("logistic", "large"),
    ("random_forest", "large"),
)
_RECOMPUTED = 2  # sessions whose inputs are recomputed for the leakage check
_KEY = ["instrument_id", "trade_date"]
DELISTING = -0.30  # Shumway, The Delisting Bias in CRSP Data, Journal of Finance 52 (1997): failures, NYSE and AMEX


def case(model: str, universe: str, start: date, end: date, scores: Path | None) -> dict[str, Any]:
    """Return the results of one training run, and its seconds by stage; write its out-of-sample scores."""
    lake, took, began, load = Lake(Settings().lake), {}, time.perf_counter(), os.getloadavg()[0]

    def lap(stage: str) -> None:
        nonlocal began
        now = time.perf_counter()
        took[stage], began = now - began, now

    chosen, splitter = find(universe), PurgedWalkForward(SPLITS, HORIZON, HORIZON, lag=frames.LAG)
    recipe, inputs = Recipe(model), frames.inputs()
    frame = frames.training_frame(lake, start, end, horizon=HORIZON, universe=chosen)
    lap("frame")
    result = training.fit(frame, recipe, inputs, splitter)
    if scores:
        result.out_of_sample.write_parquet(scores)
    lap("walk-forward and final fit")
    shuffled = leakage_checks.shuffled_label_check(frame, recipe, inputs, splitter)
    odd = leakage_checks.implausible_inputs(frame, inputs, HORIZON)
    lap("leakage checks")
    sessions = frame["trade_date"].unique().sort()
    some = [sessions[len(sessions) * number // _RECOMPUTED - 1] for number in (1, 2)]
    recomputed = frames.recompute_inputs(lake, some, universe=chosen)
    checks = leakage_checks.LeakageChecks(shuffled, odd, leakage_checks.lookahead_check(frame, recomputed, inputs))
    lap("inputs recomputed")
    equity = metrics.long_short_return(result.out_of_sample, horizon=HORIZON, cost_bps=COST_BPS)
    quantiles = metrics.quantile_returns(result.out_of_sample)
    lap("report")
    gone = _never_again(lake, frame, end)
    if_lost = result.out_of_sample.with_columns(_after_loss(result.out_of_sample, gone))
    lost = metrics.long_short_return(if_lost, horizon=HORIZON, cost_bps=COST_BPS)
    first = _first_fold(frame, recipe, inputs, splitter)
    lap("what if")
    yearly = metrics.rank_ic(result.out_of_sample).group_by(pl.col("trade_date").dt.year().alias("year"))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "model": model,
        "universe": universe,
        "rows": frame.height,
        "labelled": result.metrics["train_rows"],
        "unknown": frame.filter(pl.col("forward_return").is_null() & pl.col("label_end").is_not_null()).height,
        "carried": frame.filter(pl.col("exit_date") < pl.col("label_end")).height,
        "gone": gone.height,
        "gone_tested": result.out_of_sample.join(gone, on=_KEY, how="semi").height,
        "if_lost": {"rank_ic": training.judge(if_lost, HORIZON)["rank_ic"], "net": float(lost["equity"][-1]) - 1},
        "first": first,
        "tested_from": str(result.out_of_sample["trade_date"].min()),
        "metrics": result.metrics,
        "folds": result.folds.to_dicts(),
        "years": yearly.agg(pl.col("ic").mean()).sort("year").to_dicts(),
        "quantiles": [10_000 * value for value in quantiles["mean_return"]],
        "gross": float((1 + equity["gross_return"]).product()) - 1,
        "net": float(equity["equity"][-1]) - 1,
        "sharpe": metrics.sharpe_ratio(equity["net_return"], metrics.SESSIONS_PER_YEAR / HORIZON),
        "drawdown": metrics.max_drawdown(equity["equity"]),
        "turnover": float(equity["turnover"].to_numpy().mean()),
        "canaries": checks.table.to_dicts(),
        "importance": result.importance.head(5).to_dicts(),
        "took": took,
        "seconds": sum(took.values()),
        "cpu": usage.ru_utime + usage.ru_stime,
        "load": load,
        "peak_mib": usage.ru_maxrss / 1024,
    }


def _never_again(lake: Lake, frame: pl.DataFrame, end: date) -> pl.DataFrame:
    """Return the keys of the labels that end with the last close of their share in the archive."""
    bars = lake.scan("normalized_equity_ohlc", end=end)
    last = bars.group_by("instrument_id").agg(exit_date=pl.col("trade_date").max()).collect()
    early = frame.filter(pl.col("exit_date") < pl.col("label_end"))
    return early.join(last, on=["instrument_id", "exit_date"], how="semi").select(_KEY)


def _after_loss(scores: pl.DataFrame, gone: pl.DataFrame) -> pl.Series:
    """Return the forward returns if every share that was not traded again lost `DELISTING` in addition."""
    hit = scores.join(gone.with_columns(_hit=pl.lit(DELISTING)), on=_KEY, how="left", maintain_order="left")["_hit"]
    return ((1 + scores["forward_return"]) * (1 + hit.fill_null(0.0)) - 1).alias("forward_return")


def _first_fold(
    frame: pl.DataFrame, recipe: Recipe, inputs: list[str], splitter: PurgedWalkForward
) -> dict[str, float]:
    """Return the size of the first fold's training set, and the skill of the last fold's model in the first fold.

    The last fold's model is trained on later sessions, but not on the first fold's labels. It shows whether the first
    fold is weak because its history is short or because its sessions are hard.
    """
    rows = training.labelled(frame)
    (train, test), *_, (_, last) = training.folds(rows, splitter)
    features = training.matrix(rows, inputs)
    model = training.learn(recipe, features[last], rows["label"].to_numpy()[last])
    scored = rows[test].with_columns(score=pl.Series(estimators.probability(model, features[test])))
    return {
        "sessions": rows[train]["trade_date"].n_unique(),
        "rows": len(train),
        "unknown": float(np.isnan(features[train]).mean()),
        "unknown_later": float(np.isnan(features[last]).mean()),
        "rank_ic": metrics.summarise_ic(metrics.rank_ic(scored), HORIZON)["mean"],
    }


def page(found: list[dict[str, Any]], start: date, end: date) -> str:
    """Return docs/models.md."""
    intro = f"""# Models on real files

`benchmarks/evidence/walk_forward.py` writes this page from the exchange's files, {start} to {end}. The label is 1 if
the return over {HORIZON} sessions from the next close is above the session's median. Validation is a purged
walk-forward with {SPLITS} folds and an embargo of {HORIZON} sessions. All figures below are out of sample. The
long-short portfolio trades at the next close, holds the best and worst fifth for {HORIZON} sessions and pays
{COST_BPS:g} basis points of each trade's value. Many investors cannot sell shares short for several days, and
borrowing costs and market impact are not included. So these figures measure ranking skill, not achievable returns.

A share that is not traded when its label ends (suspended, delisted or illiquid) is valued at its last close since
entry. A share that is not traded on entry has no label. The exchange's files do not contain the loss on delisting after
the last trade. So each case also has a second result, for which every share that was not traded again (merged ones
included) lost a further {-DELISTING:.0%}. A loss of {-DELISTING:.0%} is the mean for failed shares on NYSE
and AMEX (Shumway, Journal of Finance 52, 1997).

Returns cover the whole test range. Turnover is the weight traded at each rebalance (2 is about the whole portfolio). It
includes the drift of weights with the returns since the last rebalance. Drawdowns use the portfolio's values at
rebalances. Sharpe ratios are annualised with {metrics.SESSIONS_PER_YEAR} sessions. Labels overlap, so the t-statistic
uses every fifth session only.

| model | universe | tested from | AUC | rank IC | t | ICIR | gross | net | net Sharpe | drawdown | turnover |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""
    table = "\n".join(_line(one) for one in found)
    details = "\n".join(line for one in found for line in _details(one))
    earned = [(one["model"], one["universe"], one["earned"]) for one in found if "earned" in one]
    net = walk_forward_portfolio.section(earned) if earned else ""
    return f"{intro}{table}\n\n{details}{net}".rstrip() + "\n"


def _line(one: dict[str, Any]) -> str:
    m = one["metrics"]
    return (
        f"| {one['model']} | {one['universe']} | {one['tested_from']} | {m['auc']:.4f} | {m['rank_ic']:.4f} "
        f"| {m['rank_ic_t']:.1f} | {m['icir']:.2f} | {one['gross']:+.1%} | {one['net']:+.1%} | {one['sharpe']:.2f} "
        f"| {one['drawdown']:.1%} | {one['turnover']:.2f} |"
    )


def _details(one: dict[str, Any]) -> list[str]:
    took = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in one["took"].items())
    checks = "; ".join(
        f"{c['canary']}: {'passed' if c['passed'] else 'FAILED'} ({c['found']})" for c in one["canaries"]
    )
    inputs = ", ".join(f"{i['input']} {i['importance']:.4f}" for i in one["importance"])
    facts = [
        *_labels(one),
        *_over_time(one),
        "mean forward return by quintile of scores, basis points: " + ", ".join(f"{q:.1f}" for q in one["quantiles"]),
        f"leakage checks: {checks}",
        f"most important inputs (decrease of the AUC if the input is shuffled): {inputs}",
        f"{one['seconds']:.0f} s on two cores with {one['load']:.0f} other jobs at the start ({took})",
        f"{one['cpu']:.0f} CPU seconds, peak memory {one['peak_mib']:,.0f} MiB",
    ]
    return [f"## {one['model']}, universe {one['universe']}", "", *(f"- {fact}" for fact in facts), ""]


def _labels(one: dict[str, Any]) -> list[str]:
    lost = one["if_lost"]
    return [
        (
            f"{one['rows']:,} rows, {one['labelled']:,.0f} of them with a label; {one['unknown']:,} rows of shares not "
            f"traded on entry; {one['carried']:,} labels valued before their end, {one['gone']:,} of them for shares "
            "that were not traded again"
        ),
        (
            f"with a further loss of {-DELISTING:.0%} for the {one['gone_tested']:,} tested labels of shares that were "
            f"not traded again: rank IC {lost['rank_ic']:.4f}, net return {lost['net']:+.1%}"
        ),
    ]


def _over_time(one: dict[str, Any]) -> list[str]:
    folds = ", ".join(f"{fold['rank_ic']:.4f}" for fold in one["folds"])
    years = ", ".join(f"{year['year']} {year['ic']:.4f}" for year in one["years"])
    first = one["first"]
    learning = (
        f"the first fold's model was trained on {first['rows']:,} rows of {first['sessions']} sessions, with "
        f"{first['unknown']:.0%} of the inputs unknown ({first['unknown_later']:.0%} in the last fold). A model "
        f"trained on the last fold has a rank IC of {first['rank_ic']:.4f} in the first fold's sessions{_why_weak(one)}"
    )
    return [f"rank IC by fold: {folds}; by year: {years}", learning]


def _why_weak(one: dict[str, Any]) -> str:
    """Return why the first fold found less than half of the others' skill; nothing if it did not."""
    own, *others = (fold["rank_ic"] for fold in one["folds"])
    later = sum(others) / len(others)
    if own >= later / 2:
        return ""
    short = one["first"]["rank_ic"] - own >= (later - own) / 2
    return (
        f". So the first fold's low rank IC is due more to {'its short history' if short else 'its sessions'} than to "
        f"{'its sessions' if short else 'its short history'}"
    )


def _completed(
    number: int, known: dict[str, Any] | None, scores: Path | None, given: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Yield the results of a case after each stage that was not done before: the models, and what they earned."""
    as_a_kernel = Settings(home=Settings().home.absolute()).environment() | {"OMP_WAIT_POLICY": "passive"}
    kept_scores = ["--scores", scores] if scores else []
    if known is None:
        dates = ["--start", given.start, "--end", given.end]
        known = meter.json_of([sys.executable, __file__, "--one", number, *dates, *kept_scores], as_a_kernel)
        print(_line(known), f"{known['seconds']:.0f} s", f"{known['peak_mib']:.0f} MiB", flush=True)
        if math.isnan(known["metrics"]["rank_ic"]):
            raise SystemExit("no session has a rank IC: choose a longer range or a larger universe")
        yield known
    if scores and scores.exists() and "earned" not in known:
        earned = meter.json_of([sys.executable, __file__, "--earned", number, *kept_scores], as_a_kernel)
        yield known | {"earned": earned}


def main() -> None:
    start, end, numbers = date(2019, 1, 1), date(2024, 12, 31), list(range(len(CASES)))
    paths: dict[str, Any] = dict.fromkeys(("write", "results", "scores"), Path)
    given = meter.arguments(__doc__, None, start=start, end=end, cases=numbers, one=int, earned=int, **paths)
    if given.one is not None:
        print(json.dumps(case(*CASES[given.one], given.start, given.end, given.scores)))
        return
    if given.earned is not None:
        print(json.dumps(walk_forward_portfolio.earned(Lake(Settings().lake), pl.read_parquet(given.scores))))
        return
    kept = {(one["model"], one["universe"]): one for one in meter.read_lines(given.results)}
    for number in given.cases:
        scores = given.scores / f"{number}.parquet" if given.scores else None
        for one in _completed(number, kept.get(CASES[number]), scores, given):
            kept[CASES[number]] = one
            meter.append_line(given.results, one)
    found = [kept[each] for each in CASES if each in kept]
    if given.write:
        given.write.write_text(page(found, given.start, given.end))


if __name__ == "__main__":
    main()
