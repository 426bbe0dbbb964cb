"""Writes what Qlib makes of some hostile bars into the sample that `tests/features/test_alpha158.py` holds Champion to.

`.venv/bin/python benchmarks/speed/alpha158_golden.py tests/alpha158_qlib.parquet --qlib-python QLIB/bin/python`, where QLIB
is an environment with pyqlib 0.9.7. The bars are those of a simulated archive, in float32 as Qlib keeps them, so that
both sides see the same numbers; on top come sessions without volume, prices that stand still, and a suspended session.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from benchmarks.speed.alpha158 import Qlib
from champion.lake import Lake
from champion.pipeline.ingest.bars import equity_bars
from champion.pipeline.ingest.fetch import fetch, staged
from champion.pipeline.ingest.ingest import ingest
from champion.pipeline.ingest.rename_instruments import rename_instruments
from champion.pipeline.ingest.symbol_changes import refresh
from champion.settings import Settings
from champion.simulate import publish

START, END = date(2023, 11, 1), date(2024, 4, 30)
SESSIONS = 100
_ID, _PRICES = "instrument_id", ["open", "high", "low", "close"]
_ROW = pl.int_range(pl.len())


def main() -> None:
    """Simulate, let Qlib compute, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    parser.add_argument("--qlib-python", type=Path, required=True)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bars = hostile(simulated(Path(folder) / "archive"))
        qlib = Qlib(asked.qlib_python, Path(folder) / "qlib")
        qlib.store(bars)
        values, told = qlib.compute()
    sample = bars.join(values, on=[_ID, "trade_date"], how="left", validate="1:1").sort(_ID, "trade_date")
    about = {
        "qlib": told["version"],
        "formulas": told["formulas"],
        "written_by": f"benchmarks/speed/alpha158_golden.py; bars of champion.simulate, {START} to {END}",
    }
    table = sample.to_arrow().replace_schema_metadata({"champion.alpha158": json.dumps(about)})
    pq.write_table(
        table,
        asked.target,
        compression="zstd",
        compression_level=19,
        use_dictionary=[_ID],
        use_byte_stream_split=list(told["formulas"]),
    )
    print(f"{asked.target}: {sample.height} rows, {asked.target.stat().st_size:,} bytes, Qlib {told['version']}")


def simulated(folder: Path) -> pl.DataFrame:
    """Return the first sessions of four shares of a simulated archive, prices and volume as float32 holds them."""
    archive = publish(folder, instruments=12, start=START, end=END, signal=0.5)
    settings = Settings(home=folder / "home", archive=str(archive.root))
    fetch(settings, START, END)
    refresh(settings)
    ingest(Lake(settings.lake), staged(settings, START, END)).require_complete()
    rename_instruments(settings).require_complete()
    bars = equity_bars(Lake(settings.lake)).select(_ID, "trade_date", *_PRICES, "volume", "turnover").collect()
    sessions = bars["trade_date"].unique().sort().head(SESSIONS)
    kept = bars.filter(pl.col("trade_date").is_in(sessions.implode()))
    whole = kept.group_by(_ID).len().filter(pl.col("len") == SESSIONS)[_ID].sort().head(4)
    exact = pl.col(*_PRICES, "volume").cast(pl.Float32)
    return kept.filter(pl.col(_ID).is_in(whole.implode())).sort(_ID, "trade_date").with_columns(exact)


def hostile(bars: pl.DataFrame) -> pl.DataFrame:
    """Return four histories made hostile and vwap added; the halted one twice, on the calendar and on its own bars."""
    plain, silent, still, halted = bars.partition_by(_ID, maintain_order=True)
    dry = _ROW.is_in([70, 80, 81])
    silent = silent.with_columns(pl.when(~dry).then(pl.col("volume", "turnover")).otherwise(0))
    flat = pl.when(_ROW.is_between(20, 92)).then(pl.lit(still["close"][20])).otherwise(pl.col(*_PRICES))
    still = still.with_columns(flat.name.keep())
    hole = halted.with_columns(pl.when(_ROW != 30).then(pl.all()))  # noqa: PLR2004 - any session
    own = halted.filter(_ROW != 30).with_columns(trade_date=halted["trade_date"].head(SESSIONS - 1))  # noqa: PLR2004
    named = {"PLAIN": plain, "SILENT": silent, "STILL": still, "HALTED": hole.drop_nulls(), "HALTED_OWN": own}
    frames = [frame.with_columns(pl.lit(name).alias(_ID)) for name, frame in named.items()]
    vwap = (pl.col("turnover") / pl.col("volume")).cast(pl.Float32)
    return pl.concat(frames).with_columns(vwap=vwap).sort(_ID, "trade_date")


if __name__ == "__main__":
    main()
