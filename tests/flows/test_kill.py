"""A backfill that is killed at random instants and run again gives the undisturbed lake; readers see whole sessions.

This runs three rounds of `benchmarks/robustness/kill.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from waiting import PATIENCE

ROUNDS = 3
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks" / "robustness"


def test_a_rerun_after_random_kills_equals_the_undisturbed_lake(tmp_path: Path) -> None:
    small = ["--start", "2023-12-27", "--end", "2024-01-09", "--instruments", "12"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("CHAMPION_")}
    found = subprocess.run(
        [sys.executable, BENCHMARKS / "kill.py", "--rounds", str(ROUNDS), *small, "--json", tmp_path / "report.json"],
        capture_output=True,
        check=False,
        env={**variables, "PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
        timeout=PATIENCE,
    )
    assert found.returncode == 0, found.stderr[-2000:]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["different"] == []
    assert report["equal"] == report["rounds"] == ROUNDS
    assert sum(count for stage, count in report["hits"].items() if stage != "finished") > 0
    assert [failure for seen in report["testimonies"] for failure in seen["failures"]] == []
    assert all(count > ROUNDS for seen in report["testimonies"] for count in seen["reads"].values())
    assert all(min(seen["whole"], seen["absent"]) > 0 for seen in report["testimonies"])
