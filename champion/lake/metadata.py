"""`_metadata` and `_common_metadata`: the footers of all current files in one, for readers that know only Parquet.

`pl.read_parquet_schema("<dataset>/_metadata")` and `pyarrow.dataset.parquet_dataset("<dataset>/_metadata")` read it.
Champion itself does not: it lists manifests. An index is of one moment, and each later write leaves it behind; which
files it was made from stands in it as a digest, so that `is_fresh` tells.
A dataset stored by groups has one index a group, as `_metadata_momentum`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from champion.contracts import Contract
from champion.errors import LakeError
from champion.lake import backend, layout, partitions
from champion.lake.partitions import Partition

_DIGEST = b"champion.files"


def is_fresh(root: Path, contract: Contract, group: str | None) -> bool | None:
    """Tell whether the index is of the files that readers see now; None where there is no index.

    Raises:
        LakeError: it cannot be read.
    """
    path = layout.dataset_folder(root, contract) / layout.index_name(layout.INDEX, group)
    if not path.exists():
        return None
    return _recorded(path) == _digest(root, partitions.find(root, contract, group))


def rows(path: Path) -> int:
    """Return how many rows an index counts."""
    return int(_footer(path).num_rows)


def write(root: Path, contract: Contract, group: str | None) -> None:
    """Write the index of the files that readers see now; where there are none, remove it.

    Raises:
        LakeError: the files have several schemas, which one `_metadata` cannot hold.
    """
    found, folder = partitions.find(root, contract, group), layout.dataset_folder(root, contract)
    if found:
        _write(folder, group, _files(found), _digest(root, found))
        return
    for kind in (layout.INDEX, layout.COMMON_INDEX):
        (folder / layout.index_name(kind, group)).unlink(missing_ok=True)


def _write(folder: Path, group: str | None, files: Sequence[Path], digest: str) -> None:
    footers = backend.of(folder).map(_footer, files)
    with files[-1].open("rb") as stream:
        schema = pq.read_schema(stream)
    schema = schema.with_metadata({**(schema.metadata or {}), _DIGEST: digest.encode()})
    for file, footer in zip(files, footers, strict=True):
        footer.set_file_path(file.relative_to(folder).as_posix())
    try:
        with backend.replacing(folder / layout.index_name(layout.COMMON_INDEX, group)) as temporary:
            pq.write_metadata(schema, temporary)
        with backend.replacing(folder / layout.index_name(layout.INDEX, group)) as temporary:
            pq.write_metadata(schema, temporary, footers)
    except (pa.ArrowException, RuntimeError) as error:
        raise LakeError(
            f"{folder}: one _metadata cannot hold files of several schemas ({error}); seal the closed years, "
            "which writes them by today's contract, and build the others again"
        ) from error


def _footer(path: Path) -> pq.FileMetaData:
    with path.open("rb") as stream:
        return pq.read_metadata(stream)


def _recorded(path: Path) -> str:
    try:
        found: bytes = (_footer(path).metadata or {}).get(_DIGEST, b"")
    except (pa.ArrowException, OSError) as error:
        raise LakeError(f"{path}: not a Parquet index ({error}); `champion lake metadata` writes it anew") from error
    return found.decode()


def _files(found: Sequence[Partition]) -> list[Path]:
    return list(dict.fromkeys(partition.path(partition.manifest.current) for partition in found))


def _digest(root: Path, found: Sequence[Partition]) -> str:
    content = hashlib.sha256()
    for partition in found:
        part = partition.manifest.current
        sealed = partition.sealed_part(part)
        path, digest = partition.path(part).relative_to(root), sealed.sha256 if sealed else part.sha256
        content.update(f"{partition.session} {path} {digest}\n".encode())
    return content.hexdigest()
