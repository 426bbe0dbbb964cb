"""Check this machine and this workspace; each check reports what it found and how to fix it.

Nothing is changed. A check that cannot run because its subject is broken fails with the reason; the others still run.
"""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Collection
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from urllib.parse import urlsplit

from champion.base import file_modes
from champion.base.counting import quantity
from champion.contracts.datasets import ACTIONS, BARS
from champion.lake import Lake
from champion.pipeline.operations import (
    consistency,
    databases,
    index_evidence,
    model_files,
    own_features,
    warehouse_check,
)
from champion.pipeline.operations.checks import Check, run_check
from champion.settings import Settings

_GIB = 1024**3
_DISK_FAILED, _DISK_WARNING = 1, 5  # GiB: a demo workspace takes 0.3, five real years 4
_MEMORY_WARNING = 4  # GiB: training on five real years takes 3
_OTHERS = 0o077  # the bits of a file's mode for its group and for others
_SHOWN = 3
_NO_SESSIONS = "no sessions yet"
_TIMEOUT = 10  # seconds for an answer of an archive or a server


def examine(settings: Settings, only: Collection[str] = ()) -> list[Check]:
    """Run all checks of the machine, its packages and the workspace of `settings`, in order of dependence.

    With `only`, run the checks of these names. Stores that do not exist yet pass: the first command that needs one
    creates it.
    """
    checks: tuple[tuple[str, Callable[[Settings], Check]], ...] = (
        ("python", _python),
        ("packages", _packages),
        ("memory", _memory),
        ("workspace", _workspace),
        ("disk", _disk),
        ("archive", _archive),
        ("corporate actions", _corporate_actions),
        ("index lists", index_evidence.check),
        ("lake", _lake),
        ("own features", own_features.check),
        ("identity", _identity),
        ("findings", _findings),
        ("layers", consistency.check),
        ("warehouse", warehouse_check.check),
        ("tracking", _tracking),
        ("artifacts", _artifacts),  # before the checks that open the store, which updates its locations
        ("champion", _champion),
        ("trials", _trials),
        ("models", model_files.check),
        ("runs", _runs),
        ("prefect", _prefect),
    )
    return [run_check(name, partial(check, settings)) for name, check in checks if not only or name in only]


def _python(_: Settings) -> Check:
    """Compare the version with the ones that the distribution declares: its packages are pinned for these."""
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - one command needs it

    found = f"Python {platform.python_version()} in {sys.prefix}"
    declared = SpecifierSet(distribution("champion").metadata["Requires-Python"])
    if declared.contains(".".join(map(str, sys.version_info[:3]))):
        return Check("python", "ok", found)
    return Check("python", "failed", found, f"use a Python {declared}: the packages are pinned for these")


def _packages(_: Settings) -> Check:
    """Compare the installed packages with the requirements of the distribution."""
    from packaging.requirements import Requirement  # noqa: PLC0415 - one command needs it

    wanted = map(Requirement, distribution("champion").requires or ())
    needed = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = []
    for requirement in needed:
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            wrong.append(f"{requirement.name} {found}, not {requirement.specifier}")
    if wrong:
        remedy = "install the pinned versions: pip install --require-hashes -r requirements.lock"
        return Check("packages", "failed", "; ".join(wrong), remedy)
    return Check("packages", "ok", f"{len(needed)} packages as required")


def _memory(_: Settings) -> Check:
    import psutil  # noqa: PLC0415

    available = psutil.virtual_memory().available / _GIB
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = f"{available:.1f} GiB free, {cores} cores"
    if available >= _MEMORY_WARNING:
        return Check("memory", "ok", found)
    return Check("memory", "warning", found, "close other programs, or train on fewer years")


def _workspace(settings: Settings) -> Check:
    folder = _nearest(settings.home)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        remedy = "set CHAMPION_HOME to a folder that you may write"
        return Check("workspace", "failed", f"{folder} cannot be written: {error}", remedy)
    if not settings.home.exists():
        return Check("workspace", "ok", f"the first command will create {settings.home}")
    if writable := file_modes.writable_by_others(settings.home):
        found = f"others may write in {', '.join(map(str, writable))} and replace files there"
        return Check("workspace", "failed", found, f"chmod go-w {' '.join(map(str, writable))}")
    if readable := file_modes.readable_secrets(settings.home):
        found = f"others may read logins, keys and databases in {', '.join(map(str, readable))}"
        return Check("workspace", "warning", found, f"chmod 700 {' '.join(map(str, readable))}")
    return Check("workspace", "ok", f"{settings.home} exists")


def _disk(settings: Settings) -> Check:
    free = shutil.disk_usage(_nearest(settings.home)).free / _GIB
    found, remedy = f"{free:.1f} GiB free", "free some space, or set CHAMPION_HOME to another disk"
    if free < _DISK_FAILED:
        return Check("disk", "failed", found, remedy)
    return Check("disk", "warning", found, remedy) if free < _DISK_WARNING else Check("disk", "ok", found)


def _archive(settings: Settings) -> Check:
    from champion.sources.download.staging import Staging  # noqa: PLC0415
    from champion.sources.download.transport import canonical  # noqa: PLC0415 - httpx takes a while to import

    base = canonical(settings.archive)
    known = Staging(settings.staging, settings.archive).known()
    if known and base not in known:
        found = f"this workspace holds files of {', '.join(known)}; CHAMPION_ARCHIVE says {base}"
        setting = f"CHAMPION_ARCHIVE={known[0]}; or `champion archive add {base}`, if both are the same"
        return Check("archive", "warning", found, f"to fetch more, set {setting}")
    if base.startswith("file://"):
        if (folder := Path(base.removeprefix("file://"))).is_dir():
            return Check("archive", "ok", str(folder))
        remedy = "set CHAMPION_ARCHIVE to a mirror, or create one: champion simulate FOLDER"
        return Check("archive", "failed", f"{folder}: no such folder", remedy)
    return _answers("archive", base, "check the network; past sessions can come from a mirror (CHAMPION_ARCHIVE)")


def _corporate_actions(settings: Settings) -> Check:
    """Report the ex-dates that the lists cover, and the actions that need a decision."""
    from champion.pipeline.ingest import corporate_actions  # noqa: PLC0415 - it scans the lake

    name, lake = "corporate actions", Lake(settings.lake)
    download = "download CF-CA-equities-*.csv from the exchange into a folder that CHAMPION_LISTS names"
    if not lake.sessions(ACTIONS):
        if lake.sessions(BARS):
            return Check(name, "warning", "none known: prices are not adjusted for splits", download)
        found = "none read yet: the first backfill reads the lists of the archive and of CHAMPION_LISTS"
        return Check(name, "warning", found, f"for real files, {download}")
    if not corporate_actions.is_current(settings):
        found = "derived by an earlier version, which parsed fewer texts, lists and names of companies"
        remedy = "`champion daily` derives them again, as do `champion actions refresh` and then `champion features`"
        return Check(name, "warning", found, remedy)
    reach, waiting = corporate_actions.reach(lake), corporate_actions.questions(lake)
    facts, remedies = [reach.text], list[str]()
    if reach.unlisted:
        remedies.append(f"{download}, for the ex-dates from {reach.unlisted[0]} on")
    if waiting.height:
        facts.append(corporate_actions.summary(waiting))
        remedies.append("`champion actions list` shows them; decide with `champion actions decide`")
    return Check(name, "warning" if remedies else "ok", "; ".join(facts), "; ".join(remedies))


def _lake(settings: Settings) -> Check:
    lake = Lake(settings.lake)
    if not (sessions := lake.sessions(BARS)):
        return Check("lake", "ok", "no sessions yet: `champion demo`, or `champion backfill START END`")
    ((path, part),) = lake.parts(BARS, sessions[-1], sessions[-1])
    if not path.exists():
        return Check("lake", "failed", f"{path} is missing", "`champion lake verify` lists what is damaged")
    held = f"{quantity(len(sessions), 'session')} to {sessions[-1]}, {quantity(part.rows, 'row')} in the last"
    return Check("lake", "ok", held)


def _identity(settings: Settings) -> Check:
    """Compare the names of instruments in the lake with their names in the present symbol history."""
    from champion.pipeline.ingest import symbol_changes  # noqa: PLC0415
    from champion.pipeline.ingest.rename_instruments import outdated_sessions  # noqa: PLC0415

    if not Lake(settings.lake).sessions(BARS):
        return Check("identity", "ok", _NO_SESSIONS)
    history, contradictions = symbol_changes.review_history(Lake(settings.lake))
    sessions = outdated_sessions(Lake(settings.lake), history)
    found = f"{len(contradictions)} contradictions between symbols, ISINs and the list of changes"
    if not sessions:
        return Check("identity", "ok", found)
    outdated = f"{quantity(len(sessions), 'session has', 'sessions have')} outdated names of instruments"
    remedy = f"`champion backfill {sessions[0]} {sessions[-1]}` renames them, and rebuilds what depends on them"
    return Check("identity", "warning", f"{outdated}, the first {sessions[0]}; {found}", remedy)


def _findings(settings: Settings) -> Check:
    """Count the recorded findings of the quality gates."""
    from champion.pipeline.ingest import quality  # noqa: PLC0415

    if not Lake(settings.lake).sessions(BARS):
        return Check("findings", "ok", _NO_SESSIONS)
    findings = quality.recorded(Lake(settings.lake))
    stopping, accepted = findings.filter(severity="error", state="open"), findings.filter(state="accepted")
    shown = f"{stopping.height} stop publication, {accepted.height} accepted"
    if accepted.height:
        shown += f": {', '.join(accepted['key'].head(_SHOWN))}{', ...' * (accepted.height > _SHOWN)}"
    if stopping.height:
        remedy = "see `champion quality list`: correct the data, or `champion quality accept FINDING --reason WHY`"
        return Check("findings", "warning", shown, remedy)
    return Check("findings", "ok", shown)


def _tracking(settings: Settings) -> Check:
    """Check the tracking store; the workspace's own may be damaged, or missing although other files depend on it."""
    if settings.tracking_uri is None:
        if wrong := databases.tracking_problem(settings):
            remedy = "restore mlflow/ from a backup; see `champion docs restore` for more"
            return Check("tracking", "failed", wrong, remedy)
        path = settings.mlflow_database
        return Check("tracking", "ok", str(path) if path.exists() else "not created yet")
    from champion.tracking import store  # noqa: PLC0415

    where, remedy = store.without_password(settings.tracking), "start it, or correct CHAMPION_TRACKING_URI"
    if urlsplit(settings.tracking).scheme in {"http", "https"}:
        return _answers("tracking", f"{settings.tracking.rstrip('/')}/health", remedy)
    from sqlalchemy import NullPool, create_engine, exc  # noqa: PLC0415

    try:
        create_engine(settings.tracking, poolclass=NullPool).connect().close()
    except exc.SQLAlchemyError as error:
        return Check("tracking", "failed", f"{where}: {type(error).__name__}", remedy)
    return Check("tracking", "ok", where)


def _champion(settings: Settings) -> Check:
    """Compare the promotion ledger with the registry and its alias."""
    from champion.tracking import promotion_ledger, standing  # noqa: PLC0415

    if wrong := standing.problem(settings):
        return Check("champion", "failed", wrong, "`champion models history` shows what was decided")
    stack = promotion_ledger.champions(standing.entries(settings))
    return Check("champion", "ok", f"version {stack[-1].version}, by ledger and alias" if stack else "none yet")


def _trials(settings: Settings) -> Check:
    """Check the chain of the trial ledger, its end in the registry, and the files of its series."""
    from champion.pipeline.models import trials  # noqa: PLC0415
    from champion.tracking.trials import grouping, ledger  # noqa: PLC0415

    if wrong := ledger.damage(settings):
        return Check("trials", "failed", wrong, "trials cannot be counted, so no model can be trained or judged")
    known = grouping.trials(ledger.read(settings))  # without the import of earlier runs, which would write
    found = quantity(sum(trial.count for trial in known), "trial")
    if lost := trials.lost(settings, known):
        files = quantity(len(lost), "series is", "series are")
        remedy = "restore trials/ from a backup, or train the same recipes again: `champion trials` shows them"
        where = f"{files} lost or changed in trials/, the first {lost[0][:12]}.parquet"
        return Check("trials", "warning", f"{found}; {where}: their trials count as independent", remedy)
    return Check("trials", "ok", found)


def _artifacts(settings: Settings) -> Check:
    """Find artifacts of this workspace's store in other folders, which a backup of the workspace would miss."""
    from champion.tracking import relocation, store  # noqa: PLC0415

    if urlsplit(settings.tracking).scheme != "sqlite":
        return Check("artifacts", "ok", "stored by the server")
    file = store.sqlite_file(settings.tracking)
    if relocation.is_due(settings.home, store.artifact_root(settings), file):
        found = "MLflow's store names another folder: the next command that opens it updates its locations"
        return Check("artifacts", "ok", found)
    if not (outside := relocation.outside(settings.home, file)):
        return Check("artifacts", "ok", "in the workspace")
    remedy = "keep these folders with the workspace, or move their files to mlflow/artifacts and update MLflow's store"
    return Check("artifacts", "warning", f"some are outside the workspace: {', '.join(outside[:_SHOWN])}", remedy)


def _runs(settings: Settings) -> Check:
    """Check that each run that began has ended, or still has its process."""
    from champion.tracking import connectivity, run_spool, runs, store  # noqa: PLC0415

    waiting = [entry for entry in run_spool.entries(settings) if run_spool.ended(entry) or run_spool.abandoned(entry)]
    facts = [f"{quantity(len(waiting), 'run waits', 'runs wait')} in runs/ for MLflow"] if waiting else []
    is_damaged = settings.tracking_uri is None and databases.tracking_problem(settings)
    if not is_damaged and not store.is_gone(settings) and connectivity.unreachable(settings) is None:
        noted = {entry.run_id for entry in run_spool.entries(settings)}
        if lost := [run.run_id for run in runs.orphans(settings) if run.run_id not in noted]:
            had = quantity(len(lost), "run has", "runs have")
            facts.append(f"{had} neither a process nor an entry in runs/ any more, as {lost[0]}")
    if not facts:
        return Check("runs", "ok", "none waits")
    return Check("runs", "warning", "; ".join(facts), "the next flow or `champion notebook run` records how they ended")


def _prefect(settings: Settings) -> Check:
    from champion.security import prefect_login  # noqa: PLC0415
    from champion.services import managed_process, prefect  # noqa: PLC0415

    if settings.prefect_api_url:
        remedy = "start it, or correct CHAMPION_PREFECT_API_URL"
        return _answers("prefect", f"{settings.prefect_api_url}/health", remedy)
    if prefect_login.stored_login(settings) and prefect_login.path(settings).stat().st_mode & _OTHERS:
        remedy = f"chmod 600 {prefect_login.path(settings)}"
        return Check("prefect", "warning", "others may read the login of its server", remedy)
    if settings.prefect_database is None and (wrong := databases.prefect_problem(settings)):
        is_damaged = (settings.prefect_home / "prefect.db").exists()
        remedy = "restore prefect/ from a backup; or `champion stop`, move it away, and the next flow starts without it"
        return Check("prefect", "failed" if is_damaged else "warning", wrong, remedy)
    if (server := prefect.running(settings)) is None:
        return Check("prefect", "ok", "not running; the first flow starts it")
    if managed_process.answers(f"{server.api}/admin/version"):
        remedy = "`champion stop`; the next command starts a server that requires a login"
        return Check("prefect", "warning", f"{server.url} accepts any user of this machine without a login", remedy)
    return Check("prefect", "ok", f"{server.url}, login in {prefect_login.place(settings)}")


def _answers(name: str, url: str, remedy: str) -> Check:
    """Request a server's headers; any status below 500 passes, because an archive may refuse its base address."""
    import httpx  # noqa: PLC0415

    from champion.sources.download.deadline import Connections  # noqa: PLC0415

    host = f"{urlsplit(url).scheme}://{urlsplit(url).hostname}"
    connections = Connections()
    try:
        with (
            connections.within(_TIMEOUT) as trace,
            httpx.Client(timeout=_TIMEOUT, headers={"Accept-Encoding": "identity"}) as client,
            client.stream("GET", url, extensions={"trace": trace}) as answer,  # its body is not read
        ):
            pass
    except httpx.HTTPError as error:
        return Check(name, "failed", f"{host} does not answer ({type(error).__name__})", remedy)
    finally:
        connections.close()
    if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        return Check(name, "failed", f"{host} answers {answer.status_code}", remedy)
    return Check(name, "ok", f"{host} answers")


def _nearest(folder: Path) -> Path:
    """Return the folder, or its nearest parent that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())
