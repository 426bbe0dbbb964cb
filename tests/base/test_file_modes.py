"""File modes: private under every umask, older workspaces are closed, and the doctor reports open folders.

test_demo.py checks all files that commands, servers and kernels leave.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from champion.base import file_modes, workspace_homes
from champion.base.atomic_files import write_bytes
from champion.pipeline.operations.checks import Check
from champion.pipeline.operations.doctor import examine
from champion.settings import Settings
from champion.sources.download.staging import Staging
from champion.tracking import ledger_storage, promotion, store


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_private_folders_are_closed_under_every_umask(tmp_path: Path, mask: int) -> None:
    with umask(mask):
        folder = file_modes.private_folder(tmp_path / "above" / "home" / "prefect")
    assert [mode(path) for path in (folder, folder.parent, folder.parent.parent)] == [0o700, 0o750, 0o750]


def test_open_folders_are_closed_on_next_use(tmp_path: Path) -> None:
    folder = tmp_path / "home" / "mlflow"
    folder.mkdir(parents=True)
    for before in (0o755, 0o777, 0o750):
        folder.chmod(before)
        file_modes.private_folder(folder)
        assert mode(folder) == 0o700
    assert mode(tmp_path / "home") & 0o700 == 0o700, "a home that exists keeps its mode"


def test_the_tracking_store_is_closed_without_a_command_line(tmp_path: Path) -> None:
    with umask(0):
        settings = Settings(home=tmp_path / "home")
        store.prepare(settings)
    assert [mode(settings.home / "mlflow"), mode(settings.home / "mlflow" / "mlflow.db")] == [0o700, 0o600]
    (settings.home / "mlflow").chmod(0o755)  # as an earlier version left it
    store._client.cache_clear()  # as in the next process
    store.prepare(settings)
    assert mode(settings.home / "mlflow") == 0o700


def test_files_requested_by_name_have_the_user_umask(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        file_modes.restrict()
        (tmp_path / "ours").touch()
        with file_modes.user_umask():
            (tmp_path / "theirs").touch()
        (tmp_path / "ours again").touch()
        file_modes.restore_umask()
        (tmp_path / "lab").touch()
    finally:
        os.umask(before)
    assert [mode(tmp_path / name) for name in ("ours", "theirs", "ours again", "lab")] == [0o600, 0o644, 0o600, 0o644]


def workspace(settings: Settings) -> Check:
    return next(check for check in examine(settings) if check.name == "workspace")


def test_doctor_lists_open_folders(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", archive=str(tmp_path))
    (settings.home / "lake").mkdir(parents=True)
    settings.prefect_home.mkdir()
    settings.home.chmod(0o755)
    settings.prefect_home.chmod(0o755)
    check = workspace(settings)
    assert (check.state, check.remedy) == ("warning", f"chmod 700 {settings.prefect_home}")
    (settings.home / "lake").chmod(0o775)
    check = workspace(settings)
    assert (check.state, check.remedy) == ("failed", f"chmod go-w {settings.home / 'lake'}")
    (settings.home / "lake").chmod(0o750)
    file_modes.private_folder(settings.prefect_home)
    assert workspace(settings).state == "ok"


def test_files_are_not_writable_by_others_under_umask_000(tmp_path: Path) -> None:
    """Commands restrict their umask; a notebook or a script that uses the library has the user's."""
    folders = [tmp_path / name / "home" for name in ("lock", "staging", "ledger", "record", "files")]
    with umask(0):
        promotion.lock(Settings(home=folders[0])).acquire().lock.release()
        Staging(folders[1] / "staging", "file:///srv/nse").accept()
        ledger_storage.FileStorage(folders[2] / "promotions.jsonl").add("{}", 1)
        workspace_homes.remember(folders[3])
        write_bytes(folders[4] / "runs" / "a", b"x")
    assert [mode(folder) for folder in folders[:4]] == [0o750] * 4
    made = [path for folder in folders for path in (folder, *folder.rglob("*"))]
    kept = [path for path in made if path.suffix != ".lock" and path.name != ".lock"]
    assert [(path, oct(mode(path))) for path in kept if mode(path) & 0o002] == []
    assert [path for path in made if path.is_dir() and mode(path) & 0o020] == []
