"""Writes Qlib's values of some difficult bars into the sample that `tests/features/test_alpha158.py` compares with.

`.venv/bin/python benchmarks/speed/alpha158_golden.py tests/alpha158_qlib.parquet --qlib-python QLIB/bin/python`, where
QLIB is an environment with pyqlib 0.9.7. The bars come from a simulated archive, in float32 as Qlib keeps them, so that
both sides see the same numbers. Sessions without volume, constant prices and a suspended session are added.
"""

import json
import tempfile
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from benchmarks import meter
from benchmarks.backfill import STAGES, steps
from benchmarks.speed.alpha158 import Qlib
from champion.lake import Lake
from champion.pipeline.ingest.bars import equity_bars
from champion.settings import Settings
from champion.simulate import publish

START, END = date(2023, 11, 1), date(2024, 4, 30)
SESSIONS = 100
_ID, _PRICES = "instrument_id", ["open", "high", "low", "close"]
_ROW = pl.int_range(pl.len())


def main() -> None:
    """Simulate, let Qlib compute, write."""
    asked = meter.arguments(__doc__, {"target": Path, "--qlib-python": Path})
    with tempfile.TemporaryDirectory() as folder:
        bars = hostile(simulated(Path(folder)))
        qlib = Qlib(asked.qlib_python, Path(folder) / "qlib")
        qlib.store(bars)
        values, report = qlib.compute()
    sample = bars.join(values, on=[_ID, "trade_date"], how="left", validate="1:1").sort(_ID, "trade_date")
    written_by = f"benchmarks/speed/alpha158_golden.py; bars of champion.simulate, {START} to {END}"
    about = {"qlib": report["version"], "formulas": report["formulas"], "written_by": written_by}
    table = sample.to_arrow().replace_schema_metadata({"champion.alpha158": json.dumps(about)})
    split = {"use_dictionary": [_ID], "use_byte_stream_split": list(report["formulas"])}
    pq.write_table(table, asked.target, compression="zstd", compression_level=19, **split)
    print(f"{asked.target}: {sample.height} rows, {asked.target.stat().st_size:,} bytes, Qlib {report['version']}")


def simulated(folder: Path) -> pl.DataFrame:
    """Return the first sessions of four shares of a simulated archive, with prices and volume in float32."""
    archive = publish(folder / "archive", instruments=12, start=START, end=END, signal=0.5)
    settings = Settings(home=folder / "home", archive=str(archive.root))
    for step in list(steps(settings, START, END).values())[: STAGES.index("actions")]:
        step()
    bars = (
        equity_bars(Lake(settings.lake), kinds=None).select(_ID, "trade_date", *_PRICES, "volume", "turnover").collect()
    )
    sessions = bars["trade_date"].unique().sort().head(SESSIONS)
    kept = bars.filter(pl.col("trade_date").is_in(sessions.implode()))
    whole = kept.group_by(_ID).len().filter(pl.col("len") == SESSIONS)[_ID].sort().head(4)
    exact = pl.col(*_PRICES, "volume").cast(pl.Float32)
    return kept.filter(pl.col(_ID).is_in(whole.implode())).sort(_ID, "trade_date").with_columns(exact)


def hostile(bars: pl.DataFrame) -> pl.DataFrame:
    """Return four difficult histories with vwap; the suspended one twice, on the calendar and on its own bars."""
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
