"""The record of the code that a kernel runs: other threads import while it is written, and the disk may be full."""

from __future__ import annotations

import itertools
import json
import sys
import threading
from pathlib import Path

from champion.kernel.code_record import CodeRecord
from champion.runner import code_identity
from champion.settings import Settings


def test_a_record_is_written_while_other_threads_import(tmp_path: Path) -> None:
    """A notebook's threads ask for modules at any time; that once ended a cell with RuntimeError."""
    record, ended = CodeRecord(tmp_path / "record.json"), threading.Event()

    def ask() -> None:
        for number in itertools.takewhile(lambda _: not ended.is_set(), itertools.count()):
            record.find_spec(f"missing_{number % 20_000}")
            record.variables.read[f"MISSING_{number % 20_000}"] = None
            record._names.add(f"missing_{number % 20_000}.csv")

    asking = [threading.Thread(target=ask) for _ in range(3)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in asking:
            thread.start()
        for _ in range(30):
            record.write()
    finally:
        ended.set()
        sys.setswitchinterval(interval)
        for thread in asking:
            thread.join()
    record.write()
    assert set(json.loads((tmp_path / "record.json").read_text())["asked"]) >= record._requested


def test_a_record_that_cannot_be_written_is_removed(tmp_path: Path) -> None:
    """The record of earlier cells would be taken for that of the run, and code used since would not count."""
    record = CodeRecord(tmp_path / "record.json")
    record.keep()
    assert (tmp_path / "record.json").exists()
    (tmp_path / "record.part").mkdir()
    record.find_spec("missing")
    record.keep()
    assert code_identity.used(Settings(home=tmp_path), tmp_path / "record.json", (), "") is None
    (tmp_path / "record.part").rmdir()
    record.keep()
    assert "missing" in json.loads((tmp_path / "record.json").read_text())["asked"]
