"""Months of a table: their names in the ledger, the condition that finds them, and how many rows each has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

from champion.base.clock import month_end

if TYPE_CHECKING:
    from champion.contracts import Contract
    from champion.warehouse.engine.database import Executor


def number(month: date) -> int:
    """Return a month as the ledger and `toYYYYMM` write it.

    >>> number(date(2024, 2, 1))
    202402
    """
    return month.year * 100 + month.month


def of(number: int) -> date:
    """Return the month that such a number names.

    >>> of(202402)
    datetime.date(2024, 2, 1)
    """
    return date(number // 100, number % 100, 1)


def ranges(months: Iterable[date]) -> Iterator[tuple[date, date]]:
    """Yield the first and last day of each run of months without a gap, in order.

    >>> list(ranges([date(2024, 1, 1), date(2023, 12, 1)]))
    [(datetime.date(2023, 12, 1), datetime.date(2024, 1, 31))]
    """
    first = last = None
    for month in sorted(months):
        if first is None or last is None or month != last + timedelta(days=1):
            if first is not None and last is not None:
                yield first, last
            first = month
        last = month_end(month)
    if first is not None and last is not None:
        yield first, last


def within(contract: Contract, months: Iterable[date]) -> str:
    """Return the condition for these months, by ranges: each part knows the first and last session it holds."""
    found = [f"{contract.session} between '{first}' and '{last}'" for first, last in ranges(months)]
    return f"({' or '.join(found) or 'false'})"


def label(months: Sequence[date]) -> str:
    """Return how a message names these months, which are in order.

    >>> label([date(2023, 12, 1), date(2024, 1, 1)])
    '202312 to 202401'
    """
    first, last = number(months[0]), number(months[-1])
    return f"{first}" if first == last else f"{first} to {last}"


def counts(client: Executor, contract: Contract, table: str, where: str) -> dict[date, int]:
    """Return the rows of each month of `table` that has rows for which `where` holds."""
    text = f"select toYYYYMM({contract.session}) as month, count() from {table} where {where} group by month"  # noqa: S608 - our own names
    return {of(month): int(rows) for month, rows in client.query(text).result_rows}
