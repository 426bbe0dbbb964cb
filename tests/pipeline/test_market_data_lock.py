"""The market data lock: changes exclude each other, and runs that train or score."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from datetime import date
from pathlib import Path
from subprocess import PIPE

import pytest
from waiting import PATIENCE

from champion.errors import LakeError
from champion.lake import Lake
from champion.pipeline.feature_store.build import build_features
from champion.pipeline.ingest import market_data_lock
from champion.pipeline.models import frames
from champion.settings import Settings

FIRST, LAST = date(2023, 11, 1), date(2023, 11, 30)


def _start(settings: Settings, code: str) -> subprocess.Popen[str]:
    """Start a process that takes the workspace's lock, and return once it holds it."""
    head = f"""
        import sys
        from datetime import date
        from pathlib import Path
        import polars as pl
        from champion.lake import Lake
        from champion.pipeline.ingest import market_data_lock
        from champion.pipeline.feature_store.build import build_features
        from champion.settings import Settings
        settings = Settings(home=Path({str(settings.home)!r}))
    """
    text = textwrap.dedent(head) + textwrap.dedent(code)
    process = subprocess.Popen([sys.executable, "-c", text], stdin=PIPE, stdout=PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "held"
    return process


HELD = """
    with market_data_lock.{kind}(settings):
        print("held", flush=True)
        sys.stdin.readline()
"""


@pytest.mark.parametrize("mine", [market_data_lock.changing, market_data_lock.reading])
def test_a_killed_run_releases_the_lock(tmp_path: Path, mine: Callable[..., object]) -> None:
    settings = Settings(home=tmp_path)
    with _start(settings, HELD.format(kind="changing")) as process:
        with pytest.raises(LakeError, match=f"process {process.pid},.* stop it, and run this again"):
            mine(settings, wait=0.0).__enter__()  # type: ignore[attr-defined]
        process.kill()
    with mine(settings, wait=PATIENCE):  # type: ignore[attr-defined]
        pass


def test_readers_share_the_lock_and_exclude_changes(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with _start(settings, HELD.format(kind="reading")) as process:
        with market_data_lock.reading(settings, wait=0):
            pass
        with pytest.raises(LakeError, match="another run"), market_data_lock.changing(settings, wait=0):
            pass
        process.communicate("end\n")
    with market_data_lock.changing(settings, wait=0):
        pass


CORRECTED = """
    lake, first, last = Lake(settings.lake), date(2023, 11, 1), date(2023, 11, 30)
    with market_data_lock.changing(settings):
        rows = lake.scan("normalized_equity_ohlc", first, first).collect()
        rows = rows.with_columns(close=pl.col("low"))
        lake.write("normalized_equity_ohlc", first, rows, {"file": "corrected"})
        print("held", flush=True)
        sys.stdin.readline()
        build_features(lake, first, last)
"""


def test_a_reader_waits_until_a_corrected_session_has_its_features(ingested: Settings, tmp_path: Path) -> None:
    settings, waiting, outcome = Settings(home=tmp_path), threading.Event(), list[object]()
    ignored = shutil.ignore_patterns("year=2024", "date=2024-*", "date=2023-12-*", "month=12")
    shutil.copytree(ingested.lake, settings.lake, copy_function=shutil.copy, ignore=ignored)
    lake = Lake(settings.lake)
    build_features(lake, FIRST, LAST)

    def read() -> None:
        try:
            with market_data_lock.reading(settings, lambda _: waiting.set()):
                frames.check_current(lake, FIRST, LAST)
                outcome.append("current")
        except LakeError as error:
            outcome.append(error)

    with _start(settings, CORRECTED) as process:
        with pytest.raises(LakeError, match="no current features"):
            frames.check_current(lake, FIRST, LAST)
        reader = threading.Thread(target=read)
        reader.start()
        assert waiting.wait(PATIENCE)
        assert outcome == []
        process.communicate("build\n")
        reader.join(PATIENCE)
    assert outcome == ["current"]
