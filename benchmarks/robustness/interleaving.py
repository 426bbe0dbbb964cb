"""Random interleaving of all commands on one workspace, with kills: no damage, no lost run, clear messages.

`.venv/bin/python benchmarks/robustness/interleaving.py [--minutes 30] [--seed 1] [--folder FOLDER] [--json FILE]`
simulates a small archive, makes a workspace with a champion, and then runs up to three random commands at a time. About
a quarter of them are killed (SIGKILL or SIGTERM to the process group) at a random instant. These conditions must hold:

- every command ends with exit code 0, 1, 2 or by the signal, and prints no traceback;
- at the end `lake verify` finds no damage, the warehouse agrees with the lake after one load, the promotion ledger
  agrees with the registry, and no run is open;
- one more `daily` of the last session succeeds.

`--json` keeps the result after every command, so that a stopped run has its record.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from benchmarks import meter

START, TRAINED, LAST = date(2024, 3, 1), date(2024, 7, 31), date(2024, 9, 30)
INSTRUMENTS = 30
CONCURRENT = 3
KILLED = 0.25
WEEKEND = (6, 7)
LONGEST = 900  # seconds after which a command counts as hanging
_OTHERS = ("models list", "models history", "lake verify", "lake metadata", "lake retain --dry-run", "notebook list",
           "notebook prune --dry-run", "audit", "stop")  # fmt: skip


@dataclass
class Found:
    """The result of a run: exit codes of the commands, and violations of the conditions."""

    seed: int
    seconds: float = 0.0
    commands: int = 0
    killed: int = 0
    by_exit: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


@dataclass
class Running:
    """A running command: when it began, and when to kill it, if at all."""

    arguments: list[str]
    process: subprocess.Popen[str]
    began: float
    kill_at: float | None
    signal: int = signal.SIGKILL


class Workspace:
    """The workspace under test and its commands."""

    def __init__(self, root: Path) -> None:
        self.root, self.home, self.archive = root, root / "home", root / "archive"
        self.variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("CHAMPION_", "PREFECT_"))},
            "CHAMPION_HOME": str(self.home),
            "CHAMPION_ARCHIVE": str(self.archive),
            "COLUMNS": "200",
        }

    def start(self, arguments: Sequence[str]) -> subprocess.Popen[str]:
        """Start a command in its own process group."""
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "champion", *arguments], env=self.variables, cwd=self.root,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip

    def run(self, *arguments: str) -> tuple[int, str]:
        """Return the exit code and the output of an undisturbed command."""
        process = self.start(arguments)
        output = process.communicate()[0]
        return process.returncode, output

    def prepare(self) -> None:
        """Simulate the archive and make the champion."""
        dates = ["--start", "2024-01-01", "--end", str(LAST), "--instruments", str(INSTRUMENTS), "--signal", "1"]
        steps = (
            ["simulate", str(self.archive), *dates],
            ["backfill", str(START), str(TRAINED)],
            ["train", "--start", str(START), "--end", str(TRAINED)],
            ["models", "promote", "1", "--force", "--reason", "the benchmark needs a champion"],
        )
        for step in steps:
            code, output = self.run(*step)
            if code not in {0, 1}:
                raise SystemExit(f"champion {' '.join(step)} ended with {code}:\n{output[-2000:]}")


def draw(rng: random.Random) -> list[str]:
    """Return the arguments of a random command."""
    days = [START + timedelta(days=offset) for offset in range((LAST - START).days + 1)]
    first = rng.choice(days)
    last = min(LAST, first + timedelta(days=rng.randrange(20)))
    weekday = rng.choice([day for day in days if day.isoweekday() not in WEEKEND])
    menu: list[tuple[int, list[str]]] = [
        (6, ["daily", str(weekday)]),
        (3, ["backfill", str(first), str(last)]),
        (1, ["backfill", str(first), str(last), "--refresh"]),
        (3, ["features", str(first), str(last)]),
        (2, ["train", "--start", str(START), "--end", str(TRAINED)]),
        (3, ["score", str(weekday)]),
        (2, ["sql", "select count() from champion_market.equity_ohlc"]),
        (2, ["models", "promote", "1", "--force", "--reason", "drawn"]),
        (1, ["models", "rollback", "--reason", "drawn"]),
        (2, ["warehouse", "load", str(first), str(last)]),
        (2, ["notebook", "run", "quality", "-p", f"start={first}", "-p", f"end={last}"]),
        (1, ["lineage", "back", "normalized_equity_ohlc", str(weekday)]),
        *((2, [word]) for word in ("status", "report", "doctor")),
        *((1, words.split()) for words in _OTHERS),
    ]
    return rng.choices([arguments for _, arguments in menu], [weight for weight, _ in menu])[0]


def interleave(workspace: Workspace, found: Found, minutes: float, keep: Path | None) -> None:
    """Keep commands running until the time is over; then wait for the running ones."""
    rng = random.Random(found.seed)  # noqa: S311 - instants and commands, not secrets
    began, running = time.monotonic(), list[Running]()
    exits = Counter[str]()
    while running or time.monotonic() - began < minutes * 60:
        while len(running) < CONCURRENT and time.monotonic() - began < minutes * 60:
            arguments = draw(rng)
            now = time.monotonic()
            kill_at = now + rng.uniform(0.3, 25) if rng.random() < KILLED else None
            number = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
            running.append(Running(arguments, workspace.start(arguments), now, kill_at, number))
        time.sleep(0.1)
        for one in list(running):
            _kill_in_time(one, found)
            if one.process.poll() is None:
                continue
            running.remove(one)
            _judge(one, one.process.communicate()[0], found, exits)
            found.seconds, found.by_exit = time.monotonic() - began, dict(exits)
            meter.write_json(keep, found)


def _kill_in_time(one: Running, found: Found) -> None:
    now = time.monotonic()
    if one.kill_at is not None and now > one.kill_at:
        one.kill_at = None
        found.killed += 1
        with suppress(ProcessLookupError):
            os.killpg(one.process.pid, one.signal)
    elif now - one.began > LONGEST:
        found.faults.append(f"hangs: champion {' '.join(one.arguments)}")
        with suppress(ProcessLookupError):
            os.killpg(one.process.pid, signal.SIGKILL)


def _judge(one: Running, output: str, found: Found, exits: Counter[str]) -> None:
    found.commands += 1
    code = one.process.returncode
    exits[str(code)] += 1
    text = " ".join(output.split())[-300:]
    if "Traceback (most recent call last)" in output:
        found.faults.append(f"traceback: champion {' '.join(one.arguments)}: {text}")
    if code not in {0, 1, 2, 130, 143, -signal.SIGKILL, -signal.SIGTERM}:
        found.faults.append(f"exit {code}: champion {' '.join(one.arguments)}: {text}")
    if code == 1 and not re.search(r"[a-z]{3,} [a-z]{2,}", output):
        found.faults.append(f"no sentence: champion {' '.join(one.arguments)}: {text}")


def settle(workspace: Workspace, found: Found) -> None:
    """Check the conditions at the end."""
    checks: list[tuple[list[str], str]] = [
        (["daily", str(LAST)], "one more daily"),
        (["lake", "verify"], "the lake has no damage"),
        (["warehouse", "load", str(START), str(LAST)], "the warehouse agrees with the lake"),
        (["models", "history"], "the promotion ledger reads"),
        (["status"], "status reads"),
    ]
    for arguments, meaning in checks:
        code, output = workspace.run(*arguments)
        if code or "Traceback" in output:
            found.faults.append(f"in the end, {meaning}: exit {code}: {' '.join(output.split())[-400:]}")
    code, output = workspace.run("doctor", "--json")
    for check in json.loads(output) if output.strip().startswith(("[", "{")) else []:
        if isinstance(check, dict) and check.get("state") == "failed":
            found.faults.append(f"in the end, doctor: {check}")
    code, output = workspace.run("notebook", "list", "--json")
    if '"RUNNING"' in output or '"running"' in output:
        found.faults.append("in the end, a run is still open in the ledger")
    workspace.run("stop")


def main() -> None:
    asked = meter.arguments(__doc__, minutes=30.0, seed=1, folder=Path, json=Path)
    with tempfile.TemporaryDirectory(prefix="interleaving-") as temporary:
        workspace = Workspace(asked.folder or Path(temporary))
        workspace.root.mkdir(parents=True, exist_ok=True)
        workspace.prepare()
        found = Found(asked.seed)
        interleave(workspace, found, asked.minutes, asked.json)
        settle(workspace, found)
    meter.write_json(asked.json, found)
    print(f"{found.commands} commands in {found.seconds / 60:.1f} minutes, {found.killed} killed: {found.by_exit}")
    print("\n".join(found.faults) or "no fault")
    sys.exit(bool(found.faults))


if __name__ == "__main__":
    main()
