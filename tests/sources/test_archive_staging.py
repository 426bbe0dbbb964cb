"""Staging: files of one archive, verified on every read, never mixed with those of another archive."""

from __future__ import annotations

import json
import shutil
from datetime import date
from io import BytesIO
from pathlib import Path

import pytest

from champion.errors import ArchiveError, ArchiveUnavailable, FormatError, SessionNotPublished, UsageError, WrongSession
from champion.simulate import SimulatedArchive
from champion.sources.download.archive import Archive, Staged, find_staged, set_aside
from champion.sources.download.staging import Staging
from champion.sources.download.transport import Folder, canonical
from champion.sources.publications import bhavcopy_paths

SESSION, NEXT = date(2024, 6, 25), date(2024, 6, 26)
HOLIDAY = date(2024, 6, 23)


@pytest.fixture
def folder(archive: SimulatedArchive, tmp_path: Path) -> Path:
    """An archive of two sessions that a test may change."""
    for session in (SESSION, NEXT):
        path = tmp_path / "archive" / bhavcopy_paths(session)[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(archive.root / bhavcopy_paths(session)[0], path)
    return tmp_path / "archive"


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    """A staging folder that does not exist yet."""
    return tmp_path / "home" / "staging"


def fetch(base: Path | str, staging: Path, session: date = SESSION, *, refresh: bool = False) -> Staged:
    with Archive(str(base), staging) as archive:
        return archive.fetch(session, refresh=refresh)


def beside(staged: Staged) -> list[str]:
    """Return the names in the folder of a staged file, without records."""
    return sorted(path.name for path in staged.path.parent.iterdir() if path.suffix != ".json")


@pytest.mark.parametrize("content", [b"other", None], ids=["shorter", "same size"])
def test_a_damaged_file_is_detected_and_replaced(folder: Path, staging: Path, content: bytes | None) -> None:
    staged = fetch(folder, staging)
    sound = staged.path.read_bytes()
    damaged = sound[:-1] + bytes([sound[-1] ^ 1]) if content is None else content
    staged.path.write_bytes(damaged)
    with pytest.raises(ArchiveError, match="not the file that was fetched; fetch 2024-06-25 again"):
        find_staged(staging, SESSION)
    assert fetch(folder, staging) == staged == find_staged(staging, SESSION)  # the same time of fetching, too
    assert staged.path.read_bytes() == sound
    (aside,) = staged.path.parent.glob("*.damaged-*")
    assert aside.read_bytes() == damaged


def test_a_lost_file_or_record_is_fetched_again(folder: Path, staging: Path) -> None:
    staged = fetch(folder, staging)
    staged.path.unlink()
    assert find_staged(staging, SESSION) is None
    assert fetch(folder, staging) == staged
    staged.path.with_suffix(".json").unlink()
    assert find_staged(staging, SESSION) is None
    assert fetch(folder, staging).path == staged.path
    assert beside(staged) == [staged.path.name]


def test_a_damaged_record_is_an_archive_error(folder: Path, staging: Path) -> None:
    record = fetch(folder, staging).path.with_suffix(".json")
    for broken in (b"", b"[]", b'{"files": [{"file": "a"}]}'):
        record.write_bytes(broken)
        with pytest.raises(ArchiveError, match="not a record of staging"):
            fetch(folder, staging)


def test_a_staged_file_is_not_requested_again(folder: Path, staging: Path) -> None:
    staged = fetch(folder, staging)
    shutil.rmtree(folder / "content")
    assert fetch(folder, staging) == staged
    with pytest.raises(SessionNotPublished):
        fetch(folder, staging, refresh=True)
    assert find_staged(staging, SESSION) == staged


def test_a_missing_date_of_a_folder_is_looked_up_again(archive: SimulatedArchive, folder: Path, staging: Path) -> None:
    session = date(2024, 6, 27)
    with pytest.raises(SessionNotPublished, match="Thursday 2024-06-27"):
        fetch(folder, staging, session)
    shutil.copy(archive.root / bhavcopy_paths(session)[0], folder / bhavcopy_paths(session)[0])
    assert fetch(folder, staging, session).session == session


def test_after_a_refused_revision_the_earlier_one_is_the_latest(
    archive: SimulatedArchive, folder: Path, staging: Path
) -> None:
    first = fetch(folder, staging)
    path = folder / bhavcopy_paths(SESSION)[0]
    path.write_bytes(path.read_bytes() + b"\0")  # a zip may have a tail
    second = fetch(folder, staging, refresh=True)
    assert second.path.name == f"{first.path.name}.r1"
    set_aside(second, bhavcopy_paths(SESSION))
    assert find_staged(staging, SESSION) == first
    set_aside(first, bhavcopy_paths(SESSION))
    assert find_staged(staging, SESSION) is None
    assert [name.rpartition(".")[2][:8] for name in beside(first)] == ["refused-"] * 2
    shutil.copy(archive.root / bhavcopy_paths(SESSION)[0], path)
    assert fetch(folder, staging).sha256 == first.sha256


def test_another_sessions_file_never_reaches_staging(folder: Path, staging: Path) -> None:
    shutil.copy(folder / bhavcopy_paths(SESSION)[0], folder / bhavcopy_paths(NEXT)[0])
    with pytest.raises(WrongSession, match="asked for session 2024-06-26, the file is dated 2024-06-25"):
        fetch(folder, staging, NEXT)
    (folder / bhavcopy_paths(NEXT)[0]).write_bytes(b"<html>busy</html>")
    with pytest.raises(FormatError, match="an HTML page"):
        fetch(folder, staging, NEXT)
    assert [path.name for path in staging.rglob("*") if path.is_file()] == [".lock"]


# One archive, one history


def test_a_folder_and_its_url_are_one_archive(folder: Path, staging: Path) -> None:
    staged = fetch(folder, staging)
    assert staged.origin == f"{folder.resolve().as_uri()}/{bhavcopy_paths(SESSION)[0]}"
    for spelling in (f"{folder}/", folder.as_uri(), f"file://localhost{folder}/", folder.parent / "." / folder.name):
        assert fetch(spelling, staging) == staged
        assert fetch(spelling, staging, NEXT, refresh=True).session == NEXT


def test_another_archive_is_refused_without_a_request(folder: Path, staging: Path) -> None:
    staged = fetch(folder, staging)
    for refresh in (False, True):
        for session in (SESSION, NEXT):
            with pytest.raises(UsageError, match=r"holds files of file://.*CHAMPION_HOME"):
                fetch("http://127.0.0.1:9", staging, session, refresh=refresh)
    assert fetch(folder, staging) == staged


def test_two_archives_do_not_share_a_new_workspace(folder: Path, staging: Path) -> None:
    (folder / "list.csv").write_text("SYMBOL\nACME\n")
    mirror = shutil.copytree(folder, folder.with_name("mirror"))
    with Archive(str(folder), staging) as first, Archive(str(mirror), staging) as second:
        first.fetch(SESSION)
        with pytest.raises(UsageError, match="CHAMPION_HOME"):
            second.fetch(SESSION)
        with pytest.raises(UsageError, match="CHAMPION_HOME"):
            second.fetch_list("list.csv")


def test_a_mirror_can_be_added(folder: Path, staging: Path) -> None:
    staged = fetch(folder, staging)
    mirror = shutil.copytree(folder, folder.with_name("mirror"))
    admitted = staging / "archive.json"
    admitted.write_text(json.dumps([*json.loads(admitted.read_text()), str(mirror)]))
    assert fetch(mirror, staging) == fetch(mirror, staging, refresh=True) == staged  # the same bytes: nothing new
    assert fetch(mirror, staging, NEXT).origin.startswith(mirror.as_uri())
    assert fetch(folder, staging, NEXT).origin.startswith(mirror.as_uri())


def test_the_archive_of_older_files_is_recognised(folder: Path, staging: Path) -> None:
    fetch(folder, staging)
    (staging / "archive.json").unlink()
    mirror = shutil.copytree(folder, folder.with_name("mirror"))
    with pytest.raises(UsageError, match=f"holds files of {folder.as_uri()}"):
        fetch(mirror, staging)


def test_a_damaged_list_of_archives_is_a_usage_error(folder: Path, staging: Path) -> None:
    fetch(folder, staging)
    for broken in ("", "[1]", "5", f'["{folder}"'):
        (staging / "archive.json").write_text(broken)
        with pytest.raises(UsageError, match=r"archive\.json: expected a list of addresses"):
            fetch(folder, staging)


def test_a_file_that_cannot_be_read_is_unavailable() -> None:
    archive = Folder(Path("/proc/self"), max_bytes=1000)
    with pytest.raises(ArchiveUnavailable, match="cannot be read"):
        archive.copy("mem", BytesIO())  # a file that is there, and gives an I/O error to all who read it


@pytest.mark.parametrize(
    ("base", "says"),
    [
        ("ftp://example.com", "expected a folder"),
        ("nowhere/at/all", "no such folder"),
        ("https://user:secret@example.com", "credentials"),
        ("https://", "expected a host"),
        ("https://example.com/?token=1", "nothing after"),
        ("file://example.com/srv", "with a host"),
    ],
)
def test_an_invalid_address_is_refused(base: str, says: str, staging: Path) -> None:
    with pytest.raises(UsageError, match=says):
        Archive(base, staging)
    assert not staging.exists()


def test_a_list_is_always_requested(folder: Path, staging: Path) -> None:
    path = "content/equities/EQUITY_L.csv"
    with Archive(str(folder), staging) as archive:
        assert archive.fetch_list(path) is None
        (folder / path).parent.mkdir()
        (folder / path).write_text("SYMBOL\nACME\n")
        assert archive.names("content/equities/*.csv") == [path]
        first = archive.fetch_list(path)
        assert first == archive.fetch_list(path)
        (folder / path).write_text("SYMBOL\nOTHER\n")
        second = archive.fetch_list(path)
    assert first is not None
    assert second is not None
    assert (first.path.read_text(), second.path.read_text()) == ("SYMBOL\nACME\n", "SYMBOL\nOTHER\n")


def test_the_command_adds_another_address_of_the_archive(tmp_path: Path) -> None:
    for name in ("first", "mirror"):
        (tmp_path / name).mkdir()
    staging = tmp_path / "staging"
    assert Staging(staging, canonical(str(tmp_path / "first"))).accept() == [canonical(str(tmp_path / "first"))]
    with pytest.raises(UsageError, match="champion archive add"):
        Archive(str(tmp_path / "mirror"), staging)
    assert len(Staging(staging, canonical(str(tmp_path / "mirror"))).accept()) == 2
    with Archive(str(tmp_path / "mirror"), staging), Archive(str(tmp_path / "first"), staging):
        pass
