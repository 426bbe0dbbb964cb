"""Promotions by several concurrent processes, killed at any time, and their notifications."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from waiting import PATIENCE

from champion.base import clock
from champion.errors import DecisionOutdated, UsageError
from champion.settings import Settings
from champion.tracking import ledger_storage, notify, promotion, promotion_ledger, registry, runs, standing, store
from champion.tracking.promotion import Decision

# MLflow 3.17 on SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

YES = Decision(promote=True, reasons=("it is better",))

# One warm process that forks: each child promotes or rolls back in a separate process.
FORKS = """
import os, sys, time
import mlflow, sklearn, filelock
from champion.settings import Settings
from champion.tracking import promotion, registry, store
from champion.errors import ChampionError
print("ready", flush=True)
for line in sys.stdin:
    home, *words = line.split()
    settings, children = Settings(home=home, tracking_uri=sys.argv[1]), []
    for word in words:
        child = os.fork()
        if child == 0:
            try:
                if word == "rollback":
                    promotion.rollback(settings, reason="test")
                else:
                    yes = promotion.Decision(promote=True, reasons=("test",))
                    promotion.promote(settings, int(word), yes, reason="test")
            except ChampionError:
                os._exit(1)
            os._exit(0)
        children.append(child)
    print(*children, flush=True)
    print(*[os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children], flush=True)
"""


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A workspace with four registered versions and no champion."""
    settings = Settings(home=tmp_path_factory.mktemp("versions"))
    inputs = pl.DataFrame({"rsi_14": np.random.default_rng(7).normal(size=50)})
    model = LogisticRegression().fit(inputs.to_numpy(), inputs["rsi_14"].to_numpy() > 0)
    run_id = runs.open_run(settings, "training", "fit")
    for _ in range(4):
        registry.register(settings, model, inputs, run_id=run_id, feature_version="v1")
    runs.close_run(settings, run_id, "succeeded")
    return settings


@pytest.fixture
def workspace(versions: Settings, tmp_path: Path) -> Settings:
    """An empty ledger on these versions."""
    if registry.alias_of(versions, registry.CHAMPION) is not None:
        store.prepare(versions).delete_registered_model_alias(registry.MODEL, registry.CHAMPION)
    return Settings(home=tmp_path, tracking_uri=versions.tracking)


@pytest.fixture(scope="module")
def forks(versions: Settings) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", FORKS, versions.tracking]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


def begin(process: subprocess.Popen[str], settings: Settings, *words: str) -> list[int]:
    """Start a child process for each word, and return their process ids."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(" ".join((str(settings.home), *words)) + "\n")
    process.stdin.flush()
    return [int(number) for number in process.stdout.readline().split()]


def ended(process: subprocess.Popen[str]) -> list[int]:
    """Return how the children ended: 0 done, 1 refused, below 0 killed."""
    assert process.stdout is not None
    return [int(code) for code in process.stdout.readline().split()]


def told(settings: Settings) -> list[promotion_ledger.Entry]:
    return [entry for entry in promotion.history(settings) if entry.state == "done"]


def test_concurrent_promotions_keep_one_ledger(forks: subprocess.Popen[str], workspace: Settings) -> None:
    begin(forks, workspace, "1", "2", "3", "4")
    assert ended(forks) == [0, 0, 0, 0]
    done = told(workspace)
    assert sorted(entry.version for entry in done) == [1, 2, 3, 4]
    assert [entry.previous for entry in done] == [None, *(entry.version for entry in done[:-1])]
    states = [entry.state for entry in promotion.history(workspace)]
    assert states == ["pending", "done"] * 4  # nobody began before the one before had ended
    assert registry.alias_of(workspace, registry.CHAMPION) == done[-1].version
    begin(forks, workspace, "rollback", "rollback", "rollback", "rollback")
    assert sorted(ended(forks)) == [0, 0, 0, 1]  # the first champion has nobody before it
    assert registry.alias_of(workspace, registry.CHAMPION) == done[0].version
    assert standing.disagreement(workspace) is None


def test_killed_promotion_is_finished_or_has_no_effect(forks: subprocess.Popen[str], workspace: Settings) -> None:
    promotion.promote(workspace, 1, YES, reason="first")
    path, seen = workspace.home / "promotions.jsonl", set()
    for number in range(6):
        before = path.read_bytes()
        target = 2 + number % 3
        if told(workspace)[-1].version == target:
            target = 1
        (child,) = begin(forks, workspace, str(target))
        while path.read_bytes() == before and Path(f"/proc/{child}").exists():  # `pending` comes first
            time.sleep(0.0002)
        time.sleep(0.006 * number)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        (code,) = ended(forks)
        held = promotion.history(workspace)
        seen.add((code, held[-1].state))
        assert promotion.current_champion(workspace) is not None  # the ledger answers at once, repaired or not
        promotion.repair(workspace)
        after = promotion.history(workspace)
        assert after[: len(held)] == held
        assert after[-1].state == "done"
        assert registry.alias_of(workspace, registry.CHAMPION) == after[-1].version == target
        assert standing.disagreement(workspace) is None
    assert (-9, "pending") in seen, "no child was killed between the ledger's two lines"


def test_champion_on_a_date_through_promote_promote_rollback(workspace: Settings) -> None:
    promotion.promote(workspace, 1, YES, reason="first")
    promotion.promote(workspace, 2, YES, reason="second")
    promotion.rollback(workspace, reason="live IC fell")
    days = [entry.effective.astimezone(clock.INDIA).date() for entry in told(workspace) if entry.effective]
    assert len(days) == 3
    # The same decisions a day apart, as the years make them: the file is rewritten as those days would have written it.
    entries, book = told(workspace), ledger_storage.FileStorage(workspace.home / "spread.jsonl")
    for number, entry in enumerate(entries):
        later = timedelta(days=10 * number)
        assert entry.effective is not None
        moved = replace(entry, at=entry.at + later, effective=entry.effective + later)
        promotion_ledger.append(book, moved, promotion_ledger.read(book))
    read = promotion_ledger.read(book)
    asked = [days[0] + timedelta(days=n) for n in (-1, 0, 9, 10, 19, 20, 400)]
    found = [promotion_ledger.on_date(read, day) for day in asked]
    assert [entry and entry.version for entry in found] == [None, 1, 1, 2, 2, 1, 1]


def test_decision_against_a_replaced_champion_is_refused(workspace: Settings) -> None:
    promotion.promote(workspace, 1, YES, reason="first", against=None)
    promotion.promote(workspace, 2, YES, reason="second", against=1)
    with pytest.raises(DecisionOutdated, match="compared with version 1, but version 2 is champion now"):
        promotion.promote(workspace, 3, YES, reason="judged before", against=1)
    assert [entry.version for entry in told(workspace)] == [1, 2]


def test_force_needs_a_reason_and_records_it(workspace: Settings) -> None:
    no = Decision(promote=False, reasons=("worse",))
    with pytest.raises(UsageError, match="needs a reason"):
        promotion.promote(workspace, 1, no, reason=" ", force=True)
    assert promotion.history(workspace) == []
    entry = promotion.promote(workspace, 1, no, reason="I know why", force=True)
    assert (entry.forced, entry.reason, entry.reasons) == (True, "I know why", ("worse",))


class Listener(BaseHTTPRequestHandler):
    """Stores what was posted, and returns the prepared answers in turn; then 200."""

    heard: ClassVar[list[dict[str, Any]]] = []
    answers: ClassVar[list[int]] = []

    def do_POST(self) -> None:
        """Store the message."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.heard.append(json.loads(body))
        self.send_response(self.answers.pop(0) if self.answers else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Log nothing."""


@pytest.fixture
def webhook() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Listener)
    Listener.heard.clear()
    Listener.answers.clear()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/secret-path"
    server.shutdown()
    thread.join(PATIENCE)
    server.server_close()


def test_webhook_receives_changes_of_champion_but_no_refusals(workspace: Settings, webhook: str) -> None:
    listening = Settings(home=workspace.home, tracking_uri=workspace.tracking, promotion_webhook=webhook)
    promotion.promote(listening, 1, YES, reason="first")
    Listener.answers[:] = [500]  # once: the next try is heard
    promotion.promote(listening, 2, YES, reason="second")
    promotion.rollback(listening, reason="back")
    told_of = [(said["kind"], said["version"], said["previous"]) for said in Listener.heard]
    assert told_of == [("promote", 1, None), ("promote", 2, 1), ("promote", 2, 1), ("rollback", 1, 2)]
    assert "version 1 is champion, before version 2 (rollback): back" in Listener.heard[-1]["text"]


def test_failing_webhook_does_not_stop_a_promotion(
    workspace: Settings, webhook: str, caplog: pytest.LogCaptureFixture
) -> None:
    listening = Settings(home=workspace.home, tracking_uri=workspace.tracking, promotion_webhook=webhook)
    Listener.answers[:] = [500, 503, 404]
    assert promotion.promote(listening, 1, YES, reason="first").state == "done"
    assert "webhook did not accept the message: status 404" in caplog.text
    assert "secret-path" not in caplog.text
    entry = told(workspace)[-1]
    assert notify.announce(workspace, entry, registry.MODEL) is None  # no address, nobody to tell
    wrong = workspace.model_copy(update={"promotion_webhook": Settings(promotion_webhook="ftp://x").promotion_webhook})
    with pytest.raises(UsageError, match="no http"):
        notify.announce(wrong, entry, registry.MODEL)
