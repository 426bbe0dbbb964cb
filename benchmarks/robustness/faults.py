"""Faults in the daily flow: what the user is told, what is kept, and whether a rerun gives the undisturbed workspace.

python benchmarks/robustness/faults.py --work FOLDER [--only WORD] [--kills N]
python benchmarks/robustness/faults.py --work FOLDER --write docs/faults.md

Each case has a fresh copy of a small workspace with a champion model. `champion daily` runs under the fault, with real
processes, and is then run again without it. Results are JSON lines in FOLDER: what has one is not run again.
"""

from __future__ import annotations

import argparse
import os
import random
from collections.abc import Iterator
from itertools import chain, zip_longest
from pathlib import Path

from benchmarks.robustness.faulty import archives, clocks, damages, kills, page, places
from benchmarks.robustness.faulty.cases import Case, Disturbed, Result, judge, undisturbed
from benchmarks.robustness.faulty.workspace import INSTRUMENTS, SESSION, START, Bench, read_results

KILLS = 200


def main() -> None:
    arguments = _arguments()
    for name in [name for name in os.environ if name.startswith("CHAMPION_")]:
        del os.environ[name]  # nothing may reach a real workspace
    results = arguments.work / "results.jsonl"
    if arguments.write:
        text = page.written(read_results(results), instruments=INSTRUMENTS, sessions=f"{START} to {SESSION}")
        arguments.write.write_text(text)
        return
    bench = Bench(arguments.work.absolute())
    bench.prepare()
    try:
        done = {str(result["name"]) for result in read_results(results)}
        for case in _cases(bench, arguments):
            if case.name in done or not any(word in f"{case.group}: {case.name}" for word in arguments.only or [""]):
                continue
            result = judge(bench, case)
            with results.open("a") as stream:
                stream.write(result.line() + "\n")
            show(result)
    finally:
        bench.close()


def _cases(bench: Bench, arguments: argparse.Namespace) -> Iterator[Case]:
    """Yield all cases, kills between the others: what is stopped early has some of each."""
    undisturbed(bench, Case("", "", _daily))
    commits = (bench.root / "undisturbed.trace").read_text().splitlines()
    seconds = float((bench.root / "undisturbed.seconds").read_text())
    boundaries = list(kills.at_commits(commits))
    dice = random.Random(arguments.seed)  # noqa: S311 - instants, not secrets
    instants = kills.at_random(seconds, dice, arguments.kills - len(boundaries))
    others = chain(places.cases(), damages.cases(), clocks.cases(arguments.faketime), archives.cases())
    for several in zip_longest(others, others, others, boundaries, instants):
        yield from filter(None, several)


def _daily(bench: Bench) -> Disturbed:
    return Disturbed(bench.run(bench.command))


def show(result: Result) -> None:
    """Print a result in a line, and what is wrong with it below."""
    verdict = "equal" if result.equal else "DIFFERENT"
    print(
        f"{result.name:<28} {verdict:<9} exit {result.code}, then {result.again}; {result.place}; {result.said[:90]}",
        flush=True,
    )
    if not result.equal:
        for what in ("left", "halves", "different", "again_said"):
            print(f"    {what}: {getattr(result, what)}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for workspaces and results; kept")
    parser.add_argument("--only", action="append", help="cases with this in their name or group; may be repeated")
    parser.add_argument("--write", type=Path, help="run nothing, write the results so far as a page")
    parser.add_argument("--kills", type=int, default=KILLS, help="kills at random instants")
    parser.add_argument("--faketime", type=Path, help="libfaketime.so.1: without it clocks do not jump")
    parser.add_argument("--seed", type=int, default=1, help="of the instants")
    return parser.parse_args()


if __name__ == "__main__":
    main()
