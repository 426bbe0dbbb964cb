"""The workspace of `champion demo`, which test_demo.py runs once: its fixtures, and what its commands are given.

Each command has an environment that is not the user's own: other people's files, a proxy without a server, secrets that
no file may contain.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hostile import hostile_home
from typer.testing import CliRunner
from waiting import PATIENCE

from champion.cli.app import app
from champion.settings import Settings

Command: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]
Look: TypeAlias = Callable[..., str]
FIRST, LAST = date(2023, 10, 3), date(2024, 12, 31)
DEMO = ("demo", "--instruments", "60", "--signal", "2", "--start", str(FIRST), "--json")
PLANTED = {  # secrets that no file may contain
    "CHAMPION_NOTIFY_URL": "http://127.0.0.1:9/hooks/Plant3d-notice",
    "CHAMPION_PROMOTION_WEBHOOK": "http://127.0.0.1:9/hooks/Plant3d-promotion",
    "AWS_ACCESS_KEY_ID": "Plant3d-key-id",
    "AWS_SECRET_ACCESS_KEY": 'Plant3d/"secret"+key\\',
    "CHAMPION_USER_PASSWORD": "Plant3d-password",
    "LAKE_OF_A_FRIEND": "postgresql://friend:Plant3d-friend@127.0.0.1:9/lake",
}
UMASK = 0o050
"""What commands run under: it leaves every right to others and writing to the group, and takes reading from the group.

A file whose mode follows the umask is then both too open and too closed (modes.py).
"""
PROXIES = dict.fromkeys(  # no server at this port: requests to this machine must bypass the proxy
    ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9"
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def champion(base: Path) -> Iterator[Command]:
    """Return a function that runs `champion` in the demo's workspace; its servers are stopped afterwards."""
    outputs = base / "outputs.txt"
    person = hostile_home(base / "person") | PROXIES | {"HOME": "/proc/nobody"}  # not writable, even for root
    (base / "scratch").mkdir()
    person["TMPDIR"] = str(base / "scratch")
    del person["PYTHONINSPECT"]  # it would keep Python running after a command

    def run(
        *arguments: str, home: Path = base / "demo", code: int = 0, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "CHAMPION_HOME": str(home), "CHAMPION_ARCHIVE": str(base / "demo" / "archive")}
        variables |= {f"CHAMPION_{name.upper()}": value for name, value in settings.items()}
        command = [sys.executable, "-m", "champion", *arguments]
        done = subprocess.run(
            command,
            env=variables | PLANTED | person,
            umask=UMASK,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        with outputs.open("a", encoding="utf-8") as log:
            log.write(done.stdout + done.stderr)
        assert done.returncode == code, f"{arguments}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done

    yield run
    run("stop")


@pytest.fixture(scope="module")
def look(settings: Settings) -> Look:
    """Return a function that runs a reading command in this process, where its imports are loaded already."""

    def run(*arguments: str) -> str:
        variables = {"CHAMPION_HOME": str(settings.home), "CHAMPION_ARCHIVE": settings.archive}
        done = CliRunner(env=variables).invoke(app, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


@pytest.fixture(scope="module")
def demo(champion: Command, base: Path) -> dict[str, Any]:
    """The JSON result of the demo, which runs once for this module."""
    base.mkdir(exist_ok=True)
    result = champion(*DEMO, home=base)
    return dict(json.loads(result.stdout))


@pytest.fixture(scope="module")
def settings(demo: dict[str, Any], base: Path) -> Settings:
    assert demo["sessions"] > 0
    return Settings(home=base / "demo", archive=str(base / "demo" / "archive"))
