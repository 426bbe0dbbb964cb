"""Alpha158 of Champion and of Qlib, over whole histories and for one new session, in the same run.

`.venv/bin/python benchmarks/speed/alpha158.py --qlib-python QLIB/bin/python [--instruments N] [--sessions N]
[--repeats N]`, where QLIB is an environment with pyqlib 0.9.7. Both sides start from bars on disk (Parquet here, Qlib's
binary store there) and end with the finished table in memory, without imports. Each case runs in its own process:
Qlib once, Champion `--repeats` times. `carried` is one new session from carried state, as in the lake's build. All
values are compared.
"""

import statistics
import sys
import tempfile
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import meter
from champion import features

_QLIB = Path(__file__).with_name("alpha158_qlib.py")
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # in the libraries that Qlib forks
_KEY = ["instrument_id", "trade_date"]
_OURS = """
import json, sys
from benchmarks import meter
import polars as pl
from champion import features
bars, what, target = sys.argv[1:]
lookback = features.find("alpha158").lookback

def whole():
    return features.build(pl.read_parquet(bars), "alpha158")

def last():
    seen = pl.scan_parquet(bars)
    sessions = seen.select(pl.col("trade_date").unique().sort().tail(lookback)).collect()["trade_date"]
    made = features.build(seen.filter(pl.col("trade_date") >= sessions[0]).collect(), "alpha158")
    return made.filter(pl.col("trade_date") == sessions[-1])

def carried():
    session = pl.scan_parquet(bars).filter(pl.col("trade_date") == pl.col("trade_date").max()).collect()
    return features.advance(pl.read_parquet(bars + ".state"), session, "alpha158")[0]

if what == "state":
    seen = pl.read_parquet(bars)
    past = seen.filter(pl.col("trade_date") < seen["trade_date"].max())
    features.state_after(past, "alpha158").write_parquet(bars + ".state")
else:
    made, cost = meter.measured({"whole": whole, "last": last, "carried": carried}[what])
    made.write_parquet(target)
    print(json.dumps({"wall": cost.wall, "cpu": cost.cpu, "peak_mb": cost.peak_mb, "rows": made.height}))
"""


@dataclass(frozen=True)
class Qlib:
    """Qlib in its own interpreter, with a store in a folder."""

    python: Path
    folder: Path

    def store(self, bars: pl.DataFrame) -> None:
        """Write bars with vwap as Qlib's store."""
        source = self.folder.with_suffix(".bars")
        bars.with_columns(pl.col("trade_date").cast(pl.String)).write_parquet(source)
        meter.run([self.python, _QLIB, "store", source, self.folder], _ONE_THREAD)

    def compute(self, *, last: bool = False) -> tuple[pl.DataFrame, dict[str, Any]]:
        """Return the values by instrument_id and trade_date, and a report: version, formulas, cost."""
        out = self.folder.with_suffix(".out")
        options = ["--last"] if last else []
        report = meter.json_of([self.python, _QLIB, "compute", self.folder, out, *options], _ONE_THREAD)
        values = pl.read_parquet(out).rename({"instrument": _KEY[0], "datetime": _KEY[1]})
        typed = values.with_columns(pl.col(_KEY[0]).cast(pl.String), pl.col(_KEY[1]).cast(pl.Date)).fill_nan(None)
        return typed, report


def main() -> None:
    """Measure, compare and print."""
    asked = meter.arguments(__doc__, {"--qlib-python": Path}, instruments=800, sessions=3400, repeats=3)
    with tempfile.TemporaryDirectory() as folder:
        qlib = Qlib(asked.qlib_python, Path(folder) / "qlib")
        bars = market(asked.instruments, asked.sessions)
        file = Path(folder) / "bars.parquet"
        bars.drop("vwap").write_parquet(file)
        qlib.store(bars)
        meter.run([sys.executable, "-c", _OURS, file, "state", ""], _ONE_THREAD)
        print(f"{bars.height:,} bars, {asked.instruments} instruments; {meter.machine()}")
        for title, last, ways in (("whole histories", False, ["whole"]), ("one session", True, ["last", "carried"])):
            _case(title, qlib, file, ways, asked.repeats, last=last)


def _case(title: str, qlib: Qlib, file: Path, ways: list[str], repeats: int, *, last: bool) -> None:
    """Run one case on both sides and print costs, ratios and differences."""
    theirs, peer = qlib.compute(last=last)
    rows: list[list[object]] = [["Qlib " + peer["version"], peer["cpu"], peer["wall"], peer["peak_mb"], None, None]]
    for way in ways:
        out = file.with_suffix(f".{way}")
        command = [sys.executable, "-c", _OURS, file, way, out]
        costs = [meter.json_of(command, _ONE_THREAD) for _ in range(repeats)]
        middle = {key: statistics.median(cost[key] for cost in costs) for key in ("cpu", "wall", "peak_mb")}
        rows.append([f"Champion, {way}", *middle.values(), peer["cpu"] / middle["cpu"], peer["wall"] / middle["wall"]])
        _compare(pl.read_parquet(out), theirs)
    columns = [title, "cpu s", "wall s", "peak MB", "less cpu", "less wall"]
    meter.print_table(f"Alpha158, {peer['rows']:,} rows", columns, rows)


def _compare(ours: pl.DataFrame, theirs: pl.DataFrame) -> None:
    """Print the largest difference where both have a value, and how many values only Champion has."""
    pair = ours.join(theirs, on=_KEY, suffix="_theirs", validate="1:1")
    worst, lone = ("", 0.0), ("", 0)
    for name in features.find("alpha158").columns:
        mine, other = pair[name].cast(pl.Float64), pair[f"{name}_theirs"].cast(pl.Float64)
        apart = ((mine - other).abs() / (1 + other.abs())).max()
        worst = max(worst, (name, float(apart or 0.0)), key=lambda one: one[1])  # type: ignore[arg-type]
        lone = max(lone, (name, int((mine.is_not_null() & other.is_null()).sum())), key=lambda one: one[1])
    print(f"{pair.height:,} rows, 158 columns: worst |ours - theirs| / (1 + |theirs|) {worst[1]:.1e} in {worst[0]};")
    print(f"  values that Qlib lacks: at most {lone[1]} in a column {lone[0]}")


def market(instruments: int, sessions: int) -> pl.DataFrame:
    """Return bars of random walks on a tick of 5 paise, with prices and volume that float32 holds exactly."""
    rng = np.random.default_rng(20240101)
    shape = (instruments, sessions)
    walk = np.cumsum(rng.normal(0, 1, shape) * rng.uniform(0.01, 0.03, (instruments, 1)), axis=1)
    close = rng.lognormal(5.7, 0.8, (instruments, 1)) * np.exp(walk - walk.mean(axis=1, keepdims=True))
    opening = close * np.exp(rng.normal(0, 0.006, shape))
    high = np.maximum(opening, close) * np.exp(np.abs(rng.normal(0, 0.008, shape)))
    low = np.minimum(opening, close) * np.exp(-np.abs(rng.normal(0, 0.008, shape)))
    prices = {"open": opening, "high": high, "low": low, "close": close}
    ticks = {name: np.maximum(np.round(price / 0.05), 1) * 0.05 for name, price in prices.items()}
    exact = {name: price.astype("f4").astype("f8").ravel() for name, price in ticks.items()}
    volume = np.round(rng.lognormal(12, 1, shape)).astype("f4").astype("i8").ravel()
    days = [date(2010, 1, 4) + timedelta(days=number) for number in range(sessions)]
    names = [f"I{number:04d}" for number in range(instruments)]
    named = dict.fromkeys(("instrument_id", "symbol"), np.repeat(names, sessions))
    frame = pl.DataFrame({**named, "trade_date": pl.Series(days * instruments), **exact, "volume": volume})
    vwap = ((pl.col("high") + pl.col("low") + 2 * pl.col("close")) / 4).cast(pl.Float32).cast(pl.Float64)
    return frame.with_columns(vwap=vwap, turnover=vwap * pl.col("volume"))


if __name__ == "__main__":
    main()
