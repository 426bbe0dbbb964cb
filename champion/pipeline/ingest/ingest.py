"""Staging to lake: each published file becomes a raw partition, a normalized one, and quarantined rows.

The normalized partition is written last, so it vouches for the other two; a session that has it, made from the same
bytes by the same rules, is left alone. A lake holds one exchange: its bars have no other place for a second one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import TypeAlias

import polars as pl

from champion.base.counting import quantity
from champion.base.progress import Progress, silent
from champion.contracts.datasets import RAW_BARS
from champion.errors import ArchiveError, UsageError
from champion.lake import Lake, inventory
from champion.market.identity.symbol_history import SymbolHistory
from champion.pipeline.ingest.datasets import PUBLICATIONS, DatasetSpec, dataset_spec
from champion.pipeline.ingest.fetch import FetchedFile
from champion.pipeline.ingest.parse_file import Provenance, split_rows
from champion.pipeline.ingest.symbol_changes import NO_NAMES, lineage, names_by_session
from champion.sources import Published
from champion.sources.download.archive import set_aside
from champion.sources.publications import Publication

DATASETS = tuple(name for publication in PUBLICATIONS for name in dataset_spec(publication).names)
_THREADS = 2
_KEPT = 32  # parsed bhavcopies, about 3 MB each, that wait in memory for their turn
_ACCOUNT = {
    "session": pl.Date(),
    "publication": pl.String(),
    "file": pl.String(),
    "rows": pl.Int64(),
    "raw": pl.Int64(),
    "normalized": pl.Int64(),
    "rejected": pl.Int64(),
    "outcome": pl.String(),
}


_BORNE = {
    "symbol": pl.String(),
    "series": pl.String(),
    "isin": pl.String(),
    "session": pl.Date(),
    "prev_close": pl.Float64(),
    "close": pl.Float64(),
}


@dataclass(frozen=True, slots=True)
class IngestResult:
    """The account of a range of sessions.

    `sessions` has one row for each file: session, publication, file, rows (data lines in the file), raw, normalized,
    rejected, outcome ('written' or 'already'); rows = normalized + rejected. `failed` are the sessions of which a file
    was refused whole, with the error.
    """

    sessions: pl.DataFrame
    failed: Sequence[tuple[date, str]]

    def of(self, publication: Publication) -> pl.DataFrame:
        """Return the account of one publication, a row a session."""
        return self.sessions.filter(pl.col("publication") == publication.name)

    @property
    def written(self) -> list[date]:
        """The sessions of which something was written, in order."""
        return self.sessions.filter(outcome="written")["session"].unique().sort().to_list()

    @property
    def totals(self) -> dict[str, int]:
        """Sessions, files, rows, raw, normalized, rejected; files written, already there, failed."""
        written = int((self.sessions["outcome"] == "written").sum())
        return {
            "sessions": self.sessions["session"].n_unique(),
            "files": self.sessions.height,
            **{name: int(self.sessions[name].sum()) for name in ("rows", "raw", "normalized", "rejected")},
            "written": written,
            "already": self.sessions.height - written,
            "failed": len(self.failed),
        }

    def require_complete(self) -> None:
        """Do nothing where every file was ingested.

        Raises:
            ArchiveError: some were not; it names the first few. The others are committed all the same.
        """
        if self.failed:
            shown = "; ".join(error for _, error in self.failed[:3])
            raise ArchiveError(f"{quantity(len(self.failed), 'file')} could not be ingested: {shown}")


def ingest(lake: Lake, staged: Sequence[FetchedFile], progress: Progress = silent) -> IngestResult:
    """Commit each staged file to the lake; a file that is refused whole does not stop the others.

    Instruments are named by the lineage that the list of symbol changes, the lake and the files themselves tell; what
    the files teach of it may change names in other sessions: `identify` finds these.

    Raises:
        UsageError: the bars are of another exchange than those in the lake.
    """
    _check_exchange(lake, staged)
    arriving, parsed = _arriving(lake, staged)
    known = lineage(lake, arriving)
    names = {entry.raw: names_by_session(lake, entry, known) for entry in {dataset_spec(r.publication) for r in staged}}
    accounts: list[dict[str, object]] = []
    failed: list[tuple[FetchedFile, str]] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        results = pool.map(partial(_ingest_one, lake, known, names, parsed), staged)
        for done, (received, result) in enumerate(zip(staged, results, strict=True), start=1):
            if isinstance(result, ArchiveError):
                failed.append((received, str(result)))
            else:
                accounts.append(result)
            progress(done, len(staged), f"ingested {received.session}")
    for received, _ in failed:  # at the end: two publications may share a file
        if received.file.path.exists():
            # Kept as evidence; the next fetch asks the archive again.
            set_aside(received.file, received.publication.paths(received.session))
    return IngestResult(
        pl.DataFrame(accounts, schema=_ACCOUNT), [(received.session, error) for received, error in failed]
    )


def _check_exchange(lake: Lake, staged: Sequence[FetchedFile]) -> None:
    """Refuse bars of a second exchange: partitions are by session, so one would replace the other's."""
    offered = {
        received.publication.exchange for received in staged if dataset_spec(received.publication).raw == RAW_BARS
    }
    held = {exchange for session in lake.sessions(RAW_BARS)[:1] for exchange in _exchanges(lake, session)}
    if len(offered | held) > 1:
        raise UsageError(
            f"the lake holds bars of {', '.join(sorted(held)) or 'no exchange'}, these files are of "
            f"{', '.join(sorted(offered))}; give each exchange a workspace of its own (CHAMPION_HOME)"
        )


def _exchanges(lake: Lake, session: date) -> list[str]:
    return lake.scan(RAW_BARS, session, session).select(pl.col("Src").drop_nulls().unique()).collect()["Src"].to_list()


_Parsed: TypeAlias = dict[FetchedFile, Published | ArchiveError]


def _arriving(lake: Lake, staged: Sequence[FetchedFile]) -> tuple[pl.DataFrame, _Parsed]:
    """Return the symbols and ISINs of the bhavcopies that the lake does not hold yet, and the first of these parsed.

    All of them are read before the first is written, because each can change the names in the others. Up to `_KEPT`
    stay in memory and are parsed once; of a longer history the rest is parsed again, which memory could not hold.
    """
    new = [
        received
        for received in staged
        if dataset_spec(received.publication).raw == RAW_BARS
        and not lake.is_current(RAW_BARS, received.session, {"file": received.file.sha256})
    ]
    found, parsed = [pl.DataFrame(schema=_BORNE)], _Parsed()
    with ThreadPoolExecutor(_THREADS) as pool:
        for received, published in zip(new, pool.map(_read, new), strict=True):
            if isinstance(published, Published):
                found.append(_borne(published.rows, received.session))
            if len(parsed) < _KEPT:
                parsed[received] = published
    return pl.concat(found), parsed


def _read(received: FetchedFile) -> Published | ArchiveError:
    """Return the file's raw rows, or the reason why it is refused whole."""
    try:
        return received.publication.read(received.file.name, received.file.path.read_bytes(), received.session)
    except ArchiveError as error:
        return error


def _borne(rows: pl.DataFrame, session: date) -> pl.DataFrame:
    """Return symbol, series, ISIN, session and prices of one file's rows."""
    isin = pl.col("ISIN") if "ISIN" in rows.columns else pl.lit(None, pl.String)
    prices = {
        name: pl.col(column).cast(pl.Float64, strict=False)
        for name, column in (("prev_close", "PrvsClsgPric"), ("close", "ClsPric"))
    }
    borne = rows.select(symbol="TckrSymb", series="SctySrs", isin=isin, session=pl.lit(session), **prices)
    return borne.drop_nulls(["symbol", "series"])


def _ingest_one(
    lake: Lake,
    known: SymbolHistory,
    names: Mapping[str, Mapping[date, str]],
    parsed: _Parsed,
    received: FetchedFile,
) -> dict[str, object] | ArchiveError:
    file, fills = received.file, dataset_spec(received.publication)
    read_from = {"file": file.sha256}
    made_from = {**read_from, "normalize": fills.version, "names": names[fills.raw].get(file.session, NO_NAMES)}
    if (
        lake.is_current(fills.raw, file.session, read_from)
        and lake.is_current(fills.normalized, file.session, made_from)
        and _has_quarantine(lake, fills, file.session)
    ):
        return _account(lake, received, fills, None)
    origin = Provenance(file.session, file.name, file.sha256, file.fetched_at)
    published = parsed.pop(received, None) or _read(received)
    if isinstance(published, ArchiveError):
        return published
    parts = split_rows(published, origin, fills, known)
    made_from["names"] = parts.names  # of a file that is new here, known only now
    lake.write(fills.raw, file.session, parts.raw, read_from, known_at=file.fetched_at)
    if parts.quarantine.height or lake.manifest(fills.quarantine, file.session):
        lake.write(fills.quarantine, file.session, parts.quarantine, made_from)
    lake.write(fills.normalized, file.session, parts.normalized, made_from)
    return _account(lake, received, fills, parts.row_count)


def _has_quarantine(lake: Lake, fills: DatasetSpec, session: date) -> bool:
    """Tell whether the refused rows of a session are there, as far as manifests say; a lost dataset is made again."""
    found = lake.manifest(fills.quarantine, session)
    if found is not None:
        return lake.is_current(fills.quarantine, session, found.current.inputs)
    if inventory.is_emptied(lake.root, fills.quarantine):
        return False
    return _rows(lake, fills.raw, session) <= _rows(lake, fills.normalized, session)


def _account(lake: Lake, received: FetchedFile, fills: DatasetSpec, counted: int | None) -> dict[str, object]:
    """Take the account from the manifests, and the rows from the file where it was read just now."""
    raw, rejected, normalized = (_rows(lake, name, received.session) for name in fills.names)
    return {
        "session": received.session,
        "publication": received.publication.name,
        "file": received.file.name,
        "rows": normalized + rejected if counted is None else counted,
        "raw": raw,
        "normalized": normalized,
        "rejected": rejected,
        "outcome": "already" if counted is None else "written",
    }


def _rows(lake: Lake, name: str, session: date) -> int:
    manifest = lake.manifest(name, session)
    return manifest.current.rows if manifest else 0
