"""Measure MLflow's pages with a year of runs: the time of the server's answers, and of the pages in a browser.

`.venv/bin/python benchmarks/speed/pages.py [--runs 1500] [--questions 40] [--chromium PATH]` fills a store with a year
of runs (a flow and five notebooks an evening), starts `champion ui`, and times the answers behind the list of
experiments, the newest hundred runs and one run. With a Chromium it also times the pages, from a click on the list of
experiments. Aim: below two seconds.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx

from benchmarks import meter
from champion.security import prefect_login
from champion.settings import Settings
from champion.tracking import runs, store
from champion.tracking.store import experiment_page, experiments_page, run_page

EXPERIMENT = "daily-market-pipeline"
NOTEBOOKS = ("ingest", "quality", "features", "scoring", "report")
AIM = 2.0


def main() -> int:
    """Measure, print, and return 0 if every page meets the target."""
    asked = meter.arguments(__doc__, runs=1500, questions=40, chromium=str)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder) / "home")
        run_id = filled(settings, asked.runs)
        experiment = store.experiment_id(settings, EXPERIMENT)
        with pages(settings) as base:
            user, _, password = (prefect_login.stored_mlflow_login(settings) or "").partition(":")
            asking = asks(base, (user, password), experiment, run_id)
            taken = {f"asked: {name}": p95(ask, asked.questions) for name, ask in asking.items()}
            if asked.chromium:
                seen = {"list of runs": experiment_page(base, experiment)}
                seen |= {"one run": run_page(base, experiment, run_id)}
                login = {"username": user, "password": password}
                taken |= shown(asked.chromium, login, experiments_page(base), seen, min(asked.questions, 10))
    for name, seconds in taken.items():
        print(f"{name:<32}{seconds:6.2f} s  (p95)")
    return 0 if max(taken.values()) < AIM else 1


def filled(settings: Settings, count: int) -> str:
    """Write the runs of a year of evenings; return the newest flow."""
    flow, first = "", datetime(2024, 1, 1, 13, tzinfo=UTC)
    for number in range(count):
        name = ("daily", *NOTEBOOKS)[number % (1 + len(NOTEBOOKS))]
        started = first + timedelta(minutes=number)
        parent = None if name == "daily" else flow
        session = {"session": str(started.date())}
        run_id = runs.open_run(settings, EXPERIMENT, name, parameters=session, parent=parent, started=started)
        runs.close_run(settings, run_id, "succeeded", {"flow_seconds": 57.0, "rows": 2104.0})
        flow = run_id if name == "daily" else flow
    return flow


@contextmanager
def pages(settings: Settings) -> Iterator[str]:
    """Yield the address of MLflow's pages."""
    command = [sys.executable, "-m", "champion", "ui"]
    variables = {**os.environ, **settings.environment()}
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as server:
        try:
            lines = (re.search(r"MLflow: +(http://[^/]+)", line) for line in server.stdout or ())
            yield next(found[1] for found in lines if found)
        finally:
            server.terminate()


def asks(base: str, login: tuple[str, str], experiment: str, run_id: str) -> dict[str, Callable[[], object]]:
    """Return the requests behind each page."""
    api, client = f"{base}/api/2.0/mlflow", httpx.Client(auth=login, timeout=60)
    newest = {"experiment_ids": [experiment], "max_results": 100, "order_by": ["attributes.start_time DESC"]}
    return {
        "list of experiments": lambda: client.post(f"{api}/experiments/search", json={"max_results": 25}),
        "list of runs": lambda: client.post(f"{api}/runs/search", json=newest),
        "one run": lambda: client.get(f"{api}/runs/get", params={"run_id": run_id}),
    }


def p95(ask: Callable[[], object], times: int, before: Callable[[], object] = lambda: None) -> float:
    """Return the 95th percentile of the seconds of a call, without `before` and without a first call to warm up."""
    taken = []
    for _ in range(times + 1):
        before()
        began = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - began)
    return sorted(taken[1:])[max(0, int(times * 0.95) - 1)]


def shown(
    chromium: str, login: dict[str, str], experiments: str, addresses: dict[str, str], times: int
) -> dict[str, float]:
    """Return the seconds from the list of experiments in a browser to the name of a run on each page."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(http_credentials=login)  # type: ignore[arg-type]
        page.set_default_timeout(120_000)
        page.goto(experiments)

        def leave() -> None:
            page.evaluate("address => { location.href = address }", experiments)  # within the page, like a click
            page.get_by_title(EXPERIMENT, exact=True).wait_for()  # the list is there again

        def look(address: str) -> None:
            page.evaluate("address => { location.href = address }", address)
            page.get_by_text("daily", exact=True).first.wait_for()

        return {f"seen: {name}": p95(partial(look, one), times, leave) for name, one in addresses.items()}


if __name__ == "__main__":
    sys.exit(main())
