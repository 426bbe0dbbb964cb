"""Keep daily net active returns as files that are named by their SHA-256.

The ledger refers to a file by its digest, so a changed or lost file is found. If machines share a registry, the content
is stored there too, and the file in the workspace is a copy.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from champion.base import atomic_files
from champion.base.file_modes import private_folder
from champion.tracking import connectivity, registry, store

if TYPE_CHECKING:
    from champion.settings import Settings

SCHEMA = {"trade_date": pl.Date(), "active": pl.Float64()}
_NAME = f"{registry.MODEL}.trial_series"
_CONTENT, _DIGEST = "champion.content", "champion.digest"
_LONGEST = 90_000  # characters of a tag; MLflow allows 100,000


def known(active: pl.DataFrame) -> pl.DataFrame:
    """Return trade_date and active, sorted, without the days that have no finite return.

    >>> from datetime import date
    >>> known(pl.DataFrame({"trade_date": [date(2024, 1, 15), date(2024, 1, 16)], "active": [0.01, None]})).height
    1
    """
    cast = active.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    return cast.filter(pl.col("active").is_finite()).sort("trade_date")


def put(settings: Settings, active: pl.DataFrame) -> str:
    """Store a series as `known` returns it, and return its digest; a series that is stored stays."""
    buffer = io.BytesIO()
    active.write_parquet(buffer)
    content = buffer.getvalue()
    digest = sha256(content).hexdigest()
    path = _path(settings, digest)
    if not _is_intact(path, digest):
        private_folder(path.parent)
        atomic_files.write_private(path, content)
    if not store.is_sqlite(settings.tracking):
        _share(settings, digest, content)
    return digest


def get(settings: Settings, digest: str) -> pl.DataFrame | None:
    """Return a series by its digest: trade_date and active, sorted; None if the file is lost or was changed."""
    path = _path(settings, digest)
    if not _is_intact(path, digest):
        content = None if store.is_sqlite(settings.tracking) else _shared(settings, digest)
        if content is None or sha256(content).hexdigest() != digest:
            return None
        private_folder(path.parent)
        atomic_files.write_private(path, content)
    return pl.read_parquet(path)


def side_by_side(named: Iterable[tuple[str, pl.DataFrame | None]]) -> pl.DataFrame:
    """Return trade_date, sorted, and the returns of each series that is not None, in a column of its name.

    A column is null where its series has no session.

    >>> from datetime import date
    >>> one, two = (pl.DataFrame({"trade_date": [date(2024, 1, day)], "active": [0.01]}) for day in (15, 16))
    >>> side_by_side([("b", two), ("lost", None), ("a", one)]).rows()
    [(datetime.date(2024, 1, 15), None, 0.01), (datetime.date(2024, 1, 16), 0.01, None)]
    """
    held = [found.with_columns(name=pl.lit(name)) for name, found in named if found is not None]
    long = pl.concat([pl.DataFrame(schema={**SCHEMA, "name": pl.String}), *held])
    return long.pivot("name", index="trade_date", values="active").sort("trade_date")


def _path(settings: Settings, digest: str) -> Path:
    return settings.home / "trials" / f"{digest}.parquet"


def _is_intact(path: Path, digest: str) -> bool:
    return path.is_file() and atomic_files.sha256(path) == digest


def _share(settings: Settings, digest: str, content: bytes) -> None:
    """Store the content in tags of a registered model, which deleting runs does not remove."""
    connectivity.require(settings)
    if _shared(settings, digest) is not None:
        return
    client = store.prepare(settings)
    registry.ensure_model(settings, _NAME, "Daily net active returns of trials. `champion trials` reads them.")
    text = base64.b85encode(content).decode()
    parts = [text[start : start + _LONGEST] for start in range(0, len(text), _LONGEST)]
    tags = {_DIGEST: digest, **{f"{_CONTENT}.{number}": part for number, part in enumerate(parts)}}
    client.create_model_version(_NAME, source="champion:/trials", tags=tags, await_creation_for=0)


def _shared(settings: Settings, digest: str) -> bytes | None:
    connectivity.require(settings)
    found = store.prepare(settings).search_model_versions(f"name='{_NAME}' and tags.`{_DIGEST}`='{digest}'")
    for one in found:
        parts = [one.tags[f"{_CONTENT}.{number}"] for number in range(len(one.tags) - 1)]
        return base64.b85decode("".join(parts))
    return None
