"""Manual decisions on corporate actions: `corporates/decisions.csv`, one line per instrument and ex-date.

    instrument,ex_date,factor,reason,who
    ADANIENT,2018-04-05,1.139,"demerger of Adani Green, last close over first open",asha

`factor` is the whole price factor of the ex-date: earlier prices are divided by it. It replaces the factors from the
lists for that date, except dividends. 1 means that the market caused the gap. An empty factor withdraws a decision. If
several lines have the same instrument and ex-date, the last one counts.
"""

import csv
import fcntl
import io
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime
from pathlib import Path

import polars as pl

from champion.base.atomic_files import write_bytes
from champion.base.counting import quantity
from champion.errors import FormatError, UsageError

HEADER = ("instrument", "ex_date", "factor", "reason", "who")
PATH = "corporates/decisions.csv"
SCHEMA = {
    "instrument": pl.String(),
    "ex_date": pl.Date(),
    "factor": pl.Float64(),
    "reason": pl.String(),
    "who": pl.String(),
}
_DATES = ("%Y-%m-%d", "%d-%b-%Y")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_LARGEST = 1e6  # the widest real consolidation or split is 1:1000


def parse_decisions(name: str, content: bytes) -> pl.DataFrame:
    r"""Return the decisions: instrument (id or symbol), ex_date, factor (null where withdrawn), reason, who.

    If lines share instrument and ex-date, the last one counts. Empty lines and lines that begin with `#` are skipped.

    >>> text = b"instrument,ex_date,factor,reason,who\nACME,2024-05-06,2,bonus by circular,asha\n"
    >>> parse_decisions("decisions.csv", text).row(0)[:3]
    ('ACME', datetime.date(2024, 5, 6), 2.0)

    Raises:
        FormatError: a line is not a decision; the message names each such line and shows a correct one.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{name}: not UTF-8 ({error}); save it as CSV in UTF-8") from error
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise FormatError(f"{name}: not a CSV file ({error})") from error
    rows = [(number, line) for number, line in enumerate(lines, start=1) if line and not line[0].startswith("#")]
    header = tuple(field.strip().lower().replace("-", "_") for field in rows[0][1]) if rows else ()
    if header != HEADER:
        raise FormatError(f"{name}: its header is {','.join(header)}; expected {','.join(HEADER)}")
    found, bad = [], []
    for number, line in rows[1:]:
        try:
            found.append(_parse_line(line))
        except ValueError as error:
            bad.append(f"line {number}: {error}")
    if bad:
        raise FormatError(
            f"{name}: {quantity(len(bad), 'line is no decision', 'lines are no decisions')}: {'; '.join(bad[:5])}. "
            "A line is instrument,ex_date,factor,reason,who, as ACME,2024-05-06,2,bonus by circular,asha"
        )
    frame = pl.DataFrame(found, schema=SCHEMA, orient="row")
    return frame.unique(["instrument", "ex_date"], keep="last", maintain_order=True)


def append(path: Path, instrument: str, ex_date: date, factor: float | None, reason: str, who: str) -> None:
    """Append one decision to the file atomically; a new file gets its header first.

    A lock keeps concurrent calls from losing lines.

    Raises:
        FormatError: the existing file is not a list of decisions.
        UsageError: the decision has no reason, no name or an invalid factor, or a text begins like a formula.
    """
    if strange := [text for text in (instrument, reason, who) if text.startswith(_FORMULA)]:
        raise UsageError(f"{strange[0]!r} begins like a formula, which a spreadsheet would run: begin with a word")
    line = [instrument, ex_date.isoformat(), "" if factor is None else f"{factor:.12g}", reason, who]
    try:
        _parse_line(line)
    except ValueError as error:
        raise UsageError(f"no decision on {instrument}: {error}") from error
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow(line)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.parent):
        existing = path.read_bytes() if path.exists() else (",".join(HEADER) + "\n").encode()
        parse_decisions(path.name, existing)
        ending = b"" if existing.endswith(b"\n") else b"\n"
        write_bytes(path, existing + ending + written.getvalue().encode())


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock the folder, because each writer replaces the file itself; the lock ends with the process."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _parse_line(line: list[str]) -> tuple[str, date, float | None, str, str]:
    if len(line) != len(HEADER):
        raise ValueError(f"{len(line)} fields, not {len(HEADER)}: {line}")
    instrument, day, factor, reason, who = (field.strip() for field in line)
    if not instrument:
        raise ValueError("no instrument")
    if not (reason and who):
        raise ValueError(f"{instrument}: a decision needs a reason and a name in `who`")
    return instrument, _date(day), _factor(factor), reason, who


def _factor(text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and 1 / _LARGEST < value < _LARGEST):
        raise ValueError(f"factor {text!r} is not a number above 0, as 2 for a split in two")
    return value


def _date(text: str) -> date:
    for form in _DATES:
        with suppress(ValueError):
            return datetime.strptime(text, form).date()  # noqa: DTZ007 - a date has no time zone
    raise ValueError(f"ex_date {text!r} is not a date, as 2024-05-06")
