"""docker-compose.yml, checked without a Docker engine: pins, ports, secrets, commands and settings."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

from champion.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LOCK = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
OURS = f"champion:{tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['version']}"


def image(name: str) -> str:
    return str(SERVICES[name]["image"])


def test_compose_file_has_all_services() -> None:
    assert set(SERVICES) == {"clickhouse", "postgres", "objects", "mlflow", "prefect", "worker"}


def test_mlflow_prefect_and_worker_use_the_locked_versions() -> None:
    assert {image(name) for name in ("mlflow", "prefect", "worker")} == {OURS}
    assert [name for name, service in SERVICES.items() if "build" in service] == ["mlflow"], "built once"
    recipe = (ROOT / "Dockerfile").read_text()
    assert "--no-deps --require-hashes -r requirements.lock" in recipe
    python = re.search(r"^FROM python:(\d\.\d+)-", recipe, re.MULTILINE)
    assert python is not None
    assert f'requires-python = ">={python[1]}' in (ROOT / "pyproject.toml").read_text()
    assert {"mlflow", "prefect", "asyncpg"} <= set(LOCK)


def test_files_copied_into_the_image_exist() -> None:
    wanted = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    absent = [name for name in wanted if not (ROOT / name).exists() and name != "prefect.yaml"]
    assert absent == []


def test_other_images_are_pinned_and_clickhouse_is_the_embedded_engines_version() -> None:
    tags = {name: image(name).partition(":")[2] for name in SERVICES}
    assert [name for name, tag in tags.items() if not re.fullmatch(r"\d+\.\d+(\.\d+)?", tag)] == []
    assert LOCK["chdb-core"].startswith(f"{tags['clickhouse']}.")


def test_ports_are_on_loopback_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 5
    assert [port for port in ports if not re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port)] == []


def test_secrets_come_from_a_file_that_is_not_committed() -> None:
    example = (ROOT / ".env.example").read_text()
    named = dict(re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE))
    assert set(named.values()) == {""}, "an example holds no password that somebody keeps"
    asked = set(re.findall(r"\$\{(\w+)", TEXT))
    assert asked == set(named)
    assert {name for name in asked if f"${{{name}:?" in TEXT} == asked, "without the file nothing starts"
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
    literal = re.findall(r"^ *\w*(?:PASSWORD|SECRET|KEY)\w*: (?!\$\{)(.*)", TEXT, re.MULTILINE)
    assert literal == []


def test_prefect_requires_the_login_of_the_worker() -> None:
    asked = SERVICES["prefect"]["environment"]["PREFECT_SERVER_API_AUTH_STRING"]
    assert asked.startswith("champion:${PREFECT_PASSWORD:?")
    worker = SERVICES["worker"]["environment"]
    assert {worker[name] for name in ("CHAMPION_PREFECT_LOGIN", "PREFECT_API_AUTH_STRING")} == {asked}


def test_services_wait_for_healthy_ones_and_keep_their_data() -> None:
    for name, service in SERVICES.items():
        assert service["healthcheck"]["test"][0] == "CMD", name
        for other, wanted in service.get("depends_on", {}).items():
            assert wanted == {"condition": "service_healthy"}
            assert other in SERVICES
    mounted = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert mounted == set(COMPOSE["volumes"])
    assert all(
        f"create database {name};" in COMPOSE["configs"]["databases"]["content"] for name in ("mlflow", "prefect")
    )


def test_compose_file_uses_known_settings() -> None:
    used = {name for service in SERVICES.values() for name in service.get("environment", {})}
    known = {f"CHAMPION_{name}".upper() for name in Settings.model_fields}
    assert {name for name in used if name.startswith("CHAMPION_")} <= known
