"""The key of Prefect's Secret blocks: a file of the owner, removed from databases that contain it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from champion.base.file_modes import private_folder
from champion.errors import ServiceError
from champion.services import encryption
from champion.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv(encryption.VARIABLE, raising=False)
    made = Settings(home=tmp_path / "home")
    private_folder(made.prefect_home)
    return made


def database(settings: Settings, key: str) -> Path:
    """Return a database with the table and the row that Prefect 3.8 creates for its key."""
    file = settings.prefect_home / "prefect.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute("create table configuration (id text primary key, key text, value json)")
        row = ("1", "ENCRYPTION_KEY", json.dumps({"fernet_key": key}))
        connection.execute("insert into configuration values (?, ?, ?)", row)
        connection.execute("insert into configuration values ('2', 'OTHER', '{}')")
    return file


def test_key_is_created_once_and_readable_by_the_owner_only(settings: Settings) -> None:
    made = encryption.environment(settings)
    assert encryption.environment(settings) == made
    assert Fernet(made[encryption.VARIABLE].encode())
    assert encryption.path(settings).stat().st_mode & 0o777 == 0o600


def test_key_in_the_database_moves_to_the_file_without_traces(settings: Settings) -> None:
    key = Fernet.generate_key().decode()
    file = database(settings, key)
    assert encryption.environment(settings) == {encryption.VARIABLE: key}
    assert encryption.environment(settings) == {encryption.VARIABLE: key}
    for path in file.parent.glob("prefect.db*"):
        assert key.encode() not in path.read_bytes(), path
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("select key from configuration").fetchall() == [("OTHER",)]


def test_interrupted_move_of_the_key_is_finished(settings: Settings) -> None:
    key = Fernet.generate_key().decode()
    file = database(settings, key)
    encryption.path(settings).write_text(key)  # written, then the power failed
    assert encryption.environment(settings) == {encryption.VARIABLE: key}
    assert key.encode() not in file.read_bytes()


def test_another_key_in_the_database_is_kept(settings: Settings) -> None:
    """An earlier version was used meanwhile: what it encrypted needs its key."""
    first = encryption.environment(settings)
    other = Fernet.generate_key().decode()
    file = database(settings, other)
    assert encryption.environment(settings) == first
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("select count(*) from configuration").fetchone() == (2,)


@pytest.mark.parametrize("content", [b"", b"short", b"\xff\xfe", b"x" * 45])
def test_invalid_key_file_is_refused_and_kept(settings: Settings, content: bytes) -> None:
    encryption.path(settings).write_bytes(content)
    with pytest.raises(ServiceError, match="key of Prefect's Secret blocks"):
        encryption.environment(settings)
    assert encryption.path(settings).read_bytes() == content


def test_users_own_key_and_shared_database_are_not_changed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = settings.model_copy(update={"prefect_database_url": SecretStr("postgresql://h/db")})
    assert encryption.environment(shared) == {}
    monkeypatch.setenv(encryption.VARIABLE, "mine")
    assert encryption.environment(settings) == {}
    assert not encryption.path(settings).exists()
