"""Decisions that a list of an index counts no longer: who withdrew it, when and why.

Decisions are rows of the lake that are only added. Each is about one file, by its digest: another file of the same date
is not concerned. A withdrawn list counts for no date and no `known`, as if it had never been read.
"""

from __future__ import annotations

from datetime import date, datetime

import polars as pl

from champion import contracts
from champion.base import clock
from champion.base.clock import INDIA
from champion.base.counting import quantity
from champion.contracts.datasets import CONSTITUENTS, LIST_DECISIONS, REVISIONS
from champion.errors import UsageError
from champion.lake import Lake
from champion.market.envelope import stamp_list

WITHDRAW, REINSTATE = "withdraw", "reinstate"
_LIST = ["index_name", "of_date", "of_sha256"]
_DIGITS = 12  # of a digest in a message


def latest(lake: Lake) -> pl.DataFrame:
    """Return the last decision about each file: index_name, of_date, of_sha256, decision, reason, who, known_at."""
    rows = lake.scan(LIST_DECISIONS).sort("known_at").collect()
    last = rows.unique(_LIST, keep="last", maintain_order=True)
    return last.select(*_LIST, "decision", "reason", "who", "known_at").sort(_LIST)


def withdrawn(lake: Lake) -> frozenset[tuple[str, date, str]]:
    """Return index, date and digest of each list that is withdrawn."""
    rows = latest(lake).filter(decision=WITHDRAW).select(_LIST)
    return frozenset((index, day, digest) for index, day, digest in rows.iter_rows())


def decide(lake: Lake, index: str, day: date, decision: str, reason: str, who: str, digest: str = "") -> str:
    """Record a decision about a list, and return it as a sentence; a repeated one adds nothing.

    `digest` chooses one of several files of the date, by the first characters of its SHA-256.

    Raises:
        UsageError: there is no such list, several files match, or the reason or the name is empty.
    """
    if not (reason.strip() and who.strip()):
        raise UsageError("a decision about a list needs a reason and a name: --reason TEXT, --who NAME")
    chosen = _chosen(lake, index, day, decision, digest)
    before = latest(lake).filter(index_name=index, of_date=day, of_sha256=chosen)
    done = {WITHDRAW: "withdrawn", REINSTATE: "reinstated"}[decision]
    if before.height and before["decision"][0] == decision:
        row = before.row(0, named=True)
        known_on = row["known_at"].astimezone(INDIA).date()
        return f"the list of {index} of {day} was {done} by {row['who']} on {known_on}: {row['reason']}"
    now = clock.now()
    lake.append(LIST_DECISIONS, now.astimezone(INDIA).date(), _row(index, day, chosen, decision, reason, who, now))
    return f"the list of {index} of {day} (SHA-256 {chosen[:_DIGITS]}) is {done}: {reason}"


def _chosen(lake: Lake, index: str, day: date, decision: str, digest: str) -> str:
    """Return the digest of the one file that a decision is about."""
    found = pl.concat(
        lake.scan(name).filter(index_name=index).select(of_date="list_date", of_sha256="source_sha256").unique()
        for name in (CONSTITUENTS, REVISIONS)
    ).collect()
    gone = latest(lake).filter(index_name=index, decision=WITHDRAW).select("of_date", "of_sha256")
    counted = found.join(gone, on=["of_date", "of_sha256"], how="anti")
    # The same decision again, perhaps after a crash, finds the file that it was about.
    known = gone if decision == REINSTATE or counted.filter(of_date=day).is_empty() else counted
    wanted = (pl.col("of_date") == day) & pl.col("of_sha256").str.starts_with(digest.lower())
    files = known.filter(wanted)["of_sha256"].unique().sort().to_list()
    if len(files) == 1:
        return str(files[0])
    if files:
        each = ", ".join(one[:_DIGITS] for one in files)
        raise UsageError(f"{index} of {day} has {quantity(len(files), 'file')}: choose one by --digest: {each}")
    days = ", ".join(map(str, (gone if decision == REINSTATE else counted)["of_date"].unique().sort())) or "no date"
    what = "withdrawn list" if decision == REINSTATE else "list"
    chosen = f" with digest {digest}" if digest else ""
    raise UsageError(f"there is no {what} of {index} of {day}{chosen}; there are lists of {days}")


def _row(index: str, day: date, digest: str, decision: str, reason: str, who: str, now: datetime) -> pl.DataFrame:
    contract = contracts.load(LIST_DECISIONS)
    texts = {"index_name": index, "of_sha256": digest, "decision": decision, "reason": reason, "who": who}
    at = pl.lit(now).cast(pl.Datetime("ms", "UTC"))
    row = pl.DataFrame({**texts, "of_date": [day]}).with_columns(
        list_date=pl.lit(now.astimezone(INDIA).date()), known_at=at, source_sha256="of_sha256"
    )
    return stamp_list(row, contract, source=pl.lit("champion"), read_at=at, entity="index_name")
