"""A faulty archive (down, without answer, slow, truncated or wrong files): a folder behind a real HTTP server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from urllib.parse import unquote

from benchmarks.robustness.faulty.cases import Case, Disturbed
from benchmarks.robustness.faulty.workspace import BEFORE, SESSION, Bench
from benchmarks.robustness.flaky import Answer, Request, served
from champion.sources.download.staging import Staging
from champion.sources.download.transport import canonical
from champion.sources.publications import bhavcopy_paths

GROUP, BASELINE = "archive", "http"
_PAGE = b"<!doctype html><html><body><h1>Service under maintenance</h1></body></html>"
_DRIP = 2.0  # seconds a slow answer takes


def _well(request: Request, content: bytes | None) -> None:
    request.send(404 if content is None else 200, content or b"")


def _silent(request: Request, _: bytes | None) -> None:
    time.sleep(3)
    request.close_connection = True


def _slow(request: Request, content: bytes | None) -> None:
    request.send(404 if content is None else 200, content or b"", pause=_DRIP)


def _resets(request: Request, content: bytes | None) -> None:
    body = content or b""
    request.send(404 if content is None else 200, body[: len(body) // 2], len(body))
    request.close_connection = True


def _cuts(request: Request, content: bytes | None) -> None:
    body = content or b""
    request.send(404 if content is None else 200, body[: len(body) // 2])


def _status(status: int, request: Request, _: bytes | None) -> None:
    request.send(status, b"no")


def _page(request: Request, _: bytes | None) -> None:
    request.send(200, _PAGE)


def _yesterday(request: Request, content: bytes | None) -> None:
    """Answer with the file of the session before, under the name that was asked for."""
    other = request.content(_of_before(unquote(request.path).lstrip("/")))
    _well(request, other if content is not None and other is not None else content)


def _stale_report(request: Request, content: bytes | None) -> None:
    """Serve no bhavcopy, and for the full report serve the previous session's, as the exchange does."""
    if "/sec_bhavdata_full_" in request.path:
        _yesterday(request, content)
    else:
        _well(request, None if "/cm/" in request.path or "ind_close" in request.path else content)


def _of_before(path: str) -> str:
    for form in ("%Y%m%d", "%d%m%Y"):
        path = path.replace(f"{SESSION:{form}}", f"{BEFORE:{form}}")
    return path


@contextmanager
def _archive(bench: Bench, answer: Answer) -> Iterator[str]:
    """Yield the URL of the archive, which is the same in all cases."""
    kept = bench.root / "port"
    with served(bench.archive, answer, int(kept.read_text()) if kept.exists() else 0) as url:
        kept.write_text(url.rpartition(":")[2])
        yield url


def _with_archive(bench: Bench, answer: Answer | None) -> Disturbed:
    with _archive(bench, answer or _well) as url:
        Staging(bench.settings.staging, canonical(url)).accept()
    variables = {"CHAMPION_ARCHIVE": url, "CHAMPION_ARCHIVE_PAUSE": "0", "CHAMPION_ARCHIVE_SILENCE": "0.5"}
    if answer is None:  # no server
        return Disturbed(bench.run(bench.command, **variables))
    if answer is _slow:
        variables["CHAMPION_ARCHIVE_SILENCE"] = str(_DRIP + 2)
    with _archive(bench, answer):
        return Disturbed(bench.run(bench.command, **variables))


def cases() -> Iterator[Case]:
    """Yield an archive with each fault; in the next run it works again."""
    first = bhavcopy_paths(SESSION)[0].rpartition("/")[2]
    ways: list[tuple[str, Answer | None, str]] = [
        ("down", None, "connections refused"),
        ("silent", _silent, "connections accepted, no answer"),
        ("slow", _slow, f"{_DRIP:g} s an answer"),
        ("reset in the middle", _resets, "half of the length in the header, then closed"),
        ("truncating", _cuts, "half a file, with its length in the header"),
        ("answering 503", partial(_status, 503), ""),
        ("answering 403", partial(_status, 403), ""),
        ("answering HTML", _page, "a page with status 200 for everything"),
        ("answering with the session before", _yesterday, f"yesterday's bytes as {first}"),
        ("stale full report, no bhavcopy", _stale_report, "as before the day's publication"),
    ]
    for name, answer, detail in ways:
        yield Case(
            f"archive {name}", GROUP, partial(_with_archive, answer=answer), detail, baseline=BASELINE, again=rerun
        )


def rerun(bench: Bench) -> Disturbed:
    """Run the command on the same archive, which works again."""
    return _with_archive(bench, _well)
