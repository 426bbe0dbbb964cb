"""A simulated account of six years and 2,000 shares, and the same weights in vectorbt and Qlib, in the same run.

`.venv/bin/python benchmarks/speed/portfolio.py [--shares N] [--sessions N] [--vectorbt PYTHON] [--qlib PYTHON]
[--qlib-sessions N]`, where PYTHON is an interpreter of an environment with vectorbt or pyqlib, and pyarrow. The market
is a random walk with bars in memory as frames; imports and files are outside the cost. Each case runs in a process of
its own, for its peak memory. Qlib trades the first `--qlib-sessions` sessions only; Champion is measured on them too.

With all rules off, final equity is compared with vectorbt's on the same orders.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import meter
from benchmarks.speed import big_market
from champion.portfolio.arrays import MarketArrays, market_arrays
from champion.portfolio.construction import Rule, target_weights
from champion.portfolio.simulator import MarketRules, Simulation, simulate

YEAR, TOP, SEED, PRECISION = 250, 50, 7, 1e-9
_HERE = Path(__file__).parent
_LAST, _SUSPENDED = date(2024, 12, 31), 0.02
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def bars(days: list[date], names: list[str]) -> pl.DataFrame:
    """Return bars of every share on each day, 2% of them missing: a random walk in paise with log-normal volume."""
    random, shape = np.random.default_rng(SEED), (len(days), len(names))
    level = 100 * np.exp(random.normal(1, 1, shape[1]))
    close = np.maximum(np.round(level * np.exp(np.cumsum(random.normal(0, 0.02, shape), axis=0)), 2), 1.0)
    before = np.vstack([close[:1], close[:-1]])
    high, low = np.maximum(before, close) * 1.01, np.minimum(before, close) * 0.99
    average = low + (high - low) * random.random(shape)
    volume = random.lognormal(12, 1.5, shape).astype(np.int64) + 1
    keys = pl.DataFrame({"trade_date": days}).join(pl.DataFrame({"instrument_id": names}), how="cross")
    columns = {"open": before, "high": high, "low": low, "close": close, "prev_close": before, "volume": volume}
    made = keys.with_columns(**{name: pl.Series(each.ravel()) for name, each in columns.items()})
    made = made.with_columns(turnover=pl.Series((average * volume).ravel()))
    return made.filter(pl.Series(random.random(shape).ravel() >= _SUSPENDED))


def scores(market: pl.DataFrame) -> pl.DataFrame:
    """Return a random score of every bar that keeps 90% of itself from session to session."""
    random = np.random.default_rng(SEED + 1)
    noise = market.select("trade_date", "instrument_id", score=pl.Series(random.standard_normal(market.height)))
    kept = pl.col("score").ewm_mean(alpha=0.1, adjust=False).over("instrument_id")
    return noise.with_columns(score=kept)


def _case(folder: Path, name: str, sessions: int) -> dict[str, Any]:
    """Return the cost of one case, its seconds by stage, its fills and final equity."""
    market, signal = (pl.read_parquet(folder / f"{each}.parquet") for each in ("bars", "scores"))
    days = market["trade_date"].unique().sort().tail(YEAR) if name == "weekly" else market["trade_date"].unique().sort()
    days = days.head(sessions) if name == "slice" else days
    market, signal = (frame.filter(pl.col("trade_date").is_in(days.implode())) for frame in (market, signal))
    rule = Rule(top=TOP, every=5 if name == "weekly" else 1)
    rules = MarketRules(delisted_after=10**6)
    laps = meter.Laps()

    def run() -> Simulation:
        arrays = market_arrays(market)
        laps.lap("arrays")
        weights = target_weights(signal, rule) if name != "whole" else _equal(signal)
        laps.lap("weights")
        found = simulate(arrays, weights, rules.without_frictions() if name in {"plain", "slice"} else rules)
        laps.lap("account")
        if name == "plain":
            _export(folder, arrays, weights, found)
        return found

    laps.lap("read")
    found, cost = meter.measured(run)
    stages = {stage: lap.cpu for stage, lap in laps.laps.items() if stage != "read"}
    equity = found.account["equity"][-1]
    return {**asdict(cost), "stages": stages, "fills": found.trades.height, "equity": equity}


def _equal(signal: pl.DataFrame) -> pl.DataFrame:
    return signal.select("trade_date", "instrument_id", weight=0.98 / pl.len().over("trade_date"))


def _export(folder: Path, arrays: MarketArrays, weights: pl.DataFrame, found: Simulation) -> None:
    """Write what the peers need: prices, weights and signed orders by session and share."""
    signed = found.trades.select(
        "trade_date",
        "instrument_id",
        orders=pl.when(pl.col("side") == "buy").then("quantity").otherwise(-pl.col("quantity")),
    )
    close = pl.DataFrame(arrays.close).fill_nan(None).fill_null(strategy="forward").fill_null(strategy="backward")
    np.savez(
        folder / "peers.npz",
        close=close.to_numpy(),
        fill=np.where(np.isnan(arrays.fill), close.to_numpy(), arrays.fill),
        weights=arrays.wide(weights, "weight"),
        orders=np.nan_to_num(arrays.wide(signed, "orders")),
        sessions=np.array([day.isoformat() for day in arrays.sessions]),
        names=np.array([name.removeprefix("NSE:") for name in arrays.instruments]),
    )


def _ours(folder: Path, name: str, sessions: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", name, "--folder", folder, "--qlib-sessions", sessions]
    found: dict[str, Any] = meter.json_of(command, _ONE_THREAD)
    return found


def _peer(python: Path | None, script: str, *words: object) -> dict[str, Any] | None:
    found: dict[str, Any] | None
    found = meter.json_of([python, _HERE / script, *words], _ONE_THREAD) if python else None
    return found


def main() -> None:
    """Print costs, ratios and the difference from vectorbt."""
    options: dict[str, Any] = {"shares": 2_000, "sessions": 1_500, "qlib_sessions": 60}
    asked = meter.arguments(__doc__, None, one=str, folder=Path, vectorbt=Path, qlib=Path, **options)
    if asked.one:
        print(json.dumps(_case(asked.folder, asked.one, asked.qlib_sessions)))
        return
    print(f"{asked.shares:,} shares, {asked.sessions:,} sessions; {meter.machine()}")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        made = bars(big_market.sessions(_LAST, asked.sessions), big_market.symbols(asked.shares))
        made.write_parquet(folder / "bars.parquet")
        scores(made).write_parquet(folder / "scores.parquet")
        del made
        one: Callable[[str], dict[str, Any]] = lambda name: _ours(folder, name, asked.qlib_sessions)  # noqa: E731
        titles = {
            "daily": f"best {TOP}, daily, all rules",
            "whole": "all shares equally, daily, all rules",
            "weekly": f"one year, best {TOP}, weekly, all rules",
            "plain": f"best {TOP}, daily, no rules",
            "slice": f"best {TOP}, daily, no rules, {asked.qlib_sessions} sessions",
        }
        found = {title: one(name) for name, title in titles.items()}
        plain, part = found[titles["plain"]], found[titles["slice"]]
        other = _peer(asked.vectorbt, "portfolio_vectorbt.py", folder / "peers.npz")
        qlib = _peer(asked.qlib, "portfolio_qlib.py", folder / "peers.npz", folder / "qlib", asked.qlib_sessions)
    rows = [
        [title, one["cpu"], one["wall"], one["peak_mb"], one["fills"], *one["stages"].values()]
        for title, one in found.items()
    ]
    columns = ["case", "CPU s", "wall s", "peak MB", "fills", "arrays s", "weights s", "account s"]
    meter.print_table("Champion", columns, rows)
    peers = (
        [(f"vectorbt {other['version']}: {name}", other[name], plain) for name in ("first call", "second call")]
        if other
        else []
    )
    peers += [(f"Qlib {qlib['version']}: {asked.qlib_sessions} sessions", qlib, part)] if qlib else []
    lines = [
        [
            name,
            its["cpu"],
            its["wall"],
            its["peak_mb"],
            its["cpu"] / ours["cpu"],
            its["cpu"] / ours["stages"]["account"],
        ]
        for name, its, ours in peers
    ]
    if lines:
        ratio = ["times Champion's CPU", "times its account alone"]
        meter.print_table("The same weights", ["peer", "CPU s", "wall s", "peak MB", *ratio], lines)
    if other:
        gap = abs(other["equity"] / plain["equity"] - 1)
        print(f"final equity on the same {plain['fills']:,} orders: {plain['equity']:,.2f}, relative gap {gap:.1e}")
        if gap > PRECISION or other["orders"] != plain["fills"]:
            raise SystemExit(f"vectorbt filled {other['orders']:,} orders, or its equity differs by more than 1e-9")


if __name__ == "__main__":
    main()
