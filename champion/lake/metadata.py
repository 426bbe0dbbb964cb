"""`_metadata` and `_common_metadata`: the footers of all current files in one, for other readers of Parquet.

`pl.read_parquet_schema("<dataset>/_metadata")` and `pyarrow.dataset.parquet_dataset("<dataset>/_metadata")` read it.
Champion lists manifests instead. An index is outdated after the next write; it contains a digest of its files, which
`is_fresh` compares. A dataset stored by groups has one index per group, as `_metadata_momentum`.
"""

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
    """Return whether the index covers the files that readers see now; None if there is no index.

    Raises:
        LakeError: the index is unreadable.
    """
    path = layout.dataset_folder(root, contract) / layout.index_name(layout.INDEX, group)
    if not path.exists():
        return None
    try:
        recorded: bytes = (_footer(path).metadata or {}).get(_DIGEST, b"")
    except (pa.ArrowException, OSError) as error:
        raise LakeError(f"{path}: not a Parquet index ({error}); `champion lake metadata` rebuilds it") from error
    return recorded.decode() == _digest(root, partitions.find(root, contract, group))


def rows(path: Path) -> int:
    """Return the number of rows that an index counts."""
    return int(_footer(path).num_rows)


def write(root: Path, contract: Contract, group: str | None) -> None:
    """Write the index of the files that readers see now, or remove it if there are none.

    Raises:
        LakeError: the files have several schemas, which one `_metadata` cannot hold.
    """
    found, folder = partitions.find(root, contract, group), layout.dataset_folder(root, contract)
    index, common = (folder / layout.index_name(kind, group) for kind in (layout.INDEX, layout.COMMON_INDEX))
    if not found:
        for path in (index, common):
            path.unlink(missing_ok=True)
        return
    files = list(dict.fromkeys(partition.path(partition.manifest.current) for partition in found))
    footers = backend.of(folder).map(_footer, files)
    with files[-1].open("rb") as stream:
        schema = pq.read_schema(stream)
    schema = schema.with_metadata({**(schema.metadata or {}), _DIGEST: _digest(root, found).encode()})
    for file, footer in zip(files, footers, strict=True):
        footer.set_file_path(file.relative_to(folder).as_posix())
    try:
        with backend.replacing(common) as temporary:
            pq.write_metadata(schema, temporary)
        with backend.replacing(index) as temporary:
            pq.write_metadata(schema, temporary, footers)
    except (pa.ArrowException, RuntimeError) as error:
        raise LakeError(
            f"{folder}: one _metadata cannot hold files of several schemas ({error}); seal the closed years, "
            "which writes them by today's contract, and build the others again"
        ) from error


def _footer(path: Path) -> pq.FileMetaData:
    with path.open("rb") as stream:
        return pq.read_metadata(stream)


def _digest(root: Path, found: Sequence[Partition]) -> str:
    content = hashlib.sha256()
    for partition in found:
        part = partition.manifest.current
        path, digest = partition.path(part).relative_to(root), (partition.sealed_part(part) or part).sha256
        content.update(f"{partition.session} {path} {digest}\n".encode())
    return content.hexdigest()
