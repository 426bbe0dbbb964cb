"""A folder behind a real HTTP server: any way of answering, and an archive that fails requests at random."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

from typing_extensions import override

FAILURES = ("time-out", "429", "503", "500", "cut body", "reset")
Answer: TypeAlias = "Callable[[Request, bytes | None], None]"


class Request(BaseHTTPRequestHandler):
    """A request for a file of a folder; `answer` gets it with the content of the file, None if there is none."""

    protocol_version = "HTTP/1.1"

    def __init__(self, folder: Path, answer: Answer, *arguments: object) -> None:
        self.folder, self._answer = folder, answer
        super().__init__(*arguments)  # type: ignore[arg-type]  # the three arguments of the server

    def do_GET(self) -> None:
        """Answer."""
        self._answer(self, self.content(unquote(self.path).lstrip("/")))

    def content(self, path: str) -> bytes | None:
        """Return the content of a file of the folder."""
        file = self.folder / path
        return file.read_bytes() if file.is_file() else None

    def send(self, status: int, body: bytes, length: int | None = None, pause: float = 0.0, **headers: str) -> None:
        """Send a body in two pieces with a pause between; `length` is the length that the header states."""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body) if length is None else length)}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        half = len(body) // 2
        self.wfile.write(body[:half])
        time.sleep(pause)
        self.wfile.write(body[half:])

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


class Flaky:
    """Fails a share `rate` of the requests; `answers` counts the outcomes, `silence` is the seconds of a time-out."""

    def __init__(self, rate: float, silence: float, seed: int) -> None:
        self.rate, self.silence = rate, silence
        self.answers: Counter[str] = Counter()
        self._dice, self._lock = random.Random(seed), threading.Lock()  # noqa: S311 - failures, not secrets

    def answer(self, request: Request, content: bytes | None) -> None:
        """Answer with the file, with 404, or with a failure."""
        with self._lock:
            fate = self._dice.choice(FAILURES) if self._dice.random() < self.rate else "well"
            self.answers[fate] += 1
        if fate in {"time-out", "reset"}:
            time.sleep(self.silence if fate == "time-out" else 0)
            request.close_connection = True
        elif fate.isdecimal():
            headers: dict[str, Any] = {"Retry_After": "1"} if fate == "429" else {}
            request.send(int(fate), b"slow down", **headers)
        elif content is None:
            request.send(404, b"<html>not here</html>")
        elif fate == "cut body":
            request.send(200, content[: len(content) // 2], len(content))
            request.close_connection = True
        else:
            request.send(200, content)


@contextmanager
def served(folder: Path, answer: Answer, port: int = 0) -> Iterator[str]:
    """Yield the URL of a server on this machine, on a free port unless one is given."""
    server = ThreadingHTTPServer(("127.0.0.1", port), partial(Request, folder, answer))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
