"""Kill `champion search` at random instants and run it again; compare with a search that was not disturbed.

`.venv/bin/python benchmarks/robustness/kill_search.py --work FOLDER [--kills N] [--seed N] [--json PATH]` makes a small
simulated workspace in FOLDER, with features, and searches six recipes by three trainings, two at a time, in a copy
without a kill. In another copy the command is killed (SIGKILL) up to four times, each time after a random time and run
again immediately, while its kernels still end; then two processes complete it at the same time. What both show, trials,
series, choices and figures must equal the undisturbed ones, no recipe may count twice, and no run may stay open.
Each kill is printed, with what it left. Kills and finished rounds are kept in FOLDER, so a run that was stopped goes on
from there. A search takes about one CPU minute.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks import backfill, meter
from champion.lake import Lake
from champion.pipeline.feature_store.build import build_features
from champion.pipeline.models import trials
from champion.settings import Settings
from champion.simulate import publish
from champion.tracking import run_spool, runs
from champion.tracking.trials import ledger

FIRST, LAST, FEATURES = date(2023, 11, 1), date(2024, 6, 28), date(2024, 2, 1)
SPACE = """
name = "small"
folds = 3
[recipe]
universe = "all"
[[model]]
name = "logistic"
[[model]]
name = "ridge"
parameters = {alpha = [1.0, 100.0]}
[[rule]]
top = [5, 10]
"""
MOST = 4  # kills in a round
SAME = ("recipes", "failed", "best", "luck", "net_active_return_of_choice", "sharpe_of_choice", "sharpe_needed")


def main() -> None:
    given = meter.arguments(__doc__, work=Path, kills=50, seed=1, json=Path)
    meter.forget_workspace()
    given.work.mkdir(parents=True, exist_ok=True)
    (given.work / "space.toml").write_text(SPACE)
    base = made(given.work)
    undisturbed = given.work / "undisturbed.json"
    if not undisturbed.exists():
        home, began = copied(base, given.work / "undisturbed"), time.monotonic()
        known = {**content(home, searched(home, given.work)), "seconds": time.monotonic() - began}
        undisturbed.write_text(json.dumps(known))
    expected = json.loads(undisturbed.read_text())
    kept = given.work / "rounds.json"
    rounds: list[dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else []
    while (done := sum(len(one["kills"]) for one in rounds)) < given.kills:
        instants = random.Random(f"{given.seed} {len(rounds)}")  # noqa: S311 - instants
        waits = [instants.uniform(0, expected["seconds"]) for _ in range(min(MOST, given.kills - done))]
        home, kills = killed(base, given.work, waits)
        both = [content(home, shown) for shown in searched_twice(home, given.work)]
        unequal = sorted({name for found in both for name in found if found[name] != expected[name]})
        rounds.append({"kills": kills, "unequal": unequal})
        kept.write_text(json.dumps(rounds))
        (given.work / "round.json").unlink()
        verdict = f"unequal in {', '.join(unequal)}" if unequal else "equal to the undisturbed search"
        print(
            f"round {len(rounds)}: {len(kills)} kills, then completed by two commands: {verdict}",
            flush=True,
        )
    wrong = [one for one in rounds if one["unequal"]]
    report = {
        "rounds": len(rounds),
        "kills": sum(len(one["kills"]) for one in rounds),
        "runs that a kill left open": sum(kill["open runs"] for one in rounds for kill in one["kills"]),
        "rounds unequal to the undisturbed search": len(wrong),
    }
    for name, value in report.items():
        print(f"{name:<44}{value:>8,}")
    meter.write_json(given.json, report)


def killed(base: Settings, work: Path, waits: list[float]) -> tuple[Settings, list[dict[str, Any]]]:
    """Return a workspace whose search was killed after each of some times in seconds, and the kills.

    The search is run again after each kill, unless it ended before it was killed. A round that was stopped goes on.
    """
    kept = work / "round.json"
    kills: list[dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else []
    home = base.model_copy(update={"home": work / "round"}) if kept.exists() else copied(base, work / "round")
    kept.write_text(json.dumps(kills))
    for wait in waits[len(kills) :]:
        with suppress(subprocess.TimeoutExpired):  # which killed it
            searched(home, work, wait)
            break
        left = [one for one in run_spool.entries(home) if run_spool.ended(one) is None]
        lines = len(ledger.read(home)) if (home.home / "trials.jsonl").exists() else 0
        kills.append({"after": round(wait, 2), "open runs": len(left), "lines": lines})
        kept.write_text(json.dumps(kills))
        names = ", ".join(one.name for one in left) or "none"
        print(f"  killed after {wait:.1f} s: {lines} lines in the trial ledger, open runs: {names}", flush=True)
    return home, kills


def made(work: Path) -> Settings:
    """Return a workspace with features of a small simulated archive."""
    settings = Settings(home=work / "base", archive=str(work / "archive"))
    if (work / "made").exists():
        return settings
    publish(work / "archive", instruments=20, start=FIRST, end=LAST, signal=1.0)
    later = {"features": lambda: build_features(Lake(settings.lake), FEATURES, LAST)}
    for step in (backfill.steps(settings, FIRST, LAST) | later).values():
        step()
    (work / "made").touch()
    return settings


def copied(base: Settings, home: Path) -> Settings:
    """Return a copy of a workspace in a folder that is empty before."""
    settings = base.model_copy(update={"home": home})
    if home.exists():
        run(settings, "stop")
        shutil.rmtree(home)
    shutil.copytree(base.home, home)
    return settings


def searched(settings: Settings, work: Path, wait: float | None = None) -> dict[str, Any]:
    """Return what the command prints; it is killed after `wait` seconds, without the kernels it started."""
    done = run(settings, "search", str(work / "space.toml"), "--parallel", "2", "--json", wait=wait)
    found: dict[str, Any] = json.loads(done)
    return found


def searched_twice(settings: Settings, work: Path) -> list[dict[str, Any]]:
    """Return what two commands print that search at the same time."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda _: searched(settings, work), range(2)))


def run(settings: Settings, *arguments: str, wait: float | None = None) -> str:
    """Return what a command prints. It is killed after `wait` seconds, which raises TimeoutExpired."""
    command = [sys.executable, "-m", "champion", *arguments]
    environment = {**os.environ, **settings.environment()}
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=wait).stdout


def content(settings: Settings, shown: dict[str, Any]) -> dict[str, Any]:
    """Return what must be equal: the facts of the trial ledger in any order, the count, the files, the figures."""
    table = [{k: v for k, v in row.items() if k not in {"version", "run", "error"}} for row in shown["table"]]
    return {
        "ledger": sorted(json.dumps(one.facts, sort_keys=True) for one in ledger.read(settings)),
        "count": trials.count(settings).total,
        "series": sorted(path.name for path in (settings.home / "trials").glob("*.parquet")),
        "figures": {name: shown.get(name) for name in SAME},
        "table": table,
        "open": sorted(path.name for path in (settings.home / "searches").glob("*.begun")),
        "left": [
            *(one.name for one in run_spool.entries(settings)),
            *(one.name for one in runs.find_runs(settings, status="RUNNING")),
        ],
    }


if __name__ == "__main__":
    main()
