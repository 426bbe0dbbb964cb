"""Qlib's side of `benchmarks/speed/alpha158.py`, run by an interpreter with pyqlib and without Champion.

    python alpha158_qlib.py store BARS.parquet FOLDER
    python alpha158_qlib.py compute FOLDER OUT.parquet [--last] [--kernels N]

`store` writes bars as Qlib's own binary store. `compute` evaluates Alpha158 over all of it, or for its last session,
writes the values, and prints what that cost and which formulas it was; imports and `qlib.init` are outside the cost.
"""

# mypy: ignore-errors
import argparse
import json
import logging
import resource
import time
from pathlib import Path

import numpy as np
import pandas as pd
import qlib
from qlib.contrib.data.loader import Alpha158DL
from qlib.data import D

FIELDS = ("open", "high", "low", "close", "volume", "vwap")


def store(bars: Path, folder: Path) -> None:
    """Write calendar, instruments, and per instrument and field little-endian float32 after the first session's index.

    A session of the calendar that an instrument has no bar on is NaN, as in Qlib's own data.
    """
    frame = pd.read_parquet(bars)
    calendar = sorted(frame["trade_date"].unique())
    place = {session: number for number, session in enumerate(calendar)}
    for name in ("calendars", "instruments", "features"):
        (folder / name).mkdir(parents=True)
    (folder / "calendars" / "day.txt").write_text("".join(f"{session}\n" for session in calendar), encoding="utf-8")
    lines = []
    for instrument, own in frame.groupby("instrument_id"):
        at = own["trade_date"].map(place).to_numpy()
        lines.append(f"{instrument}\t{calendar[at.min()]}\t{calendar[at.max()]}\n")
        (folder / "features" / instrument.lower()).mkdir()
        for field in FIELDS:
            values = np.full(at.max() - at.min() + 2, np.nan, dtype="<f4")
            values[0] = at.min()
            values[at - at.min() + 1] = own[field]
            values.tofile(folder / "features" / instrument.lower() / f"{field}.day.bin")
    (folder / "instruments" / "all.txt").write_text("".join(lines), encoding="utf-8")


def compute(folder: Path, out: Path, kernels: int, *, last: bool) -> None:
    """Write Alpha158 of every instrument and session, and print the cost as JSON."""
    caches = {"expression_cache": None, "dataset_cache": None}
    qlib.init(provider_uri=str(folder), region="cn", kernels=kernels, logging_level=logging.ERROR, **caches)
    formulas, names = Alpha158DL.get_feature_config()
    sessions = (folder / "calendars" / "day.txt").read_text(encoding="utf-8").split()
    since = sessions[-1] if last else sessions[0]
    before, wall = _cpu(), time.perf_counter()
    found = D.features(D.instruments("all"), formulas, since, sessions[-1], freq="day", disk_cache=0)
    cost = {"wall": time.perf_counter() - wall, "cpu": _cpu() - before}
    cost["peak_mb"] = max(resource.getrusage(who).ru_maxrss for who in _WHO) / 1024
    found.columns = names
    found.astype("float32").reset_index().to_parquet(out)
    report = {"version": qlib.__version__, "formulas": dict(zip(names, formulas, strict=True)), "rows": len(found)}
    print(json.dumps({**report, **cost}))


_WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def _cpu() -> float:
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, _WHO))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["store", "compute"])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--last", action="store_true")
    parser.add_argument("--kernels", type=int, default=1)
    asked = parser.parse_args()
    if asked.what == "store":
        store(asked.source, asked.target)
    else:
        compute(asked.source, asked.target, asked.kernels, last=asked.last)
