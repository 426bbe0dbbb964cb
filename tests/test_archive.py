"""Fetching over HTTP: a real server that misbehaves in every way the exchange's does, and what reached it."""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import socket
import struct
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given, strategies as st
from typing_extensions import override

from champion.errors import ArchiveUnavailable, FormatError, SessionNotPublished, UsageError, WrongSession
from champion.sources import container, udiff
from champion.sources.archive import Archive, Patience, Staged, find_staged
from champion.sources.parse import parse
from champion.sources.patience import Failure, wait
from champion.sources.publications import BHAVCOPY, Publication, bhavcopy_paths
from champion.sources.table import Published

SESSION = date(2024, 6, 25)
HURRIED = Patience(
    apart=0.0, attempts=3, first=0.01, longest=0.02, longest_asked=1.5, connect=1.0, silence=0.4, whole=0.6
)


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


# A server that does as it is told


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
    time.sleep(2 * HURRIED.silence)
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


@pytest.fixture
def server() -> Iterator[Server]:
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
    yield _Handler.state
    _Handler.state.released.set()
    listening.shutdown()
    listening.server_close()
    thread.join()


def get(server: Server, staging: Path, publication: Publication = BHAVCOPY, *, refresh: bool = False) -> Staged:
    with Archive(server.url, staging, patience=HURRIED, max_bytes=100_000) as archive:
        return archive.fetch(SESSION, publication, refresh=refresh)


def kept(staging: Path) -> list[str]:
    """Return what lies in staging as a file of the exchange, whole or in part."""
    own = {"archive.json", ".lock"}
    return sorted(path.name for path in staging.rglob("*") if path.is_file() and path.name not in own)


# What goes out


def test_the_archive_is_asked_like_a_browser_and_not_too_often(server: Server, tmp_path: Path) -> None:
    server.plan(page(bhavcopy(SESSION)))
    patience = Patience(apart=0.2)
    with Archive(server.url, tmp_path, patience=patience) as archive:
        archive.fetch(SESSION)
        with pytest.raises(SessionNotPublished, match="Sunday 2024-06-23"):
            archive.fetch(date(2024, 6, 23))
    paths, times, headers = zip(*server.asked, strict=True)
    assert list(paths) == [bhavcopy_paths(SESSION)[0], *bhavcopy_paths(date(2024, 6, 23))]
    assert all(later - earlier > 0.15 for earlier, later in pairwise(times))
    assert times[-1] - times[0] > 0.35
    assert {one["User-Agent"].split("/")[0] for one in headers} == {"Mozilla"}
    assert {one["Referer"] for one in headers} == {"https://www.nseindia.com/all-reports"}


def test_the_file_lands_whole_with_its_record(server: Server, tmp_path: Path) -> None:
    server.plan(page(bhavcopy(SESSION)))
    staged = get(server, tmp_path)
    assert staged.path.read_bytes() == bhavcopy(SESSION)
    assert staged.origin == f"{server.url}/{bhavcopy_paths(SESSION)[0]}"
    assert find_staged(tmp_path, SESSION) == staged == get(server, tmp_path)
    assert server.attempts() == 1
    name = Path(bhavcopy_paths(SESSION)[0]).name
    assert kept(tmp_path) == [name.replace(".zip", ".json"), name]


# What helps when asked again


@pytest.mark.parametrize(
    "trouble",
    [
        page(b"busy", 503),
        page(b"<html>error</html>", 500),
        page(b"slow down", 429),
        page(b"forbidden", 403),
        page(bhavcopy(SESSION)[:100], length=str(len(bhavcopy(SESSION)))),
        hang,
        reset,
        drip(bhavcopy(SESSION), 0.05),
    ],
    ids=["503", "500", "429", "403", "cut short", "hangs", "reset", "drips"],
)
def test_trouble_that_passes_is_waited_out(
    server: Server, tmp_path: Path, trouble: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    server.plan(trouble, page(bhavcopy(SESSION)))
    assert get(server, tmp_path).path.read_bytes() == bhavcopy(SESSION)
    assert server.attempts() == 2


@pytest.mark.parametrize(
    ("trouble", "attempts", "says"),
    [
        (page(b"busy", 503), 3, "answered 503"),
        (page(b"slow down", 429), 3, "answered 429"),
        (page(b"forbidden", 403), 2, "answered 403"),
        (page(b"teapot", 418), 1, "answered 418"),
        (page(b"", 429, Retry_After="3600"), 1, "asked again in 3600 s"),
        (page(bhavcopy(SESSION)[:100], length="500"), 3, "RemoteProtocolError"),
        (hang, 3, "ReadTimeout"),
        (reset, 3, "Error"),
        (drip(bhavcopy(SESSION), 0.05), 3, "takes too long"),
    ],
    ids=["503", "429", "403", "418", "long Retry-After", "cut short", "hangs", "reset", "drips"],
)
def test_trouble_that_stays_is_given_up(
    server: Server, tmp_path: Path, trouble: Callable[[BaseHTTPRequestHandler], None], attempts: int, says: str
) -> None:
    server.plan(trouble)
    with pytest.raises(ArchiveUnavailable, match=says):
        get(server, tmp_path)
    assert server.attempts() == attempts == len(server.asked)
    assert kept(tmp_path) == []


@pytest.mark.parametrize("kind", ["seconds", "date"])
def test_retry_after_is_honoured(server: Server, tmp_path: Path, kind: str) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=1.5)
    dated = format_datetime(moment, usegmt=True)  # cut to the second: 0.5 to 1.5 seconds from now
    server.plan(page(b"", 429, Retry_After="1" if kind == "seconds" else dated), page(bhavcopy(SESSION)))
    get(server, tmp_path)
    first, second = (moment for _, moment, _ in server.asked)
    assert second - first > 1.0 if kind == "seconds" else datetime.now(UTC) >= moment.replace(microsecond=0)
    assert second - first > 2 * HURRIED.longest


def test_nobody_there_is_unavailable(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        Archive(f"http://127.0.0.1:{port}", tmp_path, patience=HURRIED) as archive,
        pytest.raises(ArchiveUnavailable, match="ConnectError"),
    ):
        archive.fetch(SESSION)


@given(
    status=st.sampled_from([None, 403, 408, 418, 429, 500, 503, 599]),
    asked=st.none() | st.floats(0, 1e6),
    attempt=st.integers(1, 12),
    chance=st.floats(0, 1),
)
def test_a_wait_is_bounded_and_no_shorter_than_asked_for(
    status: int | None, asked: float | None, attempt: int, chance: float
) -> None:
    patience = Patience(attempts=10)
    seconds = wait(Failure("", status, asked), attempt, patience, chance)
    if seconds is None:
        assert attempt >= patience.attempts_refused or status == 418 or (asked or 0) > patience.longest_asked
    else:
        assert attempt < 10
        assert (asked or 0) <= seconds <= max(asked or 0, min(patience.longest, 2.0 ** (attempt - 1)))


# What is no file


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"\n <!DOCTYPE html><html>busy</html>", "expected a zip, found an HTML page"),
        (b"%PDF-1.4", "found a PDF"),
        (b"a,b,c\n1,2,3\n", "found text"),
        (b"", "no bytes"),
        (bhavcopy(SESSION)[:-30], "not a readable zip"),
        (bytes(100_001), "more than 100,000 bytes"),
    ],
    ids=["HTML", "PDF", "CSV", "empty", "cut off at the source", "oversize"],
)
def test_what_is_not_what_its_name_says_is_refused(server: Server, tmp_path: Path, content: bytes, found: str) -> None:
    server.plan(page(content))
    with pytest.raises(FormatError, match=found):
        get(server, tmp_path)
    assert server.attempts() == 1
    assert kept(tmp_path) == []


def test_a_spreadsheet_under_a_csv_name_is_refused(server: Server, tmp_path: Path) -> None:
    server.plan(page(bhavcopy(SESSION)), path="lists/symbolchange.csv")
    with Archive(server.url, tmp_path, patience=HURRIED) as archive:
        with pytest.raises(FormatError, match="expected CSV text, found a zip"):
            archive.fetch_list("lists/symbolchange.csv")
        assert archive.fetch_list("lists/EQUITY_L.csv") is None
    assert kept(tmp_path) == []


def test_a_redirect_elsewhere_is_not_followed(server: Server, tmp_path: Path) -> None:
    server.plan(page(b"", 302, Location="http://localhost:9/login?next=file"))
    with pytest.raises(ArchiveUnavailable, match="redirected to http://localhost:9/login, which is not the archive"):
        get(server, tmp_path)
    assert len(server.asked) == 1


def test_a_redirect_on_the_same_host_is_followed_but_not_in_circles(server: Server, tmp_path: Path) -> None:
    server.plan(page(b"", 301, Location="/moved.zip"))
    server.plan(page(bhavcopy(SESSION)), path="moved.zip")
    assert get(server, tmp_path).name == Path(bhavcopy_paths(SESSION)[0]).name
    server.plan(page(b"", 301, Location="/moved.zip"), path="moved.zip")
    with pytest.raises(ArchiveUnavailable, match="more than 3 times"):
        get(server, tmp_path, refresh=True)


# The session's own file


def test_the_session_before_once_more_is_no_session(server: Server, tmp_path: Path) -> None:
    path = REPORT.paths(SESSION)[0]
    server.plan(page(bhavcopy(SESSION - timedelta(days=4))), path=path)
    with pytest.raises(SessionNotPublished):
        get(server, tmp_path, REPORT)
    for other in (SESSION + timedelta(days=1), SESSION - timedelta(days=400)):
        server.plan(page(bhavcopy(other)), path=path)
        with pytest.raises(WrongSession, match=f"asked for session 2024-06-25, the file is dated {other}"):
            get(server, tmp_path, REPORT, refresh=True)
    assert not list(tmp_path.rglob("report_*"))


def test_another_sessions_bhavcopy_is_an_error(server: Server, tmp_path: Path) -> None:
    server.plan(page(bhavcopy(SESSION - timedelta(days=1))))
    with pytest.raises(WrongSession, match="the file is dated 2024-06-24"):
        get(server, tmp_path)
    assert kept(tmp_path) == []


def test_a_corrected_file_is_kept_beside_the_first(server: Server, tmp_path: Path) -> None:
    server.plan(page(bhavcopy(SESSION)), page(bhavcopy(SESSION, "OTHER")))
    first = get(server, tmp_path)
    second = get(server, tmp_path, refresh=True)
    third = get(server, tmp_path, refresh=True)
    assert (first.name, second.path.name) == (second.name, f"{first.path.name}.r1")
    assert second == third == find_staged(tmp_path, SESSION)
    assert container.text("a.zip", first.path.read_bytes()) != container.text("a.zip", second.path.read_bytes())


# What is not asked again


def test_an_absent_date_is_remembered_well_after_the_session(server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(SessionNotPublished):
            get(server, tmp_path)
    assert len(server.asked) == len(bhavcopy_paths(SESSION))
    with pytest.raises(SessionNotPublished, match="refresh asks again"):
        get(server, tmp_path)
    more = Publication("bhavcopy", lambda session: [*bhavcopy_paths(session), "elsewhere.zip"], parse)
    with pytest.raises(SessionNotPublished, match="not published yet"):
        get(server, tmp_path, more)  # a place that was not looked at
    server.plan(page(bhavcopy(SESSION)))
    staged = get(server, tmp_path, refresh=True)
    staged.path.unlink()
    assert get(server, tmp_path) == staged


def test_an_absent_date_of_late_is_asked_for_again(server: Server, tmp_path: Path) -> None:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    for _ in range(2):
        with Archive(server.url, tmp_path, patience=HURRIED) as archive, pytest.raises(SessionNotPublished):
            archive.fetch(yesterday)
    assert len(server.asked) == 2 * len(bhavcopy_paths(yesterday))


def test_one_archives_holidays_are_not_anothers(server: Server, tmp_path: Path) -> None:
    with pytest.raises(SessionNotPublished):
        get(server, tmp_path)
    server.plan(page(bhavcopy(SESSION)), path=f"mirror/{bhavcopy_paths(SESSION)[0]}")
    with Archive(f"{server.url}/mirror/", tmp_path, patience=HURRIED) as archive:
        assert archive.fetch(SESSION).path.exists()
    with pytest.raises(UsageError, match="CHAMPION_HOME"):
        get(server, tmp_path, refresh=True)


# Processes


def _fetch(url: str, staging: Path) -> None:
    with Archive(url, staging, patience=Patience(apart=0.0, silence=10.0)) as archive:
        archive.fetch(SESSION, refresh=True)


def _started(server: Server, staging: Path) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("spawn").Process(target=_fetch, args=(server.url, staging))
    process.start()
    return process


def test_killed_in_the_middle_of_a_download(server: Server, tmp_path: Path) -> None:
    content = bhavcopy(SESSION)

    def half(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content[: len(content) // 2])
        request.wfile.flush()
        server.released.wait(20)
        request.close_connection = True

    server.plan(half, page(content))
    process = _started(server, tmp_path)
    while not server.asked or not list(tmp_path.rglob("*.part")):
        assert process.is_alive()
        time.sleep(0.01)
    with Archive(server.url, tmp_path, patience=HURRIED) as archive:  # a living process keeps its part
        assert archive.fetch(SESSION).path.read_bytes() == content
    assert len(list(tmp_path.rglob("*.part"))) == 1
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    left = list(tmp_path.rglob("*.part"))
    assert len(left) == 1
    assert find_staged(tmp_path, SESSION) is not None
    assert get(server, tmp_path, refresh=True).path.read_bytes() == content
    assert not left[0].exists()


def test_two_processes_keep_both_of_what_they_got(server: Server, tmp_path: Path) -> None:
    together = threading.Barrier(2)

    def after_the_other(content: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
        def answer(request: BaseHTTPRequestHandler) -> None:
            together.wait(20)
            page(content)(request)

        return answer

    server.plan(after_the_other(bhavcopy(SESSION)), after_the_other(bhavcopy(SESSION, "OTHER")))
    processes = [_started(server, tmp_path) for _ in range(2)]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    names = [name for name in kept(tmp_path) if not name.endswith(".json")]
    assert names == [Path(bhavcopy_paths(SESSION)[0]).name, Path(bhavcopy_paths(SESSION)[0]).name + ".r1"]
    contents = {(tmp_path / "content" / "cm" / name).read_bytes() for name in names}
    assert contents == {bhavcopy(SESSION), bhavcopy(SESSION, "OTHER")}
    assert find_staged(tmp_path, SESSION) is not None
