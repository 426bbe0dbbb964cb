"""A feature set of one's own in the pipeline: known by its version, with contracts for its features and its state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from champion import contracts, features
from champion.base import package_data
from champion.base.atomic_files import write_bytes
from champion.errors import UsageError
from champion.features import FeatureSet
from champion.lake import Lake, backend


def declare(feature_set: FeatureSet, schemas: Path | None = None) -> list[Path]:
    """Register a feature set and write the contracts it lacks; return their files.

    From then on `build_features(lake, start, end, feature_set=version)` stores it and `lake.scan(feature_set.contract)`
    reads it. Contracts that are there already stay, with the rules and docs written into them by hand. A set whose
    recursive features do not say what they carry gets no contract for state: it is always built from all bars.

    Raises:
        UsageError: the version or name is another set's, or the contract that is there has other features.
    """
    feature_set = features.register(feature_set)  # examined: which of its features are recursive is known now
    folder = schemas or package_data.folder("schemas")
    records = [features.record(feature_set)]
    if feature_set.advances:
        records.append(features.state_record(feature_set))
    files = {folder / f"{record['name']}_v1.avsc": record for record in records}
    for file, record in files.items():
        if file.exists():
            _require_same(file, record)
    missing = [file for file in files if not file.exists()]
    for file in missing:
        write_bytes(file, _text(files[file]).encode(), shared=True)
    return missing


def ensure_contracts(lake: Lake, feature_set: str | FeatureSet) -> FeatureSet:
    """Return the feature set, once the lake knows its contracts: those of one's own set are kept in the lake itself.

    They are derived from the declaration the first time it is built. Any process that opens the lake can then read the
    features, whether it can import the set or not.

    Raises:
        UsageError: as `features.find`, or the set's columns are not those that the lake holds under its name, or the
            lake is in an object store, which keeps no contracts of one's own.
    """
    chosen = features.find(feature_set)
    if not features.is_shipped(chosen):
        kept = package_data.folder("schemas")
        if backend.of(lake.root).is_remote:
            raise UsageError(
                f"the feature set {chosen.version!r} is not Champion's, and {lake.root} keeps no contracts of others: "
                "build it into a lake in a folder"
            )
        declare(chosen, kept if (kept / f"{chosen.contract}_v1.avsc").exists() else lake.contracts)
        contracts.add_search_path(lake.contracts)
    return chosen


def _require_same(file: Path, record: dict[str, Any]) -> None:
    found, wanted = (_columns(one) for one in (json.loads(file.read_text(encoding="utf-8")), record))
    if found != wanted:
        differing = sorted({str(column[0]) for column in {*found} ^ {*wanted}}) or ["their order"]
        raise UsageError(
            f"{file} holds other features ({', '.join(differing)}); give the changed set a name and version of "
            "its own, or remove the file if nothing was ever stored under it"
        )


def _columns(record: dict[str, Any]) -> list[tuple[str, str, str | None, str | None]]:
    return [(f["name"], json.dumps(f["type"]), f.get("group"), f.get("unit")) for f in record["fields"]]


def _text(record: dict[str, Any]) -> str:
    """Return a record with one field a line, as contracts are kept."""
    head = json.dumps({name: value for name, value in record.items() if name != "fields"}, indent=2)
    fields = ",\n".join(f"    {json.dumps(field, ensure_ascii=False)}" for field in record["fields"])
    return f'{head[:-2]},\n  "fields": [\n{fields}\n  ]\n}}\n'
