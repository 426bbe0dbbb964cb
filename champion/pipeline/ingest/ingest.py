"""Ingest staged files into the lake: each becomes a raw partition, a normalized partition, and quarantined rows.

The normalized partition is written last. A session that has it, from the same bytes and by the same rules, is skipped.
A lake holds the bars of one exchange.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial

import polars as pl

from champion.base.counting import quantity
from champion.base.progress import Progress, silent
from champion.contracts.datasets import RAW_BARS
from champion.errors import ArchiveError, ContractError, FormatError, UsageError
from champion.lake import Lake, inventory
from champion.market.identity.symbol_history import SymbolHistory
from champion.pipeline.ingest.datasets import PUBLICATIONS, DatasetSpec, dataset_spec
from champion.pipeline.ingest.fetch import FetchedFile
from champion.pipeline.ingest.parse_file import split_rows
from champion.pipeline.ingest.symbol_changes import NO_NAMES, SYMBOL_ROWS, names_by_session, symbol_history
from champion.sources import Published
from champion.sources.download.archive import set_aside
from champion.sources.table import Publication

DATASETS = tuple(name for publication in PUBLICATIONS for name in dataset_spec(publication).names)
_THREADS = 2
_MAX_IN_MEMORY = 32  # bhavcopies that are parsed before the first is written, about 3 MB each
_NUMBERS = ("rows", "raw", "normalized", "rejected")
_COUNTS = {
    "session": pl.Date(),
    **dict.fromkeys(("publication", "file"), pl.String()),
    **dict.fromkeys(_NUMBERS, pl.Int64()),
    "outcome": pl.String(),
}


@dataclass(frozen=True, slots=True)
class IngestResult:
    """The counts of a range of sessions.

    `sessions` has one row for each file: session, publication, file, rows (data lines in the file), raw, normalized,
    rejected, outcome ('written' or 'already'); rows = normalized + rejected. `failed` has the session and error of each
    file that was refused as a whole.
    """

    sessions: pl.DataFrame
    failed: Sequence[tuple[date, str]]

    def of(self, publication: Publication) -> pl.DataFrame:
        """Return the counts of one publication, one row per session."""
        return self.sessions.filter(pl.col("publication") == publication.name)

    @property
    def written(self) -> list[date]:
        """The sessions with a file that was written, in order."""
        return self.sessions.filter(outcome="written")["session"].unique().sort().to_list()

    @property
    def totals(self) -> dict[str, int]:
        """Sessions, files, rows, raw, normalized, rejected; files written, already there, failed."""
        written = int((self.sessions["outcome"] == "written").sum())
        files, sums = self.sessions.height, {name: int(self.sessions[name].sum()) for name in _NUMBERS}
        outcomes = {"written": written, "already": files - written, "failed": len(self.failed)}
        return {"sessions": self.sessions["session"].n_unique(), "files": files, **sums, **outcomes}

    def require_complete(self) -> None:
        """Require that every file was ingested.

        Raises:
            ArchiveError: some were not; it names the first few. The others are committed.
        """
        if self.failed:
            reasons = list(dict.fromkeys(error for _, error in self.failed))  # two publications may share a file
            raise ArchiveError(f"{quantity(len(reasons), 'file')} could not be ingested: {'; '.join(reasons[:3])}")


def ingest(lake: Lake, staged: Sequence[FetchedFile], progress: Progress = silent) -> IngestResult:
    """Commit each staged file to the lake; a file that is refused as a whole does not stop the others.

    Instruments are named by the symbol history from the list of symbol changes, the lake and the files themselves. New
    files may change names in other sessions; `rename_instruments` renames these.

    Raises:
        UsageError: the bars are from another exchange than the bars in the lake.
    """
    _require_one_exchange(lake, staged)
    new_rows, parsed = _read_new_bars(lake, staged)
    history = symbol_history(lake, new_rows)
    specs = {dataset_spec(fetched.publication) for fetched in staged}
    span = [edge(fetched.session for fetched in staged) for edge in (min, max)] if staged else []
    names = {spec.raw: names_by_session(lake, spec, history, *span) for spec in specs}
    counts, failed = list[dict[str, object]](), list[tuple[FetchedFile, str]]()
    with ThreadPoolExecutor(_THREADS) as pool:
        results = pool.map(partial(_ingest_one, lake, history, names, parsed), staged)
        for done, (fetched, result) in enumerate(zip(staged, results, strict=True), start=1):
            if isinstance(result, ArchiveError):
                failed.append((fetched, str(result)))
            else:
                counts.append(result)
            progress(done, len(staged), f"ingested {fetched.session}")
    for fetched, _ in failed:  # at the end: two publications may share a file
        if fetched.file.path.exists():
            # Kept as evidence; the next fetch asks the archive again.
            set_aside(fetched.file, fetched.publication.paths(fetched.session))
    return IngestResult(pl.DataFrame(counts, schema=_COUNTS), [(fetched.session, error) for fetched, error in failed])


def _require_one_exchange(lake: Lake, staged: Sequence[FetchedFile]) -> None:
    """Refuse bars of a second exchange: partitions are by session, so its bars would replace the first's."""
    offered = {fetched.publication.exchange for fetched in staged if dataset_spec(fetched.publication).raw == RAW_BARS}
    held: set[str] = set()
    for session in lake.sessions(RAW_BARS)[:1]:
        held |= set(lake.scan(RAW_BARS, session, session).select(pl.col("Src").drop_nulls()).collect()["Src"])
    if len(offered | held) > 1:
        raise UsageError(
            f"the lake holds bars of {', '.join(sorted(held)) or 'no exchange'}, these files are of "
            f"{', '.join(sorted(offered))}; give each exchange its own workspace (CHAMPION_HOME)"
        )


_Parsed = dict[FetchedFile, Published | ArchiveError]


def _read_new_bars(lake: Lake, staged: Sequence[FetchedFile]) -> tuple[pl.DataFrame | None, _Parsed]:
    """Return the symbol rows of the bhavcopies that the lake does not hold yet, and the first of these files parsed.

    All of them are read before the first is written, because each can change the names in the others. Up to
    `_MAX_IN_MEMORY` stay in memory and are parsed once; the others are parsed again, to limit memory.
    """
    new = [
        fetched
        for fetched in staged
        if dataset_spec(fetched.publication).raw == RAW_BARS
        and not lake.is_current(RAW_BARS, fetched.session, {"file": fetched.file.sha256})
    ]
    symbol_rows, parsed = list[pl.DataFrame](), _Parsed()
    with ThreadPoolExecutor(_THREADS) as pool:
        for fetched, published in zip(new, pool.map(_read, new), strict=True):
            if isinstance(published, Published):
                columns = SYMBOL_ROWS | {"session": pl.lit(fetched.session)}
                if "ISIN" not in published.rows.columns:
                    columns["isin"] = pl.lit(None, pl.String)
                symbol_rows.append(published.rows.select(**columns).drop_nulls(["symbol", "series"]))
            if len(parsed) < _MAX_IN_MEMORY:
                parsed[fetched] = published
    return pl.concat(symbol_rows) if symbol_rows else None, parsed


def _read(fetched: FetchedFile) -> Published | ArchiveError:
    """Return the file's raw rows, or the error if it is refused as a whole."""
    try:
        return fetched.publication.read(fetched.file.name, fetched.file.path.read_bytes(), fetched.session)
    except ArchiveError as error:
        return error


def _ingest_one(
    lake: Lake, history: SymbolHistory, names: Mapping[str, Mapping[date, str]], parsed: _Parsed, fetched: FetchedFile
) -> dict[str, object] | ArchiveError:
    file, spec = fetched.file, dataset_spec(fetched.publication)
    raw_from = {"file": file.sha256}
    made_from = {**raw_from, "normalize": spec.version, "names": names[spec.raw].get(file.session, NO_NAMES)}
    if (
        lake.is_current(spec.raw, file.session, raw_from)
        and lake.is_current(spec.normalized, file.session, made_from)
        and _has_quarantine(lake, spec, file.session)
    ):
        return _counts(lake, fetched, spec, None)
    if isinstance(published := parsed.pop(fetched, None) or _read(fetched), ArchiveError):
        return published
    try:
        parts = split_rows(published, file, spec, history)
    except ContractError as error:  # a defect of one parser stops neither the other lists nor the bars
        return FormatError(str(error))
    made_from["names"] = parts.names  # those of a new file are known only now
    lake.write(spec.raw, file.session, parts.raw, raw_from, known_at=file.fetched_at)
    if parts.quarantine.height or lake.manifest(spec.quarantine, file.session):
        lake.write(spec.quarantine, file.session, parts.quarantine, made_from)
    lake.write(spec.normalized, file.session, parts.normalized, made_from)
    return _counts(lake, fetched, spec, parts.row_count)


def _has_quarantine(lake: Lake, spec: DatasetSpec, session: date) -> bool:
    """Whether, by their manifests, the rejected rows of a session are in the lake; a lost dataset is ingested again."""
    if (manifest := lake.manifest(spec.quarantine, session)) is not None:
        return lake.is_current(spec.quarantine, session, manifest.current.inputs)
    if inventory.is_emptied(lake.root, spec.quarantine):
        return False
    return _rows(lake, spec.raw, session) <= _rows(lake, spec.normalized, session)


def _counts(lake: Lake, fetched: FetchedFile, spec: DatasetSpec, lines: int | None) -> dict[str, object]:
    """Return the counts of a file from the manifests; `lines` is the number of its data lines if it was parsed."""
    raw, rejected, normalized = (_rows(lake, name, fetched.session) for name in spec.names)
    of = {"session": fetched.session, "publication": fetched.publication.name, "file": fetched.file.name}
    counts = {"raw": raw, "normalized": normalized, "rejected": rejected}
    if lines is None:
        return {**of, "rows": normalized + rejected, **counts, "outcome": "already"}
    return {**of, "rows": lines, **counts, "outcome": "written"}


def _rows(lake: Lake, name: str, session: date) -> int:
    manifest = lake.manifest(name, session)
    return manifest.current.rows if manifest else 0
