"""Places that fail: a full disk, folders that may not be written, books and warehouse that others hold, or gone."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import psutil

from champion.services import managed_process, prefect
from faulty.cases import Case, Disturbed
from faulty.workspace import Bench, Ended

UNPRIVILEGED = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")  # root too is refused what others are
_HOLD = """
import sys
from pathlib import Path
from champion import warehouse
from champion.settings import Settings
with warehouse.writer(Settings()):
    print("held", flush=True)
    sys.stdin.read()
"""


def cases() -> Iterator[Case]:
    """Yield every place that the daily flow writes to, failing."""
    own = {"CHAMPION_PREFECT_API_URL": ""}
    yield Case("MLflow's store gone", "MLflow", _without_books, "the folder is not there")
    yield Case("MLflow's store locked", "MLflow", partial(_locked, name="mlflow/mlflow.db", variables={}), "all along")
    yield Case("Prefect's server killed midway", "Prefect", _server_dies, "SIGKILL once the bars are there")
    yield Case("disk full, 768 KB left", "disk full", partial(_full, free=768), "a file system of its own")
    yield _read_only_case("warehouse")
    yield Case("warehouse held by a writer", "warehouse", _held, "all along")
    yield Case(
        "Prefect's store locked", "Prefect", partial(_locked, name="prefect/prefect.db", variables=own), "all along"
    )
    yield _read_only_case("")
    yield Case("MLflow's store gone midway", "MLflow", _books_leave, "moved away once the bars are there, then back")
    for free in (0, 192, 2048):
        yield Case(f"disk full, {free} KB left", "disk full", partial(_full, free=free), "a file system of its own")
    yield Case("Prefect's server elsewhere down", "Prefect", _nobody_there, "CHAMPION_PREFECT_API_URL, nobody answers")
    yield Case("warehouse gone", "warehouse", partial(_gone, name="warehouse"), "the folder was deleted",
               baseline="timeless", timeless=True)  # fmt: skip
    for name in ("lake", "mlflow", "staging"):
        yield _read_only_case(name)
    yield Case("archive folder unmounted", "archive", _without_archive, "the folder is not there")


def _read_only_case(name: str) -> Case:
    said = f"{name or 'the whole workspace'} without write permission"
    return Case(f"read-only {name or 'home'}", "read-only", partial(_read_only, name=name), said)


def _without_books(bench: Bench) -> Disturbed:
    return _without(bench, bench.home / "mlflow")


def _without_archive(bench: Bench) -> Disturbed:
    return _without(bench, bench.archive)


def _full(bench: Bench, free: int) -> Disturbed:
    """Run on a file system that has this many KB left; afterwards it has room again."""
    away = bench.root / "away"
    bench.home.rename(away)
    bench.home.mkdir()
    size = sum(path.lstat().st_blocks for path in away.rglob("*")) // 2 + 4096
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size + 65536}k", "faults", bench.home], check=True)
    try:
        subprocess.run(["cp", "-a", f"{away}/.", bench.home], check=True)
        shutil.rmtree(away)
        used = shutil.disk_usage(bench.home).used // 1024
        subprocess.run(["mount", "-o", f"remount,size={used + free}k", bench.home], check=True)
        ended = bench.run(bench.command)
    finally:
        subprocess.run(["cp", "-a", bench.home, away], check=True)
        left = bench.left()
        subprocess.run(["umount", bench.home], check=True)
        bench.home.rmdir()
        away.rename(bench.home)
    return Disturbed(ended, left=left)


def _read_only(bench: Bench, name: str) -> Disturbed:
    root = bench.home / name
    root.mkdir(exist_ok=True)
    folders = [path for path in (root, *root.rglob("*")) if path.is_dir() and not path.is_symlink()]
    modes = {path: path.stat().st_mode for path in folders}
    files = {path: path.stat().st_mode for path in root.rglob("*") if path.is_file()}
    for path, mode in [*modes.items(), *files.items()]:
        path.chmod(mode & ~0o222)
    try:
        ended = bench.run(bench.command, prefix=UNPRIVILEGED)
    finally:
        for path, mode in [*modes.items(), *files.items()]:
            if path.exists():
                path.chmod(mode)
    return Disturbed(ended, left=bench.left())


def _without(bench: Bench, folder: Path) -> Disturbed:
    """Run while a folder is elsewhere, as when its disk is not mounted; what comes in its place is given up."""
    away = bench.root / "away"
    folder.rename(away)
    try:
        ended = bench.run(bench.command)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        away.rename(folder)
    return Disturbed(ended, left=bench.left())


def _gone(bench: Bench, name: str) -> Disturbed:
    shutil.rmtree(bench.home / name)
    return Disturbed(bench.run(bench.command), left=bench.left())


def _locked(bench: Bench, name: str, variables: dict[str, str]) -> Disturbed:
    """Run while another process holds a SQLite file for itself."""
    with closing(sqlite3.connect(bench.home / name, isolation_level=None)) as books:
        books.execute("begin exclusive")
        try:
            ended = bench.run(bench.command, **variables)
        finally:
            prefect.stop(bench.settings)
            left = bench.left()
        books.execute("rollback")
    return Disturbed(ended, left=left)


def _books_leave(bench: Bench) -> Disturbed:
    """Take MLflow's folder away while the flow is at work, and bring it back when it has ended."""
    folder, away = bench.home / "mlflow", bench.root / "away"
    with _midway(bench) as ended:
        folder.rename(away)
    shutil.rmtree(folder, ignore_errors=True)
    away.rename(folder)
    return Disturbed(ended(), left=bench.left())


def _server_dies(bench: Bench) -> Disturbed:
    """Kill the workspace's Prefect server in the middle."""
    with _midway(bench, CHAMPION_PREFECT_API_URL="") as ended:
        server = managed_process.recorded(bench.settings, prefect.NAME)
        for process in psutil.Process(server.pid).children(recursive=True) if server else []:
            process.kill()
        if server:
            psutil.Process(server.pid).kill()
    found = ended()
    prefect.stop(bench.settings)
    return Disturbed(found, left=bench.left())


@contextmanager
def _midway(bench: Bench, **variables: str) -> Iterator[Callable[[], Ended]]:
    """Yield once the bars of the session are committed; what is yielded waits for the end."""
    began = time.monotonic()
    command = bench.start(bench.command, **variables)
    while command.poll() is None and not any("normalized/equity_ohlc" in name for name in bench.commits()):
        time.sleep(0.05)

    def ended() -> Ended:
        return bench.ended(command, began)

    yield ended


def _nobody_there(bench: Bench) -> Disturbed:
    return Disturbed(bench.run(bench.command, CHAMPION_PREFECT_API_URL="http://127.0.0.1:9/api"), left=bench.left())


def _held(bench: Bench) -> Disturbed:
    """Run while another process writes the warehouse, and does not end."""
    settings = bench.settings.environment()
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=bench.environment(**settings)
    ) as holder:
        if holder.stdout is None or holder.stdin is None or holder.stdout.readline() != b"held\n":
            raise RuntimeError("the warehouse could not be held")
        try:
            ended = bench.run(bench.command)
        finally:
            holder.stdin.close()
            holder.wait(60)
    return Disturbed(ended, left=bench.left())
