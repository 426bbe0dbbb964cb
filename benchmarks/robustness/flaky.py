"""A web archive with bad days: a folder behind a real HTTP server that fails requests at random, in six ways."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from typing_extensions import override

FAILURES = ("time-out", "429", "503", "500", "cut body", "reset")


class Flaky:
    """What the server does: `rate` of the requests fail; `answers` counts what it said, `silence` is in seconds."""

    def __init__(self, folder: Path, rate: float, silence: float, seed: int) -> None:
        self.folder, self.rate, self.silence = folder, rate, silence
        self.answers: Counter[str] = Counter()
        self._dice, self._lock = random.Random(seed), threading.Lock()  # noqa: S311 - bad luck, not secrets

    def fate(self) -> str:
        """Return how the next request fares."""
        with self._lock:
            fails = self._dice.random() < self.rate
            fate = self._dice.choice(FAILURES) if fails else "well"
            self.answers[fate] += 1
            return fate


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, flaky: Flaky, *arguments: object) -> None:
        self._flaky = flaky
        super().__init__(*arguments)  # type: ignore[arg-type]  # the server's own three

    def do_GET(self) -> None:
        """Answer with the file, with 404, or with today's trouble."""
        fate = self._flaky.fate()
        file = self._flaky.folder / unquote(self.path).lstrip("/")
        content = file.read_bytes() if file.is_file() else None
        if fate in {"time-out", "reset"}:
            time.sleep(self._flaky.silence if fate == "time-out" else 0)
            self.close_connection = True
        elif fate.isdecimal():
            self._send(int(fate), b"slow down", {"Retry-After": "1"} if fate == "429" else {})
        elif content is None:
            self._send(404, b"<html>not here</html>", {})
        elif fate == "cut body":
            self._send(200, content, {}, len(content) // 2)
            self.close_connection = True
        else:
            self._send(200, content, {})

    def _send(self, status: int, body: bytes, headers: dict[str, str], sent: int | None = None) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:sent])

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what was answered is counted."""


@contextmanager
def served(flaky: Flaky) -> Iterator[str]:
    """Yield the URL of the flaky archive, on a free port of this machine."""
    with listening(partial(_Handler, flaky)) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def listening(handler: Callable[..., BaseHTTPRequestHandler], port: int = 0) -> Iterator[int]:
    """Yield the port, a free one for 0, at which a server on this machine answers as `handler` does."""
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
