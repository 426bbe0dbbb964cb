"""The cost of the pipeline: each stage as a plain call, and the commands that run the same work as flows.

`make bench`, or `.venv/bin/python benchmarks/speed/pipeline.py [--sessions N] [--json PATH]`. README.md explains the
tables. The script uses the files of 2024 in the folder CHAMPION_NSE; without them an archive is simulated.
"""

import os
import platform
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from benchmarks import meter
from benchmarks.meter import Cost
from benchmarks.speed import library
from champion.base import clock
from champion.security import prefect_login
from champion.services import managed_process, prefect
from champion.settings import Settings
from champion.simulate import publish
from champion.tracking import runs

SIMULATED_INSTRUMENTS = 1000
LEAST_SESSIONS = 100  # fewer sessions do not fill the folds of the training
AIM = 250  # sessions a minute and core, from zip to normalized lake
PACKAGES = ("polars", "chdb", "scikit-learn", "papermill", "prefect", "mlflow")
FRESH_IMPORTS = ("polars", "chdb", "sklearn", "papermill", "nbconvert", "prefect", "mlflow", "champion.plots")
FEW, MANY = 5, 45  # tasks of the empty flows: a backfill has 5; the difference shows the cost of a task
_EMPTY_FLOW = """
import sys
from prefect import flow, task

@task
def nothing():
    pass

@flow
def empty(tasks):
    for _ in range(tasks):
        nothing()

empty(int(sys.argv[1]))
"""


@dataclass(frozen=True, slots=True)
class Archive:
    """The folder of the files, their kind, and their sessions."""

    folder: Path
    kind: str
    sessions: list[date]


@dataclass(frozen=True, slots=True)
class Server:
    """The Prefect server that all commands use."""

    found: managed_process.Server
    login: str

    @property
    def variables(self) -> dict[str, str]:
        """The variables that lead a command to the server."""
        return {"CHAMPION_PREFECT_API_URL": self.found.api, "CHAMPION_PREFECT_LOGIN": self.login}

    def measured(self, call: Any) -> tuple[Any, float]:
        """Return the result of a call, and the CPU seconds of the server meanwhile."""
        before = meter.cpu_of(self.found.pid)
        return call(), meter.cpu_of(self.found.pid) - before


def main() -> None:
    given = meter.arguments(__doc__, sessions=int, json=Path)
    if given.sessions is not None and given.sessions < LEAST_SESSIONS:
        sys.exit(f"--sessions {given.sessions}: at least {LEAST_SESSIONS}, or there is nothing to train on")
    target = given.json and given.json.absolute()
    signal.signal(signal.SIGTERM, _stop)
    meter.forget_workspace()
    with tempfile.TemporaryDirectory(prefix="champion-bench-") as folder:
        os.chdir(folder)
        report = _everything(Path(folder), given.sessions)
    meter.write_json(target, report)


def _stop(number: int, _: object) -> None:
    """Exit as on an error, so that the server is stopped and the folder removed."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def _everything(scratch: Path, wanted: int | None) -> dict[str, Any]:
    archive = _archive(scratch, wanted)
    start, before, end = archive.sessions[0], archive.sessions[-2], archive.sessions[-1]
    machine = _machine(archive)
    print("\n".join(f"{name:<9} {text}" for name, text in machine.items()), flush=True)
    direct, yesterday, year, copy = (
        Settings(home=scratch / name, archive=str(archive.folder)) for name in ("direct", "yesterday", "flows", "copy")
    )
    stages, trained = library.run_stages(direct, start, end)
    _print_stages("Stages, called directly in one process", stages)
    library.through_warehouse(yesterday, start, before, start, "")
    shutil.copytree(yesterday.home, copy.home, symlinks=True)  # the engine has links within its folder
    one_more = library.one_more_session(copy, end, trained)
    _print_stages(f"One more session, {end}, on top of the others", one_more)
    once = library.single_costs(yesterday, trained)
    flows: list[list[object]] = []
    with _server(year, once) as server:
        flows.append(_flow(server, year, stages, "backfill", str(start), str(end))[0])
        row, model = _flow(server, year, stages, "train")
        flows.append(row)
        if not model["promoted"]:  # the cost of a score does not depend on the model's skill
            number = str(model["version"])
            promote = ("models", "promote", number, "--force", "--reason", "benchmark")
            meter.champion(year, *promote, **server.variables)
        flows.append(_flow(server, year, stages, "score", str(end))[0])
        flows.append(_flow(server, yesterday, one_more, "daily", str(end))[0])
    columns = ["command", "wall s", "CPU s", "peak MB", "server CPU s", "stages CPU s", "ratio", "notebooks, s"]
    meter.print_table("Commands, with notebooks, Prefect and MLflow", columns, flows)
    rows = [(name, cost.wall, cost.cpu) for name, cost in once.items()]
    meter.print_table("What one of each costs", ("what", "wall s", "CPU s"), rows)
    _print_rate(stages)
    return {"machine": machine, "stages": stages, "one_more_session": one_more, "flows": flows, "once": once}


def _archive(scratch: Path, wanted: int | None) -> Archive:
    """Return the mirror of real files, or a simulated archive; its files are then in the page cache."""
    folder, kind = meter.MIRROR, "real files of 2024"
    if not folder.is_dir():
        kind = f"SIMULATED, {SIMULATED_INSTRUMENTS} instruments: {meter.NSE} names no folder of real files"
        first, last = date(2024, 1, 1), date(2024, 12, 31)
        folder = publish(scratch / "archive", instruments=SIMULATED_INSTRUMENTS, start=first, end=last).root
    files = sorted((folder / "content" / "cm").glob("BhavCopy_NSE_CM_0_0_0_2024*.zip"))[:wanted]
    sessions = [datetime.strptime(file.name.split("_")[6], "%Y%m%d").date() for file in files if file.read_bytes()]  # noqa: DTZ007
    if len(sessions) < LEAST_SESSIONS:
        sys.exit(f"{len(sessions)} UDiFF files of 2024 in {folder}, of {LEAST_SESSIONS} needed: unset {meter.NSE}")
    return Archive(folder, kind, sessions)


@contextmanager
def _server(owner: Settings, once: dict[str, Cost]) -> Iterator[Server]:
    """Start a workspace's Prefect server, add the cost of it and of empty flows to `once`, and stop it at the end."""
    try:
        _, starting = meter.measured(lambda: prefect.ensure(owner))
        found = prefect.running(owner)
        if found is None:
            raise RuntimeError("the Prefect server answered and has ended")
        once["Prefect server: start"] = Cost(starting.wall, meter.cpu_of(found.pid))
        server = Server(found, prefect_login.current_login(owner) or "")
        (_, waited), idle = server.measured(lambda: meter.measured(lambda: _fresh_imports(once)))
        once["Prefect server: a minute without a flow"] = Cost(60.0, idle * 60 / waited.wall)
        home = Settings(home=owner.home / "empty", prefect_login=SecretStr(server.login))
        quiet = prefect.environment(home, found.api) | {"PREFECT_LOGGING_LEVEL": "WARNING"}
        for tasks in (FEW, MANY):
            command = [sys.executable, "-c", _EMPTY_FLOW, tasks]
            (_, cost), served = server.measured(lambda command=command: meter.run(command, quiet))
            once[f"Prefect: empty flow of {tasks} tasks"] = cost
            once[f"  the server meanwhile, {tasks} tasks"] = Cost(cost.wall, served)
        yield server
    finally:
        prefect.stop(owner)


def _fresh_imports(once: dict[str, Cost]) -> None:
    _, bare = meter.run([sys.executable, "-c", ""])
    once["Python: start and end"] = bare
    for name in FRESH_IMPORTS:
        once[f"import {name}, in a fresh process"] = meter.run([sys.executable, "-c", f"import {name}"])[1] - bare


def _flow(
    server: Server, workspace: Settings, direct: list[library.Stage], *words: str
) -> tuple[list[object], dict[str, Any]]:
    """Run a command; return its row and its output."""
    began = clock.now()
    (printed, cost), served = server.measured(lambda: meter.champion(workspace, *words, **server.variables))
    new = reversed(runs.find_runs(workspace, between=(began, clock.now())))
    seconds = ", ".join(f"{run.name} {run.metrics['run_seconds']:.1f}" for run in new if "run_seconds" in run.metrics)
    stages = sum((stage.cost for stage in direct if stage.flow == words[0]), Cost())
    ratio = (cost.cpu + served) / stages.cpu
    return [" ".join(words), cost.wall, cost.cpu, round(cost.peak_mb), served, stages.cpu, ratio, seconds], printed


def _machine(archive: Archive) -> dict[str, str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return {
        "archive": f"{archive.kind}; {len(archive.sessions)} sessions, {archive.sessions[0]} to {archive.sessions[-1]}",
        "machine": f"{memory:.0f} GB, {meter.machine()} at the start",
        "versions": f"Python {platform.python_version()}, {versions}",
    }


def _print_stages(title: str, stages: list[library.Stage]) -> None:
    columns = ("stage", "rows", "wall s", "CPU s", "rows/CPU s", "peak MB")
    rows = [
        (s.name, s.rows, s.cost.wall, s.cost.cpu, round(s.rows / s.cost.cpu) if s.rows else None, round(s.cost.peak_mb))
        for s in stages
    ]
    total = sum((stage.cost for stage in stages if stage.flow), Cost())
    rows.append(("total, without parts of other stages", None, total.wall, total.cpu, None, round(total.peak_mb)))
    meter.print_table(title, columns, rows)


def _print_rate(stages: list[library.Stage]) -> None:
    ingested = next(stage for stage in stages if stage.name == library.INGEST)
    sessions = next(stage for stage in stages if stage.name == library.FETCH).rows or 0
    print(
        f"\nZip to normalized lake: {60 * sessions / ingested.cost.cpu:,.0f} sessions a minute and core "
        f"(aim {AIM}); {60 * sessions / ingested.cost.wall:,.0f} a minute on this machine"
    )


if __name__ == "__main__":
    main()
