"""Proving the lake: every file against its manifest and its contract, every manifest against the others."""

from __future__ import annotations

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
    """What is wrong with a file, and what to do. A harmless one misleads no reader of the lake.

    >>> Damage(Path("part-00000.parquet"), "the file is missing", "`champion lake restore`").harmless
    False
    """

    path: Path
    reason: str
    remedy: str
    harmless: bool = False


def verify(root: Path, name: str) -> list[Damage]:
    """Return everything about a dataset that is not as it was committed; nothing where all is well.

    Every revision and every sealed file is hashed and counted again, its schema held against the contract; sessions
    are held against those they were made from; the index against the files; and files that nobody committed are named.
    """
    contract = contracts.load(name)
    found = [damage for group in layout.groups(contract) for damage in _group(root, contract, group)]
    if any(damage.path.name in {layout.SUCCESS, layout.SEALED} for damage in found):
        return found  # without its manifests nothing more can be said
    checks = (_incomplete(root, contract), _inputs(root, contract), _strangers(root, contract))
    return [*found, *(damage for check in checks for damage in check)]


def verify_checksums(root: Path, names: Iterable[str], start: date, end: date) -> None:
    """Do nothing where what readers see of these sessions is, byte for byte, what was committed.

    A flipped bit in a column of numbers is another number: no reader hears it, and what is made of it looks sound. An
    object store proves its bytes itself and is not asked for them.

    Raises:
        LakeError: a file is missing or another one, or a manifest is damaged; it names the first, and what to do.
    """
    if backend.of(root).is_remote:
        return
    proved: set[Path] = set()
    for name in names:
        contract = contracts.load(name)
        for group in layout.groups(contract):
            for found in partitions.find(root, contract, group, start, end):
                part = found.manifest.current
                path, sealed = found.path(part), found.sealed_part(part)
                if path not in proved and (reason := _other(path, (sealed or part).sha256)):
                    raise LakeError(f"{path}: {reason}; {_RESTORE if sealed else _REWRITE}")
                proved.add(path)


def unknown_files(root: Path) -> list[Damage]:
    """Return the files under the root that belong to no dataset there is a contract for."""
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
        if reason := _file(path, part.sha256, part.rows) or _schema(path, contract, group):
            yield Damage(path, reason, _REWRITE)


def _year(folder: Path, contract: Contract, group: str | None) -> Iterator[Damage]:
    try:
        sealed = partitions.read_sealed(folder / layout.SEALED)
    except LakeError as error:
        yield Damage(folder / layout.SEALED, str(error), _RESTORE)
        return
    if sealed is None:
        return
    reason = _file(sealed.path, sealed.sha256, sealed.rows) or _schema(sealed.path, contract, group)
    if reason := reason or _counts(sealed, contract):
        yield Damage(sealed.path, reason, _RESTORE)


def _other(path: Path, digest: str) -> str | None:
    """Say why a file is not the one that was committed; None where it is."""
    if not path.exists():
        return "the file is missing"
    found = sha256(path)
    return None if found == digest else f"its SHA-256 is {found[:12]}, the manifest says {digest[:12]}"


def _file(path: Path, digest: str, rows: int) -> str | None:
    if reason := _other(path, digest):
        return reason
    counted = pl.scan_parquet(str(path), glob=False).select(pl.len()).collect().item()
    return None if counted == rows else f"it holds {quantity(counted, 'row')}, the manifest says {rows}"


def _counts(sealed: SealedYear, contract: Contract) -> str | None:
    counted = pl.scan_parquet(str(sealed.path), glob=False).group_by(contract.session).agg(pl.len()).collect()
    found: dict[date, int] = dict(counted.iter_rows())
    expected = {session: kept.current.rows for session, kept in sealed.sessions.items() if kept.current.rows}
    wrong = sorted(s for s in found.keys() | expected.keys() if found.get(s) != expected.get(s))
    if not wrong:
        return None
    rows = quantity(found.get(wrong[0], 0), "row")
    return f"it holds {rows} of {wrong[0]}, the manifest says {expected.get(wrong[0], 0)}"


def _schema(path: Path, contract: Contract, group: str | None) -> str | None:
    """Say where a file is not of its contract; one of an earlier minor version may lack fields that came later."""
    columns = contract.polars_schema
    wanted = columns if group is None else {c: columns[c] for c in (*contract.ungrouped, *contract.groups[group])}
    found: Mapping[str, pl.DataType] = pl.scan_parquet(str(path), glob=False).collect_schema()
    label = pl.read_parquet_metadata(str(path)).get(_LABEL, "no contract")
    wrong = [f"{name} is {dtype}" for name, dtype in found.items() if wanted.get(name) != dtype]
    missing = [] if label != contract.label else [name for name in wanted if name not in found]
    if not wrong and not missing:
        return None
    return f"its columns are not those of {contract.label}: {', '.join([*wrong, *(f'no {m}' for m in missing)])}"


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
    """Compare what was made from a published file with the raw partition of it, where raw is still there."""
    raw = f"raw_{contract.dataset}"
    if contract.layer not in {"normalized", "quarantine"} or raw not in contracts.names():
        return
    published = {p.session: p.manifest for p in partitions.find(root, contracts.load(raw), None)}
    for found in partitions.find(root, contract, None):
        mine, theirs = _input_file(found.manifest), _input_file(published.get(found.session))
        if mine and theirs and mine != theirs:
            reason = f"made from the file {mine[:12]}, the raw partition is of {theirs[:12]}"
            yield Damage(found.folder, reason, f"`champion backfill {found.session} {found.session}`")


def _input_file(manifest: Manifest | None) -> str | None:
    return manifest.current.inputs.get("file") if manifest else None


def _strangers(root: Path, contract: Contract) -> Iterator[Damage]:
    folder = layout.dataset_folder(root, contract)
    committed = set(_committed(root, contract))
    for path in sorted(layout.present(folder, "**")):
        if path.is_file() and path not in committed:
            remedy = "`champion lake seal`, `retain` or the next write removes it, if Champion left it there"
            yield Damage(path, "no manifest names it", remedy, harmless=True)


def _committed(root: Path, contract: Contract) -> Iterator[Path]:
    folder = layout.dataset_folder(root, contract)
    for group in layout.groups(contract):
        yield from (folder / layout.index_name(kind, group) for kind in (layout.INDEX, layout.COMMON_INDEX))
        for session in layout.committed_sessions(root, contract, group):
            day = layout.partition_folder(root, contract, session, group)
            yield day / layout.SUCCESS
            manifest = manifests.read(day / layout.SUCCESS)
            parts = manifest.parts if manifest else ()
            yield from (layout.part_file(day / part.name, part.sha256) for part in parts)
        for sealed in partitions.sealed_years(root, contract, group).values():
            yield from (sealed.path, sealed.path.parent / layout.SEALED)
