"""The contracts there are: one file a version in `schemas/`, the latest version read unless another is asked for.

A lake can hold further ones, of feature sets that its owner declared (`also`).
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from champion import resources
from champion.contracts.contract import Contract, parse
from champion.errors import ContractError

_OTHERS: dict[Path, None] = {}  # folders, in the order they became known
_FILE = re.compile(r"(?P<name>[a-z][a-z0-9_]*)_v(?P<version>[1-9][0-9]*)\.avsc")


def names() -> list[str]:
    """Return the names of all contracts, without versions.

    >>> "normalized_equity_ohlc" in names()
    True
    """
    return sorted({name for name, _ in _known()})


def versions(name: str) -> list[int]:
    """Return the versions of contract `name`, oldest first; empty where there is no such contract.

    >>> 1 in versions("normalized_equity_ohlc")
    True
    """
    return sorted(version for found, version in _known() if found == name)


@cache
def load(name: str, version: int | None = None) -> Contract:
    """Return contract `name`, as `load("raw_equity_ohlc")`: its latest version, or the one asked for.

    Raises:
        ContractError: there is no such file, or it is not a contract.

    >>> load("normalized_equity_ohlc").key
    ('trade_date', 'instrument_id')
    """
    there = versions(name)
    chosen = version if version is not None else max(there, default=1)
    if chosen not in there:
        others = f"its versions are {there}" if there else f"there are: {', '.join(names())}"
        raise ContractError(f"no contract {name!r} version {chosen}; {others}")
    return parse(read(_known()[name, chosen]), chosen)


def also(folder: Path) -> None:
    """From now on know the contracts in `folder` too: a lake keeps those of its owner's feature sets in one.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:  # an empty one changes nothing
    ...     also(Path(folder))
    """
    _OTHERS[folder] = None


def _known() -> dict[tuple[str, int], Path]:
    """Return the files of all contracts, by name and version.

    Raises:
        ContractError: two folders have different contracts of one name.
    """
    known = files(resources.folder("schemas"))
    for folder in tuple(_OTHERS):  # another thread may add one
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
            raise ContractError(f"{path} is no contract's file name; it must be <layer>_<dataset>_v<N>.avsc")
        found[match["name"], int(match["version"])] = path
    return found


def read(path: Path) -> dict[str, Any]:
    """Return the Avro record in a contract file.

    Raises:
        ContractError: it is not JSON, or not the record that the file's name says.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ContractError(f"{path} is not JSON: {error}") from error
    if not isinstance(record, dict):
        raise ContractError(f"{path} holds a {type(record).__name__}; a contract is one record")
    if record.get("name") != path.stem.rpartition("_v")[0]:
        raise ContractError(f"{path} holds the record {record.get('name')!r}; file and record share one name")
    return dict(record)
