"""Acknowledged writes survive a power cut, and an error names a file system that cannot guarantee it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import file_system
import pytest

import champion
from champion.base import atomic_files

_WRITES = """
import sys
from datetime import date
from pathlib import Path
import polars as pl
from champion.base import atomic_files
from champion.lake import layout
from champion import contracts
from champion.settings import Settings
from champion.sources.download.staging import Staging
from champion.tracking import ledger_storage
settings = Settings(home=sys.argv[1], archive=sys.argv[1])
atomic_files.write_bytes(settings.home / "a" / "b" / "c" / "file", b"content")
atomic_files.write_bytes(settings.lake / "raw" / "x" / "year=2024" / "file", b"content", shared=True)
atomic_files.write_private(settings.home / "secret" / "folder" / "file", b"content")
assert ledger_storage.local(settings).add("a line", 1)
staging = Staging(settings.staging, settings.archive)
with staging.receiving() as part:
    part.write(b"bars")
    staging.keep("content/cm/bars.zip", date(2024, 1, 15), part, "0" * 64)
with layout.locked(settings.lake, contracts.load("normalized_equity_ohlc")):
    pass
"""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> str:
    return file_system.library(tmp_path_factory.mktemp("watch"))


def run(code: str, home: Path, watched: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "LD_PRELOAD": watched, **variables}
    command = [sys.executable, "-c", code, str(home)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_every_new_folder_is_flushed_to_its_parent(tmp_path: Path, watched: str) -> None:
    log, home = tmp_path / "log", tmp_path / "deep" / "home"
    done = run(_WRITES, home, watched, WATCH_LOG=str(log))
    assert done.returncode == 0, done.stderr
    calls = [line.split(" ", 1) for line in log.read_text().splitlines()]
    made = [
        (place, path) for place, (call, path) in enumerate(calls) if call == "mkdir" and path.startswith(str(tmp_path))
    ]
    passing = {".incoming", ".locks"}  # not needed after a power cut
    folders = {path for _, path in made}
    assert {str(home), str(home / "a" / "b" / "c"), str(home / "staging" / "content" / "cm")} <= folders
    lost = [
        path
        for place, path in made
        if ["fsync", str(Path(path).parent)] not in calls[place:] and not passing & set(Path(path).parts)
    ]
    assert lost == []
    for file in (home / "promotions.jsonl", home / "staging" / "content" / "cm" / "bars.zip"):
        assert ["fsync", str(file.parent)] in calls, f"the name of {file} could be lost"
    assert ["fsync", str(home / "promotions.jsonl")] in calls


def test_a_file_system_without_locks_raises_an_error_with_the_file(tmp_path: Path, watched: str) -> None:
    code = "import sys; sys.argv[1:] = ['archive', 'add', 'file:///srv/nse']; from champion.cli.app import main; main()"
    done = run(code, tmp_path, watched, WITHOUT_LOCKS="1", CHAMPION_HOME=str(tmp_path))
    assert done.returncode == 1
    assert f"MachineError: {tmp_path}/staging/.lock: No locks available; put the workspace on a file" in done.stderr
    assert "Traceback" not in done.stderr


def test_only_atomic_files_uses_filelock() -> None:
    """Errors of `filelock` name no file; those of `champion.base.atomic_files.Lock` do."""
    package = Path(champion.__file__).parent
    found = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if re.search(r"\bFileLock\b", path.read_text()) and path.name != "atomic_files.py"
    }
    assert found == set()


_ASKS = """
import asyncio, sys
from champion.services import prefect_server
prefect_server.make_durable()
from prefect.server.database.configurations import AioSqliteConfiguration

async def ask():
    engine = await AioSqliteConfiguration(connection_url=f"sqlite+aiosqlite:///{sys.argv[1]}/prefect.db").engine()
    async with engine.connect() as connection:
        for name in ("synchronous", "journal_mode", "foreign_keys"):
            print((await connection.exec_driver_sql(f"pragma {name}")).scalar())
    await engine.dispose()

asyncio.run(ask())
"""


def test_the_prefect_database_flushes_every_transaction(tmp_path: Path) -> None:
    """Check the engine as the server opens it: FULL is 2, and Prefect's other settings stay."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PREFECT_HOME": str(tmp_path)}
    command = [sys.executable, "-c", _ASKS, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["2", "wal", "1"], done.stderr


def test_concurrent_writers_of_one_file_use_separate_temporary_files(tmp_path: Path) -> None:
    """Threads of an ingest write the same file: with one temporary name, the second would rename that of the first."""
    path = tmp_path / "mark"
    with atomic_files.replacing(path) as first:
        first.write_text("first")
        with atomic_files.replacing(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]
