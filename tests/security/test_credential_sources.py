"""A hostile `champion.toml`: no address in it receives a credential from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typing_extensions import override
from waiting import PATIENCE

from champion.errors import UsageError
from champion.settings import Settings, read
from champion.settings.credential_sources import conflicts

TASKS = "the workspace's own Prefect login"


@pytest.mark.parametrize(
    ("file", "environment", "credential"),
    [
        ({"prefect_api_url": "http://there/api"}, {"CHAMPION_PREFECT_LOGIN": "asha:Plant3d"}, "CHAMPION_PREFECT_LOGIN"),
        ({"prefect_api_url": "http://there/api"}, {"PREFECT_API_AUTH_STRING": "a:Plant3d"}, "PREFECT_API_AUTH_STRING"),
        ({"prefect_api_url": "http://there/api"}, {"PREFECT_API_KEY": "Plant3d"}, "PREFECT_API_KEY"),
        (
            {"prefect_api_url": "http://there/api", "prefect_login": "b:other"},
            {"CHAMPION_PREFECT_LOGIN": "asha:Plant3d"},
            "CHAMPION_PREFECT_LOGIN",
        ),
        ({"tracking_uri": "https://there"}, {"MLFLOW_TRACKING_PASSWORD": "Plant3d"}, "MLFLOW_TRACKING_PASSWORD"),
        ({"tracking_uri": "https://asha@there"}, {"MLFLOW_TRACKING_PASSWORD": "Plant3d"}, "MLFLOW_TRACKING_PASSWORD"),
        ({"tracking_uri": "http://127.0.0.1:9"}, {"MLFLOW_TRACKING_TOKEN": "Plant3d"}, "MLFLOW_TRACKING_TOKEN"),
        ({"tracking_uri": "postgresql://asha@there/db"}, {"PGPASSWORD": "Plant3d"}, "PGPASSWORD"),
        ({"prefect_database_url": "postgresql+asyncpg://there/db"}, {"PGPASSWORD": "Plant3d"}, "PGPASSWORD"),
        ({"task_runner": "tcp://there:8786"}, {}, TASKS),
    ],
)
def test_addresses_in_the_file_receive_no_credentials_of_the_environment(
    file: dict[str, str],
    environment: dict[str, str],
    credential: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "champion.toml").write_text("".join(f'{name} = "{value}"\n' for name, value in file.items()))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=f"to which {credential} .*would be sent") as refused:
        read()
    assert "Plant3d" not in str(refused.value)
    for name, value in file.items():  # the environment's own address is the person's choice
        monkeypatch.setenv(f"CHAMPION_{name.upper()}", value)
    assert read()


@pytest.mark.parametrize(
    ("file", "environment"),
    [
        ({"prefect_api_url": "http://there/api", "prefect_login": "asha:pw"}, {"PREFECT_API_AUTH_STRING": "b:other"}),
        ({"tracking_uri": "https://asha:pw@there"}, {"MLFLOW_TRACKING_PASSWORD": "other"}),
        ({"tracking_uri": "postgresql://asha:pw@there/db"}, {"PGPASSWORD": "other"}),
        ({"prefect_api_url": "http://there/api"}, {}),
        ({"home": "elsewhere", "holidays": "2024-01-26"}, {"PGPASSWORD": "other", "CHAMPION_PREFECT_LOGIN": "a:b"}),
        ({"task_runner": "threads"}, {"CHAMPION_PREFECT_LOGIN": "a:b"}),
        ({"lake_uri": "s3://market/lake"}, {"AWS_SECRET_ACCESS_KEY": "other"}),  # its server is the environment's, too
    ],
)
def test_a_file_with_its_own_credentials_or_without_addresses_is_read(
    file: dict[str, str], environment: dict[str, str]
) -> None:
    assert conflicts(file, {}, environment) == []


@pytest.mark.parametrize("name", ["gate_margin", "gate_level"])
def test_settings_of_earlier_releases_are_refused_with_what_replaces_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "champion.toml").write_text(f"{name} = 0.01\n")
    with pytest.raises(UsageError, match=f"{name} in champion.toml: .*CHAMPION_GATE_LUCK"):
        read()
    (tmp_path / "champion.toml").write_text("gate_luck = 0.01\n")
    assert read().gate_luck == 0.01
    monkeypatch.setenv(f"CHAMPION_{name.upper()}", "0.01")
    with pytest.raises(UsageError, match=f"CHAMPION_{name.upper()}: .*CHAMPION_GATE_CHAMPION"):
        read()


def test_mlflows_credentials_file_is_not_sent_to_addresses_in_the_file(tmp_path: Path) -> None:
    """MLflow reads it in the home directory, and sends it to any server it is given."""
    elsewhere = {"HOME": str(tmp_path)}
    assert conflicts({"tracking_uri": "https://there"}, {}, elsewhere) == []
    (tmp_path / ".mlflow").mkdir()
    (tmp_path / ".mlflow" / "credentials").write_text("[mlflow]\nmlflow_tracking_password = Plant3d\n")
    (refused,) = conflicts({"tracking_uri": "https://there"}, {}, elsewhere)
    assert "~/.mlflow/credentials from elsewhere" in refused
    assert conflicts({"tracking_uri": "https://asha:pw@there"}, {}, elsewhere) == []
    assert conflicts({"tracking_uri": "https://there"}, {"tracking_uri": "https://mine"}, elsewhere) == []


def test_every_address_setting_has_a_rule() -> None:
    """A new address needs a decision: may a credential be sent there?"""
    addresses = {name for name in Settings.model_fields if name.endswith(("_url", "_uri", "_dsn", "runner", "webhook"))}
    assert addresses == {
        "prefect_api_url", "tracking_uri", "prefect_database_url", "task_runner",  # checked
        "lake_uri", "artifacts_uri",  # buckets: the server is AWS_ENDPOINT_URL's
        "warehouse_dsn",  # holds its own credentials, its client reads none elsewhere
        "notify_url", "promotion_webhook",  # are sent messages without credentials
    }  # fmt: skip


def test_commands_in_a_hostile_folder_send_no_credentials(tmp_path: Path) -> None:
    asked: list[str] = []

    class Collector(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers.get("Authorization", ""))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        (tmp_path / "champion.toml").write_text(f'prefect_api_url = "http://127.0.0.1:{server.server_port}/api"\n')
        variables = {**os.environ, "CHAMPION_HOME": str(tmp_path / "home"), "CHAMPION_PREFECT_LOGIN": "asha:Plant3d"}
        command = [sys.executable, "-m", "champion", "deploy"]
        done = subprocess.run(
            command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        server.shutdown()
    assert (done.returncode, asked) == (2, [])
    assert "CHAMPION_PREFECT_LOGIN" in done.stderr
    assert "Plant3d" not in done.stdout + done.stderr
