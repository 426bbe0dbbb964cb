"""Bad input for every reader: accepted, refused with a Champion error, or a fault.

`.venv/bin/python benchmarks/robustness/fuzz.py [--inputs 100000] [--seed 1] [--target WORD ...] [--seconds 10]
[--keep FOLDER] [--json PATH]` mutates valid files of a simulated archive and of a small workspace. A child process
reads them, with limits of address space and of time for each input. An input that is accepted or refused in a new way
is mutated again, so inputs get past the first check without instrumentation. The same number of inputs and the same
seed give the same run.

A fault is an exception other than ChampionError, an input that takes longer than `--seconds`, a child that dies, or a
file written outside the workspace. Its input is kept in `--keep`, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import hashlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from benchmarks import meter
from champion.errors import ChampionError

_ADDRESS_SPACE = 8 * 2**30
_LONGEST = 2**19  # bytes of an input
_CORPUS = 400
_FIRST = 6  # times the limit for valid files, because the first ones import modules
_WRITES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod"}
_OURS = ("/champion/", "/flows/")


@dataclass(slots=True)
class Tally:
    """The outcomes of the inputs of one target."""

    target: str
    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    faults: int = 0
    slowest: float = 0.0
    seconds: float = 0.0  # of CPU, in all
    shown: dict[str, str] = field(default_factory=dict)  # by fault: the file with the input


def main() -> int:
    """Fuzz, print a table, and return 0 if there was no fault."""
    options: dict[str, Any] = {
        "inputs": 100_000,
        "seed": 1,
        "target": [""],
        "seconds": 10.0,
        "keep": Path("data/fuzz"),
        "json": Path,
    }
    asked = meter.arguments(__doc__, **options, child=Path, first=0, number=0)
    if asked.child:  # the process that reads
        _child(asked.child, asked, asked.first, asked.number)
        return 0
    asked.keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="champion-fuzz-") as folder:
        found, peak = _supervised(Path(folder), asked)
    _print(found, peak, asked)
    meter.write_json(asked.json, {"peak_mib": peak, "targets": found})
    return 1 if any(one.faults for one in found) else 0


def _supervised(folder: Path, asked: argparse.Namespace) -> tuple[list[Tally], int]:
    """Run children until all targets are done; after a death, another child continues with the next input."""
    found: dict[str, Tally] = {}
    target = number = 0
    (folder / "state").touch()  # the child reports any new file beside its workspace
    (folder / "tallies").touch()
    while True:
        place = ["--child", str(folder), "--first", str(target), "--number", str(number)]
        child = subprocess.run(
            [sys.executable, __file__, *sys.argv[1:], *place],
            env={**os.environ, "POLARS_MAX_THREADS": "1", "TMPDIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
            stderr=subprocess.PIPE,
            check=False,
        )
        for line in meter.read_lines(folder / "tallies"):
            _add(found, Tally(**line))
        (folder / "tallies").write_text("")
        if child.returncode == 0:
            break
        errors = child.stderr.decode(errors="replace")
        if "Traceback (most recent call last)" in errors:  # from this file: faults of targets are counted
            raise SystemExit(f"the child itself failed:\n{errors[-3000:]}")
        target, number, content, tally = _last(folder)
        word = "too slow" if "Timeout" in errors else f"died with {child.returncode}"
        _note(tally, f"{word}: {_frame_of(errors)}", content, asked.keep)
        _add(found, tally)
        number += 1
    return list(found.values()), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024


def _add(found: dict[str, Tally], more: Tally) -> None:
    tally = found.setdefault(more.target, Tally(more.target))
    for name in ("inputs", "accepted", "refused", "faults", "seconds"):
        setattr(tally, name, getattr(tally, name) + getattr(more, name))
    tally.slowest = max(tally.slowest, more.slowest)
    tally.shown.update(more.shown)


def _last(folder: Path) -> tuple[int, int, bytes, Tally]:
    """Return the state of a dead child: the number of the target and of the input, the input, the counts."""
    state = json.loads((folder / "state").read_bytes())
    tally = Tally(**state["tally"])
    tally.inputs += 1
    return state["target"], state["number"], state["content"].encode("latin-1"), tally


def _frame_of(errors: str) -> str:
    frames = re.findall(r'File "[^"]*?/((?:champion|flows)/[^"]+)", line (\d+) in (\w+)', errors)
    return " ".join(frames[0]) if frames else errors.strip()[-120:]


def _kept(folder: Path, target: str, content: bytes) -> str:
    name = f"{re.sub(r'[^A-Za-z0-9]+', '_', target)}-{hashlib.sha256(content).hexdigest()[:12]}"
    (folder / name).write_bytes(content)
    return name


def _print(found: Sequence[Tally], peak: int, asked: argparse.Namespace) -> None:
    columns = f"{'target':<28}{'inputs':>9}{'accepted':>10}{'refused':>9}{'faults':>8}{'slowest, ms':>13}{'CPU s':>8}"
    print(columns)
    for one in found:
        counts = f"{one.inputs:>9,}{one.accepted:>10,}{one.refused:>9,}{one.faults:>8,}"
        print(f"{one.target:<28}{counts}{one.slowest * 1e3:>13,.0f}{one.seconds:>8,.1f}")
    total = [sum(getattr(one, name) for one in found) for name in ("inputs", "accepted", "refused", "faults")]
    print("{:<28}{:>9,}{:>10,}{:>9,}{:>8,}".format("all", *total))
    print(f"peak memory of the reading process {peak:,} MiB; seed {asked.seed}")
    for one in found:
        for what, file in one.shown.items():
            print(f"FAULT {one.target}: {what} [{asked.keep / file}]")


def _child(folder: Path, asked: argparse.Namespace, first: int, number: int) -> None:
    """Read inputs of all targets from the given one on, and record each before it is read."""
    from benchmarks.robustness import fuzz_commands, fuzz_published, fuzz_workspace  # noqa: PLC0415 - in the child only

    work = Path(tempfile.mkdtemp(dir=folder)) / "workspace"
    work.mkdir()
    fuzz_published.archive(folder / "archive")
    settings = fuzz_workspace.workspace(work, folder / "archive")
    every = [
        *fuzz_published.targets(work, folder / "archive"),
        *fuzz_workspace.targets(work, settings),
        *fuzz_commands.targets(settings),
    ]
    chosen = [one for one in every if any(word in one.name for word in asked.target)]
    total = sum(one.weight for one in chosen)
    guard = Guard(folder, work, asked.keep)
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    for index in range(first, len(chosen)):
        one = chosen[index]
        numbers = range(number if index == first else 0, max(1, round(asked.inputs * one.weight / total)))
        tally = _run(index, one, numbers, asked, folder / "state", guard)
        meter.append_line(folder / "tallies", tally)


def _run(index: int, target: Any, numbers: range, asked: argparse.Namespace, state: Path, guard: Guard) -> Tally:
    """Read the inputs of one target: first the valid files, then changed ones."""
    tally, seen, corpus = Tally(target.name), set(), list(target.seeds)
    for number in numbers:
        draw = Random(f"{asked.seed} {target.name} {number}")  # noqa: S311 - a seed, not a secret
        content = draw.choice(draw.choice((corpus, target.seeds)))
        content = target.mutate(draw, content, corpus) if number >= len(target.seeds) else target.seeds[number]
        content = content[:_LONGEST]
        text = content.decode("latin-1")
        meter.write_json(state, {"target": index, "number": number, "content": text, "tally": tally})
        seconds = asked.seconds * (_FIRST if number < len(target.seeds) else 1)
        outcome = _read(target, content, tally, seconds, guard)
        if outcome not in seen:
            seen.add(outcome)
            if len(corpus) < _CORPUS:
                corpus.append(content)
        if number % 1000 == 0:
            gc.collect()
    return tally


def _read(target: Any, content: bytes, tally: Tally, seconds: float, guard: Guard) -> str:
    """Read one input, count the outcome and return it as text; after `seconds` the process ends."""
    tally.inputs += 1
    began, worked = time.perf_counter(), time.process_time()
    faulthandler.dump_traceback_later(seconds, exit=True)
    fault = None
    try:
        outcome = f"accepted {target.read(content)}"
        tally.accepted += 1
    except ChampionError as error:
        outcome = f"refused {_place(error)}"
        tally.refused += 1
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - all else is what is looked for, panics of Rust among it
        outcome = fault = f"{type(error).__name__} at {_place(error)}: {' '.join(str(error).split())[:120]}"
    finally:
        faulthandler.cancel_dump_traceback_later()
    tally.seconds += time.process_time() - worked
    tally.slowest = max(tally.slowest, time.perf_counter() - began)
    if outside := guard.written():
        fault = f"wrote outside: {outside[:3]}"
    if fault:
        _note(tally, fault, content, guard.keep)
    return outcome


def _note(tally: Tally, fault: str, content: bytes, keep: Path) -> None:
    """Count a fault, and keep the first input of its kind."""
    tally.faults += 1
    kind = fault.split(": ", maxsplit=1)[0]
    if not any(known.startswith(kind) for known in tally.shown):
        tally.shown[fault] = _kept(keep, tally.target, content)


def _place(error: BaseException) -> str:
    """Return the place in Champion that raised an error, and its cause: the text that distinguishes refusals."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if any(o in frame.filename for o in _OURS)]
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "elsewhere"
    return f"{place} {type(error.__cause__).__name__ if error.__cause__ else ''}".strip()


class Guard:
    """Records files written outside the workspace: by Python's audit events, and by listing the folders around it."""

    def __init__(self, folder: Path, work: Path, keep: Path) -> None:
        self._folder, self._work, self.keep = folder, work, keep
        self._written: list[str] = []
        self._allowed = (f"{os.path.realpath(work)}{os.sep}", "/dev/null/")
        self._own = {str(folder / name) for name in ("state", "tallies")}
        self._around = set(self._neighbours())
        self._looked = 0
        sys.addaudithook(self._event)

    def written(self) -> list[str]:
        """Return the files written since the last call."""
        self._looked += 1
        if self._looked % 100 == 0:
            now = set(self._neighbours())
            self._written += sorted(now ^ self._around)
            self._around = now
        written, self._written = self._written, []
        return written

    def _neighbours(self) -> Iterator[str]:
        """Yield the files around the workspace, where a path that leaves the workspace would write first."""
        for place in (self._folder, self._work.parent):
            yield from (entry.path for entry in os.scandir(place) if entry.path != str(self._work))

    def _event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if not isinstance(path, str | bytes) or not (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
            paths: tuple[Any, ...] = (path,)
        elif event in _WRITES:
            paths = arguments[:2] if event in {"os.rename", "os.link"} else arguments[:1]
        else:
            return
        self._written += [text for text in map(_text, paths) if not self._is_allowed(text)]

    def _is_allowed(self, path: str) -> bool:
        parent = os.path.realpath(os.path.dirname(path) or ".")  # noqa: PTH120 - called for every file opened
        real = os.path.join(parent, os.path.basename(path))  # noqa: PTH118, PTH119
        return f"{real}{os.sep}".startswith(self._allowed) or real in self._own or path.startswith(str(self.keep))


def _text(path: Any) -> str:
    return os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else str(path)


if __name__ == "__main__":
    sys.exit(main())
