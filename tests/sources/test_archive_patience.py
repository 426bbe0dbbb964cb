"""Retries: temporary and permanent failures, killed and concurrent downloads."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from archive_server import (
    SESSION,
    SHORT_EXCHANGE,
    SHORT_SILENCE,
    UNLIMITED,
    Server,
    bhavcopy,
    drip,
    get,
    hang,
    kept,
    page,
    reset,
    serving,
)
from hypothesis import given, strategies as st
from waiting import PATIENCE

from champion.errors import ArchiveUnavailable
from champion.sources.download.archive import Archive, RetryPolicy, find_staged
from champion.sources.download.retry_policy import Failure, wait
from champion.sources.publications import bhavcopy_paths

drips = drip(bhavcopy(SESSION), 0.05)
LIMITS = {hang: SHORT_SILENCE, drips: SHORT_EXCHANGE}


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


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
        drips,
    ],
    ids=["503", "500", "429", "403", "cut short", "hangs", "reset", "drips"],
)
def test_a_temporary_failure_is_retried(
    server: Server, tmp_path: Path, trouble: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    limited = LIMITS.get(trouble)
    patience = replace(limited, attempts=100) if limited else UNLIMITED  # the good answer may be late too
    server.plan(trouble, page(bhavcopy(SESSION)))
    assert get(server, tmp_path, patience=patience).path.read_bytes() == bhavcopy(SESSION)
    assert server.attempts() >= 2 if limited else server.attempts() == 2


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
        (drips, 3, "takes too long"),
    ],
    ids=["503", "429", "403", "418", "long Retry-After", "cut short", "hangs", "reset", "drips"],
)
def test_a_permanent_failure_is_an_error_after_the_last_attempt(
    server: Server, tmp_path: Path, trouble: Callable[[BaseHTTPRequestHandler], None], attempts: int, says: str
) -> None:
    server.plan(trouble)
    with pytest.raises(ArchiveUnavailable, match=says):
        get(server, tmp_path, patience=LIMITS.get(trouble, UNLIMITED))
    assert server.attempts() == attempts == len(server.asked)
    assert kept(tmp_path) == []


@pytest.mark.parametrize("kind", ["seconds", "date"])
def test_retry_after_is_honoured(server: Server, tmp_path: Path, kind: str) -> None:
    named: list[datetime] = []

    def later(request: BaseHTTPRequestHandler) -> None:
        named.append((datetime.now(UTC) + timedelta(seconds=1.5)).replace(microsecond=0))  # 0.5 to 1.5 seconds from now
        value = "1" if kind == "seconds" else format_datetime(named[0], usegmt=True)
        page(b"", 429, Retry_After=value)(request)

    server.plan(later, page(bhavcopy(SESSION)))
    get(server, tmp_path)
    first, second = (moment for _, moment, _ in server.asked)
    assert second - first > 1.0 if kind == "seconds" else datetime.now(UTC) >= named[0]


def test_a_server_that_does_not_listen_is_unavailable(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        Archive(f"http://127.0.0.1:{port}", tmp_path, patience=UNLIMITED) as archive,
        pytest.raises(ArchiveUnavailable, match="ConnectError"),
    ):
        archive.fetch(SESSION)


@given(
    status=st.sampled_from([None, 403, 408, 418, 429, 500, 503, 599]),
    asked=st.none() | st.floats(0, 1e6),
    attempt=st.integers(1, 12),
    chance=st.floats(0, 1),
)
def test_waits_are_bounded_and_respect_retry_after(
    status: int | None, asked: float | None, attempt: int, chance: float
) -> None:
    patience = RetryPolicy(attempts=10)
    seconds = wait(Failure("", status, asked), attempt, patience, chance)
    if seconds is None:
        assert attempt >= patience.attempts_refused or status == 418 or (asked or 0) > patience.longest_asked
    else:
        assert attempt < 10
        assert (asked or 0) <= seconds <= max(asked or 0, min(patience.longest, 2.0 ** (attempt - 1)))


def _fetch(url: str, staging: Path) -> None:
    with Archive(url, staging, patience=UNLIMITED) as archive:
        archive.fetch(SESSION, refresh=True)


def _started(server: Server, staging: Path) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("spawn").Process(target=_fetch, args=(server.url, staging))
    process.start()
    return process


def test_parts_of_a_killed_download_are_removed(server: Server, tmp_path: Path) -> None:
    content = bhavcopy(SESSION)

    def half(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content[: len(content) // 2])
        request.wfile.flush()
        server.released.wait(PATIENCE)
        request.close_connection = True

    server.plan(half, page(content))
    process = _started(server, tmp_path)
    while not server.asked or not list(tmp_path.rglob("*.part")):
        assert process.is_alive()
        time.sleep(0.01)
    with Archive(server.url, tmp_path, patience=UNLIMITED) as archive:  # a living process keeps its part
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


def test_two_processes_keep_both_revisions(server: Server, tmp_path: Path) -> None:
    together = threading.Barrier(2)

    def after_the_other(content: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
        def answer(request: BaseHTTPRequestHandler) -> None:
            together.wait(PATIENCE)
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
