"""Dates without a file in the archive, recorded so that a long backfill does not request each holiday again."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from champion.base.atomic_files import write_bytes
from champion.base.clock import INDIA
from champion.base.strict_json import moment, parse_json
from champion.errors import ArchiveError
from champion.sources.download.staging_records import locked

_MARGIN = timedelta(days=3)  # a file may come late; after that, "no such file" is final


def is_settled(session: date, asked_at: datetime) -> bool:
    """Return whether an archive without a file at `asked_at` will never have one.

    >>> from datetime import UTC
    >>> [is_settled(date(2024, 1, 26), datetime(2024, 1, day, 12, tzinfo=UTC)) for day in (26, 28, 29)]
    [False, False, True]
    """
    return asked_at.astimezone(INDIA).date() - session >= _MARGIN


@dataclass(frozen=True, slots=True)
class _Answer:
    asked_at: datetime
    archive: str
    paths: list[str]

    def __post_init__(self) -> None:
        moment(self.asked_at)


@dataclass(frozen=True, slots=True)
class NegativeCache:
    """The dates without a file of one publication of one archive, in one small record per year."""

    staging: Path
    archive: str
    publication: str

    def asked_at(self, session: date, paths: Sequence[str]) -> datetime | None:
        """Return when the archive finally answered that it has none of `paths`; None if it must be asked again."""
        entry = self._read(session.year).get(session.isoformat())
        if entry is None or entry.archive != self.archive or not set(paths) <= set(entry.paths):
            return None
        return entry.asked_at if is_settled(session, entry.asked_at) else None

    def remember(self, session: date, paths: Sequence[str], asked_at: datetime) -> None:
        """Record that there was no file, except for a recent date, whose file may still come."""
        if not is_settled(session, asked_at):
            return
        self._change(session, _Answer(asked_at, self.archive, list(paths)))

    def forget(self, session: date) -> None:
        """Remove the record of a date, because its file exists."""
        if session.isoformat() in self._read(session.year):
            self._change(session, None)

    def _file(self, year: int) -> Path:
        return self.staging / "absent" / f"{self.publication}-{year}.json"

    def _read(self, year: int) -> dict[str, _Answer]:
        file = self._file(year)
        try:
            return parse_json(dict[str, _Answer], file.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise ArchiveError(
                f"{file}: not a record of dates without a session ({error}); remove it, and the archive is asked again"
            ) from error

    def _change(self, session: date, answer: _Answer | None) -> None:
        """Record an answer, or remove it with None."""
        with locked(self.staging):
            answers = self._read(session.year)
            answers.pop(session.isoformat(), None)
            if answer is not None:
                answers[session.isoformat()] = answer
            record = {day: asdict(one) | {"asked_at": one.asked_at.isoformat()} for day, one in answers.items()}
            write_bytes(self._file(session.year), json.dumps(record, indent=0).encode())
