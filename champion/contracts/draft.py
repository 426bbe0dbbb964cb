"""Draft the contracts of a published file: Avro records for review, from its rows and existing contracts."""

import json
from collections.abc import Collection
from typing import Any

import polars as pl

from champion.base import package_data
from champion.contracts.catalog import files, read
from champion.contracts.datasets import QUARANTINED_BARS, RAW_BARS

_ENVELOPE = ("event_id", "event_time", "ingest_time", "source", "schema_version", "entity_id")
_DATE = {"type": "int", "logicalType": "date"}


def raw_record(dataset: str, rows: pl.DataFrame, dated: str, entity: Collection[str]) -> dict[str, Any]:
    """Return the Avro record of `raw_<dataset>`: the envelope, and one field for each column of text in `rows`.

    A column whose values are all whole numbers, decimals or ISO dates has that type; any other one is text. `dated` and
    `entity`, which together identify a row, are required; all other fields may be null. Units and rules are for the
    author to add: neither follows from one file.

    >>> rows = pl.DataFrame({"row_number": [2], "DATE": ["2024-06-03"], "SYMBOL": ["TCS"], "QTY": ["5"], "PX": ["1.5"]})
    >>> record = raw_record("block_deals", rows, "DATE", ["SYMBOL"])
    >>> record["key"], {field["name"]: field["type"] for field in record["fields"][7:]}
    (['DATE', 'SYMBOL'], {'SYMBOL': 'string', 'QTY': ['null', 'long'], 'PX': ['null', 'double']})
    """
    template = _existing(RAW_BARS)
    columns = rows.drop("row_number", strict=False)
    fields = [
        {"name": name, "type": required, "doc": f"{name}, as published."}
        if name in {dated, *entity}
        else {"name": name, "type": ["null", avro], "default": None, "doc": f"{name}, as published."}
        for name in columns.columns
        for avro in [_type(columns[name])]
        for required in [_DATE if name == dated else "string"]
    ]
    return template | {
        "name": f"raw_{dataset}", "doc": f"Rows of {dataset} as published.", "dataset": dataset,
        "schema_version": "1.0.0", "key": [dated, *entity], "session": dated, "partition_by": ["date"],
        "sort_by": list(entity), "rules": {},
        "fields": [*(field for field in template["fields"] if field["name"] in _ENVELOPE), *fields],
    }  # fmt: skip


def quarantine_record(dataset: str) -> dict[str, Any]:
    """Return the Avro record of `quarantine_<dataset>`: its fields are the same for every dataset.

    >>> quarantine_record("block_deals")["key"]
    ['session', 'stage', 'row_number']
    """
    doc = f"Rows of {dataset} refused on their way in, with the reasons: nothing is dropped."
    return _existing(QUARANTINED_BARS) | {"name": f"quarantine_{dataset}", "dataset": dataset, "doc": doc}


def text(record: dict[str, Any]) -> str:
    """Return a record in the layout of contract files, with one field per line.

    >>> text({"name": "n", "fields": [{"name": "a", "type": "int"}]}).splitlines()[-2:]
    ['  ]', '}']
    """
    head = json.dumps({name: value for name, value in record.items() if name != "fields"}, indent=2)
    fields = ",\n".join(f"    {json.dumps(field, ensure_ascii=False)}" for field in record["fields"])
    return f'{head[:-2]},\n  "fields": [\n{fields}\n  ]\n}}\n'


def _existing(name: str) -> dict[str, Any]:
    return read(files(package_data.folder("schemas"))[name, 1])


def _type(texts: pl.Series) -> str | dict[str, str]:
    """Return the narrowest Avro type that holds every text; text where there is none."""
    known = texts.drop_nulls()
    types = {"long": pl.Int64(), "double": pl.Float64()}
    if known.is_empty():
        return "string"
    for avro, dtype in types.items():
        if known.cast(dtype, strict=False).is_not_null().all():
            return avro
    return _DATE if known.str.to_date("%Y-%m-%d", strict=False).is_not_null().all() else "string"
