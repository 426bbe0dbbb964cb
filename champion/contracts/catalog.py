"""Find and load contracts: one file per version in `schemas/`, by default the latest version.

A lake can have additional contracts, for custom feature sets (`add_search_path`).
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from champion.base import package_data
from champion.base.counting import known_names
from champion.contracts.contract import Contract, parse
from champion.errors import ContractError

_FOLDERS: dict[Path, None] = {}  # further folders, in the order they were added
_FILE = re.compile(r"(?P<name>[a-z][a-z0-9_]*)_v(?P<version>[1-9][0-9]*)\.avsc")


def names() -> list[str]:
    """Return the names of all contracts, without versions.

    >>> "normalized_equity_ohlc" in names()
    True
    """
    return sorted({name for name, _ in _contracts()})


def versions(name: str) -> list[int]:
    """Return the versions of contract `name`, oldest first; empty if there is no such contract.

    >>> 1 in versions("normalized_equity_ohlc")
    True
    """
    return sorted(version for found, version in _contracts() if found == name)


@cache
def load(name: str, version: int | None = None) -> Contract:
    """Return contract `name` in its latest version, or in `version`.

    Raises:
        ContractError: there is no such contract, or its file is invalid.

    >>> load("normalized_equity_ohlc").key
    ('trade_date', 'instrument_id')
    """
    known = versions(name)
    chosen = version if version is not None else max(known, default=1)
    if chosen not in known:
        others = f"its versions are {known}" if known else known_names(name, names(), "the contracts are")
        raise ContractError(f"no contract {name!r} version {chosen}: {others}")
    return parse(read(_contracts()[name, chosen]), chosen)


def add_search_path(folder: Path) -> None:
    """Search `folder` for contracts too: a lake has a folder with the contracts of custom feature sets.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:  # an empty folder changes nothing
    ...     add_search_path(Path(folder))
    """
    _FOLDERS[folder] = None


def _contracts() -> dict[tuple[str, int], Path]:
    """Return the files of all contracts, by name and version.

    Raises:
        ContractError: two folders have different contracts with the same name.
    """
    known = files(package_data.folder("schemas"))
    for folder in tuple(_FOLDERS):  # another thread may add one
        for key, path in files(folder).items():
            if read(known.setdefault(key, path)) != read(path):
                raise ContractError(f"{path} and {known[key]} differ; give one of the datasets another name")
    return known


def files(folder: Path) -> dict[tuple[str, int], Path]:
    """Return the contract files in `folder`, by name and version."""
    found = {}
    for path in sorted(folder.glob("*.avsc")):
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise ContractError(f"{path} is not the file name of a contract; it must be <layer>_<dataset>_v<N>.avsc")
        found[match["name"], int(match["version"])] = path
    return found


def read(path: Path) -> dict[str, Any]:
    """Return the Avro record in a contract file.

    Raises:
        ContractError: it is not JSON, or not a record with the name of the file.
    """
    record = read_record(path, "contract")
    if record.get("name") != path.stem.rpartition("_v")[0]:
        raise ContractError(f"{path} holds the record {record.get('name')!r}; file and record must have the same name")
    return record


def read_record(path: Path, what: str) -> dict[str, Any]:
    """Return the record in the JSON file of a contract or a sample; `what` names it in messages.

    Raises:
        ContractError: it is not JSON, or not a record.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ContractError(f"{path} is not JSON: {error}") from error
    if not isinstance(record, dict):
        raise ContractError(f"{path} holds a {type(record).__name__}; a {what} is one record")
    return record
