"""Readers of a lake that other processes write: each read is checked against the expected rows."""

import os
import random
import time
from collections.abc import Callable, Mapping
from ctypes import Array, c_int
from dataclasses import dataclass, field
from datetime import date
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event as Flag
from pathlib import Path

import polars as pl

import champion as ch

READS: Mapping[str, Callable[[date, date], pl.LazyFrame]] = {
    "raw": lambda start, end: ch.scan("raw_equity_ohlc", start, end).rename({"TradDt": "trade_date"}),
    "bars": lambda start, end: ch.scan("normalized_equity_ohlc", start, end),
    "adjusted": ch.scan_adjusted,
    "features": lambda start, end: ch.scan("features_equity_indicators", start, end),
}
KEYS = {"raw": ["TckrSymb", "SctySrs"]}
LONGEST = 8  # sessions in one read
PAUSE = 0.02  # seconds between two reads, on average, so that writers get a core
SHOWN = 5

Counts = Mapping[str, Mapping[date, tuple[int, int]]]
"""By kind of read and session: the number of rows and of different instruments."""


@dataclass
class Testimony:
    """The record of one reader: reads by kind, sessions that were complete or absent, and failures."""

    reads: dict[str, int] = field(default_factory=lambda: dict.fromkeys(READS, 0))
    whole: int = 0
    absent: int = 0
    failures: list[str] = field(default_factory=list)


def enter(home: Path) -> None:
    """Make `home` the workspace of this process."""
    os.environ["CHAMPION_HOME"] = str(home)
    ch.workspace.settings.cache_clear()


def count(kind: str, start: date, end: date) -> dict[date, tuple[int, int]]:
    """Return the rows and instruments of one read in this workspace, by session."""
    keys = pl.struct(KEYS.get(kind, ["instrument_id"])).n_unique().alias("keys")
    found = READS[kind](start, end).group_by("trade_date").agg(pl.len(), keys).collect()
    return {session: (rows, different) for session, rows, different in found.rows()}


def watch(
    homes: Path, turn: c_int, at: Array[c_int], number: int, expected: Counts, stop: Flag, out: SimpleQueue[Testimony]
) -> None:
    """Read the workspace of the current turn until `stop` is set; write the turn that is read to `at`.

    A session must be absent, or have the expected rows and instruments; once it is there it must stay.
    """
    rng, seen = random.Random(number), Testimony()  # noqa: S311 - what to read, not secrets
    sessions, there, here = sorted(expected["bars"]), set[tuple[str, date]](), -1
    while not stop.is_set():
        if here != turn.value:
            at[number] = here = turn.value
            enter(homes / str(here))
            there.clear()
        time.sleep(rng.uniform(0, 2 * PAUSE))
        kind, first = rng.choice(list(READS)), rng.randrange(len(sessions))
        asked = sessions[first : first + rng.randint(1, LONGEST)]
        try:
            found = count(kind, asked[0], asked[-1])
        except Exception as error:  # noqa: BLE001 - whatever a reader meets is the finding
            seen.failures.append(f"{kind} {asked[0]} to {asked[-1]}: {error!r}")
            continue
        seen.reads[kind] += 1
        wanted = expected[kind]
        wrong = {s: n for s, n in found.items() if n != wanted.get(s)}
        gone = [s for s in asked if (kind, s) in there and s not in found]
        if wrong or gone:
            seen.failures.append(f"{kind}: partial {wrong}, vanished {gone}")
        there |= {(kind, session) for session in found}
        seen.whole += len(found)
        seen.absent += len(asked) - len(found)
    out.put(seen)
