"""Write the contracts of a feature set: the Avro records of its features and of its carried state."""

from __future__ import annotations

from typing import Any

import polars as pl

from champion.errors import UsageError
from champion.features import carry
from champion.features.sets import FeatureSet

_AVRO = {pl.Float64(): "double", pl.Float32(): "float", pl.Int64(): "long", pl.Int32(): "int", pl.Boolean(): "boolean"}
_DATE = {"type": "int", "logicalType": "date"}
_MOMENT = {"type": "long", "logicalType": "timestamp-millis"}
_ID = {"name": "instrument_id", "type": "string", "doc": "Stable name of the instrument."}
_SESSION = {"name": "trade_date", "type": _DATE, "doc": "The session."}
_VERSION = {"name": "feature_version", "type": "string", "low_cardinality": True, "doc": "Version of the feature set."}


def record(feature_set: FeatureSet, doc: str | None = None) -> dict[str, Any]:
    """Return the Avro record of the features, stored by session and group; add rules as needed.

    Raises:
        UsageError: the type of a feature has no Avro equivalent.

    >>> from champion.features.v1 import V1
    >>> avro = record(V1)
    >>> avro["name"], avro["partition_by"], avro["fields"][5]["name"]
    ('features_equity_indicators', ['year', 'month', 'day', 'feature_group'], 'sma_5')
    """
    first = "When the features could first be known: the close of the session."
    known = {"name": "feature_timestamp", "type": _MOMENT, "doc": first}
    symbol = {"name": "symbol", "type": "string", "doc": "Ticker symbol on the session."}
    features = [
        {**_nullable(f.name, f.dtype), "group": f.group, "unit": f.unit, "doc": f.doc} for f in feature_set.features
    ]
    head = _head(feature_set.contract, doc or f"Feature set {feature_set.version}; null while a window warms up.")
    layout = {"partition_by": ["year", "month", "day", "feature_group"], "sort_by": ["symbol", "instrument_id"]}
    kept = {"retention": {"keep_years": 1}, "rules": {}}
    return {**head, **layout, **kept, "fields": [_ID, symbol, _SESSION, known, _VERSION, *features]}


def state_record(feature_set: FeatureSet) -> dict[str, Any]:
    """Return the Avro record of the carried state.

    >>> from champion.features.v1 import V1
    >>> state_record(V1)["name"]
    'features_equity_indicators_state'
    """
    doc = (
        f"What feature set {feature_set.version} carries from session to session, of every instrument there ever was; "
        "only the last few sessions are kept."
    )
    layout = {"partition_by": ["date"], "sort_by": ["instrument_id"], "retention": {}, "rules": {}}
    seen = [
        {"name": "bars_seen", "type": "long", "doc": "Digest of the instrument's bars as traded, up to the session."},
        {"name": "actions_seen", "type": "long", "doc": "Digest of the factors that adjust them, up to the session."},
    ]
    carried = [_carried(name, dtype) for name, dtype in list(carry.schema(feature_set).items())[2:]]
    count = {"name": "bars", "type": "long", "unit": "1", "doc": "How many bars the instrument had."}
    fields = [_ID, _SESSION, _VERSION, *seen, count, *carried]
    return {**_head(feature_set.state_contract, doc), **layout, "fields": fields}


def _head(name: str, doc: str) -> dict[str, Any]:
    return {
        "type": "record", "name": name, "namespace": "champion", "doc": doc, "layer": "features",
        "dataset": name.removeprefix("features_"), "schema_version": "1.0.0",
        "key": ["trade_date", "instrument_id"], "session": "trade_date",
    }  # fmt: skip


def _carried(name: str, dtype: pl.DataType) -> dict[str, Any]:
    if isinstance(dtype, pl.List):
        inner = pl.Int64() if dtype.inner == pl.Int64 else pl.Float64()
        bar_column = name.removeprefix("recent_")
        doc = f"The instrument's last values of {bar_column}, oldest first."
        doc = doc if bar_column != name else "Carried values, newest first."
        return {"name": name, "type": {"type": "array", "items": _avro(inner, name)}, "default": [], "doc": doc}
    return {**_nullable(name, dtype), "doc": "Carried value of that name; null until it starts."}


def _nullable(name: str, dtype: pl.DataType) -> dict[str, Any]:
    return {"name": name, "type": ["null", _avro(dtype, name)], "default": None}


def _avro(dtype: pl.DataType, name: str) -> str:
    if dtype not in _AVRO:
        raise UsageError(f"{name} is {dtype}; features can be {', '.join(str(each) for each in _AVRO)}")
    return _AVRO[dtype]
