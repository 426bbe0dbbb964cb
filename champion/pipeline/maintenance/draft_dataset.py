"""Draft the files that a new dataset needs and that follow from its declaration: contracts, samples, migration."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

from champion import contracts, features
from champion.base import clock, package_data
from champion.base.atomic_files import write_bytes
from champion.contracts import draft, samples
from champion.errors import FormatError, UsageError
from champion.pipeline.feature_store.contracts import declare
from champion.pipeline.ingest.datasets import DATASET_SPECS, DatasetSpec
from champion.pipeline.ingest.parse_file import parse_file
from champion.sources import Published
from champion.sources.download.staging_records import Staged
from champion.warehouse import migrations, table_draft


def draft_feature_set(version: str) -> list[Path]:
    """Write the missing contracts and the missing migration of a feature set; return the files written.

    Raises:
        UsageError: there is no such feature set, or its contract has other features; or it is the name of a dataset.
    """
    if any(spec.dataset == version for spec in DATASET_SPECS):
        raise UsageError(f"dataset {version} needs a published file: champion schema draft {version} FILE SESSION")
    chosen = features.find(version)
    return [*declare(chosen), *_write(_migration(chosen.contract))]


def draft_dataset(name: str, file: Path, session: date) -> list[Path]:
    """Write what a dataset of daily files lacks, from a published `file` of `session`; return the files written.

    The first call writes the raw and the quarantine contract. Their author reviews types, units and rules. The next one
    writes a sample for each contract, and the migration that creates the table in the warehouse. What exists stays.

    Raises:
        UsageError: no `DatasetSpec` has the name, the normalized contract is missing, or there is no such file.
        FormatError: the file is not in the publication's format, or none of its rows keeps the contracts.
    """
    spec = next((spec for spec in DATASET_SPECS if spec.dataset == name), None)
    if spec is None:
        known = ", ".join(dict.fromkeys(spec.dataset for spec in DATASET_SPECS))
        raise UsageError(f"no dataset {name!r} is declared in champion/pipeline/ingest/datasets.py; it has: {known}")
    if spec.normalized not in contracts.names():
        raise UsageError(f"write schemas/{spec.normalized}_v1.avsc first: the contract defines what a row means")
    if not file.is_file():
        raise UsageError(f"{file} is no file; give a file of {session} as {spec.publication.name} is published")
    content = file.read_bytes()
    published = spec.publication.read(file.name, content, session)
    if written := _write(_contracts(spec, published, session)):
        return written
    origin = Staged(file, session, hashlib.sha256(content).hexdigest(), clock.now(), file.name)
    return _write(_samples(spec, content, published, origin) | _migration(spec.normalized))


def _contracts(spec: DatasetSpec, published: Published, session: date) -> dict[Path, str]:
    columns = published.rows.drop("row_number")
    dated = next(name for name in columns.columns if session.isoformat() in columns[name])
    records = draft.raw_record(spec.dataset, columns, dated, spec.entity), draft.quarantine_record(spec.dataset)
    return {package_data.folder("schemas") / f"{record['name']}_v1.avsc": draft.text(record) for record in records}


def _samples(spec: DatasetSpec, content: bytes, published: Published, origin: Staged) -> dict[Path, str]:
    whole = parse_file(content, origin, spec)
    # One field too many: the line is refused, and so becomes the sample of the quarantine.
    lines = published.lines.str.strip_chars_end("\r").to_list()
    lines[1] += ","
    refused = parse_file("\n".join(lines).encode(), replace(origin, origin=origin.name.removesuffix(".zip")), spec)
    if whole.normalized.is_empty():
        first = whole.quarantine.row(0, named=True)
        raise FormatError(f"{origin.name}: no row keeps the contracts; line {first['row_number']}: {first['reasons']}")
    frames = {spec.raw: whole.raw, spec.normalized: whole.normalized, spec.quarantine: refused.quarantine}
    schemas, known = package_data.folder("schemas"), {name: contracts.load(name) for name in frames}
    rows = {name: frame.row(0, named=True) for name, frame in frames.items()}
    return {samples.path(schemas, known[name]): samples.text(row, known[name]) for name, row in rows.items()}


def _migration(name: str) -> dict[Path, str]:
    if name in migrations.datasets():
        return {}
    file = package_data.folder("sql") / "migrations" / f"{len(migrations.shipped()) + 1:04d}_{name}.sql"
    return {file: table_draft.draft(contracts.load(name))}


def _write(texts: Mapping[Path, str]) -> list[Path]:
    missing = [path for path in texts if not path.exists()]
    for path in missing:
        write_bytes(path, texts[path].encode(), shared=True)
    return missing
