"""Places that fail: a full disk, folders without permission, stores and warehouse that are locked or missing."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import psutil

from benchmarks.robustness.faulty.cases import Case, Disturbed, daily
from benchmarks.robustness.faulty.workspace import Bench
from champion.services import managed_process, prefect

UNPRIVILEGED = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")  # root then has the permissions of other accounts
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
    """Yield a failure of every place that the daily flow writes to."""
    own = {"CHAMPION_PREFECT_API_URL": ""}
    yield Case("MLflow's store gone", "MLflow", partial(_without, name="mlflow"), "the folder is missing")
    yield Case(
        "MLflow's store locked", "MLflow", partial(_locked, name="mlflow/mlflow.db", variables={}), "all the time"
    )
    yield Case("Prefect's server killed midway", "Prefect", _server_dies, "SIGKILL once the bars are committed")
    yield Case("disk full, 768 KB left", "disk full", partial(_full, free=768), "a file system of its own")
    yield _read_only_case("warehouse")
    yield Case("warehouse held by a writer", "warehouse", _held, "all the time")
    yield Case(
        "Prefect's store locked", "Prefect", partial(_locked, name="prefect/prefect.db", variables=own), "all the time"
    )
    yield _read_only_case("")
    yield Case(
        "MLflow's store gone midway", "MLflow", _store_leaves, "moved away once the bars are committed, then back"
    )
    for free in (0, 192, 2048):
        yield Case(f"disk full, {free} KB left", "disk full", partial(_full, free=free), "a file system of its own")
    yield Case("Prefect's server elsewhere down", "Prefect", partial(daily, CHAMPION_PREFECT_API_URL="http://127.0.0.1:9/api"),
               "CHAMPION_PREFECT_API_URL without a server")  # fmt: skip
    yield Case("warehouse gone", "warehouse", partial(_gone, name="warehouse"), "the folder was deleted",
               baseline="timeless", timeless=True)  # fmt: skip
    for name in ("lake", "mlflow", "staging"):
        yield _read_only_case(name)
    yield Case("archive folder unmounted", "archive", partial(_without, name=""), "the folder is missing")


def _read_only_case(name: str) -> Case:
    detail = f"{name or 'the whole workspace'} without write permission"
    return Case(f"read-only {name or 'home'}", "read-only", partial(_read_only, name=name), detail)


def _full(bench: Bench, free: int) -> Disturbed:
    """Run on a file system with this many KB left; afterwards it has room again."""
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
    paths = [path for path in (root, *root.rglob("*")) if path.is_file() or (path.is_dir() and not path.is_symlink())]
    modes = {path: path.stat().st_mode for path in paths}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    try:
        ended = bench.run(bench.command, prefix=UNPRIVILEGED)
    finally:
        for path, mode in modes.items():
            if path.exists():
                path.chmod(mode)
    return Disturbed(ended, left=bench.left())


def _without(bench: Bench, name: str) -> Disturbed:
    """Run without a folder of the workspace, or without the archive, as if its disk were not mounted."""
    folder, away = bench.home / name if name else bench.archive, bench.root / "away"
    folder.rename(away)
    try:
        ended = bench.run(bench.command)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        away.rename(folder)
    return Disturbed(ended, left=bench.left())


def _gone(bench: Bench, name: str) -> Disturbed:
    shutil.rmtree(bench.home / name)
    return daily(bench)


def _locked(bench: Bench, name: str, variables: dict[str, str]) -> Disturbed:
    """Run while another process has an exclusive lock on a SQLite file."""
    with closing(sqlite3.connect(bench.home / name, isolation_level=None)) as books:
        books.execute("begin exclusive")
        try:
            ended = bench.run(bench.command, **variables)
        finally:
            prefect.stop(bench.settings)
            left = bench.left()
        books.execute("rollback")
    return Disturbed(ended, left=left)


def _store_leaves(bench: Bench) -> Disturbed:
    """Move MLflow's folder away while the flow runs, and back when it has ended."""
    folder, away = bench.home / "mlflow", bench.root / "away"
    with bench.midway("normalized/equity_ohlc") as ended:
        folder.rename(away)
    end = ended()
    shutil.rmtree(folder, ignore_errors=True)
    away.rename(folder)
    return Disturbed(end, left=bench.left())


def _server_dies(bench: Bench) -> Disturbed:
    """Kill the Prefect server of the workspace while the flow runs."""
    with bench.midway("normalized/equity_ohlc", CHAMPION_PREFECT_API_URL="") as ended:
        server = managed_process.recorded(bench.settings, prefect.NAME)
        for process in psutil.Process(server.pid).children(recursive=True) if server else []:
            process.kill()
        if server:
            psutil.Process(server.pid).kill()
    end = ended()
    prefect.stop(bench.settings)
    return Disturbed(end, left=bench.left())


def _held(bench: Bench) -> Disturbed:
    """Run while another process keeps the warehouse open for writing."""
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
