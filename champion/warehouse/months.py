"""Months of a table: their numbers in the ledger, the condition that selects them, and their row counts."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta

from champion.base.clock import month_end
from champion.contracts import Contract
from champion.warehouse.engine.database import Executor


def number(month: date) -> int:
    """Return the number of a month in the ledger, as `toYYYYMM` returns it.

    >>> number(date(2024, 2, 1))
    202402
    """
    return month.year * 100 + month.month


def of(number: int) -> date:
    """Return the month of such a number.

    >>> of(202402)
    datetime.date(2024, 2, 1)
    """
    return date(number // 100, number % 100, 1)


def ranges(months: Iterable[date]) -> Iterator[tuple[date, date]]:
    """Yield the first and last day of each run of consecutive months, in order.

    >>> list(ranges([date(2024, 1, 1), date(2023, 12, 1)]))
    [(datetime.date(2023, 12, 1), datetime.date(2024, 1, 31))]
    """
    found: list[tuple[date, date]] = []
    for month in sorted(months):
        first = found.pop()[0] if found and month == found[-1][1] + timedelta(days=1) else month
        found.append((first, month_end(month)))
    yield from found


def within(contract: Contract, months: Iterable[date]) -> str:
    """Return the SQL condition for these months, as ranges, which ClickHouse compares with each part's bounds."""
    found = [f"{contract.session} between '{first}' and '{last}'" for first, last in ranges(months)]
    return f"({' or '.join(found) or 'false'})"


def label(months: Sequence[date]) -> str:
    """Return the name of these months in messages; they must be in order.

    >>> label([date(2023, 12, 1), date(2024, 1, 1)])
    '202312 to 202401'
    """
    first, last = number(months[0]), number(months[-1])
    return f"{first}" if first == last else f"{first} to {last}"


def counts(client: Executor, contract: Contract, table: str, where: str) -> dict[date, int]:
    """Return the number of rows of `table` that satisfy `where`, for each month that has some."""
    text = f"select toYYYYMM({contract.session}) as month, count() from {table} where {where} group by month"  # noqa: S608 - our own names
    return {of(month): int(rows) for month, rows in client.query(text).result_rows}
