"""The commands of the quality gates, and commands that a failed gate stops."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from waiting import PATIENCE

from champion.lake import Lake
from champion.settings import Settings

BARS = "normalized_equity_ohlc"


def champion(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "CHAMPION_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "champion", *arguments]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=PATIENCE)


def test_a_failed_gate_stops_features_until_its_finding_is_accepted(ingested: Settings, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(ingested.lake, home / "lake")
    lake = Lake(home / "lake")
    short = lake.sessions(BARS)[-1]
    lake.write(BARS, short, lake.scan(BARS, short, short).head(9).collect(), {"file": "cut"})
    keys = [f"row_count:{short}", f"universe_churn:{short}"]
    refused = champion(home, "features", str(short), str(short))
    assert refused.returncode == 1
    assert all(key in refused.stderr for key in keys)
    assert champion(home, "quality", "check", str(short), str(short)).returncode == 1
    assert champion(home, "quality", "accept", *keys).returncode == 2, "no reason"
    accepted = champion(home, "quality", "accept", *keys, "--reason", "an hour's session")
    assert accepted.returncode == 0, accepted.stderr
    shown = json.loads(champion(home, "quality", "list", "--json").stdout)
    assert {one["key"]: one["state"] for one in shown["findings"] if one["severity"] == "error"} == dict.fromkeys(
        keys, "accepted"
    )
    assert {one["reason"] for one in shown["accepted"]} == {"an hour's session"}
    built = champion(home, "features", str(short), str(short))
    assert built.returncode == 0, built.stderr
