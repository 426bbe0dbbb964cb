"""Copy files from an archive: a folder, `file://` or `http(s)://`, with the exchange's paths.

Requests ask for uncompressed bytes. If a server compresses them nevertheless, one layer of compression is accepted. The
reader limits the decompressed size, so the whole body is never in memory.
"""

import os
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import SystemRandom
from typing import BinaryIO
from urllib.parse import SplitResult, unquote, urlsplit

import httpx

from champion.errors import ArchiveUnavailable, FormatError, UsageError
from champion.sources.download import deadline
from champion.sources.download.retry_policy import Failure, RetryPolicy, retry_after, wait

MAX_BYTES = 64 * 1024 * 1024  # the largest file the archive publishes has a few MB
_CHUNK = 1024 * 1024
_HOPS = 3  # redirects on one host that are followed
_HEADERS = {  # the exchange answers browsers only
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36",
    "Referer": "https://www.nseindia.com/all-reports",
    "Accept": "*/*",
    "Accept-Encoding": "identity",  # published files are packed already
}
_PORTS = {"http": 80, "https": 443}
_CODINGS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


def connect(base: str, patience: RetryPolicy, max_bytes: int) -> "Folder | Web":
    """Return the transport for the archive at `base`, without a request.

    Raises:
        UsageError: `base` is neither an existing folder nor a supported URL.
    """
    parts = parse_address(base)
    address = canonical(base)
    if parts.scheme in _PORTS:
        if not parts.hostname or parts.query or parts.fragment:
            raise UsageError(f"archive {base!r}: expected a host and a path, nothing after the path")
        return Web(address, patience, max_bytes)
    if parts.netloc not in {"", "localhost"}:
        raise UsageError(f"archive {base!r}: a file:// URL with a host; expected file:///path")
    folder = Path(unquote(parts.path) if parts.scheme else base)
    with suppress(OSError):  # longer than a name can be
        if folder.is_dir():
            return Folder(folder, max_bytes)
    raise UsageError(f"archive {base!r}: no such folder; set CHAMPION_ARCHIVE or run `champion simulate`")


def parse_address(base: str) -> SplitResult:
    """Return the parts of an archive's address.

    Raises:
        UsageError: its scheme is not supported, or it contains credentials, which the message leaves out.
    """
    try:
        parts = urlsplit(base)
    except ValueError as error:  # brackets
        raise UsageError(f"archive: neither a folder nor a URL ({error})") from error
    if "@" in parts.netloc:
        raise UsageError(
            "archive: the URL contains credentials, which would appear in records and logs. Leave them out"
        )
    if parts.scheme not in {"", "file", *_PORTS}:
        raise UsageError(f"archive {base!r}: expected a folder, file://, http:// or https://")
    return parts


def canonical(base: str) -> str:
    """Return one spelling per archive: a folder and its `file://` URL are the same archive.

    >>> canonical("file:///srv/nse/"), canonical("/srv/nse"), canonical("HTTPS://Example.com:443/nse/")
    ('file:///srv/nse', 'file:///srv/nse', 'https://example.com/nse')

    Raises:
        UsageError: it is neither a folder's name nor a URL.
    """
    if not base.strip():
        raise UsageError("archive: the address is empty; expected a folder, file://, http:// or https://")
    try:
        parts = urlsplit(base)
        if parts.scheme not in _PORTS:
            return Path(unquote(parts.path) if parts.scheme else base).resolve().as_uri()
        port = "" if parts.port in {None, _PORTS[parts.scheme]} else f":{parts.port}"
    except (ValueError, OSError, RuntimeError) as error:  # brackets, ports, NUL; too long; circular links
        raise UsageError(f"archive {base!r} is neither a folder nor a URL ({error})") from error
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path.rstrip('/')}"


class Folder:
    """An archive in a local folder. `base` is its canonical address."""

    remote = False

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.base = canonical(str(folder))
        self._folder = folder
        self._max_bytes = max_bytes

    def copy(self, path: str, into: BinaryIO) -> bool:
        """Write the file's bytes to `into` and return True; return False if there is no such file.

        Raises:
            ArchiveUnavailable: it cannot be read, or a link leads out of the archive.
            FormatError: it is too large.
        """
        file = self._folder / path
        if not file.is_file():
            return False
        self._require_inside(file)
        _copy(path, self._chunks(file), into, self._max_bytes)
        return True

    def names(self, pattern: str) -> list[str]:
        """Return the paths that match, in order.

        Raises:
            ArchiveUnavailable: a link leads out of the archive.
        """
        found = sorted(self._folder.glob(pattern))
        for path in found:
            self._require_inside(path)
        return [path.relative_to(self._folder).as_posix() for path in found]

    def _require_inside(self, file: Path) -> Path:
        """Return the real path of a file, which must be in the archive's folder."""
        root, real = self._folder.resolve(), file.resolve()
        if not real.is_relative_to(root):
            raise ArchiveUnavailable(
                f"{file} leads out of the archive by a link, to {real}. Replace the link by the file; nothing is kept"
            )
        return real

    def _chunks(self, file: Path) -> Iterator[bytes]:
        """Yield the bytes of a file, after checking that the open file is in the archive, even if links change."""
        try:
            with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
                opened, inside = os.fstat(stream.fileno()), self._require_inside(file).stat()
                if not os.path.samestat(opened, inside):
                    raise ArchiveUnavailable(f"{file}: changed while it was opened; nothing is kept, fetch it again")
                yield from iter(lambda: stream.read(_CHUNK), b"")
        except OSError as error:
            raise ArchiveUnavailable(
                f"{file}: cannot be read ({error.strerror}); is the folder mounted and readable for you?"
            ) from error

    def close(self) -> None:
        """Do nothing: a folder needs no connection."""


class Web:
    """An archive behind HTTP. `base` is its canonical address."""

    remote = True

    def __init__(self, base: str, patience: RetryPolicy, max_bytes: int) -> None:
        self.base = base
        self._patience = patience
        self._max_bytes = max_bytes
        self._client: httpx.Client | None = None
        self._connections = deadline.Connections()
        self._last_request = 0.0
        self._random = SystemRandom()

    def copy(self, path: str, into: BinaryIO) -> bool:
        """Write the file's bytes to `into` and return True; return False if the archive answers that there is none.

        Raises:
            ArchiveUnavailable: it did not answer, or refused, in all attempts.
            FormatError: the answer is too large.
        """
        url = f"{self.base}/{path}"
        attempt = 0
        while True:
            attempt += 1
            outcome = self._request(url, into)
            if not isinstance(outcome, Failure):
                return outcome
            seconds = wait(outcome, attempt, self._patience, self._random.random())
            if seconds is None:
                asked = "" if outcome.retry_after is None else f", to be asked again in {outcome.retry_after:.0f} s"
                raise ArchiveUnavailable(
                    f"{url}: {outcome.reason}{asked} (attempt {attempt}, the last); "
                    "403 and 429 mean slow down, 5xx and time-outs try again later"
                )
            time.sleep(seconds)

    def names(self, pattern: str) -> list[str]:  # noqa: ARG002
        """Return no paths: a URL cannot be listed."""
        return []

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._client is not None:
            self._client.close()
        self._connections.close()

    def _request(self, url: str, into: BinaryIO) -> bool | Failure:
        into.seek(0)
        into.truncate()  # an earlier attempt may have left part of a body
        try:
            with self._connections.within(self._patience.whole) as trace, self._response(url, trace) as response:
                if response.status_code == httpx.codes.OK:
                    _copy(url, _pieces(response), into, self._max_bytes)
                    return True
                _drain(response)
                if response.status_code == httpx.codes.NOT_FOUND:
                    return False
                asked = retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
                return Failure(f"answered {response.status_code}", response.status_code, asked)
        except (httpx.TransportError, httpx.DecodingError) as error:
            return Failure(f"{type(error).__name__} {error}")

    @contextmanager
    def _response(self, url: str, trace: deadline.Trace) -> Iterator[httpx.Response]:
        """Yield the response, its body unread, after redirects within the archive's host."""
        if self._client is None:
            timeout = httpx.Timeout(self._patience.silence, connect=self._patience.connect)
            self._client = httpx.Client(headers=_HEADERS, timeout=timeout)
        client = self._client
        request = client.build_request("GET", url, extensions={"trace": trace})
        for _ in range(_HOPS + 1):
            time.sleep(max(0.0, self._last_request + self._patience.apart - time.monotonic()))
            self._last_request = time.monotonic()
            response = client.send(request, stream=True)
            try:
                if response.next_request is None:
                    yield response
                    return
            finally:
                response.close()
            request = response.next_request
            _check_host(url, request.url)
        raise ArchiveUnavailable(f"{url}: redirected more than {_HOPS} times; try again later")


def _pieces(response: httpx.Response) -> Iterator[bytes]:
    """Yield the body, decoded, in pieces of at most 1 MiB.

    Raises:
        FormatError: it is compressed twice, or in an unsupported way.
        httpx.DecodingError: the compressed bytes are damaged.
    """
    named = [one.strip().lower() for one in response.headers.get("Content-Encoding", "").split(",")]
    codings = [one for one in named if one not in {"", "identity"}]
    if len(codings) > 1 or not set(codings) <= set(_CODINGS):
        raise FormatError(
            f"{response.url}: the body is compressed as {', '.join(codings)}; it was requested uncompressed, and at "
            f"most one of {', '.join(sorted(_CODINGS))} is read. Nothing is kept"
        )
    raw = response.iter_raw(_CHUNK)
    return _decompressed(raw, _CODINGS[codings[0]]) if codings else raw


def _decompressed(chunks: Iterable[bytes], window: int) -> Iterator[bytes]:
    """Yield the decompressed bytes; ignore bytes after the end of the compressed stream."""
    decoder = zlib.decompressobj(window)
    try:
        for chunk in chunks:
            waiting = chunk
            while waiting and not decoder.eof:
                yield decoder.decompress(waiting, _CHUNK)
                waiting = decoder.unconsumed_tail
        yield decoder.flush()
    except zlib.error as error:
        raise httpx.DecodingError(str(error)) from error
    if not decoder.eof:
        raise httpx.DecodingError("the compressed body is cut short")


def _drain(response: httpx.Response) -> None:
    """Read a short page to its end, so that the connection can be used again; leave a long one."""
    if int(response.headers.get("Content-Length", _CHUNK)) < _CHUNK:
        with suppress(httpx.TransportError):  # the status is enough
            for _ in response.iter_raw():
                pass


def _copy(name: str, chunks: Iterable[bytes], into: BinaryIO, max_bytes: int) -> None:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise FormatError(
                f"{name}: more than {max_bytes:,} bytes; no published file is that large, nothing is kept"
            )
        into.write(chunk)


def _check_host(url: str, target: httpx.URL) -> None:
    asked, found = urlsplit(url), urlsplit(str(target))
    try:
        is_other = _host(found) != _host(asked)
    except ValueError:  # an invalid port
        is_other = True
    if is_other and (found.scheme, found.netloc) != ("https", asked.hostname):
        raise ArchiveUnavailable(
            f"{url}: redirected to {found.scheme}://{found.netloc}{found.path}, which is not the archive: "
            "a login, consent or error page? Open the address in a browser; nothing is kept"
        )


def _host(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
