"""Coverage: every file of the archive in the range with its outcome, and missing sessions."""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl

from benchmarks.evidence.proof.formats import asked_of
from benchmarks.evidence.proof.page import Section, percent, table, with_total
from benchmarks.evidence.proof.stages import Run
from champion import contracts
from champion.errors import ChampionError, WrongSession
from champion.lake import Lake
from champion.pipeline.ingest.bars import equity_bars
from champion.pipeline.ingest.datasets import PUBLICATIONS, dataset_spec
from champion.pipeline.ingest.fetch import dates
from champion.settings.quality_limits import Limits

_COUNTS = ("rows", "normalized", "rejected")
_FORMATS = {"BhavCopy_NSE": "UDiFF bhavcopy", "cm": "legacy bhavcopy", "sec_bhav": "full report", "ind": "index closes"}
_READ, _SPARE, _STALE, _REFUSED = "read", "spare: a better format was there", "stale answer", "refused whole"
_WEEKEND = 5


def coverage(run: Run) -> Section:
    """Return rows in and out by publication, format and year, and the outcome of every file.

    Raises:
        AssertionError: a row is lost or counted twice.
    """
    account = _account(run)
    totals = account.select(pl.col(_COUNTS).sum()).row(0, named=True)
    if totals["rows"] != totals["normalized"] + totals["rejected"]:
        raise AssertionError(f"rows in are not rows kept and rejected: {totals}")
    by_year = account.group_by("publication", "format", "year").agg(pl.len().alias("files"), pl.col(_COUNTS).sum())
    shown = by_year.sort("publication", "format", "year").rename({"rows": "rows in", "normalized": "rows kept"})
    fates = files(run)
    by_fate = fates.group_by("format", "year").agg(
        pl.len().alias("files"), *(pl.col("fate").eq(fate).sum().alias(fate) for fate in (_READ, _SPARE, _STALE)),
        (pl.col("fate") == _REFUSED).sum().alias(_REFUSED),
        (pl.col("fate") == "unhandled").sum().alias("unhandled exceptions"),
    )  # fmt: skip
    refused = sorted({*(str(error) for _, error in run.fetched.failed), *(text for _, text in run.ingested.failed)})
    return Section(
        "Coverage",
        [
            (
                f"The archive has {account['session'].n_unique():,} sessions, for which {account.height:,} files were "
                "read (a full report that replaces a bhavcopy is read twice: for bars, and for delivery). "
                f"**{totals['rows']:,} rows in = "
                f"{totals['normalized']:,} kept + {totals['rejected']:,} rejected.**"
            ),
            table(with_total(shown.with_columns(pl.col("year").cast(pl.String)), "all")),
            "The table counts all files of the archive in the range by their outcome:",
            table(with_total(by_fate.sort("format", "year").with_columns(pl.col("year").cast(pl.String)), "all")),
            f"{len(refused)} file(s) were refused as a whole. {'; '.join(refused[:20])}",
            "Rejected rows, by reason:",
            table(_reasons(run)),
        ],
        {"account": account, "files": fates},
    )


def missing(run: Run, source: Path) -> Section:
    """Return the sessions whose previous closes are mostly not in the lake, and the missing files."""
    broken = _broken(run.lake, run)
    listed = next(iter(sorted(source.glob("*holidays*.yaml"))), None)
    holidays = _holidays("" if listed is None else listed.read_text())
    why = _why_not(run, source)
    rows = [
        (row["trade_date"], percent(row["share"]), _between(row["before"], row["trade_date"], holidays, why))
        for row in broken.iter_rows(named=True)
    ]
    shown = pl.DataFrame(rows, schema=["session", "previous closes not in the lake", "missing"], orient="row")
    blocks = [
        (
            f"For more than {Limits().broken_closes:.0%} of the shares of these sessions, the published previous "
            "close differs from the last close in the lake, so the archive lacks a session in between."
        ),
        table(shown),
    ]
    if holidays:
        absent = {day for day in run.fetched.absent if day.weekday() < _WEEKEND}
        unnamed = ", ".join(str(day) for day in sorted(absent - holidays.keys()))
        blocks.append(
            f"{len(absent)} weekdays have no file. These weekdays are not in the list of holidays: {unnamed or 'none'}."
        )
    return Section("Missing sessions", blocks, {"broken_closes": broken})


def files(run: Run) -> pl.DataFrame:
    """Return every file of the archive in the range: name, format, session, year, fate."""
    ingested = set(run.ingested.sessions["file"])
    rows = [
        (path.name, _format(path.name), session, session.year, _fate(path, session, ingested))
        for path, session in _offered(Path(run.settings.archive), run)
    ]
    return pl.DataFrame(rows, schema=["name", "format", "session", "year", "fate"], orient="row").unique("name")


def _offered(root: Path, run: Run) -> Iterator[tuple[Path, date]]:
    for session in dates(run.start, run.end):
        for path in dict.fromkeys(path for publication in PUBLICATIONS for path in publication.paths(session)):
            if (root / path).is_file():
                yield root / path, session


def _fate(path: Path, session: date, ingested: set[str]) -> str:
    """Return the outcome of a file; a file that was not ingested is read here."""
    if path.name in ingested:
        return _READ
    publication = next(one for one in PUBLICATIONS if path.name in {Path(place).name for place in one.paths(session)})
    try:
        publication.read(path.name, path.read_bytes(), session)
    except WrongSession:
        return _STALE
    except ChampionError:
        return _REFUSED
    except Exception:  # noqa: BLE001 - what is counted here is that there is none
        return "unhandled"
    return _SPARE


def _format(name: str) -> str:
    return next(text for start, text in _FORMATS.items() if name.startswith(start))


def _account(run: Run) -> pl.DataFrame:
    sources = []
    for publication in PUBLICATIONS:
        raw = run.lake.scan(dataset_spec(publication).raw, run.start, run.end)
        day = contracts.load(dataset_spec(publication).raw).session
        named = raw.group_by(pl.col(day).alias("session")).agg(pl.col("source").first().alias("format")).collect()
        sources.append(named.with_columns(publication=pl.lit(publication.name)))
    account = run.ingested.sessions.join(pl.concat(sources), on=["session", "publication"], how="left")
    return account.with_columns(year=pl.col("session").dt.year()).sort("session", "publication")


def _reasons(run: Run) -> pl.DataFrame:
    refused = []
    for publication in PUBLICATIONS:
        found = run.lake.scan(dataset_spec(publication).quarantine, run.start, run.end)
        refused.append(found.select(pl.lit(publication.name).alias("publication"), "stage", "reasons").collect())
    reasons = pl.concat(refused).explode("reasons")
    return reasons.group_by("publication", "stage", "reasons").len("rows").sort("rows", descending=True).head(20)


def _broken(lake: Lake, run: Run) -> pl.DataFrame:
    bars = (
        equity_bars(lake, run.start, run.end, kinds=None)
        .select("instrument_id", "trade_date", "prev_close", "close")
        .collect()
    )
    before = pl.col("close", "trade_date").shift(1).over("instrument_id", order_by="trade_date").name.prefix("held_")
    held = bars.with_columns(before).drop_nulls(["held_close", "prev_close"])
    share = (pl.col("held_close") != pl.col("prev_close")).mean()
    by_session = held.group_by("trade_date").agg(share=share, before=pl.col("held_trade_date").max())
    return by_session.filter(pl.col("share") > Limits().broken_closes).sort("trade_date")


def _holidays(text: str) -> dict[date, bool]:
    """Return the listed holidays, and whether a special session was held on them."""
    lines = re.findall(r"^\s*- \{ date: (\d{4}-\d{2}-\d{2}),(.*)\}", text, re.MULTILINE)
    return {date.fromisoformat(day): "special_session" in rest for day, rest in lines}


def _why_not(run: Run, source: Path) -> dict[date, str]:
    """Return the reason for each session whose file is not in the lake."""
    odd = {asked_of(path.name): "only among the edge cases" for path in source.glob("edge_cases/*")}
    return odd | {day: "its file was refused whole" for day, _ in run.fetched.failed}


def _between(before: date, session: date, holidays: dict[date, bool], why: dict[date, str]) -> str:
    """Return the sessions without a file between two: weekdays that are no holiday, special sessions on holidays."""
    days = dates(before, session)[1:-1]
    missed = [day for day in days if holidays.get(day, day.weekday() < _WEEKEND)]
    texts = [
        f"{day}, {f'{day:%A}' if day not in holidays else 'a special session on a holiday'}: "
        f"{why.get(day, 'the archive has no file')}"
        for day in missed
    ]
    return "; ".join(texts) or "nothing: a day of mass changes"
