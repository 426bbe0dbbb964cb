"""One engine over simulated bars, in its own process; see indicators.py. Other engines need no Champion.

Prints one line of JSON: the cost, and the number of nulls and the mean of each column of feature set v1.
"""

import json
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from importlib import import_module
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from benchmarks import meter

ID = "instrument_id"
HIGH, LOW, CLOSE, VOLUME = (pl.col(name) for name in ("high", "low", "close", "volume"))
SIMPLE, EXPONENTIAL = (5, 10, 20, 50, 100, 200), (12, 26, 50)
MACD = ("macd", "macd_signal", "macd_histogram")
STOCHASTIC, BANDS = ("stochastic_k", "stochastic_d"), ("bb_upper", "bb_middle", "bb_lower")
Array = np.ndarray[Any, Any]
Engine = Callable[[pl.DataFrame], pl.DataFrame]


def bars(instruments: int, sessions: int, seed: int = 4) -> pl.DataFrame:
    """Return bars of instruments with prices from about 1 to 100,000 rupees, a tick of 0.05, sorted."""
    rng = np.random.default_rng(seed)
    paths = np.clip(np.cumsum(rng.normal(0, 0.02, (instruments, sessions)), axis=1), -4, 4)
    close = np.maximum(np.round(rng.uniform(50, 2_000, (instruments, 1)) * np.exp(paths) / 0.05), 2).ravel()
    up, down = (np.round(close * np.abs(rng.normal(0, 0.012, close.size))) for _ in range(2))
    volume = rng.integers(0, 1_000_000, close.size)
    first = date(2000, 1, 1)
    days = pl.date_range(first, first + timedelta(sessions - 1), eager=True)
    names = pl.Series([f"IN{number:06d}" for number in range(instruments)]).gather(
        np.repeat(np.arange(instruments), sessions)
    )
    return pl.DataFrame(
        {
            ID: names,
            "symbol": names,
            "trade_date": days.gather(np.tile(np.arange(sessions), instruments)),
            "high": np.round((close + up) * 0.05, 2),
            "low": np.round(np.maximum(close - down, 1) * 0.05, 2),
            "close": np.round(close * 0.05, 2),
            "volume": volume,
            "turnover": np.round(close * 0.05 * volume, 2),
        }
    )


def champion_build() -> tuple[Engine, str]:
    """Return the feature set as the pipeline builds it, from bars that are checked and sorted."""
    features: Any = import_module("champion.features")
    return features.build, "feature set v1, bars checked first"


def champion_expressions() -> tuple[Engine, str]:
    """Return the expressions of the indicators, each over its instrument."""
    features: Any = import_module("champion.features")
    wanted = [feature.expression.over(ID).alias(feature.name) for feature in features.find("v1").features]
    return lambda frame: frame.select(wanted), "champion.indicators, each `.over` the instrument"


def talib_loop() -> tuple[Engine, str]:
    """Return a loop over instruments on two threads, with null for TA-Lib's NaN."""
    talib: Any = import_module("talib")

    def one(high: Array, low: Array, close: Array, volume: Array) -> dict[str, Array]:
        bands = upper, middle, lower = talib.BBANDS(close, 20, 2, 2, 0)
        return {
            **{f"sma_{n}": talib.SMA(close, n) for n in SIMPLE},
            **{f"ema_{n}": talib.EMA(close, n) for n in EXPONENTIAL},
            "rsi_14": talib.RSI(close, 14),
            **dict(zip(MACD, talib.MACD(close), strict=True)),
            **dict(zip(STOCHASTIC, talib.STOCH(high, low, close, 14, 3, 0, 3, 0), strict=True)),
            **dict(zip(BANDS, bands, strict=True)),
            "bb_width": (upper - lower) / middle,
            "atr_14": talib.ATR(high, low, close, 14),
            "obv": talib.OBV(close, volume),
            "volume_ma_20": talib.SMA(volume, 20),
        }

    def engine(frame: pl.DataFrame) -> pl.DataFrame:
        columns = [frame[name].cast(pl.Float64).to_numpy() for name in ("high", "low", "close", "volume")]
        parts = _parts(frame)
        made: dict[str, Array] = {}

        def fill(number: int) -> None:
            rows = parts[number]
            for name, values in one(*(column[rows] for column in columns)).items():
                made.setdefault(name, np.empty(frame.height))[rows] = values

        fill(0)
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(fill, range(1, len(parts))))
        return pl.DataFrame(made).fill_nan(None).with_columns(_vwap(frame))

    return engine, f"ta-lib {version('ta-lib')}, two threads, an instrument a task"


def polars_talib() -> tuple[Engine, str]:
    """Return TA-Lib's functions as a plugin of Polars, over each instrument."""
    ta: Any = import_module("polars_talib")
    wanted = {
        **{f"sma_{n}": ta.sma(CLOSE, n) for n in SIMPLE},
        **{f"ema_{n}": ta.ema(CLOSE, n) for n in EXPONENTIAL},
        "rsi_14": ta.rsi(CLOSE, 14),
        "_macd": ta.macd(CLOSE, 12, 26, 9),
        "_slow": ta.stoch(HIGH, LOW, CLOSE, 14, 3, 0, 3, 0),
        "_bands": ta.bbands(CLOSE, 20, 2.0, 2.0),
        "atr_14": ta.atr(HIGH, LOW, CLOSE, 14),
        "obv": ta.obv(CLOSE, VOLUME.cast(pl.Float64)),
        "volume_ma_20": ta.sma(VOLUME.cast(pl.Float64), 20),
    }
    parts = {"_macd": (MACD, "macd macdsignal macdhist"), "_slow": (STOCHASTIC, "slowk slowd"),
             "_bands": (BANDS, "upperband middleband lowerband")}  # fmt: skip
    fields = {
        name: pl.col(column).struct.field(part)
        for column, (names, fields) in parts.items()
        for name, part in zip(names, fields.split(), strict=True)
    }
    fields["bb_width"] = (fields["bb_upper"] - fields["bb_lower"]) / fields["bb_middle"]

    def engine(frame: pl.DataFrame) -> pl.DataFrame:
        made = frame.select(_vwap(frame), *(each.over(ID).alias(name) for name, each in wanted.items()))
        return made.with_columns(**fields).drop(*parts).fill_nan(None)

    return engine, f"polars-talib {version('polars-talib')}, each `.over` the instrument"


def pandas_ta() -> tuple[Engine, str]:
    """Return the maintained fork of pandas-ta without TA-Lib, an instrument at a time."""
    pd: Any = import_module("pandas")
    ta: Any = import_module("pandas_ta_classic")

    def one(own: Any) -> Any:
        high, low, close, volume = (own[name] for name in ("high", "low", "close", "volume"))
        bands, macd = ta.bbands(close, 20, 2, talib=False), ta.macd(close, talib=False)
        slow = ta.stoch(high, low, close, 14, 3, 3, talib=False)
        made = {
            **{f"sma_{n}": ta.sma(close, n, talib=False) for n in SIMPLE},
            **{f"ema_{n}": ta.ema(close, n, talib=False) for n in EXPONENTIAL},
            "rsi_14": ta.rsi(close, 14, talib=False),
            **{name: macd.iloc[:, part] for name, part in (("macd", 0), ("macd_signal", 2), ("macd_histogram", 1))},
            **{name: slow.iloc[:, part] for name, part in (("stochastic_k", 0), ("stochastic_d", 1))},
            **{name: bands.iloc[:, part] for name, part in (("bb_lower", 0), ("bb_middle", 1), ("bb_upper", 2))},
            "bb_width": (bands.iloc[:, 2] - bands.iloc[:, 0]) / bands.iloc[:, 1],
            "atr_14": ta.atr(high, low, close, 14, talib=False),
            "vwap": own["turnover"] / volume.where(volume > 0),
            "obv": ta.obv(close, volume, talib=False),
            "volume_ma_20": ta.sma(volume, 20, talib=False),
        }
        return pd.DataFrame(made)

    def engine(frame: pl.DataFrame) -> pl.DataFrame:
        held = frame.drop(ID, "symbol", "trade_date").to_pandas()
        made = pd.concat([one(held.iloc[rows]) for rows in _parts(frame)])
        return pl.from_pandas(made).fill_nan(None)

    return engine, f"pandas-ta-classic {version('pandas-ta-classic')} without TA-Lib, an instrument at a time"


ENGINES: dict[str, Callable[[], tuple[Engine, str]]] = {
    "champion build": champion_build,
    "champion expressions": champion_expressions,
    "TA-Lib loop": talib_loop,
    "TA-Lib loop, small pages": talib_loop,
    "polars-talib": polars_talib,
    "pandas-ta": pandas_ta,
}


def _parts(frame: pl.DataFrame) -> list[slice]:
    """Return the rows of each instrument."""
    edges = np.cumsum([0, *frame[ID].rle().struct.field("len")])
    return [slice(*edge) for edge in pairwise(edges.tolist())]


def _vwap(frame: pl.DataFrame) -> pl.Series:
    volume = pl.col("volume")
    return frame.select(pl.when(volume > 0).then(pl.col("turnover") / volume).alias("vwap")).to_series()


def main() -> None:
    """Run one engine: once on a few bars to warm up, then on all."""
    name, instruments, sessions = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    engine, note = ENGINES[name]()
    engine(bars(3, 300))
    frame = bars(instruments, sessions)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_stime
    made, cost = meter.measured(lambda: engine(frame))
    system = resource.getrusage(resource.RUSAGE_SELF).ru_stime - before
    values = {
        each: made[each].cast(pl.Float64).fill_nan(None) for each in made.columns if made[each].dtype.is_numeric()
    }
    columns = {each: [series.null_count(), series.mean()] for each, series in values.items()}
    costs = {"cpu": cost.cpu, "system": system, "wall": cost.wall, "mb": cost.peak_mb}
    print(json.dumps({"note": note, **costs, "columns": columns}))


if __name__ == "__main__":
    main()
