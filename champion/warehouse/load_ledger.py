"""The ledger of loads: the digest that each month of each table was loaded from. The last row of a month counts.

A load records a month twice: as unknown before it replaces the month, and with its digest afterwards. After a crash in
between, the month is loaded again.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date

from champion.base import clock
from champion.contracts import Contract
from champion.warehouse import months
from champion.warehouse.engine.database import DATABASE, Executor

_UNKNOWN = ""  # the digest of a month that is being replaced
_COLUMNS = {
    "dataset": "LowCardinality(String)",
    "partition": "UInt32",
    "digest": "String",
    "rows": "UInt64",
    "loaded_at": "DateTime64(3, 'UTC')",
}


def loaded_rows(client: Executor, contract: Contract, digests: Mapping[date, str]) -> dict[date, int]:
    """Return the number of rows of the months that were loaded from these digests and still hold all their rows."""
    recorded = client.query(
        f"select partition, digest, rows from {DATABASE}.loads final where dataset = {{dataset:String}}",  # noqa: S608 - our own name
        parameters={"dataset": contract.name},
    ).result_rows
    known = {(partition, digest): rows for partition, digest, rows in recorded}
    wanted = {month: known.get((months.number(month), digest)) for month, digest in digests.items()}
    same = {month: rows for month, rows in wanted.items() if rows is not None}
    if not same:
        return {}
    held = months.counts(client, contract, f"{DATABASE}.{contract.name}", months.within(contract, same))
    return {month: rows for month, rows in same.items() if held.get(month, 0) == rows}


def completed_months(client: Executor) -> Mapping[str, set[date]]:
    """Return the months of each dataset whose load was completed, even if the table has lost their rows since."""
    text = f"select dataset, partition from {DATABASE}.loads final where partition > 0 and digest != {{unknown:String}}"  # noqa: S608 - our own name
    found = defaultdict[str, set[date]](set)
    for dataset, partition in client.query(text, parameters={"unknown": _UNKNOWN}).result_rows:
        found[dataset].add(months.of(partition))
    return found


def start(client: Executor, contract: Contract, digests: Mapping[date, str]) -> None:
    """Record that these months are being replaced."""
    record(client, contract.name, {months.number(month): (_UNKNOWN, 0) for month in digests})


def complete(client: Executor, contract: Contract, digests: Mapping[date, str], rows: Mapping[date, int]) -> None:
    """Record the digests and numbers of rows of these months."""
    record(client, contract.name, {months.number(m): (digest, rows.get(m, 0)) for m, digest in digests.items()})


def record(client: Executor, dataset: str, loads: Mapping[int, tuple[str, int]]) -> None:
    """Record the digest and the number of rows of each partition of a dataset."""
    rows = [(dataset, partition, digest, count, clock.now()) for partition, (digest, count) in loads.items()]
    client.insert(f"{DATABASE}.loads", rows, column_names=list(_COLUMNS), column_type_names=list(_COLUMNS.values()))
