"""Sessions that are complete although the archive fails one request in three: after retries, and after another run.

`.venv/bin/python benchmarks/robustness/retries.py [--sessions 200] [--rate 0.333] [--flow] [--json PATH]` simulates an
archive behind a real HTTP server with time-outs, 429, 503, 500, cut bodies and resets, and backfills it twice: by plain
calls, one pass and then up to three more like the flow's task; or with `--flow` by `champion backfill`, with its real
waits between retries. Settings shorten the pause between requests and the time-out; attempts, back-off and jitter have
their default values.
"""

import argparse
import sys
import tempfile
from collections import Counter
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
_PUBLICATIONS = 3  # bhavcopy, delivery, index closes


def main() -> int:
    """Measure, print, and return 0 if the aims are met."""
    asked = meter.arguments(__doc__, sessions=200, rate=1 / 3, seed=7, flow=False, json=Path)
    with tempfile.TemporaryDirectory() as folder:
        report = _run(Path(folder), asked)
    meter.write_json(asked.json, report)
    for name, value in report.items():
        print(f"{name:<34}{value}")
    first, second = (int(str(report[f"after the {name} run"])) for name in ("first", "second"))
    return 0 if first >= 0.95 * asked.sessions and second == asked.sessions else 1


def _run(folder: Path, asked: argparse.Namespace) -> dict[str, object]:
    end = list(sessions(_START, _START + timedelta(days=2 * asked.sessions + 30)))[asked.sessions - 1]
    archive = publish(folder / "archive", instruments=10, start=_START, end=end)
    flaky = Flaky(asked.rate, _SILENCE * 3, asked.seed)
    with served(archive.root, flaky.answer) as url:
        settings = Settings(home=folder / "home", archive=url, archive_pause=0.01, archive_silence=_SILENCE)
        run = _by_flow if asked.flow else _by_calls
        report: dict[str, object] = {"sessions": len(archive.sessions), "dates asked for": (end - _START).days + 1}
        for name in ("first", "second"):
            before = flaky.answers.copy()
            passes, cost = meter.measured(lambda: run(settings, end))
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


def _by_calls(settings: Settings, end: date) -> list[int]:
    """Return the sessions complete in staging after each pass; like the task, repeat while requests are unanswered."""
    complete = []
    for _ in range(1 + _RETRIES):
        found = fetch(settings, _START, end)
        held = Counter(received.session for received in staged(settings, _START, end))
        complete.append(sum(count == _PUBLICATIONS for count in held.values()))
        if not any(isinstance(error, ArchiveUnavailable) for _, error in found.failed):
            break
    return complete


def _by_flow(settings: Settings, end: date) -> list[int]:
    """Return the sessions with bars and features after `champion backfill`, even if it failed."""
    try:
        meter.champion(settings, "backfill", str(_START), str(end))
    except RuntimeError as error:
        print(error, file=sys.stderr)
    lake = Lake(settings.lake)
    return [len(set(lake.sessions("normalized_index_ohlc")) & set(lake.sessions("features_equity_indicators")))]


if __name__ == "__main__":
    sys.exit(main())
