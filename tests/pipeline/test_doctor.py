"""The doctor's checks and remedies, on real folders, servers and stores."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from champion.pipeline.operations import health
from champion.pipeline.operations.checks import Check
from champion.pipeline.operations.doctor import examine
from champion.settings import Settings


def found(settings: Settings) -> dict[str, Check]:
    return {check.name: check for check in examine(settings)}


@contextmanager
def answering(status: int) -> Iterator[str]:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_new_workspace_passes(settings: Settings) -> None:
    checks = found(settings)
    assert {name for name, check in checks.items() if check.state == "failed"} == set()
    assert checks["lake"].found.startswith("no sessions yet")
    assert checks["corporate actions"].state == "warning"  # unadjusted prices are worth a warning
    assert checks["corporate actions"].found.startswith("none read yet: the first backfill reads")
    assert checks["findings"].found == checks["identity"].found == "no sessions yet", "nothing was examined"
    assert not settings.home.exists()  # checks create nothing


def test_a_used_workspace_passes(known: Settings) -> None:
    checks = found(known)
    assert checks["lake"].found.endswith("rows in the last")
    assert checks["corporate actions"].state == "ok"
    assert checks["archive"].state == "ok"


def test_another_archive_than_before_is_a_warning(known: Settings) -> None:
    check = found(known.model_copy(update={"archive": "https://archive.invalid"}))["archive"]
    assert check.state == "warning"
    remedy = f"set CHAMPION_ARCHIVE=file://{known.archive}; or `champion archive add https://archive.invalid`"
    assert remedy in check.sentence


def test_a_failed_health_check_has_a_remedy(known: Settings) -> None:
    (check, *_) = health.check(known, date(2024, 9, 30))
    assert (check.name, check.passed) == ("freshness", False)
    assert check.sentence.startswith(
        "freshness: the last session is 2024-08-30, expected 2024-09-27 (`champion daily 2024-0"
    )


def test_months_lost_from_the_lake_fail_the_warehouse_check(loaded: Settings) -> None:
    check = found(loaded)["warehouse"]
    assert check.state == "failed"
    assert "normalized_equity_ohlc: 1 month, 2024-01, loaded once, and not in the lake" in check.found
    assert "`champion backfill 2024-01-01 2024-01-31`" in check.remedy


def test_a_missing_archive_folder_fails_with_a_remedy(tmp_path: Path) -> None:
    check = found(Settings(home=tmp_path, archive=str(tmp_path / "nowhere")))["archive"]
    assert (check.state, "champion simulate" in check.remedy) == ("failed", True)


@pytest.mark.parametrize(("status", "state"), [(403, "ok"), (503, "failed")])
def test_an_archive_server_is_requested(tmp_path: Path, status: int, state: str) -> None:
    with answering(status) as base:
        assert found(Settings(home=tmp_path, archive=base))["archive"].state == state
    assert found(Settings(home=tmp_path, archive=base))["archive"].state == "failed"  # the server has stopped


def test_a_failed_tracking_check_hides_the_password(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, archive=str(tmp_path), tracking_uri="http://quant:s3cret@127.0.0.1:1")
    check = found(settings)["tracking"]
    assert check.state == "failed"
    assert "s3cret" not in check.found + check.remedy


def test_a_damaged_lake_does_not_stop_the_other_checks(known: Settings, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, archive=known.archive)
    session = settings.lake / "normalized" / "equity_ohlc" / "year=2024" / "month=01" / "day=15"
    session.mkdir(parents=True)
    (session / "_SUCCESS").write_text("not a manifest")
    checks = found(settings)
    assert checks["lake"].state == "failed"
    assert "_SUCCESS" in checks["lake"].found
    assert checks["archive"].state == "ok"


def test_command_exits_with_1_after_a_failed_check(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "champion", "doctor", "--json"]
    variables = {**os.environ, "CHAMPION_HOME": str(tmp_path), "CHAMPION_ARCHIVE": str(tmp_path)}
    well = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert (well.returncode, well.stderr) == (0, "")
    assert json.loads(well.stdout)["python"]["state"] == "ok"
    variables["CHAMPION_ARCHIVE"] = str(tmp_path / "nowhere")
    assert subprocess.run(command, env=variables, capture_output=True, check=False).returncode == 1
