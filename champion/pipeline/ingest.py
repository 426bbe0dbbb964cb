"""Staging to lake: each session's file becomes a raw partition, a normalized one, and quarantined rows.

The normalized partition is written last, so it vouches for the other two; a session that has it, made from the same
bytes by the same rules, is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial

import polars as pl

from champion.errors import ArchiveError
from champion.lake import Lake
from champion.normalize import VERSION as NORMALIZE_VERSION
from champion.pipeline.progress import Progress, silent
from champion.pipeline.session import Provenance, take_apart
from champion.sources.archive import Staged, set_aside

RAW, BARS, QUARANTINE = "raw_equity_ohlc", "normalized_equity_ohlc", "quarantine_equity_ohlc"
_THREADS = 2
_ACCOUNT = {
    "session": pl.Date(),
    "file": pl.String(),
    "rows": pl.Int64(),
    "raw": pl.Int64(),
    "normalized": pl.Int64(),
    "rejected": pl.Int64(),
    "outcome": pl.String(),
}


@dataclass(frozen=True, slots=True)
class Ingested:
    """The account of a range of sessions.

    `sessions` has one row each: session, file, rows (data lines in the file), raw, normalized, rejected, outcome
    ('written' or 'already'); rows = normalized + rejected. `failed` are the sessions whose file was refused whole.
    """

    sessions: pl.DataFrame
    failed: Sequence[tuple[date, str]]

    @property
    def totals(self) -> dict[str, int]:
        """Sessions, rows, raw, normalized, rejected, written, already, failed."""
        written = int((self.sessions["outcome"] == "written").sum())
        return {
            "sessions": self.sessions.height,
            **{name: int(self.sessions[name].sum()) for name in ("rows", "raw", "normalized", "rejected")},
            "written": written,
            "already": self.sessions.height - written,
            "failed": len(self.failed),
        }

    def require_complete(self) -> None:
        """Do nothing where every session was ingested.

        Raises:
            ArchiveError: some were not; it names the first few. The others are committed all the same.
        """
        if self.failed:
            shown = "; ".join(error for _, error in self.failed[:3])
            raise ArchiveError(f"{len(self.failed)} session(s) could not be ingested: {shown}")


def ingest(lake: Lake, staged: Sequence[Staged], progress: Progress = silent) -> Ingested:
    """Commit each staged file to the lake; a file that is refused whole does not stop the others."""
    accounts: list[dict[str, object]] = []
    failed: list[tuple[date, str]] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        results = pool.map(partial(_ingest_one, lake), staged)
        for done, (file, result) in enumerate(zip(staged, results, strict=True), start=1):
            if isinstance(result, ArchiveError):
                failed.append((file.session, str(result)))
            else:
                accounts.append(result)
            progress(done, len(staged), f"ingested {file.session}")
    return Ingested(pl.DataFrame(accounts, schema=_ACCOUNT), failed)


def _ingest_one(lake: Lake, file: Staged) -> dict[str, object] | ArchiveError:
    made_from = {"file": file.sha256, "normalize": NORMALIZE_VERSION}
    if lake.is_current(RAW, file.session, {"file": file.sha256}) and lake.is_current(BARS, file.session, made_from):
        return _account(lake, file, None)
    try:
        parts = take_apart(file.path.read_bytes(), Provenance(file.session, file.name, file.sha256, file.fetched_at))
    except ArchiveError as error:
        set_aside(file)  # kept as evidence, and out of the way: the next fetch asks the archive again
        return error
    lake.write(RAW, file.session, parts.raw, {"file": file.sha256}, known_at=file.fetched_at)
    if parts.quarantine.height or lake.manifest(QUARANTINE, file.session):
        lake.write(QUARANTINE, file.session, parts.quarantine, made_from)
    lake.write(BARS, file.session, parts.bars, made_from)
    return _account(lake, file, parts.row_count)


def _account(lake: Lake, file: Staged, counted: int | None) -> dict[str, object]:
    """Take the account from the manifests, and the rows from the file where it was read just now."""
    raw, bars, rejected = (_rows(lake, name, file.session) for name in (RAW, BARS, QUARANTINE))
    return {
        "session": file.session,
        "file": file.name,
        "rows": bars + rejected if counted is None else counted,
        "raw": raw,
        "normalized": bars,
        "rejected": rejected,
        "outcome": "already" if counted is None else "written",
    }


def _rows(lake: Lake, name: str, session: date) -> int:
    manifest = lake.manifest(name, session)
    return manifest.current.rows if manifest else 0
