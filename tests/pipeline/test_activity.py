"""Activity: who ran what, when and on which data, from a workspace's records and a Prefect server."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner
from typing_extensions import override

from champion.base import clock
from champion.cli.app import app
from champion.errors import UsageError
from champion.pipeline.operations.activity import SCHEMA, activity
from champion.settings import Settings
from champion.tracking import registry

# MLflow 3.17 on SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

TODAY = clock.today() + timedelta(days=1)  # a suite that runs past midnight ends tomorrow
WEEK = TODAY - timedelta(days=8)


def test_activity_has_runs_and_promotions_of_a_user_with_their_data(modelled: Settings) -> None:
    found = activity(modelled, WEEK, TODAY, user=getpass.getuser())
    events = found.events
    assert events.schema == SCHEMA
    assert events["at"].is_sorted(descending=True)
    assert events["source"].unique().sort().to_list() == ["mlflow", "promotions"]
    own = [version.run_id for version in registry.versions(modelled) if version.number <= 2]
    trained = events.filter(pl.col("id").is_in(own), what="notebook training")  # other tests may train there, too
    assert trained["outcome"].to_list() == ["succeeded"] * 2
    assert all(seconds >= 0 for seconds in trained["seconds"])
    decided = events.filter(source="promotions", outcome="done").row(0, named=True)
    assert (decided["what"], decided["data"]) == ("promote, forced: a test", "equity_price_predictor version 1")
    assert activity(modelled, WEEK, TODAY, user="somebody else").events.is_empty()


def test_unavailable_sources_are_reported(modelled: Settings) -> None:
    gaps = activity(modelled, TODAY, TODAY).gaps
    assert "no Prefect server runs" in gaps["prefect"]
    assert "has no users and keeps no query log" in gaps["warehouse"]
    unreached = activity(modelled, TODAY, TODAY, prefect_api="http://127.0.0.1:9/api").gaps
    assert "http://127.0.0.1:9/api does not answer" in unreached["prefect"]


class FlowRuns(BaseHTTPRequestHandler):
    """Flow runs as a Prefect server lists them while `champion serve` runs: most are only scheduled."""

    def do_POST(self) -> None:
        """Answer one page of the filter."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        began = datetime.now(UTC).isoformat()
        scheduled: dict[str, Any] = {"id": "1", "name": "tomorrow", "start_time": None, "state_name": "Scheduled"}
        cancelled: dict[str, Any] = {"id": "2", "name": "stopped", "end_time": began, "state_name": "Cancelled"}
        done: dict[str, Any] = {"id": "3", "name": "daily", "start_time": began, "end_time": None, "parameters": None}
        known = [{**one, "total_run_time": 0.0, "created_by": None} for one in (scheduled, cancelled, done)]
        body = json.dumps(known if asked["offset"] == 0 else []).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_scheduled_flow_runs_are_left_out(ingested: Settings) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), FlowRuns)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        found = activity(ingested, WEEK, TODAY, prefect_api=f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
    assert "prefect" not in found.gaps
    ran = found.events.filter(source="prefect").sort("id")
    assert ran.select("what", "outcome").rows() == [("flow stopped", "cancelled"), ("flow daily", "")]


def test_activity_is_limited_to_the_dates(modelled: Settings) -> None:
    assert activity(modelled, date(2020, 1, 1), WEEK).events.is_empty()
    with pytest.raises(UsageError, match="write the earlier one first"):
        activity(modelled, TODAY, WEEK)
    events = activity(modelled, WEEK, TODAY).events
    assert events["at"].min() >= datetime.now(UTC) - timedelta(days=9)  # type: ignore[operator]


def test_command_shows_a_table_and_json(modelled: Settings) -> None:
    result = json.loads(CliRunner().invoke(app, ["audit", "--json"], env=modelled.environment()).output)
    assert set(result["not_asked"]) == {"prefect", "warehouse"}
    assert pl.DataFrame(result["events"])["user"].unique().to_list() == [getpass.getuser()]
    wide = {**os.environ, **modelled.environment(), "COLUMNS": "200"}  # a separate process: the console measures once
    command = [sys.executable, "-m", "champion", "audit", "--rows", "1000"]
    shown = subprocess.run(command, env=wide, capture_output=True, text=True, check=True).stdout
    assert "not asked: prefect" in shown
    assert "equity_price_predictor version 1" in " ".join(shown.split())
