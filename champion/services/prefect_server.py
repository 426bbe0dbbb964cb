"""Run Prefect's server as a process on a SQLite store that survives a power cut: `python -m` this module.

Prefect opens SQLite with `synchronous = NORMAL`: the last acknowledged transactions in its write-ahead log may be lost
in a power cut. With `FULL` each transaction is on disk before it is acknowledged.
"""

import sys
from typing import Any

from champion.base.gc_tuning import relax_gc


def make_durable() -> None:
    """Let each new connection of Prefect to SQLite write every transaction to disk.

    Prefect has no setting for this. It prepares each connection in one method, which this extends.
    """
    from prefect.server.database.configurations import AioSqliteConfiguration  # noqa: PLC0415 - takes seconds

    as_shipped = AioSqliteConfiguration.setup_sqlite

    def setup_sqlite(self: AioSqliteConfiguration, conn: Any, record: Any) -> None:
        as_shipped(self, conn, record)
        cursor = conn.cursor()
        cursor.execute("PRAGMA synchronous = FULL;")
        cursor.close()

    AioSqliteConfiguration.setup_sqlite = setup_sqlite  # type: ignore[method-assign]


def main() -> None:
    """Run `prefect` with the arguments of this process."""
    relax_gc()
    make_durable()
    from prefect.cli import app  # noqa: PLC0415

    sys.argv[0] = "prefect"
    app()


if __name__ == "__main__":
    main()
