"""`champion serve`, once, for real: a schedule fires, a cancelled run ends its kernel, all servers stop together."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import nbformat
import psutil
import pytest
import yaml
from hooks import Webhook, listening
from modes import too_open
from playwright.sync_api import Page
from prefect_api import Api, keep_block, keep_notifier, request
from waiting import PATIENCE, until

from champion.base import clock, package_data
from champion.errors import ServiceError
from champion.pipeline.operations import doctor
from champion.security import prefect_login
from champion.services import encryption, prefect
from champion.services.deployments import QUEUES
from champion.settings import Settings
from champion.simulate import SimulatedArchive
from champion.tracking import runs

_BESIDE = """
from champion.security import prefect_login
from champion.services import encryption, prefect
from champion.settings import Settings
print(prefect.ensure(Settings()), *prefect_login.pair(Settings()))
"""
_FLOW = """
from prefect import flow

from champion.runner import NotebookRequest, run_notebook
from champion.settings import Settings
from flows.notifications import HOOKS
from flows.run_tracking import prefect_ids, record_flow


@flow(name="sleeper", **HOOKS)
def sleeper(notebook: str) -> None:
    with record_flow("sleepers", "sleeper", {}) as recording:
        tags = {**prefect_ids(), "holidays": Settings().holidays}
        run_notebook(Settings(), NotebookRequest(notebook, parent_run_id=recording.run_id, tags=tags))
"""
_CELL = """
import os, subprocess, sys, time
from pathlib import Path
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
Path({pids!r}).write_text(f"{{os.getpid()}} {{child.pid}}")
time.sleep(600)
"""


@dataclass
class Served:
    """A served workspace: its process, its pages, and the webhook that Prefect's secret names."""

    process: subprocess.Popen[bytes]
    settings: Settings
    prefect: str
    mlflow: str
    webhook: Webhook
    beside: str

    def ask(self, path: str, **body: Any) -> Any:
        """Post named values to Prefect's API and return the answer."""
        return request(self.api, "POST", path, body)

    @property
    def api(self) -> Api:
        """Prefect's API, requested with the login of the workspace."""
        return Api.of(self.settings, f"{self.prefect}/api")

    def deployment(self, name: str) -> dict[str, Any]:
        """Return a deployment by name."""
        return next(dict(found) for found in self.ask("deployments/filter") if found["name"] == name)

    def pause(self, name: str) -> None:
        """Pause a deployment's schedules."""
        request(self.api, "PATCH", f"deployments/{self.deployment(name)['id']}", {"paused": True})

    def server(self, name: str) -> psutil.Process:
        """Return the process of one of the servers."""
        record = json.loads((self.settings.services / f"{name}.json").read_bytes())
        return psutil.Process(record["pid"])


@pytest.fixture(scope="module")
def served(archive: SimulatedArchive, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The served workspace; the last test checks what is left of it in the end.

    Another process starts a Prefect server at the same time; `beside` is the server it got.
    """
    folder = tmp_path_factory.mktemp("served")
    settings = Settings(home=folder / "home", archive=str(archive.root))
    variables = {
        **os.environ,
        "CHAMPION_HOME": str(settings.home),
        "CHAMPION_ARCHIVE": settings.archive,
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    said = folder / "said.txt"
    with listening() as webhook, said.open("wb") as output:
        command = [sys.executable, "-m", "champion", "serve"]
        process = subprocess.Popen(command, env=variables, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        beside = subprocess.Popen([sys.executable, "-c", _BESIDE], env=variables, cwd=folder, stdout=subprocess.PIPE)
        try:
            found = beside.communicate(timeout=PATIENCE)[0].decode()
            until("champion serve", lambda: "Ctrl-C" in said.read_text() or process.poll() is not None)
            assert process.poll() is None, said.read_text()
            pages = dict(re.findall(r"^(Prefect|MLflow) +(http\S+)$", said.read_text(), re.MULTILINE))
            served = Served(process, settings, pages["Prefect"], pages["MLflow"].partition("/#/")[0], webhook, found)
            served.pause("market-monitoring")  # in market hours it would begin, and tell of the empty lake
            yield served
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)


def test_deployments_of_prefect_yaml_are_created(served: Served) -> None:
    wanted = yaml.safe_load(package_data.path("prefect.yaml").read_text())["deployments"]
    found = {entry["name"]: entry for entry in served.ask("deployments/filter")}
    assert set(found) == {entry["name"] for entry in wanted}
    for entry in wanted:
        deployed = found[entry["name"]]
        assert (deployed["entrypoint"], deployed["work_pool_name"]) == (entry["entrypoint"], "champion")
        assert deployed["work_queue_name"] == entry["work_pool"]["work_queue_name"]
        crons = [(s["schedule"]["cron"], s["schedule"]["timezone"]) for s in deployed["schedules"]]
        assert crons == [(s["cron"], "Asia/Kolkata") for s in entry.get("schedules", [])]
        assert deployed["concurrency_options"] == (
            {"collision_strategy": entry["concurrency_limit"]["collision_strategy"], "grace_period_seconds": None}
            if "concurrency_limit" in entry
            else None
        )
    queues = {queue["name"]: queue["concurrency_limit"] for queue in served.ask("work_pools/champion/queues/filter")}
    assert {name: queues[name] for name in QUEUES} == QUEUES == {
        "market-data": 5, "feature": 3, "monitoring": 10, "retention": 1, "notebooks": 2,
    }  # fmt: skip


def test_concurrent_starts_share_one_server_that_requires_its_login(served: Served) -> None:
    assert served.beside.split() == [f"{served.prefect}/api", *(served.api.login or ())]
    assert prefect_login.path(served.settings).stat().st_mode & 0o777 == 0o600
    for login in (None, ("champion", "guessed"), ("", "")):
        for asked in ("admin/version", "block_types/filter", "csrf-token"):
            answer = httpx.get(f"{served.prefect}/api/{asked}", auth=login, timeout=PATIENCE)
            assert answer.status_code == httpx.codes.UNAUTHORIZED
    assert httpx.get(f"{served.prefect}/api/admin/version", auth=served.api.login, timeout=PATIENCE).is_success
    kept = prefect_login.path(served.settings).rename(served.settings.home / "away")
    with pytest.raises(ServiceError, match="which has no login any more: `champion stop`"):
        prefect.ensure(served.settings)
    kept.rename(prefect_login.path(served.settings))
    check = next(check for check in doctor.examine(served.settings) if check.name == "prefect")
    assert (check.state, check.found) == ("ok", f"{served.prefect}, login in prefect/login")


def test_a_schedule_fires_and_both_pages_show_the_run(served: Served) -> None:
    deployment = served.deployment("lake-retention")["id"]
    interval = {"interval": 12, "anchor_date": clock.now().isoformat()}
    often = {"active": True, "schedule": interval, "max_scheduled_runs": 1}
    path = f"deployments/{deployment}/schedules"
    schedule = request(served.api, "POST", path, [often])[0]["id"]
    of_it = {"deployments": {"id": {"any_": [deployment]}}, "sort": "EXPECTED_START_TIME_ASC"}
    started = {"state": {"type": {"any_": ["RUNNING", "COMPLETED", "FAILED", "CRASHED"]}}}
    run = until("the schedule", lambda: served.ask("flow_runs/filter", **of_it, flow_runs=started))[0]
    request(served.api, "DELETE", f"{path}/{schedule}")
    assert run["auto_scheduled"]

    def finished() -> dict[str, Any] | None:
        found: dict[str, Any] = request(served.api, "GET", f"flow_runs/{run['id']}")
        return found if found["state_type"] not in {"RUNNING", "PENDING"} else None

    done = until("the run", finished)
    assert (done["state_type"], done["name"].split()[0]) == ("COMPLETED", "retention"), done["state"]
    page = next(a for a in served.ask("artifacts/filter") if a["flow_run_id"] == run["id"])
    assert (page["type"], page["key"]) == ("markdown", "lake-retention")
    assert "**succeeded**" in page["data"]
    api = f"{served.mlflow}/api/2.0/mlflow"
    assert httpx.get(f"{api}/experiments/search", timeout=PATIENCE).status_code == httpx.codes.UNAUTHORIZED
    user, _, password = (prefect_login.stored_mlflow_login(served.settings) or "").partition(":")
    named = httpx.get(
        f"{api}/experiments/get-by-name",
        params={"experiment_name": "lake-retention"},
        auth=(user, password),
        timeout=PATIENCE,
    )
    wanted = {
        "experiment_ids": [named.raise_for_status().json()["experiment"]["experiment_id"]],
        "filter": f"tags.`prefect.flow_run_id` = '{run['id']}'",
    }
    answer = httpx.post(f"{api}/runs/search", json=wanted, auth=(user, password), timeout=PATIENCE)
    entry = answer.raise_for_status().json()["runs"]
    assert [
        (e["info"]["status"], {"key": "champion.outcome", "value": "succeeded"} in e["data"]["tags"]) for e in entry
    ] == [("FINISHED", True)]
    assert entry[0]["info"]["run_id"] in page["data"]


def test_prefects_page_of_a_run_links_to_its_artifacts(served: Served, page: Page) -> None:
    done = served.ask("flow_runs/filter", flow_runs={"state": {"type": {"any_": ["COMPLETED"]}}})[0]
    page.goto(served.prefect)
    page.get_by_placeholder("admin:pass").fill(prefect_login.path(served.settings).read_text())
    page.get_by_role("button", name="Login").click()
    page.wait_for_url(f"{served.prefect}/dashboard*")
    page.goto(f"{served.prefect}/runs/flow-run/{done['id']}")
    page.get_by_text(done["name"]).first.wait_for()
    page.get_by_text("Completed").first.wait_for()
    page.get_by_text("Artifacts", exact=True).first.click()
    page.get_by_text(f"{done['name']}: succeeded").wait_for()


def test_an_own_notebook_runs_on_its_schedule_and_after_the_daily_flow(served: Served) -> None:
    cells = [
        nbformat.v4.new_code_cell("top: int = 1", metadata={"tags": ["parameters"]}),  # type: ignore[no-untyped-call]
        nbformat.v4.new_code_cell("print(top)"),  # type: ignore[no-untyped-call]
    ]
    served.settings.notebooks.mkdir(mode=0o700)
    book = served.settings.notebooks / "mine.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), book)  # type: ignore[no-untyped-call]

    book.chmod(0o600)  # as `champion notebook new` leaves it

    def ask(*words: str) -> str:
        variables = {**os.environ, "CHAMPION_HOME": str(served.settings.home), "NO_COLOR": "1"}
        command = [sys.executable, "-m", "champion", "schedule", *words]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        return done.stdout

    ask("mine", "--cron", "0 19 * * 1-5", "-p", "top=20")
    ask("mine", "--after", "daily", "--as", "evening", "-p", "top=7")
    by_time = served.deployment("mine")
    times = [one["schedule"] for one in by_time["schedules"]]
    assert [(one["cron"], one["timezone"]) for one in times] == [("0 19 * * 1-5", "Asia/Kolkata")]
    assert by_time["work_queue_name"] == "notebooks"
    flow = served.ask("flows/", name="daily_market_data_pipeline")["id"]
    daily = served.ask("flow_runs/", flow_id=flow, state={"type": "RUNNING"})["id"]
    served.ask(f"flow_runs/{daily}/set_state", state={"type": "COMPLETED"}, force=True)

    def shown() -> dict[str, Any]:
        found: dict[str, Any] = {one["name"]: one for one in json.loads(ask("list", "--json"))["schedules"]}
        return found if found["evening"]["last_state"] == "Completed" else {}

    found = until("the notebook", shown)
    assert (found["evening"]["when"], found["mine"]["last_state"]) == ("after daily", None)
    assert found["mine"]["next_run"].endswith("19:00")
    entry = next(run for run in runs.find_runs(served.settings, tags={"champion.notebook": "mine"}))
    assert (entry.outcome, entry.parameters["top"]) == ("succeeded", "7")
    ask("pause", "mine")
    assert json.loads(ask("list", "--json"))["schedules"][1]["is_paused"]
    assert served.deployment("mine")["paused"]
    for name in ("mine", "evening"):
        ask("remove", name)
    assert json.loads(ask("list", "--json")) == {"schedules": []}


def test_cancelling_ends_the_kernel_and_is_recorded_and_notified(served: Served, tmp_path: Path) -> None:
    keep_block(served.api, "secret", "champion-notify-url", {"value": served.webhook.url})
    kept = {"holidays": "2026-01-26", "notify_block": keep_notifier(served.api, served.webhook)}
    served.ask("variables/", name="champion_settings", value=kept)
    pids = tmp_path / "pids"
    run = _start_sleeper(served, tmp_path, pids)
    written = until("the kernel", lambda: pids.read_text() if pids.exists() else "")
    kernel, child = [psutil.Process(int(pid)) for pid in written.split()]
    served.ask(f"flow_runs/{run}/set_state", state={"type": "CANCELLING"})
    _, alive = psutil.wait_procs([kernel, child], timeout=PATIENCE)
    assert alive == []
    path = f"flow_runs/{run}"
    until("the cancelled run", lambda: request(served.api, "GET", path)["state_type"] == "CANCELLED")
    found = {entry.name: entry for entry in runs.find_runs(served.settings, tags={"prefect.flow_run_id": run})}
    assert {name: (entry.status, entry.outcome) for name, entry in found.items()} == {
        "sleeper": ("KILLED", "cancelled"),
        "sleep": ("KILLED", "cancelled"),
    }
    assert found["sleep"].tags["holidays"] == "2026-01-26"
    until("both notices", lambda: len(served.webhook.got) > 1)
    by_block, posted = served.webhook.got
    assert by_block["subject"] == "sleeper: Cancelling"
    assert f"/runs/flow-run/{run}" in by_block["body"]
    assert posted == {"text": f"*{by_block['subject']}*\n{by_block['body']}"}


def test_a_workspace_is_served_once(served: Served) -> None:
    variables = {**os.environ, "CHAMPION_HOME": str(served.settings.home), "CHAMPION_ARCHIVE": served.settings.archive}
    again = [sys.executable, "-m", "champion", "serve"]
    said = subprocess.run(again, env=variables, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert said.returncode == 1
    assert "is served already" in said.stderr
    assert served.process.poll() is None


def test_all_listen_on_loopback_and_stop_together(served: Served) -> None:
    family = [served.server(name) for name in ("prefect", "mlflow", "worker")]
    family += [child for server in family for child in server.children(recursive=True)]
    listening_on = {c.laddr.ip for p in family for c in p.net_connections() if c.status == psutil.CONN_LISTEN}
    assert listening_on == {"127.0.0.1"}
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(PATIENCE) == 0
    assert psutil.wait_procs(family, timeout=PATIENCE)[1] == []
    assert too_open(served.settings.home) == [], "flows, kernels, servers and databases, under the usual umask"
    key = encryption.path(served.settings).read_bytes()
    kept = list(served.settings.prefect_home.glob("prefect.db*"))
    assert kept
    assert [path for path in kept if key in path.read_bytes()] == [], "its key is not beside a Secret block"


def _start_sleeper(served: Served, folder: Path, pids: Path) -> str:
    """Return the id of a run of a flow whose notebook sleeps, deployed like any other."""
    cells = [
        nbformat.v4.new_code_cell("count: int = 1", metadata={"tags": ["parameters"]}),  # type: ignore[no-untyped-call]
        nbformat.v4.new_code_cell(_CELL.format(pids=str(pids))),  # type: ignore[no-untyped-call]
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "sleep.ipynb")  # type: ignore[no-untyped-call]
    (folder / "sleeper.py").write_text(_FLOW)
    deployment = served.ask(
        "deployments/",
        name="sleeper",
        flow_id=served.ask("flows/", name="sleeper")["id"],
        work_pool_name="champion",
        work_queue_name="feature",
        entrypoint="sleeper.py:sleeper",
        job_variables=served.deployment("train-model")["job_variables"],
        pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": str(folder)}}],
        parameters={"notebook": str(folder / "sleep.ipynb")},
    )
    return str(served.ask(f"deployments/{deployment['id']}/create_flow_run", state={"type": "SCHEDULED"})["id"])
