"""How many sessions survive an archive that fails one request in three, within retries and after one more run.

`.venv/bin/python benchmarks/robustness/retries.py [--sessions 200] [--rate 0.333] [--flow]` simulates an archive, puts it behind a
real HTTP server with time-outs, 429, 503, 500, cut bodies and resets, and backfills it: by plain calls, asking once
(`one pass`) and then as the flow's task does, up to three times more; or with `--flow` as `champion backfill` itself,
whose waits between retries are real. Then the same once more, for the rest. The pause between requests and the
patience with silence are shortened by settings; number of attempts, back-off and jitter are those of every day.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

from benchmarks import meter
from benchmarks.robustness.flaky import Flaky, served
from champion.errors import ArchiveUnavailable
from champion.lake import Lake
from champion.pipeline.ingest.fetch import fetch, staged
from champion.settings import Settings
from champion.simulate import publish
from champion.simulate.calendar import sessions

_START = date(2024, 1, 1)
_RETRIES = 3
_SILENCE = 0.5


def main() -> int:
    """Measure, print, and return 0 where what is promised was kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--rate", type=float, default=1 / 3)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--flow", action="store_true", help="as `champion backfill`, with server and ledger")
    parser.add_argument("--json", type=Path, help="write the figures there")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = _run(Path(folder), asked)
    if asked.json:
        asked.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    for name, value in report.items():
        print(f"{name:<34}{value}")
    first, second = (int(str(report[f"after the {name} run"])) for name in ("first", "second"))
    return 0 if first >= 0.95 * asked.sessions and second == asked.sessions else 1


def _run(folder: Path, asked: argparse.Namespace) -> dict[str, object]:
    end = _end(asked.sessions)
    archive = publish(folder / "archive", instruments=10, start=_START, end=end)
    flaky = Flaky(archive.root, asked.rate, _SILENCE * 3, asked.seed)
    with served(flaky) as url:
        settings = Settings(home=folder / "home", archive=url, archive_pause=0.01, archive_silence=_SILENCE)
        run = _by_flow if asked.flow else _by_calls
        report: dict[str, object] = {"sessions": len(archive.sessions), "dates asked for": (end - _START).days + 1}
        for name in ("first", "second"):
            before = flaky.answers.copy()
            passes, cost = meter.measured(lambda: run(settings, end, folder))
            answered = flaky.answers - before
            report |= {f"{name} run, pass {number}": count for number, count in enumerate(passes, start=1)}
            report |= {
                f"{name} run, requests": answered.total(),
                f"{name} run, failed requests": answered.total() - answered["well"],
                f"{name} run, wall s": round(cost.wall, 1),
                f"{name} run, CPU s": round(cost.cpu, 1),
                f"after the {name} run": passes[-1],
            }
        report["answers"] = dict(flaky.answers)
    return report


def _end(count: int) -> date:
    """Return the date of the `count`-th session."""
    return list(sessions(_START, _START + timedelta(days=2 * count + 30)))[count - 1]


def _by_calls(settings: Settings, end: date, _folder: Path) -> list[int]:
    """Return the sessions complete in staging after each pass; as the task, it asks again while some are unanswered."""
    complete = []
    for _ in range(1 + _RETRIES):
        found = fetch(settings, _START, end)
        complete.append(_complete(settings, end))
        if not any(isinstance(error, ArchiveUnavailable) for _, error in found.failed):
            break
    return complete


def _complete(settings: Settings, end: date) -> int:
    """Return how many sessions have all three publications."""
    held: dict[date, int] = {}
    for received in staged(settings, _START, end):
        held[received.session] = held.get(received.session, 0) + 1
    return sum(count == 3 for count in held.values())  # noqa: PLR2004 - bhavcopy, delivery, index closes


def _by_flow(settings: Settings, end: date, folder: Path) -> list[int]:
    """Return the sessions with bars and features after `champion backfill`, whether or not it came to the end."""
    variables = {
        **os.environ,
        "CHAMPION_HOME": str(settings.home),
        "CHAMPION_ARCHIVE": settings.archive,
        "CHAMPION_ARCHIVE_PAUSE": str(settings.archive_pause),
        "CHAMPION_ARCHIVE_SILENCE": str(settings.archive_silence),
    }
    command = [sys.executable, "-m", "champion", "backfill", str(_START), str(end)]
    try:
        meter.run(command, variables, folder)
    except RuntimeError as error:
        print(error, file=sys.stderr)
    lake = Lake(settings.lake)
    return [len(set(lake.sessions("normalized_index_ohlc")) & set(lake.sessions("features_equity_indicators")))]


if __name__ == "__main__":
    sys.exit(main())
