"""An archive behind a web server that does as it is told, and what tests ask of it."""

from __future__ import annotations

import io
import socket
import struct
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, cast

from typing_extensions import override
from waiting import PATIENCE

from champion.sources import udiff
from champion.sources.download.archive import Archive, RetryPolicy, Staged
from champion.sources.parse import parse
from champion.sources.publications import BHAVCOPY, bhavcopy_paths
from champion.sources.table import Publication, Published

SESSION = date(2024, 6, 25)
UNLIMITED = RetryPolicy(
    apart=0.0,
    attempts=3,
    first=0.01,
    longest=0.02,
    longest_asked=1.5,
    connect=PATIENCE,
    silence=PATIENCE,
    whole=PATIENCE,
)
"""No time limit: on a busy machine any answer may take seconds."""
SHORT_SILENCE = replace(UNLIMITED, silence=0.4)
"""For answers that do not arrive."""
SHORT_EXCHANGE = replace(UNLIMITED, whole=0.6)
"""For answers that do not end."""


def bhavcopy(session: date, symbol: str = "ACME") -> bytes:
    """Return a zipped UDiFF bhavcopy of one row."""
    header = udiff.HEADERS[1]
    given = {"TradDt": session.isoformat(), "Src": "NSE", "TckrSymb": symbol, "SctySrs": "EQ"}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(
            zipfile.ZipInfo("a.csv"),
            "\n".join([header, ",".join(given.get(name, "") for name in header.split(",")), ""]),
        )
    return stream.getvalue()


def _read_report(name: str, content: bytes, session: date) -> Published:
    """Read a dated report as the bhavcopy it holds."""
    return parse(f"{name}.zip", content, session)


REPORT = Publication("report", lambda session: [f"report_{session:%d%m%Y}.zip"], _read_report, answers_stale="report_")


@dataclass
class Server:
    """What came in, and what to answer: by default 404; `plans` hold for each path one answer a request."""

    url: str
    plans: dict[str, list[Callable[[BaseHTTPRequestHandler], None]]] = field(default_factory=dict)
    asked: list[tuple[str, float, dict[str, str]]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def plan(self, *answers: Callable[[BaseHTTPRequestHandler], None], path: str = "") -> None:
        """Answer the path (the session's bhavcopy) so, the last answer from then on."""
        self.plans[path or bhavcopy_paths(SESSION)[0]] = list(answers)

    def attempts(self, path: str = "") -> int:
        """Return how often the path was asked for."""
        return sum(one == (path or bhavcopy_paths(SESSION)[0]) for one, _, _ in self.asked)


def page(content: bytes, status: int = 200, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """Answer with these bytes; `length` promises another number of them."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", headers.get("length", str(len(content))))
        for name, value in headers.items():
            if name != "length":
                request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(content)
        request.close_connection = "length" in headers

    return answer


def hang(request: BaseHTTPRequestHandler) -> None:
    cast("Any", request).state.released.wait(PATIENCE)
    request.close_connection = True


def reset(request: BaseHTTPRequestHandler) -> None:
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.connection.close()
    request.close_connection = True


def drip(content: bytes, apart: float) -> Callable[[BaseHTTPRequestHandler], None]:
    """Answer a byte at a time."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        try:
            for byte in content:
                request.wfile.write(bytes([byte]))
                time.sleep(apart)
        except OSError:  # the client has had enough
            request.close_connection = True

    return answer


@contextmanager
def serving() -> Iterator[Server]:
    """A server on loopback, and nothing of it afterwards."""

    class _Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        state: ClassVar[Server]

        def do_GET(self) -> None:
            path = self.path.removeprefix("/")
            self.state.asked.append((path, time.monotonic(), dict(self.headers)))
            answers = self.state.plans.get(path, [page(b"<html>not found</html>", 404)])
            (answers.pop(0) if len(answers) > 1 else answers[0])(self)

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    listening.daemon_threads = True
    _Handler.state = Server(f"http://127.0.0.1:{listening.server_port}")
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield _Handler.state
    finally:
        _Handler.state.released.set()
        listening.shutdown()
        listening.server_close()
        thread.join()


def get(
    server: Server,
    staging: Path,
    publication: Publication = BHAVCOPY,
    *,
    refresh: bool = False,
    patience: RetryPolicy = UNLIMITED,
) -> Staged:
    with Archive(server.url, staging, patience=patience, max_bytes=100_000) as archive:
        return archive.fetch(SESSION, publication, refresh=refresh)


def kept(staging: Path) -> list[str]:
    """Return what lies in staging as a file of the exchange, whole or in part."""
    own = {"archive.json", ".lock"}
    return sorted(path.name for path in staging.rglob("*") if path.is_file() and path.name not in own)
