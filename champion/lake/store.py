"""Read and commit partitions.

A commit writes the data file under a temporary name, flushes and renames it, then does the same with the manifest. A
reader never sees half a file, and ignores a partition without a manifest. A crash leaves the old partition or the new,
and writing the same again completes the commit.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from champion import contracts
from champion.base.clock import month_end
from champion.contracts import Contract, storage
from champion.errors import LakeError
from champion.lake import inventory, layout, manifest as manifests, partitions, verification
from champion.lake.manifest import Manifest, Part
from champion.lake.partitions import Partition
from champion.lake.rows import Rows, only
from champion.lake.verification import Damage


@dataclass(frozen=True, slots=True)
class Month:
    """One month of a dataset: its digest, rows and sessions, and the contracts that its files follow.

    >>> Month("a digest", 693, 21, frozenset({"quality_findings v1.0.0"})).rows
    693
    """

    digest: str
    rows: int
    sessions: int
    contracts: frozenset[str]


@dataclass(frozen=True, slots=True)
class Lake:
    """The Parquet files under one root. Datasets are named by their contract, as `normalized_equity_ohlc`.

    >>> import tempfile
    >>> session, made_from = date(2023, 1, 16), {"normalized_equity_ohlc": "a digest"}
    >>> found = {"session": session, "instrument_id": "NSE:A", "symbol": "A", "series": "EQ"}
    >>> found |= {"gate": "gaps", "value": 0.5, "detail": "fell by half"}
    >>> rows = pl.DataFrame([found], contracts.load("quality_findings").polars_schema)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lake = Lake(Path(folder))
    ...     lake.write("quality_findings", session, rows, made_from)
    ...     lake.write("quality_findings", session, rows, made_from)  # the same again
    ...     lake.is_current("quality_findings", session, made_from), lake.rows("quality_findings")
    ...     lake.scan("quality_findings", date(2023, 1, 1)).collect().equals(rows)
    ...     [path.name for path in lake.files("quality_findings")], len(lake.sessions_by_file("quality_findings"))
    ...     [(path.name, part.rows) for path, part in lake.parts("quality_findings")]
    ...     lake.manifest("quality_findings", session).contract, len(lake.digest("quality_findings"))
    ...     [(str(day), month.rows, month.sessions) for day, month in lake.months("quality_findings").items()]
    ...     lake.sessions("quality_findings"), lake.verify("quality_findings"), lake.unknown_files()
    ...     lake.require_whole(session, session)  # raises if a file is damaged
    ...     lake.contracts.exists()
    ...     contract = contracts.load("quality_findings")
    ...     lake.scan_partitions(contract, None, partitions.find(lake.root, contract, None)).collect().height
    ...     lake.append("quality_findings", session, rows.with_columns(gate=pl.lit("churn")))
    ...     lake.rows("quality_findings")
    True
    False
    (True, 1)
    True
    (['part-00000.parquet'], 1)
    [('part-00000.parquet', 1)]
    ('quality_findings v1.0.0', 64)
    [('2023-01-01', 1, 1)]
    ([datetime.date(2023, 1, 16)], [], [])
    False
    1
    2
    """

    root: Path

    def __post_init__(self) -> None:
        """Add the contracts in the lake itself to the catalogue."""
        if self.contracts.is_dir():
            contracts.add_search_path(self.contracts)

    @property
    def contracts(self) -> Path:
        """The folder with the contracts of custom feature sets."""
        return self.root / layout.CONTRACTS

    def write(
        self,
        name: str,
        session: date,
        frame: pl.DataFrame,
        inputs: Mapping[str, str],
        group: str | None = None,
        *,
        known_at: datetime | None = None,
    ) -> bool:
        """Commit one partition made from `inputs`; return False if the current one has the same inputs.

        Partitions of raw files and of scores are append-only: other inputs add a revision, known since `known_at`, and
        files are read-only.
        A session of a sealed year gets a day partition again, which takes precedence over the sealed rows.

        Raises:
            ContractError: the frame breaks the contract: its columns, its rules, or by NaN or infinity in a number.
            LakeError: `known_at` has no time zone.
        """
        contract = contracts.load(name)
        with layout.locked(self.root, contract):
            return self._write(contract, session, frame, inputs, group, known_at)

    def append(self, name: str, session: date, rows: pl.DataFrame, once_by: Sequence[str] = ()) -> None:
        """Add rows to a session's rows; readers and other writers see all added rows or none.

        With `once_by`, a row whose values in these columns are among the session's rows already is not added, even if
        another process added them meanwhile.

        Raises:
            ContractError: the rows break the contract.
        """
        contract = contracts.load(name)
        with layout.locked(self.root, contract):
            held, added = self.scan(name, session, session).collect(), contract.conform(rows)
            if once_by:
                added = added.join(held, on=list(once_by), how="anti", nulls_equal=True, maintain_order="left")
                if added.is_empty():
                    return
            frame = pl.concat([held, added])
            self._write(contract, session, frame, {"rows": str(frame.hash_rows(seed=0).sum())}, None, None)

    def _write(
        self,
        contract: Contract,
        session: date,
        frame: pl.DataFrame,
        inputs: Mapping[str, str],
        group: str | None,
        known_at: datetime | None,
    ) -> bool:
        """Commit a partition under the dataset's lock."""
        since = manifests.moment(known_at, "known_at")
        folder = layout.partition_folder(self.root, contract, session, group)
        before = partitions.find_one(self.root, contract, session, group)
        if before and before.is_whole(inputs):
            return False
        kept = self._unsealed(contract, before) if before and layout.is_append_only(contract) else ()
        path = folder / layout.part_name(len(kept))
        kept_rows = contract.require_valid(contract.conform(frame, group))
        part = Part(path.name, *partitions.write_data_file(path, contract, kept_rows), dict(inputs), since)
        inventory.note(self.root, contract.name)
        manifests.write(folder / layout.SUCCESS, Manifest(contract.label, (*kept, part)))
        return True

    def is_current(self, name: str, session: date, inputs: Mapping[str, str], group: str | None = None) -> bool:
        """Return whether the partition was made from exactly these inputs and its file exists with the right size."""
        found = partitions.find_one(self.root, contracts.load(name), session, group)
        return found is not None and found.is_whole(inputs)

    def manifest(self, name: str, session: date, group: str | None = None) -> Manifest | None:
        """Return the manifest of one partition, sealed or not, or None if it was never committed."""
        found = partitions.find_one(self.root, contracts.load(name), session, group)
        return found.manifest if found else None

    def sessions(self, name: str, start: date | None = None, end: date | None = None) -> list[date]:
        """Return the committed sessions between `start` and `end`, both included, in order."""
        contract = contracts.load(name)
        return partitions.sessions(self.root, contract, layout.groups(contract)[-1], start, end)

    def parts(
        self,
        name: str,
        start: date | None = None,
        end: date | None = None,
        group: str | None = None,
        *,
        as_of: datetime | None = None,
    ) -> Iterator[tuple[Path, Part]]:
        """Yield for each session in order the file that readers use, and its entry in the manifest.

        A sealed file holds a whole year: it appears once for each of its sessions, with the entry of that session.
        """
        contract = self._contract(name, as_of)
        for found in partitions.find(self.root, contract, group, start, end):
            part = found.manifest.visible(as_of)
            yield found.path(part), part

    def files(
        self,
        name: str,
        start: date | None = None,
        end: date | None = None,
        group: str | None = None,
        *,
        as_of: datetime | None = None,
    ) -> list[Path]:
        """Return the files that hold the sessions, each once; a sealed one can hold other sessions too."""
        return list(dict.fromkeys(path for path, _ in self.parts(name, start, end, group, as_of=as_of)))

    def sessions_by_file(
        self, name: str, start: date | None = None, end: date | None = None, group: str | None = None
    ) -> dict[Path, list[date]]:
        """Return the files that hold the sessions, each with the sessions that readers see of it: for other engines."""
        found: dict[Path, list[date]] = {}
        for partition in partitions.find(self.root, contracts.load(name), group, start, end):
            found.setdefault(partition.path(partition.manifest.current), []).append(partition.session)
        return found

    def rows(
        self, name: str, start: date | None = None, end: date | None = None, *, as_of: datetime | None = None
    ) -> int:
        """Return the number of rows in the sessions, from the manifests."""
        group = layout.groups(contracts.load(name))[0]
        return sum(part.rows for _, part in self.parts(name, start, end, group, as_of=as_of))

    def digest(
        self, name: str, start: date | None = None, end: date | None = None, *, as_of: datetime | None = None
    ) -> str:
        """Return one SHA-256 of a range of sessions: equal digests mean equal data. Sealing does not change it."""
        content, contract = hashlib.sha256(), self._contract(name, as_of)
        for group in layout.groups(contract):
            for found in partitions.find(self.root, contract, group, start, end):
                content.update(self._line(found, found.manifest.visible(as_of)))
        return content.hexdigest()

    def months(self, name: str, start: date | None = None, end: date | None = None) -> dict[date, Month]:
        """Return the months that hold sessions, from that of `start` to that of `end`, keyed by first day in order."""
        contract, contents, labels = contracts.load(name), dict[date, Any](), dict[date, set[str]]()
        rows, sessions = Counter[date](), Counter[date]()
        first, last = start and start.replace(day=1), end and month_end(end)
        for number, group in enumerate(layout.groups(contract)):
            for found in partitions.find(self.root, contract, group, first, last):
                month, part = found.session.replace(day=1), found.manifest.current
                contents.setdefault(month, hashlib.sha256()).update(self._line(found, part))
                labels.setdefault(month, set()).add((found.sealed_part(part) or found.manifest).contract)
                if not number:
                    rows[month] += part.rows
                    sessions[month] += 1
        return {m: Month(contents[m].hexdigest(), rows[m], sessions[m], frozenset(labels[m])) for m in sorted(contents)}

    def scan(
        self,
        name: str,
        start: date | None = None,
        end: date | None = None,
        groups: Sequence[str] | None = None,
        *,
        as_of: datetime | None = None,
        in_order: bool = False,
    ) -> pl.LazyFrame:
        """Return the rows of the sessions from `start` to `end`, lazily; without sessions an empty frame.

        The order of rows is undefined: a sealed year is sorted by symbol. With `in_order` rows are ordered by session,
        which sorts them if there are sealed years. Datasets stored by feature group are joined: a row appears if all
        `groups` hold it, by default all groups of the contract. With `as_of`, append-only datasets are read as known at
        that moment; the first revision of a session was known on its evening.

        The frame stays readable after sealing. If retention removes a session meanwhile, `collect` raises LakeError.

        Raises:
            LakeError: a group is unknown, the dataset keeps no revisions for `as_of`, or a manifest is damaged.
        """
        contract = self._contract(name, as_of)
        wanted = (groups or tuple(contract.groups)) if contract.groups else ()
        if unknown := [group for group in wanted if group not in contract.groups]:
            raise LakeError(f"{contract.label} has no groups {unknown}; it has {sorted(contract.groups)}")
        found = {group: partitions.find(self.root, contract, group, start, end) for group in wanted or (None,)}
        joined, *others = (self.scan_partitions(contract, *one, as_of, in_order=in_order) for one in found.items())
        if not wanted:
            return joined
        for frame in others:
            repeated = [column for column in contract.ungrouped if column not in contract.key]
            joined = joined.join(frame.drop(repeated), on=list(contract.key), how="inner", maintain_order="left")
        held = {*contract.ungrouped, *(column for group in wanted for column in contract.groups[group])}
        return joined.select(column for column in contract.polars_schema if column in held)

    def verify(self, name: str) -> list[Damage]:
        """Return all damage of a dataset, an empty list if there is none."""
        return verification.verify(self.root, name)

    def require_whole(self, start: date, end: date, names: Sequence[str] | None = None) -> None:
        """Verify that the sessions from `start` to `end`, by default of all datasets, are byte for byte as committed.

        Raises:
            LakeError: a file differs; the error names the first one, the reason and the remedy.
        """
        verification.verify_checksums(self.root, contracts.names() if names is None else names, start, end)

    def unknown_files(self) -> list[Damage]:
        """Return the files that belong to no dataset with a contract."""
        return verification.unknown_files(self.root)

    def scan_partitions(
        self,
        contract: Contract,
        group: str | None,
        found: Sequence[Partition],
        as_of: datetime | None = None,
        *,
        in_order: bool = False,
    ) -> pl.LazyFrame:
        """Return the rows of these partitions of one group, lazily: first those of sealed files, then those by day.

        With `in_order` the rows are sorted by session if there are sealed files; otherwise they already are.
        """
        rows = Rows(self.root, contract, group, found, as_of).lazy()
        sealed = in_order and any(one.sealed_part(one.manifest.visible(as_of)) for one in found)
        return rows.sort(contract.session, maintain_order=True) if sealed else rows

    def _unsealed(self, contract: Contract, found: Partition) -> tuple[Part, ...]:
        """Return the revisions of an append-only partition; one in a sealed file gets its own file again."""
        kept = list(found.manifest.parts)
        for place, part in enumerate(kept):
            if (sealed := found.sealed_part(part)) is not None:
                scanned = storage.scan([sealed.path], contract).filter(*only(contract, sealed, {found.session}))
                rows = contract.conform(scanned.collect())
                written = partitions.write_data_file(found.folder / part.name, contract, rows)
                kept[place] = Part(part.name, *written, part.inputs, part.known_at)
        return tuple(kept)

    def _line(self, found: Partition, part: Part) -> bytes:
        """Return the line of a partition for digests."""
        return f"{(found.folder / part.name).relative_to(self.root)} {part.sha256}\n".encode()

    @staticmethod
    def _contract(name: str, as_of: datetime | None) -> Contract:
        contract = contracts.load(name)
        manifests.moment(as_of, "as_of")
        if as_of is None or layout.is_append_only(contract):
            return contract
        readable = [other for other in contracts.names() if layout.is_append_only(contracts.load(other))]
        raise LakeError(
            f"{contract.label} keeps no earlier revisions, so it cannot be read as of {as_of:%Y-%m-%d %H:%M}; "
            f"these can: {', '.join(readable)}"
        )
