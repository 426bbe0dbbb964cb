"""One deadline for a whole HTTP exchange: connecting, TLS, headers, body and redirects.

A timeout of httpx bounds one read. A server that sends a byte per second, or endless `100 Continue`, never exceeds it.
So a timer shuts the connection down at the deadline, and every step of the exchange checks the deadline.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import httpx

Trace = Callable[[str, Mapping[str, Any]], None]
"""The `trace` extension of a request: httpx calls it with the name and details of each step."""


class Connections:
    """The connections of one client; a deadline shuts down the connection in use."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    @contextmanager
    def within(self, seconds: float) -> Iterator[Trace]:
        """Yield the trace for the requests of one exchange, and abort it after `seconds`.

        Raises:
            httpx.ReadTimeout: the deadline has passed.
        """
        ends, expired = time.monotonic() + seconds, f"the answer takes too long: not whole after {seconds:g} s"
        timer = threading.Timer(seconds, self._shut_down)
        timer.daemon = True

        def trace(step: str, about: Mapping[str, Any]) -> None:
            if step == "connection.connect_tcp.complete":  # keep a second handle: TLS takes the first one over
                self.close()
                with self._lock:
                    connected = about["return_value"].get_extra_info("socket")
                    self._socket = socket.socket(fileno=os.dup(connected.fileno()))
            if time.monotonic() > ends:
                raise httpx.ReadTimeout(expired)

        timer.start()
        try:
            yield trace
        except httpx.TransportError as error:
            if time.monotonic() > ends:  # the error of a connection that was shut down depends on the step
                raise httpx.ReadTimeout(expired) from error
            raise
        finally:
            timer.cancel()

    def close(self) -> None:
        """Forget the connection."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            self._socket = None

    def _shut_down(self) -> None:
        with self._lock, suppress(OSError):  # closed in the meantime
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)
