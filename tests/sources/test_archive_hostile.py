"""A hostile archive: endless answers, compressed answers of huge size, and links that lead out of its folder."""

from __future__ import annotations

import contextlib
import gzip
import os
import resource
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from itertools import chain, repeat
from pathlib import Path

import pytest
from archive_server import SESSION, SHORT_EXCHANGE, Server, bhavcopy, get, kept, page, serving

from champion.errors import ArchiveUnavailable, FormatError, SessionNotPublished
from champion.lake import Lake
from champion.pipeline.ingest import corporate_actions
from champion.settings import Settings
from champion.sources.download.archive import Archive
from champion.sources.publications import bhavcopy_paths

Answer = Callable[[BaseHTTPRequestHandler], None]
_PATH = bhavcopy_paths(SESSION)[0]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def slowly(*pieces: bytes, then: bytes, apart: float = 0.1) -> Answer:
    """Send the pieces, then one byte string again and again until the client hangs up."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        state: Server = request.state  # type: ignore[attr-defined]
        try:
            for piece in chain(pieces, repeat(then)):
                request.wfile.write(piece)
                request.wfile.flush()
                if state.released.wait(apart):
                    break
        except OSError:
            pass
        request.close_connection = True

    return answer


@pytest.mark.parametrize(
    "endless",
    [
        slowly(b"HTTP/1.1 200 OK\r\nX-Long: ", then=b"a"),
        slowly(then=b"HTTP/1.1 100 Continue\r\n\r\n"),
        slowly(b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n", then=b"a"),
        slowly(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", then=b"1\r\na\r\n"),
        slowly(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", then=b"x"),
        slowly(b"HTTP/1.1 503 Busy\r\nContent-Length: 900\r\n\r\n", then=b"a"),
        slowly(b"HTTP/1.1 302 Found\r\nLocation: /", then=b"a"),
    ],
    ids=["header", "100 Continue", "body", "chunks", "chunk extension", "error page", "redirect"],
)
def test_an_endless_answer_is_aborted_at_the_deadline(server: Server, tmp_path: Path, endless: Answer) -> None:
    """Each byte comes within the timeout of one read; only the whole exchange takes too long."""
    server.plan(endless)
    with pytest.raises(ArchiveUnavailable, match=r"takes too long|answered 503"):
        get(server, tmp_path, patience=SHORT_EXCHANGE)
    assert server.attempts() == SHORT_EXCHANGE.attempts
    server.plan(page(bhavcopy(SESSION)))
    assert get(server, tmp_path).path.read_bytes() == bhavcopy(SESSION)


def test_redirects_share_one_deadline(server: Server, tmp_path: Path) -> None:
    def redirect(request: BaseHTTPRequestHandler) -> None:
        server.released.wait(SHORT_EXCHANGE.whole / 2)
        page(b"", 302, Location=f"/{_PATH}")(request)

    server.plan(redirect)
    with pytest.raises(ArchiveUnavailable, match="takes too long"):
        get(server, tmp_path, patience=SHORT_EXCHANGE)


def _packed(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


def test_requests_ask_for_uncompressed_bytes(server: Server, tmp_path: Path) -> None:
    server.plan(page(gzip.compress(bhavcopy(SESSION)), Content_Encoding="gzip"))
    assert get(server, tmp_path).path.read_bytes() == bhavcopy(SESSION), "compressed once, it is read"
    assert server.asked[0][2]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("coding", ["gzip, gzip", "gzip,deflate", "br", "zstd", "gzip, identity, gzip"])
def test_an_unsupported_compression_is_refused(server: Server, tmp_path: Path, coding: str) -> None:
    bomb = _packed(_packed(bytes(50_000_000)))  # some hundred bytes
    server.plan(page(bomb, Content_Encoding=coding))
    with pytest.raises(FormatError, match="compressed as"):
        get(server, tmp_path)
    assert kept(tmp_path) == []


@pytest.mark.parametrize("status", [200, 404, 500])
def test_a_compressed_answer_is_read_in_bounded_memory(server: Server, tmp_path: Path, status: int) -> None:
    server.plan(page(_packed(bytes(300_000_000)), status, Content_Encoding="gzip"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises({200: FormatError, 404: SessionNotPublished, 500: ArchiveUnavailable}[status]):
        get(server, tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kB"
    assert [name for name in kept(tmp_path) if name != "bhavcopy-2024.json"] == []


@pytest.mark.parametrize("damage", [b"\x1f\x8bnonsense", gzip.compress(b"x" * 1000)[:-9]], ids=["no stream", "cut"])
def test_a_damaged_compressed_answer_is_retried(server: Server, tmp_path: Path, damage: bytes) -> None:
    server.plan(page(damage, Content_Encoding="gzip"), page(bhavcopy(SESSION)))
    assert get(server, tmp_path).path.read_bytes() == bhavcopy(SESSION)


def _mirror(root: Path) -> Path:
    """Return the session's file in a mirror in a folder."""
    file = root / _PATH
    file.parent.mkdir(parents=True)
    file.write_bytes(bhavcopy(SESSION))
    return file


@pytest.mark.parametrize("kind", ["file", "folder", "chain"])
def test_a_link_out_of_an_archive_folder_is_not_followed(tmp_path: Path, kind: str) -> None:
    root, outside = tmp_path / "mirror", tmp_path / "outside"
    file = _mirror(root)
    outside.mkdir()
    target = file.rename(outside / file.name)
    if kind == "folder":
        file.parent.rmdir()
        file.parent.symlink_to(outside)
    elif kind == "chain":
        (root / "between").symlink_to(target)
        file.symlink_to(root / "between")
    else:
        file.symlink_to(target)
    with Archive(str(root), tmp_path / "staging") as archive, pytest.raises(ArchiveUnavailable, match="leads out"):
        archive.fetch(SESSION)
    assert kept(tmp_path / "staging") == []


def test_links_inside_an_archive_folder_are_followed(tmp_path: Path) -> None:
    root = tmp_path / "mirror"
    file = _mirror(root)
    file.symlink_to(file.rename(root / "once"))
    with Archive(str(root), tmp_path / "staging") as archive:
        assert archive.fetch(SESSION).path.read_bytes() == bhavcopy(SESSION)


@pytest.mark.parametrize("through", ["archive", "lists"])
def test_a_linked_list_of_actions_is_not_staged(tmp_path: Path, through: str) -> None:
    folder = tmp_path / "mirror"
    lists = folder / "corporates"
    lists.mkdir(parents=True)
    secret = tmp_path / "secret.csv"
    secret.write_text("Plant3d\n")
    (lists / "CF-CA-equities-01-01-2024-to-31-01-2024.csv").symlink_to(secret)
    (other := tmp_path / "other").mkdir()
    own, archive = (str(folder), str(other)) if through == "lists" else (None, str(folder))
    settings = Settings(home=tmp_path / "home", archive=archive, lists=own)
    with pytest.raises(ArchiveUnavailable, match="leads out"):
        corporate_actions.refresh(settings)
    assert Lake(settings.lake).sessions("normalized_corporate_actions") == []
    files = [path for path in settings.home.rglob("*") if path.is_file() and path.suffix == ".csv"]
    assert files == []


def test_a_linked_file_of_decisions_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "mirror"
    (folder / "corporates").mkdir(parents=True)
    secret = tmp_path / "secret.csv"
    secret.write_text("Plant3d\n")
    (folder / "corporates" / "decisions.csv").symlink_to(secret)
    settings = Settings(home=tmp_path / "home", archive=str(folder))
    with pytest.raises(ArchiveUnavailable, match="leads out"):
        corporate_actions.decision_files(settings)


def test_a_pipe_is_not_an_archive_file(tmp_path: Path) -> None:
    file = _mirror(tmp_path / "mirror")
    file.unlink()
    os.mkfifo(file)
    with Archive(str(tmp_path / "mirror"), tmp_path / "staging") as archive, pytest.raises(SessionNotPublished):
        archive.fetch(SESSION)


def test_an_endless_tls_handshake_is_aborted(tmp_path: Path) -> None:
    ended = threading.Event()

    def drip(listening: socket.socket) -> None:
        while not ended.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 kB follows, a byte at a time
                while not ended.wait(0.1):
                    connection.sendall(b"\x02")

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        thread = threading.Thread(target=drip, args=(listening,))
        thread.start()
        address = f"https://127.0.0.1:{listening.getsockname()[1]}"
        try:
            with (
                Archive(address, tmp_path, patience=replace(SHORT_EXCHANGE, attempts=1)) as archive,
                pytest.raises(ArchiveUnavailable, match="takes too long"),
            ):
                archive.fetch(SESSION)
        finally:
            ended.set()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
