"""Faults in the daily flow: the error message, the state afterwards, and whether a rerun completes the workspace.

    .venv/bin/python benchmarks/robustness/faults.py --work FOLDER [--only WORD ...] [--kills N] [--faketime LIBRARY]
    .venv/bin/python benchmarks/robustness/faults.py --work FOLDER --write docs/faults.md

Each case has a fresh copy of a small workspace with a champion model. `champion daily` runs under the fault, with real
processes, and then again without it. Results are lines of JSON in FOLDER, and a case with a result is not run again.
`--only` selects cases by a word of their name or group, `--kills` the number of kills at random instants, `--seed` the
instants; `--faketime` names libfaketime.so.1, without which clocks do not jump. `--write` runs nothing.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from benchmarks import meter
from benchmarks.robustness.faulty import archives, clocks, damages, kills, page, places
from benchmarks.robustness.faulty.cases import Case, Result, daily, judge, undisturbed
from benchmarks.robustness.faulty.workspace import INSTRUMENTS, SESSION, START, Bench


def main() -> None:
    options: dict[str, Any] = {"only": [""], "kills": 200, "seed": 1, "faketime": Path, "write": Path}
    arguments = meter.arguments(__doc__, {"--work": Path}, **options)
    meter.forget_workspace()
    results = arguments.work / "results.jsonl"
    if arguments.write:
        text = page.written(meter.read_lines(results), instruments=INSTRUMENTS, sessions=f"{START} to {SESSION}")
        arguments.write.write_text(text)
        return
    bench = Bench(arguments.work.absolute())
    bench.prepare()
    try:
        done = {str(result["name"]) for result in meter.read_lines(results)}
        for case in _cases(bench, arguments):
            if case.name in done or not any(word in f"{case.group}: {case.name}" for word in arguments.only):
                continue
            result = judge(bench, case)
            meter.append_line(results, {**asdict(result), "equal": result.equal})
            show(result)
    finally:
        bench.close()


def _cases(bench: Bench, arguments: argparse.Namespace) -> Iterator[Case]:
    """Yield all cases, with kills between the others, so that a run that is stopped early has some of each."""
    undisturbed(bench, Case("", "", daily))
    commits = (bench.root / "undisturbed.trace").read_text().splitlines()
    seconds = float((bench.root / "undisturbed.seconds").read_text())
    boundaries = list(kills.at_commits(commits))
    dice = random.Random(arguments.seed)  # noqa: S311 - instants, not secrets
    instants = kills.at_random(seconds, dice, arguments.kills - len(boundaries))
    others = chain(places.cases(), damages.cases(), clocks.cases(arguments.faketime), archives.cases())
    for several in zip_longest(others, others, others, boundaries, instants):
        yield from filter(None, several)


def show(result: Result) -> None:
    """Print a result in one line, and its differences below."""
    verdict = "equal" if result.equal else "DIFFERENT"
    ended = f"exit {result.code}, then {result.again}; {result.place}; {result.message[:90]}"
    print(f"{result.name:<28} {verdict:<9} {ended}", flush=True)
    if not result.equal:
        for what in ("left", "halves", "different", "again_message"):
            print(f"    {what}: {getattr(result, what)}", flush=True)


if __name__ == "__main__":
    main()
