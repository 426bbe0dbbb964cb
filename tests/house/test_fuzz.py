"""A short run of benchmarks/robustness/fuzz.py; faults that it found have their tests in test_bad_*.py."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from waiting import PATIENCE

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "robustness" / "fuzz.py"
INPUTS = 300


def test_bad_input_is_refused_without_other_effects(tmp_path: Path) -> None:
    asked = [
        "--inputs",
        str(INPUTS),
        "--seed",
        "7",
        "--seconds",
        str(PATIENCE / 6),  # wall-clock time: on a busy machine only a hang takes so long
        "--keep",
        str(tmp_path / "keep"),
        "--json",
        str(tmp_path / "table"),
    ]
    done = subprocess.run(
        [sys.executable, BENCHMARK, *asked],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    faults = [line for line in done.stdout.splitlines() if line.startswith("FAULT")]
    assert done.returncode == 0, "\n".join([*faults, done.stderr[-2000:], done.stdout[-2000:]])
    table = json.loads((tmp_path / "table").read_text())
    assert len(table["targets"]) > 35
    assert [one["target"] for one in table["targets"] if not one["accepted"]] == [], "its valid files are accepted"
    assert sum(one["refused"] for one in table["targets"]) > INPUTS / 4
    assert sum(one["inputs"] for one in table["targets"]) >= INPUTS * 0.9
    assert table["peak_mib"] < 1024
    assert list((tmp_path / "keep").iterdir()) == []


def test_a_fault_is_found_and_its_input_kept(tmp_path: Path) -> None:
    """The driver itself: a reader that raises, hangs, dies or writes elsewhere differs from one that refuses."""
    stubs = {
        "fuzz_published": f"""
import os, pathlib, time, types
from champion.errors import UsageError

def read(content):
    match content:
        case b"refused":
            raise UsageError("no")
        case b"raised":
            raise KeyError("x")
        case b"hung":
            time.sleep(60)
        case b"died":
            os._exit(3)
        case b"wrote":
            pathlib.Path({str(tmp_path / "outside")!r}).write_text("x")

def archive(_):
    pass

def targets(*_):
    seeds = [b"accepted", b"refused", b"raised", b"hung", b"died", b"wrote"]
    return [types.SimpleNamespace(name="t", seeds=seeds, read=read, weight=1)]
""",
        "fuzz_workspace": "workspace = targets = lambda *_: []",
        "fuzz_commands": "targets = lambda *_: []",
    }
    shutil.copytree(BENCHMARK.parents[1], tmp_path / "benchmarks", ignore=shutil.ignore_patterns("__pycache__"))
    script = tmp_path / "benchmarks" / "robustness" / "fuzz.py"
    for name, text in stubs.items():
        script.with_name(f"{name}.py").write_text(text)
    asked = ["--inputs", "6", "--seconds", "0.3", "--keep", str(tmp_path / "keep"), "--json", str(tmp_path / "table")]
    variables = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, script, *asked], env=variables, capture_output=True, text=True, check=False)
    (table,) = json.loads((tmp_path / "table").read_text())["targets"]
    assert (table["inputs"], table["accepted"], table["refused"], table["faults"]) == (6, 2, 1, 4), done.stderr
    assert {word.split()[0] for word in table["shown"]} == {"KeyError", "too", "died", "wrote"}
    kept = {(tmp_path / "keep" / name).read_bytes() for name in table["shown"].values()}
    assert kept == {b"raised", b"hung", b"died", b"wrote"}
    assert done.returncode == 1
