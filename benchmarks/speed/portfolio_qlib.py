"""Qlib's side of `benchmarks/speed/portfolio.py`, run by an interpreter with pyqlib and without Champion.

    python portfolio_qlib.py PEERS.npz FOLDER SESSIONS

It writes the prices as Qlib's binary store, and trades the target weights of the first sessions with Qlib's daily
executor, without costs. Imports, the store and `qlib.init` are outside the cost.
"""

# mypy: ignore-errors
import json
import logging
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import qlib
from qlib.backtest import backtest
from qlib.contrib.strategy.signal_strategy import WeightStrategyBase

CAPITAL = 1e7


class Weights(WeightStrategyBase):
    """A strategy whose signal is the target weight itself."""

    def generate_target_weight_position(
        self,
        score: pd.Series,
        current: object,  # noqa: ARG002 - of the base class
        trade_start_time: object,  # noqa: ARG002
        trade_end_time: object,  # noqa: ARG002
    ) -> dict[str, float]:
        """Return the weight of each share."""
        return score[score > 0].to_dict()


def store(peers: dict[str, np.ndarray], folder: Path) -> None:
    """Write calendar, instruments and prices: little-endian float32 after the first session's index."""
    for name in ("calendars", "instruments", "features"):
        (folder / name).mkdir(parents=True)
    days = peers["sessions"]
    (folder / "calendars" / "day.txt").write_text("".join(f"{day}\n" for day in days), encoding="utf-8")
    lines = [f"{name}\t{days[0]}\t{days[-1]}\n" for name in peers["names"]]
    (folder / "instruments" / "all.txt").write_text("".join(lines), encoding="utf-8")
    before = np.vstack([peers["close"][:1], peers["close"][:-1]])
    fields = {
        "close": peers["close"], "vwap": peers["fill"], "change": peers["close"] / before - 1,
        "factor": np.ones_like(before), "volume": np.full_like(before, 1e9),
    }  # fmt: skip
    for place, name in enumerate(peers["names"]):
        (folder / "features" / name.lower()).mkdir()
        for field, values in fields.items():
            stored = np.concatenate([[0.0], values[:, place]]).astype("<f4")
            stored.tofile(folder / "features" / name.lower() / f"{field}.day.bin")


def main(path: Path, folder: Path, count: int) -> None:
    """Print the cost and the final equity as JSON."""
    with np.load(path, allow_pickle=False) as stored:
        peers = {name: stored[name] for name in stored.files}
    store(peers, folder)
    caches = {"expression_cache": None, "dataset_cache": None}
    qlib.init(provider_uri=str(folder), region="cn", kernels=1, logging_level=logging.ERROR, **caches)
    index = pd.to_datetime(peers["sessions"])
    wide = pd.DataFrame(peers["weights"], index=index.rename("datetime"), columns=peers["names"]).iloc[:count]
    long = wide.melt(ignore_index=False, var_name="instrument", value_name="score").set_index("instrument", append=True)
    signal = long["score"].dropna().sort_index()
    exchange = {
        "freq": "day", "deal_price": "$vwap", "open_cost": 0.0, "close_cost": 0.0, "min_cost": 0.0,
        "limit_threshold": None, "trade_unit": None,
    }  # fmt: skip
    executor = {
        "class": "SimulatorExecutor",
        "module_path": "qlib.backtest.executor",
        "kwargs": {"time_per_step": "day", "generate_portfolio_metrics": True},
    }
    before, wall = _cpu(), time.perf_counter()
    metrics, _ = backtest(
        start_time=index[1], end_time=index[count - 1], strategy=Weights(signal=signal), executor=executor,
        benchmark=pd.Series(0.0, index=index), account=CAPITAL, exchange_kwargs=exchange,
    )  # fmt: skip
    cost = {"wall": time.perf_counter() - wall, "cpu": _cpu() - before}
    cost["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report, _ = next(iter(metrics.values()))
    print(json.dumps({"version": qlib.__version__, "equity": float(report["account"].iloc[-1]), **cost}))


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
