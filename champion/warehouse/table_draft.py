"""Draft the table of a contract: the SQL of the migration that creates it."""

from champion.contracts import Contract
from champion.contracts.datasets import is_list
from champion.warehouse.engine.database import DATABASE

_INDEX = "index idx_instrument instrument_id type minmax granularity 1"


def draft(contract: Contract) -> str:
    """Return the migration that creates the warehouse's table of a contract, with its columns, rules and order.

    The rows of one subject lie together, by session, in partitions of a year and granules of 1,024 rows, so that a
    query for one symbol reads little. A list is stored by the day on which it was read. A later row of a key replaces
    the earlier one, except in tables of features and raw rows, which a load replaces as a whole.

    >>> from champion import contracts
    >>> print(draft(contracts.load("normalized_index_ohlc")).splitlines()[-2])
    order by (index_id, trade_date)
    """
    columns = [f"{name} {kind}{_codec(kind)}" for name, kind in contract.clickhouse_columns.items()]
    if contract.layer == "features":
        columns.append("computed_at DateTime default now()")  # when it was loaded; no field of the contract
    checks = {rule: f"ifNull({text}, true)" for rule, text in contract.rules.items()}
    if floats := [field.name for field in contract.fields if field.types.polars.is_float()]:
        checks["numbers_are_known"] = " and ".join(f"ifNull(isFinite({name}), true)" for name in floats)
    order = _order(contract)
    indices = [_INDEX] if "instrument_id" in contract.clickhouse_columns and order[0] == "symbol" else []
    lines = [*columns, *indices, *(f"constraint {rule} check {check}" for rule, check in checks.items())]
    partition, settings = f"toYear({contract.session})", "min_bytes_for_wide_part = 10485760, index_granularity = 1024"
    if is_list(contract.name):
        partition, settings = f"toYYYYMM({contract.session})", "min_bytes_for_wide_part = 268435456"
    engine = "ReplacingMergeTree(ingest_time)" if _replaces(contract) else "MergeTree"
    body = ",\n".join(f"    {line}" for line in lines)
    return (
        f"-- {contract.doc}\ncreate table if not exists {DATABASE}.{contract.name}\n(\n{body}\n)\n"
        f"engine = {engine}\npartition by {partition}\norder by ({', '.join(order)})\n"
        f"settings ttl_only_drop_parts = 1, {settings};\n"
    )


def _replaces(contract: Contract) -> bool:
    return contract.layer not in {"features", "raw"} and "ingest_time" in contract.clickhouse_columns


def _order(contract: Contract) -> list[str]:
    if is_list(contract.name):
        return list(contract.key)
    subject, *others = contract.sort_by
    last = ["feature_timestamp"] if contract.layer == "features" else [*others, *contract.key]
    return list(dict.fromkeys([subject, contract.session, *last]))


def _codec(kind: str) -> str:
    if kind in {"UUID", "Bool"} or kind.startswith("LowCardinality"):
        return ""
    return " codec(Delta, ZSTD(1))" if kind.removeprefix("Nullable(").startswith("Date") else " codec(ZSTD(1))"
