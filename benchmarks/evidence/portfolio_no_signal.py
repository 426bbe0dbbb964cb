"""What random scores earn in markets without a signal: a simulated account must show no active return before costs.

`.venv/bin/python benchmarks/evidence/portfolio_no_signal.py [--worlds N] [--instruments N] [--results FILE]` simulates
markets whose prices are martingales (`champion simulate --signal 0 --martingale price`), with listings, delistings and
corporate actions, and lets a rule follow random scores of several families. The market model is the one of the
simulated archive; its quotes reach the account without files. `--results` keeps each world, so that a stopped run
continues.

The benchmark holds all instruments equally, is decided on the same sessions and pays nothing. All figures are basis
points of the equity a year: means of session returns times the sessions of a year, because growth rates would differ by
half the variance of the holdings, which is no cost of trading.

- `gross`: return before charges and impact, less the benchmark's;
- `cash`: what the account lost because it holds more cash than the benchmark; a part of gross;
- `charges` and `impact`: paid;
- `net`: gross less both.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import meter
from champion.modeling.metrics import SESSIONS_PER_YEAR
from champion.portfolio.arrays import Floats, MarketArrays, market_arrays
from champion.portfolio.construction import Rule, decision_days, target_weights
from champion.portfolio.simulator import MarketRules, Simulation, simulate
from champion.simulate import calendar, events, universe
from champion.simulate.actions import Action
from champion.simulate.market import Quotes, walk

START, END = date(2023, 1, 2), date(2024, 1, 31)
RULE = Rule(top=20, every=5)
RULES = MarketRules(capital=1e7)
FAMILIES = ("white", "AR(1)", "sector", "volatile", "calm")
FIGURES = ("gross", "cash", "charges", "impact", "net")
PERSISTENCE = 0.95  # of the AR(1) scores and of those by sector, a session
_PAISE, _BASIS_POINTS, _ERRORS = 100, 1e4, 2


def world(seed: int, instruments: int) -> tuple[MarketArrays, tuple[universe.Instrument, ...]]:
    """Return a year of a market without a signal, and its instruments: the shares of series EQ and BE."""
    sessions, members = calendar.sessions(START, END), universe.build(instruments, seed)
    happened = events.plan(members, sessions, seed, corporate_actions=True)
    places = [place for place, one in enumerate(members) if one.series in {"EQ", "BE"}]
    quotes = list(walk(members, happened, sessions, seed=seed, signal=0.0, martingale="price"))
    bars = pl.concat([_bars(one, places) for one in quotes])
    actions = [action for one in quotes for action in one.settled if action.position in places]
    factors = pl.DataFrame([row for row in map(_factor, actions) if row["price_factor"] != 1])
    return market_arrays(bars, factors), tuple(members[place] for place in places)


def _bars(quotes: Quotes, places: list[int]) -> pl.DataFrame:
    """Return the session's bars in rupees; an instrument is named by its place, so renames do not matter."""
    names = {"open": "open", "high": "high", "low": "low", "close": "close", "prev_close": "previous"}
    prices = {name: getattr(quotes, each)[places] / _PAISE for name, each in names.items()}
    frame = pl.DataFrame(
        {
            "instrument_id": [_name(place) for place in places],
            **prices,
            "volume": quotes.volume[places],
            "turnover": quotes.turnover[places] / _PAISE,
            "traded": quotes.traded[places],
        }
    )
    return frame.filter("traded").drop("traded").with_columns(trade_date=pl.lit(quotes.session))


def _factor(action: Action) -> dict[str, Any]:
    """Return the effect of an action as in `normalized_adjustment_factors`."""
    multiplies = action.kind in {"split", "bonus", "bonus and split", "consolidation"}
    factor = action.return_factor
    return {
        "instrument_id": _name(action.position), "ex_date": action.ex_date,
        "kind": "dividend" if "dividend" in action.kind else action.kind, "price_factor": factor,
        "volume_factor": factor if multiplies else 1.0,
    }  # fmt: skip


def _name(place: int) -> str:
    return f"NSE:{place:04d}"


def scores(family: str, market: MarketArrays, members: tuple[universe.Instrument, ...], seed: int) -> pl.DataFrame:
    """Return a score of every bar that knows nothing of later prices."""
    random = np.random.default_rng((seed, FAMILIES.index(family)))
    shape = market.close.shape
    if family == "white":
        values = random.standard_normal(shape)
    elif family == "AR(1)":
        values = _persistent(random, shape)
    elif family == "sector":
        sectors = np.array([one.sector for one in members])
        values = _persistent(random, (shape[0], sectors.max() + 1))[:, sectors] + 0.1 * _persistent(random, shape)
    else:
        sign = 1 if family == "volatile" else -1
        values = sign * np.tile([one.volatility for one in members], (shape[0], 1))
    rows, columns = np.nonzero(~np.isnan(market.close))
    keys = {
        "trade_date": pl.Series(list(market.sessions)).gather(rows),
        "instrument_id": pl.Series(list(market.instruments)).gather(columns),
    }
    return pl.DataFrame(keys | {"score": values[rows, columns]})


def _persistent(random: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Return stationary AR(1) series of variance 1, one per column."""
    noise = random.standard_normal(shape)
    noise[1:] *= np.sqrt(1 - PERSISTENCE**2)
    for row in range(1, shape[0]):
        noise[row] += PERSISTENCE * noise[row - 1]
    return noise


def decompose(found: Simulation, benchmark: Simulation) -> dict[str, float]:
    """Return `FIGURES` in basis points a year, over the sessions after the benchmark's first trade."""
    first = int((benchmark.account["bought"] > 0).arg_max() or 0)
    ours, theirs = (one.account[first:] for one in (found, benchmark))
    before = ours["equity"].to_numpy()[:-1]
    parts = {name: ours[name].to_numpy()[1:] / before for name in ("charges", "impact")}
    net = ours["equity"].to_numpy()[1:] / before - 1
    other = theirs["equity"].to_numpy()[1:] / theirs["equity"].to_numpy()[:-1] - 1
    invested = theirs["holdings"].to_numpy()[:-1] / theirs["equity"].to_numpy()[:-1]
    idle = invested - ours["holdings"].to_numpy()[:-1] / before
    series = {"net": net - other, **parts, "cash": -idle * other / invested}
    series["gross"] = series["net"] + parts["charges"] + parts["impact"]
    return {name: float(series[name].mean()) * SESSIONS_PER_YEAR * _BASIS_POINTS for name in FIGURES}


def run(seed: int, instruments: int) -> dict[str, Any]:
    """Return the figures of each family in one world."""
    market, members = world(seed, instruments)
    days = decision_days(pl.Series(list(market.sessions)), RULE)
    rows = pl.DataFrame({"trade_date": days}).join(pl.DataFrame({"instrument_id": market.instruments}), how="cross")
    listed = scores("white", market, members, seed).select("trade_date", "instrument_id")
    equal = rows.join(listed, on=["trade_date", "instrument_id"], how="semi").with_columns(
        weight=RULE.invested / pl.len().over("trade_date")
    )
    benchmark = simulate(market, equal, replace(RULES, charged=False, impact=0.0))
    found = {}
    for family in FAMILIES:
        weights = target_weights(scores(family, market, members, seed), RULE)
        found[family] = decompose(simulate(market, weights, RULES), benchmark)
    return {"seed": seed, "instruments": instruments, "families": found}


def summarised(found: list[dict[str, Any]]) -> Iterator[list[object]]:
    """Yield for each family mean and standard error of each figure, and whether gross is 0 within two errors."""
    for family in FAMILIES:
        values = {name: np.array([one["families"][family][name] for one in found]) for name in FIGURES}
        error = values["gross"].std(ddof=1) / np.sqrt(len(found))
        z = float(values["gross"].mean() / error)
        means = [float(each.mean()) for each in values.values()]
        yield [family, means[0], float(error), z, *means[1:], "yes" if abs(z) <= _ERRORS else "NO"]


def main() -> int:
    """Print the table; 1 if a family earns something before costs."""
    asked = meter.arguments(__doc__, worlds=60, instruments=150, results=Path)
    kept = {(one["seed"], one["instruments"]): one for one in meter.read_lines(asked.results)}
    for seed in range(asked.worlds):
        if (seed, asked.instruments) not in kept:
            kept[seed, asked.instruments] = one = run(seed, asked.instruments)
            meter.append_line(asked.results, one)
    found = [kept[seed, asked.instruments] for seed in range(asked.worlds)]
    rows = list(summarised(found))
    columns = ["scores", "gross", "its error", "z", *FIGURES[1:], "gross is 0"]
    meter.print_table(f"Active return of {asked.worlds} worlds, basis points a year", columns, rows)
    return int(any(row[-1] == "NO" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
