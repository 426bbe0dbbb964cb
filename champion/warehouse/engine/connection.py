"""Connections to the engine that are discarded after an error or an interruption.

chDB keeps the rows of a query that failed at run time in the buffer of its connection, and adds them to the next result
(chdb-core#214, chdb-core#215). A second connection to the same folder is not affected and costs 0.2 ms. So:

1. A connection is in use until its result is complete. Only then does it serve the next query.
2. After an error it is closed. The next query opens another one, with the same session settings and database.
3. The main thread waits for a query on a worker thread, because chDB does not return to Python before a query ends.
   An interruption kills the query from a second connection, and then discards the connection.

A server keeps no such rows, but a session that is still locked by the interrupted query. Its client therefore gets a
new session and new sockets, and the query is killed by its id.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_KILL_OTHERS = "kill query where query not ilike 'kill query%' async"
_KILL_WAIT = 30.0  # seconds until an interrupted query that does not stop is left to its thread
_KILL_PAUSE = 0.1
_WAKE = 0.1  # seconds
_GUARDED = (
    "command query query_arrow query_df query_df_arrow query_np raw_query raw_stream insert insert_arrow insert_df "
    "raw_insert data_insert query_row_block_stream query_rows_stream query_column_block_stream"
).split()


class EngineConnection:
    """Stands in for a `chdb.Connection`; opens a new one after each error or interruption."""

    def __init__(self, path: str, session: Sequence[str] = ()) -> None:
        self._connect: Callable[[], Any] = lambda: import_module("chdb").connect(path)  # the engine is 500 MB
        self._session = list(session)
        self._database = ""
        self._control = self._connect()  # keeps the engine open, and kills queries
        self._ready: Any = None

    def query(self, query: str | bytes, format: str = "CSV", params: Any = None) -> Any:  # noqa: A002 - chDB's names
        """Return the complete result of one statement.

        Raises:
            RuntimeError: the engine refused the statement; this connection is then not used again.
        """
        connection, self._ready = self._ready or self._open(), None
        answer = self._wait(_Running(connection, query, format, params))
        self._ready = connection
        if isinstance(query, str) and query.startswith("USE "):
            self._database = query
        return answer

    def send_query(self, query: str | bytes, format: str = "CSV", params: Any = None) -> Any:  # noqa: A002
        """Return the stream of one statement; no other statement uses its connection."""
        connection, self._ready = self._ready or self._open(), None
        return connection.send_query(query, format, params=params or {})

    def close(self) -> None:
        """Close all connections, and with them the engine."""
        for connection in (self._ready, self._control):
            _close(connection)
        self._ready = self._control = None

    def _open(self) -> Any:
        connection = self._connect()
        for statement in [*self._session, *filter(None, [self._database])]:
            connection.query(statement, "TabSeparated")
        return connection

    def _wait(self, running: _Running) -> Any:
        if threading.current_thread() is not threading.main_thread():  # only the main thread is interrupted
            running.run()
            return running.result()
        thread = threading.Thread(target=running.run, name="champion-query", daemon=True)
        try:
            thread.start()
            while not running.done.wait(_WAKE):  # a signal that another thread receives does not end a wait
                pass
        except BaseException:
            running.abandoned = True
            if thread.ident is not None:
                self._kill(running.done)
            if running.done.is_set() or thread.ident is None:  # otherwise the thread closes it when the query ends
                running.close()
            raise
        return running.result()

    def _kill(self, done: threading.Event) -> None:
        """Kill the running query; repeatedly, because a query that has just been sent is not listed yet."""
        deadline = time.monotonic() + _KILL_WAIT
        while not done.is_set() and time.monotonic() < deadline:
            with suppress(RuntimeError):
                self._control.query(_KILL_OTHERS, "TabSeparated")
            done.wait(_KILL_PAUSE)


class _Running:
    """One query on its connection, which is closed unless the result is complete and was not cancelled."""

    def __init__(self, connection: Any, query: str | bytes, form: str, params: Any) -> None:
        self._ask: Callable[[], Any] = lambda: connection.query(query, form, params=params or {})
        self._connection = connection
        self._answer: Any = None
        self._error: BaseException | None = None
        self.done = threading.Event()
        self.abandoned = False

    def run(self) -> None:
        try:
            self._answer = self._ask()
        except BaseException as error:  # noqa: BLE001 - raised by `result`, in the thread that waits
            self._error = error
        if self._error is not None or self.abandoned:
            self.close()
        self.done.set()

    def close(self) -> None:
        _close(self._connection)

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._answer


def keep_signals() -> None:
    """Leave the signal handlers of this process as they are; called before the engine is opened.

    Otherwise chDB replaces them, and an interruption does not reach Python.
    """
    import_module("chdb")._chdb.set_signal_handlers_enabled(0)  # noqa: SLF001 - the package has no public name for it


def install(client: Client, session: Sequence[str] = ()) -> None:
    """Give an embedded client an `EngineConnection`; `session` is executed on each new connection."""
    backend: Any = client._backend  # type: ignore[attr-defined] # noqa: SLF001 - the client has no public seam for it
    handle = backend._handle  # noqa: SLF001
    renewed = EngineConnection(backend.connection_string, session)
    first, handle.conn = handle.conn, renewed
    first.close()
    _bind_maps()


def guard_server(client: Client) -> Client:
    """Return the client of a server, with a new session and new sockets after each error or interruption."""
    for name in _GUARDED:
        if hasattr(client, name):
            setattr(client, name, _guard(client, getattr(client, name)))
    _bind_maps()
    return client


def _bind_maps() -> None:
    """Have the driver write a mapping as a Map, not as JSON text."""
    from clickhouse_connect import common  # noqa: PLC0415

    common.set_setting("dict_parameter_format", "map")


def _guard(client: Client, method: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        client.set_client_setting("query_id", str(uuid.uuid4()))
        try:
            return method(*arguments, **options)
        except BaseException as error:
            query_id = client.get_client_setting("query_id")
            _renew(client)
            if not isinstance(error, Exception):
                with suppress(Exception):  # the interruption is what counts; the server also stops at its time limit
                    client.raw_query.__wrapped__(f"kill query where query_id = '{query_id}' async")  # type: ignore[attr-defined]
            raise

    call.__wrapped__ = method  # type: ignore[attr-defined]
    return call


def _renew(client: Client) -> None:
    with suppress(Exception):
        pools: Any = client._backend.http.pools  # type: ignore[attr-defined] # noqa: SLF001 - below
        for key in pools.keys():  # noqa: SIM118 - not a mapping; urllib3 closes a pool that it drops only when collected
            pools.get(key).close()
        client.close_connections()
    for name in ("session_id", "query_id"):
        client.set_client_setting(name, str(uuid.uuid4()))


def _close(connection: Any) -> None:
    if connection is not None:
        with suppress(Exception):
            connection.close()
