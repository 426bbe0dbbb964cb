"""Unusual files of the mirror with their verdicts, and the agreement of two formats of one session."""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from hashlib import sha256
from itertools import combinations
from pathlib import Path

import polars as pl

from benchmarks.evidence.proof.page import Section, table, with_total
from benchmarks.evidence.proof.stages import Run
from champion.errors import ChampionError
from champion.pipeline.ingest.fetch import dates
from champion.pipeline.ingest.parse_file import ParsedFile, parse_file
from champion.sources.download.staging_records import Staged
from champion.sources.publications import BHAVCOPY

_DATES: tuple[tuple[str, Callable[[str], date]], ...] = (
    (r"\d{2}[A-Z]{3}\d{4}", lambda text: datetime.strptime(text, "%d%b%Y").replace(tzinfo=UTC).date()),
    (r"20\d{6}", date.fromisoformat),
    (r"\d{4}20\d{2}", lambda text: datetime.strptime(text, "%d%m%Y").replace(tzinfo=UTC).date()),
)
_FIELDS = ("isin", "prev_close", "open", "high", "low", "close", "last_price", "volume", "turnover", "trades")
_FULL = "nse_cm_full"
_HALF_A_THOUSAND = 500.01  # the full report gives turnover in lakhs with two decimals
_KEY = ["symbol", "series"]


def edge_cases(folder: Path) -> Section:
    """Return every file of the folder with the verdict of the parser."""
    rows = [(path.name, asked_of(path.name), _verdict(path)) for path in sorted(folder.glob("*"))]
    shown = pl.DataFrame(rows, schema=["file", "asked for", "verdict"], orient="row")
    return Section(
        "Edge cases", [f"The table has {len(rows)} unusual files as the exchange served them.", table(shown)]
    )


def agreement(run: Run, edges: Path) -> Section:
    """Return how many fields differ between two formats of one session, wherever the archive has both."""
    root = Path(run.settings.archive)
    pairs = [
        (session, _compare(*pair))
        for session in dates(run.start, run.end)
        if sum((root / place).is_file() for place in BHAVCOPY.paths(session)) > 1
        for pair in combinations(_parse_all(root, session), 2)
    ]
    cut = [
        (session, _compare(whole, _parse(path, session, cut_off=True)))
        for path in sorted(edges.glob("truncated*.csv"))
        for session in [asked_of(path.name)]
        for whole in _parse_all(root, session)[:1]
    ]
    found = _frame(pairs)
    one = found.filter(pl.col("session") == date(2024, 7, 5), pl.col("formats") == "nse_cm_legacy, nse_cm_udiff")
    counted = [pl.col(name).sum() for name in found.columns[2:]]
    by_pair = found.group_by("formats").agg(pl.len().alias("sessions"), *counted).sort("formats")
    blocks = [
        (
            f"These fields are compared if both formats have them: {', '.join(_FIELDS)}. The full report has no ISIN. "
            "The full report has turnover in lakhs with two decimals, so turnovers that differ by up to 500 rupees "
            "count as equal. Rows are matched by symbol and series."
        ),
        table(with_total(by_pair, "all"), none="No session has two formats."),
        "This table has the last day on which both UDiFF and legacy were published:",
        table(one.drop("session"), none="It is not in this archive."),
    ]
    if cut:
        blocks += ["The complete rows of truncated reports are compared with the session's whole file:"]
        blocks += [table(_frame(cut))]
    return Section("Agreement of formats", blocks, {"agreement": found})


def asked_of(name: str) -> date:
    """Return the session in a file's name."""
    return next(read(found[0]) for pattern, read in _DATES if (found := re.search(pattern, name)))


def _verdict(path: Path) -> str:
    try:
        parts = _parse(path, asked_of(path.name))
    except ChampionError as error:
        return f"refused, {type(error).__name__}: {error}"
    reasons = parts.quarantine.explode("reasons")["reasons"].unique().sort().to_list()
    kept = f"{parts.row_count:,} rows = {parts.normalized.height:,} kept + {parts.quarantine.height:,} rejected"
    return f"{parts.raw['source'][0]}: {kept}{': ' + '; '.join(reasons) if reasons else ''}"


def _parse(path: Path, session: date, *, cut_off: bool = False) -> ParsedFile:
    """Parse a file; `cut_off` leaves out an incomplete last line."""
    content = path.read_bytes()
    if cut_off:
        content = content[: content.rindex(b"\n") + 1]
    origin = Staged(path, session, sha256(content).hexdigest(), datetime.now(UTC), path.name)
    return parse_file(content, origin)


def _parse_all(root: Path, session: date) -> list[ParsedFile]:
    """Return a session's bars from each format that has the session; stale answers are left out."""
    found = []
    for place in BHAVCOPY.paths(session):
        with suppress(ChampionError):
            found += [_parse(root / place, session)] if (root / place).is_file() else []
    return found


def _compare(one: ParsedFile, other: ParsedFile) -> tuple[object, ...]:
    sources = [parts.normalized["source"][0] for parts in (one, other)]
    both = one.normalized.join(other.normalized, on=_KEY)
    fields = [name for name in _FIELDS if not any(_absent(parts, name) for parts in (one, other))]
    equal = [
        (pl.col(name) - pl.col(f"{name}_right")).abs() <= _HALF_A_THOUSAND
        if name == "turnover" and _FULL in sources
        else pl.col(name).eq_missing(pl.col(f"{name}_right"))
        for name in fields
    ]
    apart = sum(both.select((~test).sum()).item() for test in equal)
    alone = [parts.normalized.height - both.height for parts in (one, other)]
    return (", ".join(sorted(sources)), both.height, sum(alone), both.height * len(fields), apart)


def _absent(parts: ParsedFile, name: str) -> bool:
    return parts.normalized[name].null_count() == parts.normalized.height


def _frame(pairs: list[tuple[date, tuple[object, ...]]]) -> pl.DataFrame:
    counts = ("rows in both", "rows in one alone", "fields compared", "fields that differ")
    columns = {"session": pl.Date(), "formats": pl.String(), **dict.fromkeys(counts, pl.Int64())}
    return pl.DataFrame([(session, *found) for session, found in pairs], schema=columns, orient="row")
