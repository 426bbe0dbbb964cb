"""The login of a workspace's Prefect server: its file, who may read it, and the error for an invalid one.

Servers that require it are in test_serve.py, test_demo.py and test_postgresql.py.
"""

from __future__ import annotations

import os
import threading
from base64 import b64encode
from pathlib import Path

import pytest
from pydantic import SecretStr

from champion.base.atomic_files import write_private
from champion.errors import ServiceError
from champion.pipeline.operations.checks import Check
from champion.pipeline.operations.doctor import examine
from champion.security import prefect_login
from champion.security.redaction import redact, secrets
from champion.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", archive=str(tmp_path))


def prefect(settings: Settings) -> Check:
    return next(check for check in examine(settings) if check.name == "prefect")


def test_login_is_created_once_and_readable_by_the_owner_only(settings: Settings) -> None:
    assert (prefect_login.current_login(settings), prefect_login.pair(settings), prefect_login.place(settings)) == (
        None,
        None,
        None,
    )
    login = prefect_login.ensure_login(settings)
    assert login.startswith("champion:")
    assert len(login) == len("champion:") + 48
    assert prefect_login.ensure_login(settings) == prefect_login.current_login(settings) == login
    assert prefect_login.pair(settings) == tuple(login.split(":"))
    assert prefect_login.path(settings).stat().st_mode & 0o777 == 0o600
    assert prefect_login.place(settings) == "prefect/login"
    assert prefect_login.ensure_login(settings.model_copy(update={"home": settings.home / "other"})) != login


def test_files_of_killed_processes_are_removed(settings: Settings) -> None:
    settings.prefect_home.mkdir(parents=True)
    (settings.prefect_home / ".login.17.part").write_text("champion:ha")
    assert prefect_login.current_login(settings) is None
    assert prefect_login.ensure_login(settings)
    assert [path.name for path in settings.prefect_home.iterdir()] == ["login"]


def test_login_in_settings_wins_and_stored_login_is_not_sent_to_remote_servers(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = prefect_login.ensure_login(settings)
    chosen = settings.model_copy(update={"prefect_login": SecretStr("asha:chosen:1")})
    assert (prefect_login.ensure_login(chosen), prefect_login.pair(chosen)) == ("asha:chosen:1", ("asha", "chosen:1"))
    assert prefect_login.place(chosen) == "CHAMPION_PREFECT_LOGIN"
    elsewhere = settings.model_copy(update={"prefect_api_url": "http://prefect.example/api"})
    assert (prefect_login.current_login(elsewhere), prefect_login.place(elsewhere)) == (None, None)
    monkeypatch.setenv(prefect_login.CLIENT, "asha:there")
    assert prefect_login.pair(elsewhere) == ("asha", "there")
    assert prefect_login.pair(settings) == tuple(login.split(":"))


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"champion", b"champion:", b":Plant3d", b"a:b\nc:d", b"a:\xff", b"a:b\0", b"a:" + b"b" * 2000],
)
def test_invalid_login_file_is_refused_with_a_remedy(settings: Settings, content: bytes) -> None:
    settings.prefect_home.mkdir(parents=True)
    prefect_login.path(settings).write_bytes(content)
    for ask in (prefect_login.current_login, prefect_login.ensure_login, prefect_login.pair):
        with pytest.raises(
            ServiceError, match=r"prefect/login does not contain a login.* `champion stop`, remove the file"
        ) as caught:
            ask(settings)
        assert "Plant3d" not in str(caught.value)
    assert prefect_login.path(settings).read_bytes() == content
    assert prefect(settings).state == "failed"
    assert secrets({}, settings) == (), "a run goes on"


def test_login_of_another_account_gives_a_one_sentence_error(settings: Settings) -> None:
    prefect_login.ensure_login(settings)
    prefect_login.path(settings).chmod(0)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)  # root may read anything
        with pytest.raises(ServiceError, match=r"for its owner only: work in .*CHAMPION_PREFECT_LOGIN"):
            prefect_login.current_login(settings)
    finally:
        os.seteuid(user)


def test_doctor_reports_who_else_can_read_the_login(settings: Settings) -> None:
    prefect_login.ensure_login(settings)
    assert prefect(settings).state == "warning", "a login without the database of its server: it may be lost"
    prefect_login.path(settings).chmod(0o640)
    check = prefect(settings)
    assert (check.state, check.remedy) == ("warning", f"chmod 600 {prefect_login.path(settings)}")


def test_private_file_is_never_readable_by_others(tmp_path: Path) -> None:
    """A reader that polls while the file is written a few hundred times sees no other mode."""
    seen: set[int] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            for path in tmp_path.iterdir():
                try:
                    seen.add(path.stat().st_mode & 0o777)
                except FileNotFoundError:
                    continue

    watcher, mask = threading.Thread(target=look), os.umask(0)
    watcher.start()
    try:
        for count in range(300):
            write_private(tmp_path / "login", str(count).encode())
    finally:
        os.umask(mask)
        done.set()
        watcher.join()
    assert seen == {0o600}
    assert (tmp_path / "login").read_text() == "299"


def test_logins_are_redacted_in_every_spelling(settings: Settings) -> None:
    login = prefect_login.ensure_login(settings)
    word = login.partition(":")[2]
    for known in (settings, settings.model_copy(update={"prefect_api_url": "http://prefect.example/api"})):
        for spelt in (login, word, b64encode(login.encode()).decode()):
            assert redact(f"Authorization: {spelt}.", secrets({}, known)) == "Authorization: ***."
