"""vectorbt's side of `benchmarks/speed/portfolio.py`, run by an interpreter with vectorbt and without Champion.

    python portfolio_vectorbt.py PEERS.npz

It trades target weights at the next session's price, twice (the first call compiles), and then Champion's own orders.
"""

# mypy: ignore-errors
import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import vectorbt as vbt

CAPITAL = 1e7


def trade(
    peers: dict[str, pd.DataFrame], size: pd.DataFrame, size_type: str, capital: float = CAPITAL
) -> vbt.Portfolio:
    """Return the portfolio of one account over all shares, without fees."""
    return vbt.Portfolio.from_orders(
        peers["close"], size=size, size_type=size_type, price=peers["fill"], init_cash=capital, cash_sharing=True,
        group_by=True, call_seq="auto", freq="1D",
    )  # fmt: skip


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main(path: Path) -> None:
    """Print costs and final equity as JSON."""
    with np.load(path, allow_pickle=False) as stored:
        peers = {name: stored[name] for name in stored.files}
    index = pd.to_datetime(peers["sessions"])
    frames = {
        name: pd.DataFrame(peers[name], index=index, columns=peers["names"]) for name in ("close", "fill", "orders")
    }
    weights = pd.DataFrame(peers["weights"], index=index, columns=peers["names"])
    decided = weights.fillna(0.0).where(weights.notna().any(axis=1), np.nan, axis=0).shift(1)
    report = {"version": vbt.__version__}
    for name in ("first call", "second call"):
        cpu, wall = _cpu(), time.perf_counter()
        made = trade(frames, decided, "targetpercent")
        made.value()
        report[name] = {"cpu": _cpu() - cpu, "wall": time.perf_counter() - wall}
        report[name]["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    orders = frames["orders"].where(frames["orders"] != 0)
    # Champion's account without rules may borrow; vectorbt cuts orders for lack of cash, so it gets twice the capital.
    made = trade(frames, orders, "amount", capital=2 * CAPITAL)
    report |= {"equity": float(made.value().iloc[-1]) - CAPITAL, "orders": int(made.orders.count())}
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
