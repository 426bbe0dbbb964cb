"""A second run completes what a kill between two commits left, and the harness notices what is not completed.

`benchmarks/robustness/faults.py` applies this and every other fault to the whole daily flow and writes docs/faults.md.
Here one command is killed once.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.robustness.faulty import kills
from benchmarks.robustness.faulty.cases import Case, Disturbed, judge, undisturbed
from benchmarks.robustness.faulty.look import differences, halves, look
from benchmarks.robustness.faulty.places import UNPRIVILEGED
from benchmarks.robustness.faulty.workspace import Bench
from champion.base import process_identity
from champion.settings import Settings

COMMAND = ("features", "2024-08-27", "2024-08-30")


@pytest.fixture(scope="module")
def bench(known: Settings, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A workspace with bars and without features, copied for each fault."""
    made = Bench(tmp_path_factory.mktemp("faults"), command=COMMAND)
    made.archive.mkdir()
    shutil.copytree(known.home, made.root / "prepared")
    return made


def test_a_system_error_is_reported_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "disk").write_text("a file where a folder should be")
    command = [sys.executable, "-m", "champion", "simulate", str(tmp_path / "disk" / "archive"), "--instruments", "1"]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert found.returncode == 1
    assert re.fullmatch(
        r"MachineError: .*disk.*: Not a directory; .*run it again: finished work is kept\n", found.stderr
    )


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        ("warehouse.writer(settings).__enter__()", "MachineError: {}/warehouse: Permission denied; give this account"),
        ("run_spool.begin(settings, 'e', 'n')", "ServiceError: no run can be recorded in {0}/runs: {0}/runs/"),
    ],
)
def test_a_folder_without_write_permission_is_named(tmp_path: Path, work: str, expected: str) -> None:
    for name in ("warehouse", "runs"):
        (tmp_path / name).mkdir(mode=0o555)
    code = f"""
from champion import warehouse
from champion.settings import Settings
from champion.tracking import run_spool
settings = Settings()
{work}
"""
    prefix = UNPRIVILEGED if os.geteuid() == 0 else ()
    environment = {**os.environ, "CHAMPION_HOME": str(tmp_path)}
    done = subprocess.run(
        [*prefix, sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.removeprefix("champion.errors.").startswith(expected.format(tmp_path))
    assert last.endswith(
        "the permission, or set CHAMPION_HOME to a folder of its own, then run it again: finished work is kept"
    )


def test_setting_the_clock_keeps_process_identity(tmp_path: Path) -> None:
    """Setting the clock moves the boot time in /proc/stat, and with it every process's start time."""
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        pytest.skip("only root may have another /proc/stat")
    stat = tmp_path / "stat"
    moved = re.sub(r"btime (\d+)", lambda found: f"btime {int(found[1]) + 3600}", Path("/proc/stat").read_text())
    stat.write_text(moved)
    asked = (
        "import psutil; from champion.base.process_identity import process_token; "
        f"print(process_token({os.getpid()}), psutil.boot_time())"
    )
    inside = ["unshare", "--mount", "sh", "-c", f'mount --bind {stat} /proc/stat && exec "$@"', "sh"]
    expected = [
        subprocess.run(
            [*prefix, sys.executable, "-c", asked], check=True, capture_output=True, text=True
        ).stdout.split()
        for prefix in ([], inside)
    ]
    assert float(expected[1][2]) - float(expected[0][2]) == pytest.approx(3600, abs=2)
    assert expected[0][:2] == expected[1][:2] == str(process_identity.process_token()).split()


def ended(bench: Bench) -> Disturbed:
    return Disturbed(bench.run(bench.command))


def test_a_rerun_after_a_kill_between_commits_equals_the_undisturbed_run(bench: Bench) -> None:
    wanted = undisturbed(bench, Case("", "", ended))
    commits = (bench.root / "undisturbed.trace").read_text().splitlines()
    cases = {case.detail: case for case in kills.at_commits(commits)}
    middle = [name for name in cases if name.endswith("_SUCCESS")][len(cases) // 4]
    result = judge(bench, cases[middle])
    assert result.code == -signal.SIGKILL
    assert (result.left, result.halves, result.again, result.different) == ([], [], 0, {})
    assert result.equal
    assert bench.commits()[-1] == commits[-1]
    assert 0 < len(bench.commits()) < len(commits)  # what was committed before the kill was not made again
    damaged = bench.home / middle.replace("_SUCCESS", "part-00000.parquet")
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    found = look(bench.settings)
    assert differences(found, wanted) == {"lake": [str(damaged.relative_to(bench.home))]}
    assert halves(found, wanted, wanted) == [str(damaged.relative_to(bench.home))]
