"""Samples: one record per released schema version, in Avro's JSON encoding; the current contract reads them all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from champion.contracts.catalog import read_record
from champion.contracts.contract import NO_DEFAULT, Contract
from champion.contracts.encoding import encode, read_field
from champion.errors import ContractError


def path(schemas: Path, contract: Contract) -> Path:
    """Return the path of the sample of this schema version, as `samples/raw_equity_ohlc_v1.0.0.json`."""
    return schemas / "samples" / f"{contract.name}_v{contract.schema_version}.json"


def read(file: Path, contract: Contract) -> pl.DataFrame:
    """Return the sample as one row of the current contract; later fields have their defaults.

    Raises:
        ContractError: the record lacks a field without default, or has a field that the contract lacks.
    """
    record = read_record(file, "sample")
    if unknown := [name for name in record if name not in contract.polars_schema]:
        raise ContractError(f"{file} has fields that {contract.label} has not: {', '.join(unknown)}")
    try:
        row = {field["name"]: read_field(field, record) for field in _avro_fields(contract)}
        return contract.conform(pl.DataFrame([row], schema=contract.polars_schema))
    except (ContractError, AttributeError, TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        raise ContractError(f"{file} is not a record of {contract.label} in Avro's JSON encoding: {error}") from error


def text(row: Mapping[str, Any], contract: Contract) -> str:
    """Return one row as the text of a sample."""
    record = {field["name"]: encode(field["type"], row[field["name"]]) for field in _avro_fields(contract)}
    return json.dumps(record, indent=2) + "\n"


def _avro_fields(contract: Contract) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for field in contract.fields:
        avro = {"name": field.name, "type": ["null", field.avro] if field.nullable else field.avro}
        found.append(avro if field.default is NO_DEFAULT else avro | {"default": field.default})
    return found
