"""Do the terms of mergers in `portfolio/endings.csv` agree with the last closes of both companies?

`.venv/bin/python benchmarks/evidence/endings.py --home FOLDER` reads a workspace with bars and corporate actions, and
writes nothing there. A merger's terms are worth `shares` of the successor for `held` shares; `difference` is by how
many per cent this exceeds the share's own last close, at the closes of the same session. Below the table are the texts
of both companies' corporate actions from 10 days before the end to 400 days after it, without dividends and meetings.

The script ends with exit code 1 if a difference is not the one in the table, or if a share has later bars or none on
its last session. Ends outside the bars of the workspace are left out and counted.
"""

import sys
from datetime import timedelta
from pathlib import Path

import polars as pl

from benchmarks import meter
from champion.contracts.datasets import ACTIONS, BARS
from champion.lake import Lake
from champion.portfolio.endings import known_endings

_ID, _DAY = "instrument_id", "trade_date"
_BEFORE, _AFTER = timedelta(days=10), timedelta(days=400)
_PRECISION = 0.006  # the table has two decimals


def measured(endings: pl.DataFrame, closes: pl.DataFrame) -> pl.DataFrame:
    """Return endings with the close of the last session, that of the successor, the difference and `wrong`."""
    named = closes.rename({_DAY: "last"})
    ended = closes.group_by(_ID).agg(newest=pl.col(_DAY).max())
    found = (
        endings.join(named, on=[_ID, "last"], how="left")
        .join(named.rename({_ID: "successor", "close": "other"}), on=["successor", "last"], how="left")
        .join(ended, on=_ID, how="left")
    )
    value = pl.col("other") * pl.col("shares") / pl.col("held")
    merger = pl.col("kind") == "merger"
    found = found.with_columns(found=pl.when(merger).then(100 * (value / pl.col("close") - 1)))
    differs = ((pl.col("found") - pl.col("difference")).abs() > _PRECISION).fill_null(value=True)
    goes_on = ((pl.col("newest") > pl.col("last")) | pl.col("close").is_null()).fill_null(value=True)
    return found.with_columns(wrong=(merger & differs) | ((pl.col("kind") != "reduction") & goes_on)).sort("last")


def texts(endings: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    """Return what the lists of corporate actions say of both companies near the end."""
    both = [endings.select("last", of=_ID, instrument_id=name) for name in (_ID, "successor")]
    near = pl.concat(both).join(actions, on=_ID)
    near = near.filter(pl.col("ex_date").is_between(pl.col("last") - _BEFORE, pl.col("last") + _AFTER))
    told = near.filter(~pl.col("kind").is_in(["dividend", "meeting"]))
    return told.select("of", "last", _ID, "ex_date", "purpose").unique(maintain_order=True).sort("last", "ex_date")


def main() -> int:
    """Print the table and the texts; return 1 if a row is wrong."""
    asked = meter.arguments(__doc__, {"--home": Path})
    lake = Lake(asked.home / "lake")
    sessions = lake.sessions(BARS)
    if not sessions:
        print(f"{asked.home} has no bars: nothing was compared")
        return 0
    inside = known_endings().filter(pl.col("last").is_between(sessions[0], sessions[-1]))
    names = [*inside[_ID], *inside["successor"].drop_nulls()]
    closes = lake.scan(BARS).filter(pl.col(_ID).is_in(names)).select(_DAY, _ID, "close").collect()
    found = measured(inside, closes)
    columns = [_ID, "last", "kind", "successor", "shares", "held", "close", "other", "found", "difference", "wrong"]
    meter.print_table(f"{found.height} of {known_endings().height} ends", columns, found.select(columns).rows())
    said = texts(inside, lake.scan(ACTIONS).select(_ID, "ex_date", "kind", "purpose").collect())
    meter.print_table("Texts of corporate actions", said.columns, said.rows())
    known = found["found"].drop_nulls().sort()
    print(f"{known.len()} mergers, differences in per cent: {', '.join(f'{each:.2f}' for each in known)}")
    return int(found["wrong"].any())


if __name__ == "__main__":
    sys.exit(main())
