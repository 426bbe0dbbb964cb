"""In a real browser: JupyterLab as started by `champion lab`, its notebooks, and MLflow's pages.

Where there is no browser, what needs none is tested all the same.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import nbformat
import psutil
import pytest
from chromium import opened
from playwright.sync_api import Browser, Error, Page
from waiting import PATIENCE, until

from champion.pipeline.ingest import corporate_actions
from champion.runner import html_report as pages
from champion.runner.outcome import Outcome, Verdict
from champion.security import prefect_login
from champion.services import mlflow
from champion.settings import Settings
from champion.tracking import runs
from champion.tracking.store import experiment_page, run_page


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: address, token, process and notebook folder."""

    base: str
    token: str
    process: int
    notebooks: Path

    def get(self, path: str, *, token: bool = True) -> httpx.Response:
        """What the server answers, to somebody who knows the token or does not."""
        headers = {"Authorization": f"token {self.token}"} if token else {}
        return httpx.get(f"{self.base}{path}", headers=headers, timeout=PATIENCE)


@contextmanager
def started(command: list[str], variables: dict[str, str], log: Path) -> Iterator[psutil.Process]:
    """Start a server; at the end kill it with its child processes."""
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=variables)
        family = [server := psutil.Process(process.pid)]
        try:
            yield server
        finally:
            family += server.children(recursive=True)
            process.terminate()
            _, stubborn = psutil.wait_procs(family, timeout=PATIENCE)
            for one in stubborn:
                one.kill()
            process.wait()


def patiently(look: Callable[[], str | None], log: Path) -> str:
    """Return the result of `look` once there is one."""
    try:
        return until("the server", look)
    except TimeoutError as error:
        raise AssertionError(log.read_text()[-3000:]) from error


@pytest.fixture(scope="module")
def workspace(ingested: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The ingested workspace with its corporate actions and two runs, one of them failed."""
    made = ingested.model_copy(update={"home": tmp_path_factory.mktemp("seen") / "home"})
    shutil.copytree(ingested.home, made.home)
    assert corporate_actions.refresh(made).outcome == "written"
    for name, outcome in (("quality", "succeeded"), ("ingest", "failed")):
        run = runs.open_run(made, "data-ingestion", name, tags={"champion.notebook": name})
        runs.close_run(made, run, outcome)
    return made


@pytest.fixture(scope="module")
def lab(workspace: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    base = tmp_path_factory.mktemp("lab")
    variables = {**os.environ, "CHAMPION_HOME": str(workspace.home), "CHAMPION_NOTEBOOK_TIMEOUT": "321"}
    variables |= {"CHAMPION_ARCHIVE": workspace.archive, "HOME": str(base), "JUPYTER_RUNTIME_DIR": str(base / "run")}
    command = [sys.executable, "-m", "champion", "lab", "--no-browser"]
    log = base / "lab.log"
    with started(command, variables, log) as server:
        address = patiently(lambda: (found := re.search(r"http://\S+token=\w+", log.read_text())) and found[0], log)
        url = urlsplit(address)
        assert url.path == "/lab/tree/champion/welcome.ipynb"
        yield Lab(f"http://{url.netloc}", url.query.removeprefix("token="), server.pid, workspace.notebooks)


def run_all(page: Page, lab: Lab, notebook: str) -> None:
    """Open a notebook and run all cells from the menu."""
    page.goto(f"{lab.base}/lab/tree/{notebook}?token={lab.token}&reset")
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # earlier, JupyterLab would ask for a kernel
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    cells = lab.get(f"/api/contents/{notebook}").json()["content"]["cells"]
    count = sum(cell["cell_type"] == "code" for cell in cells)
    page.locator(".jp-InputPrompt", has_text=f"[{count}]:").wait_for()


def plots(page: Page) -> int:
    return page.locator(".jp-OutputArea-output img[src^='data:image/png']").count()


def test_jupyterlab_listens_on_loopback_and_requires_its_token(lab: Lab) -> None:
    listening = [one.laddr for one in psutil.Process(lab.process).net_connections() if one.status == "LISTEN"]
    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert lab.get("/api/contents", token=False).status_code == 403
    assert lab.get("/api/contents").status_code == 200


def test_jupyterlab_fetches_no_news_and_times_cells(lab: Lab) -> None:
    notices = lab.get("/lab/api/settings/@jupyterlab/apputils-extension:notification").json()
    defaults = notices["schema"]["properties"]
    assert (defaults["fetchNews"]["default"], defaults["checkForUpdates"]["default"]) == ("false", False)
    tracker = lab.get("/lab/api/settings/@jupyterlab/notebook-extension:tracker").json()
    assert tracker["schema"]["properties"]["recordTiming"]["default"] is True


def test_a_given_port_that_is_taken_is_an_error(workspace: Settings, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "champion", "lab", "--no-browser", "--port", port]
        variables = {**os.environ, "CHAMPION_HOME": str(workspace.home), "HOME": str(tmp_path)}
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode != 0
    assert port in done.stderr


def test_welcome_notebook_shows_the_workspace_status(page: Page, lab: Lab, workspace: Settings) -> None:
    run_all(page, lab, "champion/welcome.ipynb")
    output = page.locator(".jp-OutputArea-output")
    assert output.filter(has_text=str(workspace.home)).count() == 1
    page.locator("table.dataTable, div.dt-container").first.wait_for()  # the table is interactive
    assert plots(page) == 1
    assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count() == 0


def test_explorer_runs_to_its_end_with_plots(page: Page, lab: Lab) -> None:
    run_all(page, lab, "champion/explore/instrument.ipynb")
    assert plots(page) >= 1
    assert page.get_by_text("Traceback").count() == 0


def test_kernels_get_every_setting(page: Page, lab: Lab, workspace: Settings) -> None:
    asks = "from champion import workspace\nworkspace.settings().notebook_timeout, workspace.settings().archive"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [nbformat.v4.new_code_cell(asks)]  # type: ignore[no-untyped-call]
    book = nbformat.v4.new_notebook(cells=cells, metadata=kernel)  # type: ignore[no-untyped-call]
    nbformat.write(book, lab.notebooks / "asks.ipynb")  # type: ignore[no-untyped-call]
    run_all(page, lab, "asks.ipynb")
    page.get_by_text(f"(321, '{workspace.archive}')").wait_for()


def test_mlflow_pages_show_runs(browser: Browser, workspace: Settings, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    variables = {**os.environ, "CHAMPION_HOME": str(workspace.home), "CHAMPION_MLFLOW_PORT": port}
    log = tmp_path / "ui.log"
    with started([sys.executable, "-m", "champion", "ui"], variables, log):
        address = patiently(lambda: (found := re.search(r"MLflow: +(http://\S+)", log.read_text())) and found[1], log)
        base = address.partition("/#/")[0]
        assert mlflow.address(workspace) == base, "other commands find these pages"
        with opened(browser) as page, pytest.raises(Error, match="INVALID_AUTH_CREDENTIALS"):
            page.goto(address)
        with opened(browser, prefect_login.stored_mlflow_login(workspace)) as page:
            page.goto(address)
            page.get_by_role("link", name="data-ingestion", exact=True).wait_for()
            (failed,) = runs.find_runs(workspace, tags={"champion.notebook": "ingest"})
            page.goto(experiment_page(base, failed.experiment))
            for name in ("quality", "ingest"):
                page.get_by_role("link", name=name, exact=True).wait_for()
            page.goto(run_page(base, failed.experiment, failed.run_id))
            page.get_by_text(failed.run_id).first.wait_for()
            page.get_by_role("tab", name="Model metrics").wait_for()  # the page of a run, not of an evaluation


def test_run_page_executes_no_script_of_its_outputs(page: Page, tmp_path: Path) -> None:
    hostile = "<img src=x onerror=\"document.title = 'ran'\"><svg onload=\"document.title = 'ran'\"></svg>"
    data = [{"text/html": hostile}, {"application/javascript": "document.title = 'ran'"}, {"image/svg+xml": hostile}]
    outputs = [nbformat.v4.new_output("display_data", data=one) for one in data]  # type: ignore[no-untyped-call]
    cell = nbformat.v4.new_code_cell("shown", outputs=outputs)  # type: ignore[no-untyped-call]
    saved = tmp_path / "kept.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), saved)  # type: ignore[no-untyped-call]
    text = pages.render(saved, "run", Verdict(Outcome.SUCCEEDED, 1.0), {})
    for policy, title in ((True, "kept"), (False, "ran")):  # without the policy, the script runs
        shown = text if policy else text.replace("Content-Security-Policy", "nothing")
        saved.with_suffix(".html").write_text(shown, encoding="utf-8")
        page.goto(saved.with_suffix(".html").as_uri(), wait_until="load")
        page.wait_for_timeout(300)
        assert page.title() == title
