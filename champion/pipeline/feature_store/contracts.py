"""Register custom feature sets, with contracts for their features and their state."""

import json
from pathlib import Path
from typing import Any

from champion import contracts, features
from champion.base import package_data
from champion.base.atomic_files import write_bytes
from champion.contracts import draft
from champion.errors import UsageError
from champion.features import FeatureSet
from champion.lake import Lake, backend


def declare(feature_set: FeatureSet, schemas: Path | None = None) -> list[Path]:
    """Register a feature set and write its missing contracts; return their files.

    Afterwards `build_features(lake, start, end, feature_set=version)` stores it and `lake.scan(feature_set.contract)`
    reads it. Existing contracts stay, with rules and docs that were added by hand. A set with recursive features that
    declare no state gets no contract for state, and is always built from all bars.

    Raises:
        UsageError: another set has the version or name, or the existing contract has other features.
    """
    feature_set = features.register(feature_set)  # this also finds out which features are recursive
    folder = schemas or package_data.folder("schemas")
    records = [features.record(feature_set), *([features.state_record(feature_set)] if feature_set.advances else [])]
    files = {folder / f"{record['name']}_v1.avsc": record for record in records}
    for file, record in files.items():
        if file.exists():
            _require_same_features(file, record)
    missing = [file for file in files if not file.exists()]
    for file in missing:
        write_bytes(file, draft.text(files[file]).encode(), shared=True)
    return missing


def ensure_contracts(lake: Lake, feature_set: str | FeatureSet) -> FeatureSet:
    """Return a feature set after its contracts are registered; the contracts of a custom set are stored in the lake.

    They are derived from the declaration at the first build. Any process that opens the lake can then read the
    features, even if it cannot import the set.

    Raises:
        UsageError: as `features.find`; or the lake holds other columns under the set's name; or the lake is in an
            object store, which keeps no contracts of custom sets.
    """
    chosen = features.find(feature_set)
    if not features.is_shipped(chosen):
        kept = package_data.folder("schemas")
        if backend.of(lake.root).is_remote:
            raise UsageError(
                f"the feature set {chosen.version!r} is custom, and {lake.root} keeps no contracts of custom sets: "
                "build it into a lake in a folder"
            )
        declare(chosen, kept if (kept / f"{chosen.contract}_v1.avsc").exists() else lake.contracts)
        contracts.add_search_path(lake.contracts)
    return chosen


def _require_same_features(file: Path, record: dict[str, Any]) -> None:
    present, wanted = (_columns(one) for one in (json.loads(file.read_text(encoding="utf-8")), record))
    if present != wanted:
        differing = sorted({str(column[0]) for column in {*present} ^ {*wanted}}) or ["their order"]
        raise UsageError(
            f"{file} holds other features ({', '.join(differing)}); give the changed set another name and version, "
            "or remove the file if nothing was ever stored under it"
        )


def _columns(record: dict[str, Any]) -> list[tuple[str, str, str | None, str | None]]:
    return [(f["name"], json.dumps(f["type"]), f.get("group"), f.get("unit")) for f in record["fields"]]
