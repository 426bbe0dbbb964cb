"""From the bytes of a downloaded file to the text in it, refusing whatever is not what its name says."""

from __future__ import annotations

import io
import zipfile
import zlib

from champion.errors import FormatError

_MAX_TEXT = 64 * 1024 * 1024  # the largest real file has 0.5 MB
_SIGNATURES = {b"PK\x03\x04": "a zip", b"<": "an HTML page", b"%PDF": "a PDF", b"\x1f\x8b": "a gzip file"}


def text(name: str, content: bytes) -> str:
    """Return the CSV text inside `content`, unzipped where the name says .zip.

    Raises:
        FormatError: the bytes are not what the name says, or not one CSV of reasonable size.
    """
    if name.endswith(".zip"):
        content = _only_member(name, content)
    if kind := _kind(content):
        raise FormatError(f"{name}: expected CSV text, found {kind}")
    if len(content) > _MAX_TEXT:
        raise FormatError(f"{name}: {len(content):,} bytes of text, at most {_MAX_TEXT:,} are read")
    if b"\0" in content:
        raise FormatError(f"{name}: NUL bytes in what should be CSV text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{name}: not UTF-8 text ({error.reason} at byte {error.start})") from error


def check_signature(name: str, content: bytes) -> None:
    """Refuse bytes that are not what `name` says, before they get a final name.

    Raises:
        FormatError: an HTML error page under a .zip name, a spreadsheet under .csv, nothing at all.
    """
    kind = _kind(content)
    expected = "a zip" if name.endswith(".zip") else ""
    if not content or kind != expected:
        raise FormatError(
            f"{name}: expected {expected or 'CSV text'}, found {kind or 'text' if content else 'no bytes'}"
        )


def _kind(content: bytes) -> str:
    start = content[:64].lstrip()
    return next((kind for magic, kind in _SIGNATURES.items() if start.startswith(magic)), "")


def _only_member(name: str, content: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if len(members) != 1:
                raise FormatError(f"{name}: expected one file inside, found {[m.filename for m in members][:5]}")
            with archive.open(members[0]) as stream:  # read in memory: a member's path is never used
                found = stream.read(_MAX_TEXT + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise FormatError(f"{name}: not a readable zip ({error}); fetch it again") from error
    return found
