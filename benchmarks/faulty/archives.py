"""An archive that is down, silent, slow, cut, or lies: a folder behind a real HTTP server that answers as told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote

from flaky import listening
from typing_extensions import override

from champion.sources.download.staging import Staging
from champion.sources.download.transport import canonical
from champion.sources.publications import bhavcopy_paths
from faulty.cases import Case, Disturbed
from faulty.workspace import BEFORE, SESSION, Bench

GROUP, BASELINE = "archive", "http"
_PAGE = b"<!doctype html><html><body><h1>Service under maintenance</h1></body></html>"
_DRIP = 2.0  # seconds a slow answer takes
Answer = Callable[["_Request", "bytes | None"], None]


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, folder: Path, answer: Answer, *arguments: object) -> None:
        self.folder, self._answer = folder, answer
        super().__init__(*arguments)  # type: ignore[arg-type]  # the server's own three

    def do_GET(self) -> None:
        """Answer as the archive of this hour does."""
        self._answer(self, self.content(unquote(self.path).lstrip("/")))

    def content(self, path: str) -> bytes | None:
        """Return what the archive has there."""
        file = self.folder / path
        return file.read_bytes() if file.is_file() else None

    def send(self, status: int, body: bytes, length: int | None = None, pause: float = 0.0) -> None:
        """Send a body, whose header says `length`, in two pieces with a pause between."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        half = len(body) // 2
        self.wfile.write(body[:half])
        time.sleep(pause)
        self.wfile.write(body[half:])

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _well(request: _Request, content: bytes | None) -> None:
    request.send(404 if content is None else 200, content or b"")


def _silent(request: _Request, _: bytes | None) -> None:
    time.sleep(3)
    request.close_connection = True


def _slow(request: _Request, content: bytes | None) -> None:
    request.send(404 if content is None else 200, content or b"", pause=_DRIP)


def _resets(request: _Request, content: bytes | None) -> None:
    body = content or b""
    request.send(404 if content is None else 200, body[: len(body) // 2], len(body))
    request.close_connection = True


def _cuts(request: _Request, content: bytes | None) -> None:
    body = content or b""
    request.send(404 if content is None else 200, body[: len(body) // 2])


def _status(status: int, request: _Request, _: bytes | None) -> None:
    request.send(status, b"no")


def _page(request: _Request, _: bytes | None) -> None:
    request.send(200, _PAGE)


def _yesterday(request: _Request, content: bytes | None) -> None:
    """Answer a date with the session before, under the date's own name."""
    other = request.content(_of_before(unquote(request.path).lstrip("/")))
    _well(request, other if content is not None and other is not None else content)


def _stale_report(request: _Request, content: bytes | None) -> None:
    """Have no bhavcopy yet, and answer for the full report with yesterday's, as the exchange does."""
    if "/sec_bhavdata_full_" in request.path:
        _yesterday(request, content)
    else:
        _well(request, None if "/cm/" in request.path or "ind_close" in request.path else content)


def _of_before(path: str) -> str:
    for form in ("%Y%m%d", "%d%m%Y"):
        path = path.replace(f"{SESSION:{form}}", f"{BEFORE:{form}}")
    return path


@contextmanager
def served(bench: Bench, answer: Answer) -> Iterator[str]:
    """Yield the URL of the archive, always the same one; it is added to those of the workspace."""
    kept = bench.root / "port"
    wanted = int(kept.read_text()) if kept.exists() else 0
    with listening(partial(_Request, bench.archive, answer), wanted) as port:
        kept.write_text(str(port))
        yield f"http://127.0.0.1:{port}"


def _daily(bench: Bench, answer: Answer | None) -> Disturbed:
    with served(bench, answer or _well) as url:
        Staging(bench.settings.staging, canonical(url)).accept()
    variables = {"CHAMPION_ARCHIVE": url, "CHAMPION_ARCHIVE_PAUSE": "0", "CHAMPION_ARCHIVE_SILENCE": "0.5"}
    if answer is None:  # nobody listens
        return Disturbed(bench.run(bench.command, **variables))
    if answer is _slow:
        variables["CHAMPION_ARCHIVE_SILENCE"] = str(_DRIP + 2)
    with served(bench, answer):
        return Disturbed(bench.run(bench.command, **variables))


def cases() -> Iterator[Case]:
    """Yield what an archive does on a bad evening; the next run finds it well again."""
    first = bhavcopy_paths(SESSION)[0].rpartition("/")[2]
    ways: list[tuple[str, Answer | None, str]] = [
        ("down", None, "connections refused"),
        ("silent", _silent, "connections taken, nothing said"),
        ("slow", _slow, f"{_DRIP:g} s an answer"),
        ("reset in the middle", _resets, "half of what the header says, then closed"),
        ("truncating", _cuts, "half a file, as if it were whole"),
        ("answering 503", partial(_status, 503), ""),
        ("answering 403", partial(_status, 403), ""),
        ("answering HTML", _page, "a page with status 200 for everything"),
        ("answering with the session before", _yesterday, f"yesterday's bytes as {first}"),
        ("stale full report, no bhavcopy", _stale_report, "as before the day's publication"),
    ]
    for name, answer, detail in ways:
        yield Case(f"archive {name}", GROUP, partial(_daily, answer=answer), detail, baseline=BASELINE, again=rerun)


def rerun(bench: Bench) -> Disturbed:
    """Run the command on the same archive, which is well."""
    return _daily(bench, _well)
