"""Fetch over HTTP from a real server that fails in the ways the exchange's does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from archive_server import REPORT, SESSION, UNLIMITED, Server, bhavcopy, get, kept, page, serving

from champion.errors import ArchiveUnavailable, FormatError, SessionNotPublished, UsageError, WrongSession
from champion.sources import Published, container
from champion.sources.download.archive import Archive, RetryPolicy, find_staged
from champion.sources.parse import parse
from champion.sources.publications import bhavcopy_paths
from champion.sources.table import Publication


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def test_requests_look_like_a_browser_and_are_paced(server: Server, tmp_path: Path) -> None:
    server.plan(page(bhavcopy(SESSION)))
    patience = RetryPolicy(apart=0.2)
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


def test_a_fetched_file_is_complete_and_has_a_record(server: Server, tmp_path: Path) -> None:
    server.plan(page(bhavcopy(SESSION)))
    staged = get(server, tmp_path)
    assert staged.path.read_bytes() == bhavcopy(SESSION)
    assert staged.origin == f"{server.url}/{bhavcopy_paths(SESSION)[0]}"
    assert find_staged(tmp_path, SESSION) == staged == get(server, tmp_path)
    assert server.attempts() == 1
    name = Path(bhavcopy_paths(SESSION)[0]).name
    assert kept(tmp_path) == [name.replace(".zip", ".json"), name]


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
def test_content_that_does_not_match_its_name_is_refused(
    server: Server, tmp_path: Path, content: bytes, found: str
) -> None:
    server.plan(page(content))
    with pytest.raises(FormatError, match=found):
        get(server, tmp_path)
    assert server.attempts() == 1
    assert kept(tmp_path) == []


def test_a_spreadsheet_under_a_csv_name_is_refused(server: Server, tmp_path: Path) -> None:
    server.plan(page(bhavcopy(SESSION)), path="lists/symbolchange.csv")
    with Archive(server.url, tmp_path, patience=UNLIMITED) as archive:
        with pytest.raises(FormatError, match="expected CSV text, found a zip"):
            archive.fetch_list("lists/symbolchange.csv")
        assert archive.fetch_list("lists/EQUITY_L.csv") is None
    assert kept(tmp_path) == []


def test_a_redirect_to_another_host_is_not_followed(server: Server, tmp_path: Path) -> None:
    server.plan(page(b"", 302, Location="http://localhost:9/login?next=file"))
    with pytest.raises(ArchiveUnavailable, match="redirected to http://localhost:9/login, which is not the archive"):
        get(server, tmp_path)
    assert len(server.asked) == 1
    server.plan(page(b"", 302, Location="http://127.0.0.1:99999999/"))
    with pytest.raises(ArchiveUnavailable, match="which is not the archive"):
        get(server, tmp_path)


def test_redirects_on_one_host_are_followed_up_to_a_limit(server: Server, tmp_path: Path) -> None:
    server.plan(page(b"", 301, Location="/moved.zip"))
    server.plan(page(bhavcopy(SESSION)), path="moved.zip")
    assert get(server, tmp_path).name == Path(bhavcopy_paths(SESSION)[0]).name
    server.plan(page(b"", 301, Location="/moved.zip"), path="moved.zip")
    with pytest.raises(ArchiveUnavailable, match="more than 3 times"):
        get(server, tmp_path, refresh=True)


def test_a_stale_answer_means_no_session(server: Server, tmp_path: Path) -> None:
    path = REPORT.paths(SESSION)[0]
    reads: list[date] = []

    def read(name: str, content: bytes, session: date) -> Published:
        reads.append(session)
        return REPORT.read(name, content, session)

    server.plan(page(bhavcopy(SESSION - timedelta(days=4))), path=path)
    with pytest.raises(SessionNotPublished):
        get(server, tmp_path, replace(REPORT, read=read))
    assert reads == [SESSION], "parsed once"
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


def test_a_missing_date_is_recorded_some_days_after_the_session(server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(SessionNotPublished):
            get(server, tmp_path)
    assert len(server.asked) == len(bhavcopy_paths(SESSION))
    with pytest.raises(SessionNotPublished, match="refresh asks again"):
        get(server, tmp_path)
    more = Publication("bhavcopy", lambda session: [*bhavcopy_paths(session), "elsewhere.zip"], parse)
    with pytest.raises(SessionNotPublished, match="not published yet"):
        get(server, tmp_path, more)  # a path that was not requested
    server.plan(page(bhavcopy(SESSION)))
    staged = get(server, tmp_path, refresh=True)
    staged.path.unlink()
    assert get(server, tmp_path) == staged


def test_a_recent_missing_date_is_requested_again(server: Server, tmp_path: Path) -> None:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    for _ in range(2):
        with Archive(server.url, tmp_path, patience=UNLIMITED) as archive, pytest.raises(SessionNotPublished):
            archive.fetch(yesterday)
    assert len(server.asked) == 2 * len(bhavcopy_paths(yesterday))


def test_missing_dates_are_recorded_per_archive(server: Server, tmp_path: Path) -> None:
    with pytest.raises(SessionNotPublished):
        get(server, tmp_path)
    server.plan(page(bhavcopy(SESSION)), path=f"mirror/{bhavcopy_paths(SESSION)[0]}")
    with Archive(f"{server.url}/mirror/", tmp_path, patience=UNLIMITED) as archive:
        assert archive.fetch(SESSION).path.exists()
    with pytest.raises(UsageError, match="CHAMPION_HOME"):
        get(server, tmp_path, refresh=True)
