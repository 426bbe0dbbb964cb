"""Another account of this machine tries to use the pages and the files of a workspace."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from typing_extensions import override
from waiting import PATIENCE
from written import wait_for

from champion.errors import ServiceError
from champion.security import prefect_login
from champion.services import managed_process
from champion.settings import Settings
from champion.tracking import runs, store

NOBODY = 65534
ALONE = "needs root: the test acts as another account"
_BECOME = f"""
import encodings.idna, http.client, json, os, sys, urllib.error, urllib.request
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
"""  # the interpreter may lie where only root can read it
_ASK = """
out = []
for method, url, body, headers in json.load(sys.stdin):
    data = json.dumps(body).encode() if body is not None else None
    asked = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers}, method=method)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=900) as answer:
            out.append([answer.status, answer.read().decode(errors="replace")[:300]])
    except urllib.error.HTTPError as error:
        out.append([error.code, error.read().decode(errors="replace")[:300]])
print(json.dumps(out))
"""
_WALK = """
for root, folders, files in os.walk(sys.stdin.read()):
    for name in files:
        try:
            open(os.path.join(root, name)).close()
            print(name)
        except OSError:
            pass
"""


@dataclass
class Pages:
    """MLflow's pages of a workspace, started by `champion ui`, and what that printed."""

    settings: Settings
    base: str
    printed: str

    def ask(self, method: str, path: str, *, login: bool = True, **options: Any) -> httpx.Response:
        """Send a request as the owner does, or without the login."""
        user, _, password = (prefect_login.stored_mlflow_login(self.settings) or "").partition(":")
        return httpx.request(
            method, f"{self.base}{path}", auth=(user, password) if login else None, timeout=PATIENCE, **options
        )

    def post(self, path: str, **body: Any) -> httpx.Response:
        """Send a change as the owner does."""
        return self.ask("POST", f"/api/2.0/mlflow/{path}", json=body)


def as_nobody(requests: list[tuple[str, str, Any, dict[str, str]]]) -> list[tuple[int, str]]:
    """Return status and text of each answer to requests from a process of the account nobody."""
    return [(status, text) for status, text in json.loads(run_as_nobody(_ASK, json.dumps(requests)))]


def run_as_nobody(code: str, given: str) -> str:
    """Return the output of a script that runs as the account nobody and reads `given`."""
    if os.geteuid() != 0:
        pytest.skip(ALONE)
    command = [sys.executable, "-I", "-c", f"{_BECOME}{code}"]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=PATIENCE, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that every account can enter, so that only the workspace's own modes protect it."""
    with tempfile.TemporaryDirectory(prefix="champion-accounts-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def pages(folder: Path) -> Iterator[Pages]:
    settings = Settings(home=folder / "home")
    run = runs.open_run(settings, "daily", "a run")
    (folder / "report.txt").write_text("the report")
    runs.log_files(settings, run, _only(folder / "report.txt"))
    runs.close_run(settings, run, "succeeded")
    log = folder / "ui.log"
    variables = {**os.environ, "CHAMPION_HOME": str(settings.home), "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as output:
        command = [sys.executable, "-m", "champion", "ui"]
        process = psutil.Popen(command, env=variables, cwd=folder, stdout=output, stderr=output)
    try:
        wait_for(lambda: "user:password" in log.read_text() or process.poll() is not None)
        found = re.search(r"MLflow: +(http://\S+)/#/", log.read_text())
        assert found, log.read_text()
        yield Pages(settings, found[1], log.read_text())
    finally:
        family = [process, *process.children(recursive=True)] if process.is_running() else []
        process.terminate()
        psutil.wait_procs(family, timeout=PATIENCE)


def _only(file: Path) -> Path:
    folder = file.with_suffix("")
    folder.mkdir()
    return file.rename(folder / file.name).parent


def test_other_accounts_cannot_read_the_pages(pages: Pages) -> None:
    guesses = [{}, {"Authorization": "Basic Y2hhbXBpb246"}, {"Authorization": "Bearer x"}, {"Authorization": "Basic"}]
    home = pages.settings.home
    tries: list[tuple[str, str, Any]] = [
        ("GET", "/", None),
        ("GET", "/version", None),
        ("GET", "/static-files/index.html", None),
        ("POST", "/api/2.0/mlflow/experiments/create", {"name": "x", "artifact_location": f"file://{home}/prefect"}),
        ("POST", "/ajax-api/2.0/mlflow/runs/search", {"experiment_ids": ["0"]}),
        ("GET", "/get-artifact?path=login&run_uuid=x", None),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/x", {}),
        ("POST", "/graphql", {"query": "{__typename}"}),
        ("POST", "/v1/traces", {}),
        ("POST", "/ajax-api/3.0/mlflow/assistant/message", {"message": "x"}),
        ("GET", "/health/../version", None),
        ("GET", "//health", None),
        ("POST", "/health", {}),
    ]
    asked = [(method, f"{pages.base}{path}", body, headers) for method, path, body in tries for headers in guesses]
    answers = as_nobody(asked)
    assert {status for status, _ in answers} == {401}
    assert as_nobody([("GET", f"{pages.base}/health", None, {})])[0][0] == 200, "that it runs is no secret"


def test_other_accounts_cannot_open_files_of_the_workspace(pages: Pages) -> None:
    prefect_login.ensure_login(pages.settings)
    assert run_as_nobody(_WALK, str(pages.settings.home)) == ""
    (pages.settings.home.parent / "open").touch(0o644)
    assert "open" in run_as_nobody(_WALK, str(pages.settings.home.parent)), "the walk does see what it may"


def test_login_is_readable_by_the_owner_only_and_never_shown(pages: Pages) -> None:
    login = prefect_login.stored_mlflow_login(pages.settings)
    assert login
    assert prefect_login.mlflow_path(pages.settings).stat().st_mode & 0o777 == 0o600
    password = login.partition(":")[2]
    assert password not in pages.printed
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert not [line for line in lines if password in line]
    assert pages.ask("GET", "/version", login=False).status_code == 401
    assert pages.ask("GET", "/version").status_code == 200
    run = runs.find_runs(pages.settings)[0]
    shown = pages.ask("GET", f"/get-artifact?path=report.txt&run_uuid={run.run_id}")
    assert (shown.status_code, shown.text) == (200, "the report")


@pytest.mark.parametrize(
    "location",
    [
        "file://{home}/prefect",
        "{home}/prefect",
        "file://{home}/mlflow",
        "file://{home}/mlflow/artifacts/../../prefect",
        "file://{home}/mlflow/artifacts/%2e%2e/%2e%2e/prefect",
        "{home}/mlflow/artifacts/%2e%2e/%2e%2e/prefect",
        "file://{home}/mlflow/artifacts/link",
        "file:///etc",
        "file://localhost/etc",
        "file:/etc",
        "relative",
        "http://127.0.0.1:9/x",
        "s3://other/x",
        "mlflow-artifacts:/x",
        "mlflow-artifacts://127.0.0.1:9/x",
        "ftp://127.0.0.1/x",
        "dbfs:/x",
        "file://{home}/mlflow/artifacts#/../../../prefect",
        "file://{home}/mlflow/artifacts?x=/../../../prefect",
    ],
)
def test_locations_outside_the_workspace_are_refused(pages: Pages, location: str) -> None:
    """With the login: a page that a user opens, or a mistake, cannot leave the workspace."""
    prefect_login.ensure_login(pages.settings)
    link = pages.settings.artifacts / "link"
    if not link.is_symlink():
        link.symlink_to(pages.settings.prefect_home)
    where = location.format(home=pages.settings.home)
    made = pages.post("experiments/create", name=f"x {location}", artifact_location=where)
    assert made.status_code in {400, 403}, made.text
    camel = pages.ask(
        "POST", "/api/2.0/mlflow/experiments/create", json={"name": f"y {location}", "artifactLocation": where}
    )
    assert camel.status_code in {400, 403}, camel.text
    pages.post("registered-models/create", name="theirs")
    version = pages.post("model-versions/create", name="theirs", source=where)
    assert version.status_code in {400, 403, 404}, version.text


def test_stored_locations_outside_the_workspace_are_not_opened(pages: Pages) -> None:
    """Locations recorded by an earlier version or another tool, and links in artifact folders."""
    settings = pages.settings
    prefect_login.ensure_login(settings)
    client = store.prepare(settings)
    outside = client.create_experiment("outside", artifact_location=settings.prefect_home.as_uri())
    run = client.create_run(outside).info.run_id
    shown = pages.ask("GET", f"/get-artifact?path=login&run_uuid={run}")
    assert (shown.status_code, "champion:" in shown.text) == (403, False)
    assert pages.ask("GET", f"/api/2.0/mlflow/artifacts/list?run_id={run}").status_code == 403
    assert pages.post("runs/create", experiment_id=outside).status_code == 403
    assert pages.ask("POST", "/api/2.0/mlflow/logged-models", json={"experiment_id": outside}).status_code == 403
    uploaded = pages.ask("POST", f"/ajax-api/2.0/mlflow/upload-artifact?path=x.txt&run_uuid={run}", content=b"theirs")
    assert uploaded.status_code == 403
    assert not list(settings.prefect_home.rglob("x.txt"))
    if not client.search_registered_models("name='elsewhere'"):
        client.create_registered_model("elsewhere")
    version = client.create_model_version("elsewhere", source=settings.prefect_home.as_uri()).version
    model = pages.ask("GET", f"/model-versions/get-artifact?name=elsewhere&version={version}&path=login")
    assert (model.status_code, "champion:" in model.text) == (403, False)

    inside = runs.open_run(settings, "linked", "linked")
    folder = settings.artifacts / "linked" / inside / "artifacts"
    folder.mkdir(parents=True)
    (folder / "file").symlink_to(prefect_login.path(settings))
    (folder / "folder").symlink_to(settings.prefect_home)
    for path in ("file", "folder/login", "folder"):
        answer = pages.ask("GET", f"/get-artifact?path={path}&run_uuid={inside}")
        assert (answer.status_code, "champion:" in answer.text) == (403, False), path
    written = pages.ask("POST", f"/ajax-api/2.0/mlflow/upload-artifact?path=folder/x&run_uuid={inside}", content=b"x")
    assert written.status_code == 403
    assert not (settings.prefect_home / "x").exists()


def test_paths_tags_and_references_cannot_leave_the_workspace(pages: Pages) -> None:
    """Requests of MLflow's API that lead to a location: paths, tags of traces, models, references."""
    settings = pages.settings
    prefect_login.ensure_login(settings)
    (settings.prefect_home / "traces.json").write_text('{"spans": [], "planted": "champion:"}')
    outside, shown = settings.prefect_home.as_uri(), []

    def ask(method: str, path: str, **options: Any) -> Any:
        answer = pages.ask(method, path, **options)
        shown.append((answer.status_code, f"{method} {path}", answer.text))
        return answer

    run = runs.find_runs(settings, ["daily"])[0].run_id
    experiment = pages.ask("GET", f"/api/2.0/mlflow/runs/get?run_id={run}").json()["run"]["info"]["experiment_id"]
    up = "../" * 5
    paths = [
        f"{up}prefect/login",
        "..%2f" * 5 + "prefect/login",
        "..%252f" * 5 + "prefect/login",
        "..%5c" * 5 + "login",
    ]
    paths += [
        str(prefect_login.path(settings)),
        prefect_login.path(settings).as_uri(),
        "%2e%2e/" * 5 + "prefect/login",
        "report.txt/../../",
    ]
    model = pages.post("logged-models", experiment_id=experiment, name="theirs").json()["model"]["info"]["model_id"]
    for path in paths:
        ask("GET", f"/get-artifact?path={path}&run_uuid={run}")
        ask("GET", f"/ajax-api/2.0/mlflow/logged-models/{model}/artifacts/files?artifact_file_path={path}")
        ask("GET", f"/api/2.0/mlflow/artifacts/list?run_id={run}&path={path}")
        ask("POST", f"/ajax-api/2.0/mlflow/upload-artifact?path={path}x&run_uuid={run}", content=b"theirs")
    trace = "tr-0123456789abcdef0123456789abcdef"
    about = {
        "trace_id": trace,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}},
        "request_time": "2024-01-15T10:00:00Z",
        "state": "OK",
    }
    begun = pages.ask("POST", "/api/3.0/mlflow/traces", json={"trace": {"trace_info": about}})
    assert begun.status_code == 200, begun.text
    for tag in ("mlflow.artifactLocation", "mlflow.trace.archiveLocation", "mlflow.trace.spansLocation"):
        pages.ask("PATCH", f"/api/2.0/mlflow/traces/{trace}/tags", json={"key": tag, "value": outside})
        for version in ("2.0", "3.0"):
            ask("GET", f"/ajax-api/{version}/mlflow/get-trace-artifact?request_id={trace}")
    pages.post("registered-models/create", name="led")
    for source in (
        f"runs:/{run}/{up}prefect",
        f"models:/{model}/{up}prefect",
        f"models:/{model}",
        f"runs:/{run}/%2e%2e",
    ):
        made = pages.post("model-versions/create", name="led", source=source, run_id=run, model_id=model)
        version = made.json().get("model_version", {}).get("version", "0")
        for path in ("login", "..%2f..%2fprefect%2flogin"):
            ask("GET", f"/model-versions/get-artifact?name=led&version={version}&path={path}")
    for where in (f"FILE://{settings.prefect_home}", f"{settings.artifacts}/%2e%2e/%2e%2e/prefect", f"{outside};x"):
        made = pages.post("experiments/create", name=f"z {where}", artifact_location=where)
        began = pages.post("runs/create", experiment_id=made.json().get("experiment_id", "none"))
        there = began.json().get("run", {}).get("info", {}).get("run_id", run)
        ask("GET", f"/get-artifact?path=login&run_uuid={there}")
        ask("POST", f"/ajax-api/2.0/mlflow/upload-artifact?path=x.txt&run_uuid={there}", content=b"theirs")
    assert [what for status, what, text in shown if "champion:" in text or status >= 500] == []
    written = [path for path in settings.home.rglob("*") if path.is_file() and path.read_bytes() == b"theirs"]
    assert [path for path in written if not path.is_relative_to(settings.artifacts)] == []
    traces = {status for status, what, _ in shown if "get-trace-artifact" in what}
    assert traces == {403}, "the tag was set, and where it leads is asked about"


def test_pages_of_another_origin_cannot_use_the_browsers_login(pages: Pages) -> None:
    body = {"name": "theirs"}
    for headers in (
        {"Origin": "http://127.0.0.1:9"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
        {"Host": "attacker.example"},
    ):
        answer = pages.ask("POST", "/api/2.0/mlflow/experiments/create", json=body, headers=headers)
        assert answer.status_code == 403, headers
    own = pages.ask("POST", "/ajax-api/2.0/mlflow/experiments/create", json=body, headers={"Origin": pages.base})
    assert own.status_code == 200, own.text
    for path in ("artifacts/x", "artifacts?path=..", "artifacts/../../x", "mpu/create/x"):  # files by another way
        for method in ("GET", "PUT", "POST", "DELETE"):
            answer = pages.ask(method, f"/api/2.0/mlflow-artifacts/{path}", content=b"{}" if method != "GET" else None)
            assert answer.status_code >= 400, (method, path)
    for path in ("assistant/message", "jobs", "gateway/endpoints/create"):
        assert pages.ask("POST", f"/ajax-api/3.0/mlflow/{path}", json={}).status_code == 403


def test_flows_and_kernels_log_without_the_login_of_the_pages(pages: Pages) -> None:
    run = runs.open_run(pages.settings, "daily", "beside the pages")
    runs.log(pages.settings, run, metrics={"x": 1.0})
    runs.close_run(pages.settings, run, "succeeded")
    found = pages.ask("GET", f"/api/2.0/mlflow/runs/get?run_id={run}").json()
    assert found["run"]["data"]["metrics"][0]["value"] == 1.0


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")  # it outlives who starts it
def test_server_is_unhealthy_if_another_process_has_its_port(tmp_path: Path) -> None:
    """Another process may take the port before the server listens on it, and answer like the server."""
    settings = Settings(home=tmp_path / "home")

    class Impostor(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer((managed_process.HOST, 0), Impostor) as impostor:
        threading.Thread(target=impostor.serve_forever, kwargs={"poll_interval": 0.01}).start()
        command = [sys.executable, "-c", "import time; time.sleep(1); raise SystemExit('port taken')"]
        server = managed_process.start(settings, "pages", command, os.environ, impostor.server_port)
        answered = managed_process.answers(f"{server.url}/health")
        with pytest.raises(ServiceError, match=r"pages did not start.*port taken"):
            managed_process.wait(settings, "pages", server, lambda: managed_process.answers(f"{server.url}/health"))
        impostor.shutdown()
    assert answered, "whoever asks for health alone is deceived"
