"""A webhook on this machine: a real HTTP server that keeps what was posted to it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override


@dataclass
class Webhook:
    """Where it listens, what it answers, and what it got."""

    url: str = ""
    status: int = 200
    got: list[dict[str, Any]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, webhook: Webhook, *arguments: Any) -> None:
        self._webhook = webhook
        super().__init__(*arguments)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._webhook.got.append(json.loads(body))
        self.send_response(self._webhook.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def listening() -> Iterator[Webhook]:
    """Yield a webhook that listens on a free port."""
    webhook = Webhook()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, webhook))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    webhook.url = f"http://127.0.0.1:{server.server_port}/hook/secret-path"
    try:
        yield webhook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
