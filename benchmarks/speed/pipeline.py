"""What the pipeline costs, called as a library and run as flows; and who causes the difference. See README.md.

python benchmarks/speed/pipeline.py [--sessions N] [--json PATH]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from benchmarks import meter
from benchmarks.meter import Cost
from benchmarks.speed import account, library, probe
from champion.security import prefect_login
from champion.services import managed_process, prefect
from champion.settings import Settings
from champion.simulate import publish

HERE = Path(__file__).resolve().parent
NSE = "CHAMPION_NSE"
SIMULATED_INSTRUMENTS = 1000
LEAST_SESSIONS = 100  # fewer do not fill the folds of the training
AIM = 250  # sessions a minute and core, from zip to normalized lake
PACKAGES = ("polars", "chdb", "scikit-learn", "papermill", "prefect", "mlflow")
FRESH_IMPORTS = ("polars", "chdb", "sklearn", "papermill", "nbconvert", "prefect", "mlflow", "champion.plots")
FEW, MANY = 5, 45  # tasks of the empty flows: as many as a backfill has, and enough more to see what a task costs


@dataclass(frozen=True, slots=True)
class Archive:
    """Where the files come from, and which sessions they are of."""

    folder: Path
    kind: str
    sessions: list[date]


@dataclass(frozen=True, slots=True)
class FlowRun:
    """One command: its cost, its parts, and what it cost the Prefect server meanwhile."""

    name: str
    cost: Cost
    parts: list[account.Part]
    imports: list[tuple[str, float]]
    server_cpu: float
    printed: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bench:
    """The scratch folder of one benchmark, the Prefect server of all its commands, and what an empty flow costs."""

    scratch: Path
    server: managed_process.Server
    login: str
    client: Cost = field(default_factory=Cost)


def main() -> None:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _stop)
    mirror = Path(os.environ.get(NSE) or HERE.parents[2] / "shared" / "nse")
    for name in [name for name in os.environ if name.startswith("CHAMPION_")]:
        del os.environ[name]  # nothing may reach a real workspace or warehouse
    with tempfile.TemporaryDirectory(prefix="champion-bench-") as folder:
        os.chdir(folder)
        report = _everything(Path(folder), mirror, arguments.sessions)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, default=_plain, indent=1), encoding="utf-8")


def _stop(number: int, _: object) -> None:
    """End as an error would, so that the server is stopped and the folder removed then, too."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time the pipeline: as a library, as flows, and what is between.")
    parser.add_argument("--sessions", type=int, help=f"only the first N sessions of 2024, at least {LEAST_SESSIONS}")
    parser.add_argument("--json", type=lambda text: Path(text).absolute(), help="also write every figure to this file")
    arguments = parser.parse_args()
    if arguments.sessions is not None and arguments.sessions < LEAST_SESSIONS:
        parser.error(f"--sessions {arguments.sessions}: at least {LEAST_SESSIONS}, or there is nothing to train on")
    return arguments


def _everything(scratch: Path, mirror: Path, wanted: int | None) -> dict[str, Any]:
    archive = _archive(scratch, mirror, wanted)
    start, before, end = archive.sessions[0], archive.sessions[-2], archive.sessions[-1]
    _print_machine(archive)
    direct = Settings(home=scratch / "direct", archive=str(archive.folder))
    stages, trained = library.run_stages(direct, start, end)
    _print_stages("Stages, called directly in one process", stages)
    yesterday = Settings(home=scratch / "yesterday", archive=str(archive.folder))
    library.prepare(yesterday, start, before)
    one_more = library.one_more_day(_copied(yesterday, scratch / "copy"), end, trained)
    _print_stages(f"One more session, {end}, on top of the others", one_more)
    once = library.single_costs(yesterday, trained)
    whole_year = Settings(home=scratch / "flows", archive=str(archive.folder))
    with _bench(scratch, whole_year, once) as bench:
        flows = [
            _flow(bench, whole_year, "backfill", str(start), str(end), direct=stages),
            _flow(bench, whole_year, "train", direct=stages),
        ]
        _make_sure_of_champion(bench, whole_year, flows[-1])
        flows.append(_flow(bench, whole_year, "score", str(end), direct=stages))
        flows.append(_flow(bench, yesterday, "daily", str(end), direct=one_more))
    _print_once(once)
    _print_rate(stages)
    return {"machine": _machine(archive), "stages": stages, "one_more_day": one_more, "flows": flows, "once": once}


def _archive(scratch: Path, mirror: Path, wanted: int | None) -> Archive:
    """Return the mirror of real files, or a simulated archive where there is none; its files now in the page cache."""
    folder, kind = mirror, "real files of 2024"
    if not mirror.is_dir():
        kind = f"SIMULATED, {SIMULATED_INSTRUMENTS} instruments: {NSE} names no folder of real files"
        first, last = date(2024, 1, 1), date(2024, 12, 31)
        folder = publish(scratch / "archive", instruments=SIMULATED_INSTRUMENTS, start=first, end=last).root
    files = sorted((folder / "content" / "cm").glob("BhavCopy_NSE_CM_0_0_0_2024*.zip"))[:wanted]
    sessions = [datetime.strptime(file.name.split("_")[6], "%Y%m%d").date() for file in files if file.read_bytes()]  # noqa: DTZ007
    if len(sessions) < LEAST_SESSIONS:
        sys.exit(f"{len(sessions)} UDiFF files of 2024 in {folder}; at least {LEAST_SESSIONS} are needed: unset {NSE}")
    return Archive(folder, kind, sessions)


def _copied(workspace: Settings, home: Path) -> Settings:
    shutil.copytree(workspace.home, home, symlinks=True)  # the engine has links within its folder
    return Settings(home=home, archive=workspace.archive)


@contextmanager
def _bench(scratch: Path, owner: Settings, once: dict[str, Cost]) -> Iterator[Bench]:
    """Start the Prefect server of a workspace, note what it and empty flows cost, and stop it whatever happens."""
    _write_probe(scratch)
    try:
        _, starting = meter.measured(lambda: prefect.ensure(owner))
        server = prefect.running(owner)
        if server is None:
            raise RuntimeError("the Prefect server answered and is gone")
        once["Prefect server: start"] = Cost(starting.wall, meter.cpu_of(server.pid))
        bench = Bench(scratch, server, prefect_login.current_login(owner) or "")
        idle = meter.cpu_of(server.pid)
        _, waited = meter.measured(lambda: _fresh_imports(bench, once))
        idle = (meter.cpu_of(server.pid) - idle) * 60 / waited.wall
        once["Prefect server: a minute without a flow"] = Cost(60.0, idle)
        client = _empty_flow(bench, FEW, once)
        _empty_flow(bench, MANY, once)
        yield replace(bench, client=client)
    finally:
        prefect.stop(owner)


def _write_probe(scratch: Path) -> None:
    """Put the probe where commands and kernels start with it."""
    gone = [name for name in probe.WATCHED if find_spec(name) is None]
    if gone:
        raise RuntimeError(f"probe.py watches {', '.join(gone)}, which no longer exist: name what took their place")
    startup = scratch / "ipython" / "profile_default" / "startup"
    for folder in (scratch / "probe", scratch / "seen", scratch / "work", startup):
        folder.mkdir(parents=True)
    shutil.copy(HERE / "probe.py", scratch / "probe" / "sitecustomize.py")
    text = "import sitecustomize\n\nsitecustomize.watch_cells(get_ipython())\n"
    (startup / "watch.py").write_text(text, encoding="utf-8")


def _environment(bench: Bench) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(bench.scratch / "probe"),
        "IPYTHONDIR": str(bench.scratch / "ipython"),
        "BENCHMARK_PROBE": str(bench.scratch / "seen"),
        "CHAMPION_PREFECT_API_URL": bench.server.api,
        "CHAMPION_PREFECT_LOGIN": bench.login,
    }


def _fresh_imports(bench: Bench, once: dict[str, Cost]) -> None:
    bare = meter.run([sys.executable, "-c", ""], os.environ, bench.scratch / "work").cost
    once["Python: start and end"] = bare
    for name in FRESH_IMPORTS:
        loaded = meter.run([sys.executable, "-c", f"import {name}"], os.environ, bench.scratch / "work").cost
        once[f"import {name}, in a fresh process"] = loaded - bare


def _empty_flow(bench: Bench, tasks: int, once: dict[str, Cost]) -> Cost:
    """Return what an empty flow costs its process beside imports and end, which a command's account has apart."""
    home = Settings(home=bench.scratch / "empty", prefect_login=SecretStr(bench.login))
    environment = _environment(bench) | prefect.environment(home, bench.server.api)
    environment["PREFECT_LOGGING_LEVEL"] = "WARNING"
    command = [sys.executable, str(HERE / "empty_flow.py"), str(tasks)]
    before = meter.cpu_of(bench.server.pid)
    done = meter.run(command, environment, bench.scratch / "work")
    served = meter.cpu_of(bench.server.pid) - before
    seen = account.read(bench.scratch / "seen" / f"{done.pid}.json")
    ending = Cost(done.ended - seen.ended, done.cost.cpu - seen.cpu - seen.children)
    rest = done.cost - ending - seen.total(lambda label: label.startswith("import "))
    once[f"Prefect: empty flow of {tasks} tasks"] = done.cost
    once[f"  beside imports and end of Python, {tasks} tasks"] = rest
    once[f"  the server meanwhile, {tasks} tasks"] = Cost(done.cost.wall, served)
    return rest


def _champion(bench: Bench, workspace: Settings, *arguments: str) -> meter.Finished:
    environment = _environment(bench) | {"CHAMPION_HOME": str(workspace.home), "CHAMPION_ARCHIVE": workspace.archive}
    program = str(Path(sys.executable).with_name("champion"))
    return meter.run([program, *arguments, "--json"], environment, bench.scratch / "work")


def _flow(bench: Bench, workspace: Settings, *arguments: str, direct: list[library.Stage]) -> FlowRun:
    """Run a command and print its account."""
    seen = bench.scratch / "seen"
    for old in seen.iterdir():
        old.unlink()
    served = meter.cpu_of(bench.server.pid)
    done = _champion(bench, workspace, *arguments)
    served = meter.cpu_of(bench.server.pid) - served
    command = account.read(seen / f"{done.pid}.json")
    kernels = [found for path in seen.iterdir() if (found := account.read(path)).boot]
    run = FlowRun(
        name=" ".join(arguments),
        cost=done.cost,
        parts=account.attribute(done, command, kernels, bench.client),
        imports=account.imports([command, *kernels]),
        server_cpu=served,
        printed=json.loads(done.printed),
    )
    _print_flow(run, sum((stage.cost for stage in direct if stage.flow == arguments[0]), Cost()))
    return run


def _make_sure_of_champion(bench: Bench, workspace: Settings, trained: FlowRun) -> None:
    """Promote the model where the gate refused it: what a score costs does not depend on its skill."""
    if trained.printed["promoted"]:
        return
    print(f"\nthe gate refused the model ({'; '.join(trained.printed['reasons'])}); promoted by force, to time scoring")
    number = str(trained.printed["version"])
    _champion(bench, workspace, "models", "promote", number, "--force", "--reason", "benchmark")


def _machine(archive: Archive) -> dict[str, str]:
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "archive": f"{archive.kind}; {len(archive.sessions)} sessions, {archive.sessions[0]} to {archive.sessions[-1]}",
        "machine": f"{os.cpu_count()} cores, {memory:.0f} GB, load {os.getloadavg()[0]:.1f} at the start",
        "versions": f"Python {platform.python_version()}, {versions}",
    }


def _print_machine(archive: Archive) -> None:
    for name, text in _machine(archive).items():
        print(f"{name:<9} {text}", flush=True)


def _print_stages(title: str, stages: list[library.Stage]) -> None:
    columns = ("stage", "rows", "wall s", "CPU s", "rows/CPU s", "peak MB")
    rows = [
        (s.name, s.rows, s.cost.wall, s.cost.cpu, round(s.rows / s.cost.cpu) if s.rows else None, round(s.cost.peak_mb))
        for s in stages
    ]
    total = sum((stage.cost for stage in stages if stage.flow), Cost())
    rows.append(("total, without what is part of others", None, total.wall, total.cpu, None, round(total.peak_mb)))
    meter.print_table(title, columns, rows)


def _print_flow(run: FlowRun, direct: Cost) -> None:
    done, cpu = run.cost, run.cost.cpu + run.server_cpu
    rows: list[tuple[object, ...]] = [("stages called directly", None, direct.wall, direct.cpu, None)]
    rows += [(p.name, p.owner, p.cost.wall, p.cost.cpu, f"{p.cost.cpu / cpu:.0%}") for p in run.parts]
    rows.append((f"the command (peak {done.peak_mb:,.0f} MB)", None, done.wall, done.cpu, f"{done.cpu / cpu:.0%}"))
    rows.append(("Prefect server meanwhile", account.PREFECT, None, run.server_cpu, f"{run.server_cpu / cpu:.0%}"))
    meter.print_table(f"champion {run.name}", ("part", "owner", "wall s", "CPU s", "share"), rows)
    owners = account.shares(run.parts, run.server_cpu)
    print("by owner, CPU:", ", ".join(f"{owner} {used:.1f} s ({used / cpu:.0%})" for owner, _, used in owners))
    print("imports, CPU s:", ", ".join(f"{name} {used:.1f}" for name, used in run.imports), flush=True)


def _print_once(once: Mapping[str, Cost]) -> None:
    rows = [(name, cost.wall, cost.cpu) for name, cost in once.items()]
    meter.print_table("What one of each costs", ("what", "wall s", "CPU s"), rows)


def _print_rate(stages: list[library.Stage]) -> None:
    ingested = next(stage for stage in stages if stage.name == library.INGEST)
    sessions = next(stage for stage in stages if stage.name == library.FETCH).rows or 0
    print(
        f"\nZip to normalized lake: {60 * sessions / ingested.cost.cpu:,.0f} sessions a minute and core "
        f"(aim {AIM}); {60 * sessions / ingested.cost.wall:,.0f} a minute on this machine"
    )


def _plain(value: Any) -> Any:
    return asdict(value)


if __name__ == "__main__":
    main()
