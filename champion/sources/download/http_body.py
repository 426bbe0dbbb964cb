"""Decode the body of an HTTP answer in pieces.

Requests ask for uncompressed bytes. If a server compresses them nevertheless, one layer of compression is accepted. The
reader limits the decompressed size, so the whole body is never in memory.
"""

import zlib
from collections.abc import Iterable, Iterator

import httpx

from champion.errors import FormatError

_CHUNK = 1024 * 1024
_GZIP, _DEFLATE = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS
_CODINGS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _DEFLATE}


def pieces(response: httpx.Response) -> Iterator[bytes]:
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
