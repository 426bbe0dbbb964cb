"""A private PostgreSQL server for tests: a fresh cluster, a free port on loopback, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from waiting import PATIENCE

USER, PASSWORD = "champion", "p@ss/word: 1"
QUOTED = "p%40ss%2Fword%3A%201"
_HOST = "127.0.0.1"
_QUICK = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "shared_buffers=16MB", "max_connections=60")


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; `port` is on loopback."""

    port: int

    def url(self, database: str) -> str:
        """Return a database's URL, as a person would write it in a setting."""
        return f"postgresql://{USER}:{QUOTED}@{_HOST}:{self.port}/{database}"

    def rows(self, database: str, query: str) -> list[tuple[Any, ...]]:
        """Return what a query answers."""
        import psycopg  # noqa: PLC0415 - where it is missing, `missing` says so

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def create(self, database: str) -> None:
        """Create an empty database."""
        self.rows("postgres", f"create database {database}")


def missing() -> str | None:
    """Return why no server can be started here, or None where one can."""
    if _binary("initdb") is None or _binary("postgres") is None:
        return "no PostgreSQL server here: apt-get install postgresql, or put initdb and postgres on the PATH"
    if find_spec("psycopg") is None:
        return "psycopg is not installed: pip install 'psycopg[binary]'"
    return None


@contextmanager
def running() -> Iterator[Server]:
    """Yield a server with an empty cluster; it is stopped and deleted at the end."""
    folder = Path(tempfile.mkdtemp(prefix="champion-postgres-"))
    try:
        account = _account(folder)
        secret = folder / "password"
        secret.write_text(f"{PASSWORD}\n")
        if account:
            shutil.chown(secret, account)
        data, port = folder / "data", _free_port()
        make = [f"--pgdata={data}", f"--username={USER}", "--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync"]
        make += ["--encoding=UTF8", "--locale=C.UTF-8"]
        subprocess.run([str(_binary("initdb")), *make], check=True, stdout=subprocess.DEVNULL, user=account)
        options = [f"--{option}" for option in (*_QUICK, f"unix_socket_directories={folder}")]
        command = [str(_binary("postgres")), "-D", str(data), "-h", _HOST, "-p", str(port), *options]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, user=account)
        try:
            yield _answering(Server(port), process, folder / "log")
        finally:
            process.send_signal(signal.SIGINT)  # stop at once, without waiting for clients
            process.wait()
    finally:
        shutil.rmtree(folder)


def _answering(server: Server, process: subprocess.Popen[bytes], log: Path) -> Server:
    import psycopg  # noqa: PLC0415

    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            server.rows("postgres", "select 1")
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(log.read_text()) from None
            time.sleep(0.05)
        else:
            return server


def _account(folder: Path) -> str | None:
    """Return the account to run under, which then owns `folder`: the server refuses to be root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    account = "postgres" if "postgres" in names else "nobody"
    shutil.chown(folder, account)
    return account


def _binary(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found) if found else next(iter(sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
