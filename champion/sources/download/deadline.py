"""One deadline over a whole HTTP exchange: connecting, TLS, headers, body and redirects.

A time-out of httpx bounds one read. A server that sends one byte a second, or `100 Continue` without end, never exceeds
it. So a timer shuts the connection down when the time is over, and every step of the exchange asks whether it is.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import httpx

Trace = Callable[[str, Mapping[str, Any]], None]
"""What httpx calls with the name and the details of each step (the `trace` extension of a request)."""


class Connections:
    """The connections of one client, so that a deadline can shut down the one in use."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    @contextmanager
    def within(self, seconds: float) -> Iterator[Trace]:
        """Yield the trace for the requests of one exchange, which is cut off after `seconds`.

        Raises:
            httpx.ReadTimeout: the time is over, whatever the exchange was waiting for.
        """
        ends, expired = time.monotonic() + seconds, f"the answer takes too long: not whole after {seconds:g} s"
        timer = threading.Timer(seconds, self._shut_down)
        timer.daemon = True

        def trace(step: str, about: Mapping[str, Any]) -> None:
            if step == "connection.connect_tcp.complete":
                self._hold(about["return_value"])
            if time.monotonic() > ends:
                raise httpx.ReadTimeout(expired)

        timer.start()
        try:
            yield trace
        except httpx.TransportError as error:
            if time.monotonic() > ends:  # what a connection that was shut down ends with differs by the step
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

    def _hold(self, stream: Any) -> None:
        """Keep a second handle of the connection: TLS takes the first one over."""
        self.close()
        with self._lock:
            self._socket = socket.socket(fileno=os.dup(stream.get_extra_info("socket").fileno()))

    def _shut_down(self) -> None:
        with self._lock, suppress(OSError):  # closed in the meantime
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)
