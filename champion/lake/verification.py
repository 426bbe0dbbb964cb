"""Verify a lake: each file against its manifest and contract, the manifests against each other."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from champion import contracts
from champion.base.atomic_files import sha256
from champion.base.counting import quantity
from champion.contracts import Contract
from champion.errors import LakeError
from champion.lake import backend, layout, manifest as manifests, metadata, partitions
from champion.lake.manifest import Manifest
from champion.lake.partitions import SealedYear

_REWRITE = "delete its folder and run `champion backfill` for the session, or `champion lake restore` from an archive"
_RESTORE = "bring the file back by `champion lake restore`; or delete the folder, then backfill its sessions"
_LABEL = "champion.contract"


@dataclass(frozen=True, slots=True)
class Damage:
    """A fault in a file, and its remedy. Readers of the lake get correct rows despite a harmless fault.

    >>> Damage(Path("part-00000.parquet"), "the file is missing", "`champion lake restore`").harmless
    False
    """

    path: Path
    reason: str
    remedy: str
    harmless: bool = False


def verify(root: Path, name: str) -> list[Damage]:
    """Return all damage of a dataset, an empty list if there is none.

    The checks are: hash, row count and schema of every revision and sealed file; sessions against the sessions they
    were derived from; the index against the files; and files that no manifest lists.
    """
    contract = contracts.load(name)
    found = [damage for group in layout.groups(contract) for damage in _group(root, contract, group)]
    if any(damage.path.name in {layout.SUCCESS, layout.SEALED} for damage in found):
        return found  # the other checks need all manifests
    checks = (_incomplete(root, contract), _inputs(root, contract), _unlisted_files(root, contract))
    return [*found, *(damage for check in checks for damage in check)]


def verify_checksums(root: Path, names: Iterable[str], start: date, end: date) -> None:
    """Verify that the files of these sessions are byte for byte as committed.

    A flipped bit in a column of numbers gives another valid number, which no reader notices. An object store verifies
    its bytes itself, so its files are not read.

    Raises:
        LakeError: a file is missing or differs, or a manifest is damaged; it names the first, and the remedy.
    """
    if backend.of(root).is_remote:
        return
    verified: set[Path] = set()
    for name in names:
        contract = contracts.load(name)
        for group in layout.groups(contract):
            for found in partitions.find(root, contract, group, start, end):
                part = found.manifest.current
                path, sealed = found.path(part), found.sealed_part(part)
                if path not in verified and (reason := _hash_error(path, (sealed or part).sha256)):
                    raise LakeError(f"{path}: {reason}; {_RESTORE if sealed else _REWRITE}")
                verified.add(path)


def unknown_files(root: Path) -> list[Damage]:
    """Return the files under the root that belong to no dataset with a contract."""
    known = [layout.dataset_folder(root, contracts.load(name)) for name in contracts.names()]
    known += [root / name for name in (".locks", *layout.OWN)]
    return [
        Damage(path, "no contract names its dataset", "move it out of the lake", harmless=True)
        for path in sorted(layout.present(root, "**"))
        if path.is_file() and not any(path.is_relative_to(folder) for folder in known)
    ]


def _group(root: Path, contract: Contract, group: str | None) -> Iterator[Damage]:
    for session in sorted(layout.committed_sessions(root, contract, group)):
        yield from _day(layout.partition_folder(root, contract, session, group), contract, group)
    for year in layout.sealed_years(root, contract, group):
        yield from _year(layout.sealed_folder(root, contract, year, group), contract, group)
    yield from _index(root, contract, group)


def _day(folder: Path, contract: Contract, group: str | None) -> Iterator[Damage]:
    try:
        manifest = manifests.read(folder / layout.SUCCESS)
    except LakeError as error:
        yield Damage(folder / layout.SUCCESS, str(error), _REWRITE)
        return
    for part in manifest.parts if manifest else ():
        path = layout.part_file(folder / part.name, part.sha256)
        if reason := _file_error(path, part.sha256, part.rows, contract, group):
            yield Damage(path, reason, _REWRITE)


def _year(folder: Path, contract: Contract, group: str | None) -> Iterator[Damage]:
    try:
        sealed = partitions.read_sealed(folder / layout.SEALED)
    except LakeError as error:
        yield Damage(folder / layout.SEALED, str(error), _RESTORE)
        return
    if sealed is None:
        return
    reason = _file_error(sealed.path, sealed.sha256, sealed.rows, contract, group)
    if reason := reason or _session_error(sealed, contract):
        yield Damage(sealed.path, reason, _RESTORE)


def _hash_error(path: Path, digest: str) -> str | None:
    """Return why a file differs from the committed file; None if they are equal."""
    if not path.exists():
        return "the file is missing"
    found = sha256(path)
    return None if found == digest else f"its SHA-256 is {found[:12]}, the manifest says {digest[:12]}"


def _file_error(path: Path, digest: str, rows: int, contract: Contract, group: str | None) -> str | None:
    """Return how a file's hash, row count or schema differs from its manifest and its contract, None if it does not."""
    if reason := _hash_error(path, digest):
        return reason
    counted = pl.scan_parquet(str(path), glob=False).select(pl.len()).collect().item()
    if counted != rows:
        return f"it holds {quantity(counted, 'row')}, the manifest says {rows}"
    columns = contract.polars_schema
    wanted = columns if group is None else {c: columns[c] for c in (*contract.ungrouped, *contract.groups[group])}
    found: Mapping[str, pl.DataType] = pl.scan_parquet(str(path), glob=False).collect_schema()
    wrong = [f"{name} is {dtype}" for name, dtype in found.items() if wanted.get(name) != dtype]
    if pl.read_parquet_metadata(str(path)).get(_LABEL) == contract.label:  # an earlier minor version may lack fields
        wrong += [f"no {name}" for name in wanted if name not in found]
    return f"its columns are not those of {contract.label}: {', '.join(wrong)}" if wrong else None


def _session_error(sealed: SealedYear, contract: Contract) -> str | None:
    counted = pl.scan_parquet(str(sealed.path), glob=False).group_by(contract.session).agg(pl.len()).collect()
    found: dict[date, int] = dict(counted.iter_rows())
    expected = {session: kept.current.rows for session, kept in sealed.sessions.items() if kept.current.rows}
    if found == expected:
        return None
    wrong = min(session for session in {**found, **expected} if found.get(session) != expected.get(session))
    return f"it holds {quantity(found.get(wrong, 0), 'row')} of {wrong}, the manifest says {expected.get(wrong, 0)}"


def _index(root: Path, contract: Contract, group: str | None) -> Iterator[Damage]:
    path = layout.dataset_folder(root, contract) / layout.index_name(layout.INDEX, group)
    remedy = f"`champion lake metadata {contract.name}`"
    try:
        fresh = metadata.is_fresh(root, contract, group)
    except LakeError as error:
        yield Damage(path, str(error), remedy)
        return
    if fresh is None:
        return
    if not fresh:
        yield Damage(path, "it is older than the files it indexes", remedy, harmless=True)
        return
    expected = sum(found.manifest.current.rows for found in partitions.find(root, contract, group))
    if (counted := metadata.rows(path)) != expected:
        yield Damage(path, f"it counts {quantity(counted, 'row')}, the manifests {expected}", remedy)


def _incomplete(root: Path, contract: Contract) -> Iterator[Damage]:
    by_group = {group: set(partitions.sessions(root, contract, group)) for group in layout.groups(contract)}
    everything = set().union(*by_group.values())
    for group, sessions in by_group.items():
        for session in sorted(everything - sessions):
            folder = layout.partition_folder(root, contract, session, group)
            reason = "the partition has no manifest, though other groups of its session have one"
            yield Damage(folder, reason, "`champion features` for the session")


def _inputs(root: Path, contract: Contract) -> Iterator[Damage]:
    """Compare the published file of each session with the file of its raw partition, if that still exists."""
    raw = f"raw_{contract.dataset}"
    if contract.layer not in {"normalized", "quarantine"} or raw not in contracts.names():
        return
    published = {p.session: _input_file(p.manifest) for p in partitions.find(root, contracts.load(raw), None)}
    for found in partitions.find(root, contract, None):
        own, of_raw = _input_file(found.manifest), published.get(found.session)
        if own and of_raw and own != of_raw:
            reason = f"made from the file {own[:12]}, the raw partition is of {of_raw[:12]}"
            yield Damage(found.folder, reason, f"`champion backfill {found.session} {found.session}`")


def _input_file(manifest: Manifest) -> str | None:
    return manifest.current.inputs.get("file")


def _unlisted_files(root: Path, contract: Contract) -> Iterator[Damage]:
    folder, listed = layout.dataset_folder(root, contract), set[Path]()
    for group in layout.groups(contract):
        listed.update(folder / layout.index_name(kind, group) for kind in (layout.INDEX, layout.COMMON_INDEX))
        for unit in partitions.units(root, contract, group):
            listed.update((unit.manifest, *unit.files))
    for path in sorted(layout.present(folder, "**")):
        if path.is_file() and path not in listed:
            remedy = "`champion lake seal`, `retain` or the next write removes it, if Champion left it there"
            yield Damage(path, "no manifest names it", remedy, harmless=True)
