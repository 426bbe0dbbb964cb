"""The part that the embedded engine, a server and a cluster share: executor, database, and refusals as errors."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from champion.errors import WarehouseError

DATABASE = "champion_market"
_MESSAGE = 400
_LIMITS = {
    "TIMEOUT_EXCEEDED": "CHAMPION_QUERY_SECONDS is the limit",
    "MEMORY_LIMIT_EXCEEDED": "CHAMPION_QUERY_MEMORY, in MiB, is the limit",
    "TOO_MANY_ROWS_OR_BYTES": "CHAMPION_QUERY_MEMORY, in MiB, is the limit",
}
_NARROW = "select fewer rows or columns, or raise it"


class Executor(Protocol):
    """Executes statements: a client of the driver, or a `ClusterExecutor` that holds one."""

    database: str | None

    def command(
        self, cmd: str, parameters: dict[str, Any] | None = None, *, settings: dict[str, Any] | None = None
    ) -> Any:
        """Execute a statement and return the single value of its result, if it has one."""

    def query(
        self, query: str, parameters: dict[str, Any] | None = None, settings: dict[str, Any] | None = None
    ) -> Any:
        """Return the result of a statement; its `result_rows` are tuples."""

    def query_arrow(
        self, query: str, parameters: dict[str, Any] | None = None, *, use_strings: bool | None = None
    ) -> Any:
        """Return the result of a statement as an Arrow table; texts are bytes unless `use_strings`."""

    def raw_query(self, query: str, parameters: dict[str, Any] | None = None) -> bytes:
        """Return the result of a statement as text."""

    def insert(
        self,
        table: str,
        data: Sequence[Sequence[Any]],
        column_names: Sequence[str],
        *,
        column_type_names: Sequence[str] | None = None,
    ) -> Any:
        """Insert rows."""

    def insert_arrow(self, table: str, arrow_table: Any, *, settings: dict[str, Any] | None = None) -> Any:
        """Insert an Arrow table."""


@contextmanager
def refusals(action: str) -> Iterator[None]:
    """Turn an error of ClickHouse into a WarehouseError of one line that names the action."""
    from clickhouse_connect.driver.exceptions import ClickHouseError  # noqa: PLC0415 - a second to import

    try:
        yield
    except ClickHouseError as error:
        text = " ".join(str(error).split("Stack trace:")[0].split())
        short = text if len(text) <= _MESSAGE else f"{text[:_MESSAGE]}..."
        limit = next((f". {hint}: {_NARROW}" for code, hint in _LIMITS.items() if f"({code})" in text), "")
        raise WarehouseError(f"{action}: {short}{limit}") from error


def enter_database(client: Executor) -> None:
    """Make the warehouse's database the default of `client` if it exists."""
    if client.command(f"exists database {DATABASE}"):
        client.database = DATABASE
