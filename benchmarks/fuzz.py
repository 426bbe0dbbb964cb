"""Bad input to everything that reads: how much was accepted, refused with a Champion error, or did anything else.

`.venv/bin/python benchmarks/fuzz.py [--inputs 100000] [--seed 1] [--target NAME] [--keep FOLDER]` mutates valid files
of a simulated archive and a small workspace. One child process reads them, under a limit of address space and of time
for each input. An input that is refused, or accepted, in a way not seen before is mutated in its turn: that leads
behind the first check without instrumenting anything. Same inputs and seed, same run; other seeds are further slices.

A fault is any exception but a ChampionError, an input that takes longer than `--seconds`, a child that dies, and a
file written outside the workspace. The input that shows it is kept in `--keep`. Exit code 1 where there was a fault.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import hashlib
import json
import mmap
import os
import re
import resource
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from champion.errors import ChampionError

_ADDRESS_SPACE = 8 * 2**30
_HEAD = struct.Struct("<qqqq")  # target, number, length of the input, length of the tally before it
_ROOM = 2**20
_CORPUS = 400
_FIRST = 6  # times as long a valid file may take: with the first ones, modules are imported
_WRITES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod"}
_OURS = ("/champion/", "/flows/")


@dataclass(slots=True)
class Tally:
    """What became of the inputs of one target."""

    target: str
    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    faults: int = 0
    slowest: float = 0.0
    seconds: float = 0.0  # of CPU, in all
    shown: dict[str, str] = field(default_factory=dict)  # what happened: the file with the input


def main() -> int:
    """Fuzz, print a table, and return 0 where no input did any harm."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--inputs", type=int, default=100_000, help="in all, shared out by weight")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", action="append", help="only targets whose name holds this")
    parser.add_argument("--seconds", type=float, default=10.0, help="the longest one input may take")
    parser.add_argument("--keep", type=Path, default=Path("data/fuzz"), help="folder for inputs that show a fault")
    parser.add_argument("--json", type=Path, help="write the table there")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        folder, target, number = asked.child
        _child(Path(folder), asked, int(target), int(number))
        return 0
    asked.keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="champion-fuzz-") as folder:
        found, peak = _supervised(Path(folder), asked)
    _print(found, peak, asked)
    if asked.json:
        asked.json.write_text(json.dumps({"peak_mib": peak, "targets": [asdict(one) for one in found]}, indent=1))
    return 1 if any(one.faults for one in found) else 0


def _supervised(folder: Path, asked: argparse.Namespace) -> tuple[list[Tally], int]:
    """Run children until all targets are done; one that died at an input is followed by one from the next on."""
    found: dict[str, Tally] = {}
    target = number = 0
    (folder / "tallies").touch()
    while True:
        child = subprocess.run(
            [sys.executable, __file__, *sys.argv[1:], "--child", str(folder), str(target), str(number)],
            env={**os.environ, "POLARS_MAX_THREADS": "1", "TMPDIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
            stderr=subprocess.PIPE,
            check=False,
        )
        for line in (folder / "tallies").read_text().splitlines():
            _add(found, Tally(**json.loads(line)))
        (folder / "tallies").write_text("")
        if child.returncode == 0:
            break
        said = child.stderr.decode(errors="replace")
        if "Traceback (most recent call last)" in said:  # of this file's own: what targets raise is counted
            raise SystemExit(f"the child itself failed:\n{said[-3000:]}")
        names = json.loads((folder / "names").read_text())
        target, number, content, tally = _last(folder, names)
        word = "too slow" if "Timeout" in said else f"died with {child.returncode}"
        _note(tally, f"{word}: {_frame_of(said)}", content, asked.keep)
        _add(found, tally)
        number += 1
    return list(found.values()), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024


def _add(found: dict[str, Tally], more: Tally) -> None:
    tally = found.setdefault(more.target, Tally(more.target))
    for name in ("inputs", "accepted", "refused", "faults", "seconds"):
        setattr(tally, name, getattr(tally, name) + getattr(more, name))
    tally.slowest = max(tally.slowest, more.slowest)
    tally.shown.update(more.shown)


def _last(folder: Path, names: Sequence[str]) -> tuple[int, int, bytes, Tally]:
    """Return where a dead child was: the target's and the input's number, the input, and its counts until then."""
    content = (folder / "state").read_bytes()
    target, number, length, told = _HEAD.unpack_from(content)
    end = _HEAD.size + length
    tally = Tally(**json.loads(content[end : end + told])) if told else Tally(names[target])
    tally.inputs += 1
    return target, number, content[_HEAD.size : end], tally


def _frame_of(said: str) -> str:
    frames = re.findall(r'File "[^"]*?/((?:champion|flows)/[^"]+)", line (\d+) in (\w+)', said)
    return " ".join(frames[0]) if frames else said.strip()[-120:]


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
    """Read inputs of all targets from the given one on, noting before each what it is."""
    import fuzz_commands  # noqa: PLC0415 - with all of Champion, in the child only
    import fuzz_published  # noqa: PLC0415
    import fuzz_workspace  # noqa: PLC0415

    work = Path(tempfile.mkdtemp(dir=folder)) / "workspace"
    work.mkdir()
    fuzz_published.archive(folder / "archive")
    settings = fuzz_workspace.workspace(work, folder / "archive")
    every = [
        *fuzz_published.targets(work, folder / "archive"),
        *fuzz_workspace.targets(work, settings),
        *fuzz_commands.targets(settings),
    ]
    chosen = [one for one in every if not asked.target or any(word in one.name for word in asked.target)]
    (folder / "names").write_text(json.dumps([one.name for one in chosen]))
    (folder / "state").write_bytes(b"\0" * _ROOM)
    total = sum(one.weight for one in chosen)
    guard = Guard(folder, work)
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    with (folder / "state").open("r+b") as stream, mmap.mmap(stream.fileno(), _ROOM) as state:
        for index in range(first, len(chosen)):
            one = chosen[index]
            runs = range(number if index == first else 0, max(1, round(asked.inputs * one.weight / total)))
            tally = _run(index, one, runs, asked, state, guard)
            with (folder / "tallies").open("a") as tallies:
                tallies.write(json.dumps(asdict(tally)) + "\n")


def _run(index: int, target: Any, numbers: range, asked: argparse.Namespace, state: mmap.mmap, guard: Guard) -> Tally:
    """Read the inputs of one target; every valid file must be accepted before it is changed."""
    tally, seen, corpus = Tally(target.name), set(), list(target.seeds)
    for number in numbers:
        draw = Random(f"{asked.seed} {target.name} {number}")  # noqa: S311 - a seed, not a secret
        content = draw.choice(draw.choice((corpus, target.seeds)))
        content = target.mutate(draw, content, corpus) if number >= len(target.seeds) else target.seeds[number]
        content = content[: _ROOM // 2]
        told = json.dumps(asdict(tally)).encode()
        _HEAD.pack_into(state, 0, index, number, len(content), len(told))
        state[_HEAD.size : _HEAD.size + len(content) + len(told)] = content + told
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
    """Return a word for what one input did, and count it; one that takes longer than `seconds` ends the process."""
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
    if outside := guard.found():
        fault = f"wrote outside: {outside[:3]}"
    if fault:
        _note(tally, fault, content, _KEEP)
    return outcome


def _note(tally: Tally, fault: str, content: bytes, keep: Path) -> None:
    """Count a fault, and keep the first input that shows it."""
    tally.faults += 1
    kind = fault.split(": ", maxsplit=1)[0]
    if not any(known.startswith(kind) for known in tally.shown):
        tally.shown[fault] = _kept(keep, tally.target, content)


def _place(error: BaseException) -> str:
    """Return where in Champion an error was raised, and what from: the word by which refusals are told apart."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if any(o in frame.filename for o in _OURS)]
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "elsewhere"
    return f"{place} {type(error.__cause__).__name__ if error.__cause__ else ''}".strip()


class Guard:
    """Notes what is written outside the workspace: by Python's audit events, and by looking around it."""

    def __init__(self, folder: Path, work: Path) -> None:
        self._folder, self._work = folder, work
        self._written: list[str] = []
        self._allowed = (f"{os.path.realpath(work)}{os.sep}", "/dev/null/")
        self._own = {str(folder / name) for name in ("state", "tallies", "names")}
        self._around = set(self._neighbours())
        self._looked = 0
        sys.addaudithook(self._event)

    def found(self) -> list[str]:
        """Return what was written since it was asked last."""
        self._looked += 1
        if self._looked % 100 == 0:
            now = set(self._neighbours())
            self._written += sorted(now ^ self._around)
            self._around = now
        written, self._written = self._written, []
        return written

    def _neighbours(self) -> Iterator[str]:
        """Yield the files around the workspace: what a path that leads out of it would hit first."""
        for place in (self._folder, self._work.parent):
            yield from (entry.path for entry in os.scandir(place) if entry.path != str(self._work))

    def _event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            if not isinstance(path, str | bytes) or not (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
            del mode
            paths: tuple[Any, ...] = (path,)
        elif event in _WRITES:
            paths = arguments[:2] if event in {"os.rename", "os.link"} else arguments[:1]
        else:
            return
        self._written += [text for text in map(_text, paths) if not self._is_allowed(text)]

    def _is_allowed(self, path: str) -> bool:
        parent = os.path.realpath(os.path.dirname(path) or ".")  # noqa: PTH120 - called for every file opened
        real = os.path.join(parent, os.path.basename(path))  # noqa: PTH118, PTH119
        return f"{real}{os.sep}".startswith(self._allowed) or real in self._own or path.startswith(str(_KEEP))


def _text(path: Any) -> str:
    return os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else str(path)


_KEEP = Path(sys.argv[sys.argv.index("--keep") + 1]) if "--keep" in sys.argv else Path("data/fuzz")


if __name__ == "__main__":
    sys.exit(main())
