"""Decisions of flows: waiting, notifications and settings; and the weekly comparison of features."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from hooks import listening
from prefect.logging import disable_run_logger
from prefect.states import Failed
from waiting import PATIENCE

from champion import contracts
from champion.base import clock
from champion.contracts.datasets import FEATURES
from champion.errors import ArchiveError, ArchiveUnavailable, ServiceError, UsageError
from champion.lake import Lake
from champion.pipeline.feature_store.build import build_features, compare_with_rebuild
from champion.pipeline.ingest.availability import PublicationState, deadline
from champion.settings import Settings
from champion.sources import udiff
from champion.sources.lists import daily
from champion.sources.publications import bhavcopy_paths
from flows import notifications, steps
from flows.configuration import variables_to_set
from flows.daily import await_publication
from flows.market_data import Arrival
from flows.policy import is_transient

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks" / "robustness"


@pytest.fixture
def session() -> date:
    """The last weekday, less than three days past, so that a file may still come."""
    today = clock.today()
    return today - timedelta(days=max(0, today.weekday() - 4))


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A workspace with an empty archive; flows read its settings from the environment."""
    (tmp_path / "archive").mkdir()
    monkeypatch.setenv("CHAMPION_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CHAMPION_ARCHIVE", str(tmp_path / "archive"))
    return Settings()


def publish(archive: str, session: date) -> None:
    """Publish a bhavcopy of one row in the archive."""
    given = {"TradDt": session.isoformat(), "Src": "NSE", "TckrSymb": "ACME", "SctySrs": "EQ"}
    lines = [udiff.HEADERS[1], ",".join(given.get(name, "") for name in udiff.HEADERS[1].split(",")), ""]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        packed.writestr("a.csv", "\n".join(lines))
    path = Path(archive) / bhavcopy_paths(session)[0]
    path.parent.mkdir(parents=True)
    path.write_bytes(stream.getvalue())


def test_a_late_file_is_awaited(empty: Settings, session: date) -> None:
    late = threading.Timer(0.5, publish, (empty.archive, session))
    late.start()
    with disable_run_logger():
        awaited = await_publication.fn(session, clock.now() + timedelta(seconds=PATIENCE))
    late.join()
    assert awaited is PublicationState.PUBLISHED


def test_a_weekday_without_a_file_is_not_published_at_the_deadline(empty: Settings, session: date) -> None:
    began = time.monotonic()
    with disable_run_logger():
        awaited = await_publication.fn(session, clock.now() + timedelta(seconds=1))
    assert awaited is PublicationState.NOT_PUBLISHED
    assert time.monotonic() - began >= 1
    assert not (empty.staging / "content").exists()


def test_weekends_holidays_and_old_dates_get_one_request(
    empty: Settings, session: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAMPION_HOLIDAYS", f"2024-01-26, {session}")
    sunday = session - timedelta(days=session.weekday() + 1)
    until = clock.now() + timedelta(hours=5)
    with disable_run_logger():
        found = {await_publication.fn(day, until) for day in (session, sunday, date(2024, 1, 25))}
    assert found == {PublicationState.NO_SESSION}
    assert empty.closed == frozenset()  # settings are frozen: the run read its own


def test_a_special_session_on_a_holiday_is_published(
    empty: Settings, session: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAMPION_HOLIDAYS", str(session))
    publish(empty.archive, session)
    with disable_run_logger():
        assert await_publication.fn(session, deadline(session, clock.now().time())) is PublicationState.PUBLISHED


def test_broken_lists_are_named_and_fail_no_flow(empty: Settings, session: date) -> None:
    publish(empty.archive, session)
    broken = Path(empty.archive) / daily.price_band_paths(session)[0]
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.write_text("<html>404</html>")
    with disable_run_logger():
        note = steps.fetch_daily_lists.fn(session, session)
    assert "0 lists written" in note
    assert "5 missing" in note
    assert "found an HTML page" in note
    assert "has no content/fo/fo_mktlots.csv" in note
    assert "price bands never loaded" in note


def test_refused_sessions_are_counted_and_named_once() -> None:
    """The exchange's 2022-08-08: one file serves as bhavcopy and as delivery file, and both refuse it."""
    text = "2022-08-08: products/content/sec_bhavdata_full_08082022.csv: expected CSV text, found an Excel workbook"
    with pytest.raises(ArchiveError, match=r"^1 session was refused, all others are done: 2022-08-08: [^;]*$"):
        Arrival(refused=[text, text]).require_complete()
    others = [f"2022-08-0{day}: refused" for day in range(1, 6)]
    with pytest.raises(ArchiveError, match=r"^6 sessions were refused, .*; and 3 more files$"):
        Arrival(refused=[text, text, *others]).require_complete()


def test_the_environment_overrides_settings_in_prefect() -> None:
    secrets = {"champion-notify-url": "https://hooks.example/secret"}
    kept = {"archive": "/elsewhere", "holidays": "2026-01-26", "notify_block": None}
    assert variables_to_set(kept, secrets, {"CHAMPION_ARCHIVE": "/here", "CHAMPION_HOLIDAYS": ""}) == {
        "CHAMPION_HOLIDAYS": "2026-01-26",
        "CHAMPION_NOTIFY_URL": "https://hooks.example/secret",
    }


@pytest.mark.parametrize("kept", [["archive"], {"arhcive": "/a"}, {"home": "/another"}], ids=str)
def test_unknown_settings_in_prefect_are_refused_by_name(kept: object) -> None:
    with pytest.raises(UsageError, match=r"champion_settings|arhcive|home"):
        variables_to_set(kept, {}, {})


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (ArchiveUnavailable("busy"), True),
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EROFS, "Read-only file system"), False),
        (PermissionError(errno.EACCES, "Permission denied"), False),
        (UsageError("wrong"), False),
    ],
    ids=str,
)
def test_only_transient_errors_are_retried(error: Exception, *, again: bool) -> None:
    assert is_transient(None, None, Failed(data=error)) is again


def test_a_notice_is_posted_and_a_refusal_is_an_error() -> None:
    subject, body = notifications.message("train_model", "train logistic", "Failed", "no features", "http://page")
    with listening() as webhook:
        notifications.post(webhook.url, subject, body)
        webhook.status = 500
        with pytest.raises(ServiceError, match="status 500") as caught:
            notifications.post(webhook.url, subject, body)
        assert webhook.url not in str(caught.value), "the address is secret"
    assert webhook.got == [{"text": "*train_model: Failed*\ntrain logistic: Failed: no features\nhttp://page"}] * 2


def test_sessions_that_differ_from_a_rebuild_are_named(known: Settings, tmp_path: Path) -> None:
    shutil.copytree(known.lake, tmp_path / "lake")
    lake = Lake(tmp_path / "lake")
    last = lake.sessions("normalized_equity_ohlc")[-3:]
    for day in last:
        build_features(lake, day, day)
    assert compare_with_rebuild(lake, last[0], last[-1]).differing == []
    contract, manifest = contracts.load(FEATURES), lake.manifest(FEATURES, last[1], "trend")
    rows = lake.scan(FEATURES, last[1], last[1]).select(*contract.ungrouped, *contract.groups["trend"]).collect()
    [folder] = lake.root.glob(f"features/**/day={last[1].day:02d}/feature_group=trend")
    shutil.rmtree(folder)  # and committed again from the same bars, as a wrong state would do
    assert manifest is not None
    lake.write(FEATURES, last[1], rows.with_columns(pl.col("sma_5") * 1.01), manifest.current.inputs, "trend")
    found = compare_with_rebuild(lake, last[0], last[-1])
    assert (list(found.sessions), found.differing) == (last, [last[1]])
    assert found.rows == lake.scan(FEATURES, last[0], last[-1]).collect().height


def test_an_archive_that_fails_one_request_in_three_is_fetched(tmp_path: Path) -> None:
    """`benchmarks/robustness/retries.py` does this with 200 sessions."""
    report = tmp_path / "report.json"
    command = [sys.executable, str(BENCHMARKS / "retries.py"), "--sessions", "4", "--json", str(report)]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(command, env=variables, check=True, capture_output=True, timeout=PATIENCE)
    found = json.loads(report.read_text())
    assert found["after the first run"] == found["after the second run"] == found["sessions"] == 4
    assert found["first run, failed requests"] >= 5
    assert found["second run, requests"] == 0
