"""Writes the simulated archive: one file per session and format, then the lists, then `simulation.json`.

`simulation.json` names the arguments that made the folder. It is written first without a digest and last with one, so
that an interrupted run is recognised and a repeated one finishes it: files that are already right are left alone.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from champion.errors import UsageError
from champion.simulate import calendar, files, market, universe
from champion.simulate.events import plan as plan_events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from champion.simulate.events import Action, Change, Events
    from champion.simulate.universe import Instrument

MARKER = "simulation.json"
FORMAT = 1  # of the generator: another number makes other files from the same arguments
START, END = date(2023, 1, 2), date(2024, 12, 31)
CONTENTS = ("content", "corporates")


@dataclass(frozen=True)
class SimulatedArchive:
    """A finished archive; `files_written` is 0 where the folder already held it.

    `actions` and `changes` are the truth behind the published lists, for tests and demonstrations.
    """

    root: Path
    sessions: tuple[date, ...]
    instruments: int
    seed: int
    signal: float
    files: int
    files_written: int
    digest: str
    actions: tuple[Action, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class _Plan:
    """Everything decided before a price is drawn."""

    arguments: dict[str, Any]
    universe: tuple[Instrument, ...]
    sessions: tuple[date, ...]
    events: Events

    @property
    def seed(self) -> int:
        return int(self.arguments["seed"])

    @property
    def signal(self) -> float:
        return float(self.arguments["signal"])


def publish(
    root: Path,
    *,
    instruments: int = 100,
    start: date = START,
    end: date = END,
    seed: int = 7,
    signal: float = 0.5,
    progress: Callable[[int, int], None] | None = None,
    corporate_actions: bool = True,
) -> SimulatedArchive:
    """Return the simulated archive in `root`, written there unless it already is.

    `signal` (0 to 1) plants a five-session reversal (see `champion.simulate.market`); 0 plants nothing. `progress` is
    called with sessions done and sessions in all. The same arguments give the same bytes.

    Raises:
        UsageError: arguments out of range, or `root` holds something else than this archive.
    """
    plan = _plan(
        {
            "instruments": instruments,
            "start": start.isoformat(),
            "end": end.isoformat(),
            "seed": seed,
            "signal": float(signal),
            "corporate_actions": corporate_actions,
        }
    )
    found = _claim(root, plan.arguments)
    paths = _paths(plan)
    digest = _digest(root, paths) if found else ""
    written = 0
    if not found or digest != found:
        for path, content in _contents(plan, progress):
            written += _write(root / path, content)
        digest = _digest(root, paths)
        _write_marker(root, plan.arguments, digest)
    return SimulatedArchive(
        root=root,
        sessions=plan.sessions,
        instruments=instruments,
        seed=seed,
        signal=signal,
        files=len(paths),
        files_written=written,
        digest=digest,
        actions=plan.events.actions,
        changes=plan.events.changes,
    )


def _plan(arguments: dict[str, Any]) -> _Plan:
    """Return the plan of some arguments, or say which of them is out of range."""
    instruments, seed, signal = arguments["instruments"], arguments["seed"], arguments["signal"]
    start, end = date.fromisoformat(arguments["start"]), date.fromisoformat(arguments["end"])
    if not 1 <= instruments <= universe.ISSUERS:
        raise UsageError(f"A simulated archive holds 1 to {universe.ISSUERS:,} instruments; asked for {instruments:,}.")
    if not 0 <= signal <= 1:
        raise UsageError(f"The planted signal runs from 0 (none) to 1 (strong); asked for {signal}.")
    if seed < 0:
        raise UsageError(f"A seed is a whole number from 0 on; asked for {seed}.")
    sessions = calendar.sessions(start, end)
    if not sessions:
        raise UsageError(f"No session from {start} to {end}: choose a start before the end, with a weekday between.")
    members = universe.build(instruments, seed)
    happened = plan_events(members, sessions, seed, corporate_actions=arguments["corporate_actions"])
    return _Plan(arguments, members, sessions, happened)


def _claim(root: Path, arguments: dict[str, Any]) -> str:
    """Return the digest of the finished archive in root, or "" after claiming an empty or unfinished one."""
    marker = root / MARKER
    if not marker.exists():
        if any((root / name).exists() for name in CONTENTS):
            raise UsageError(
                f"{root} holds an archive that was not simulated (no {MARKER}): simulate into another folder."
            )
        _write_marker(root, arguments, "")
        return ""
    try:
        made = json.loads(marker.read_bytes())
        there, digest, version = made["arguments"], str(made["digest"]), made["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{marker} is damaged: delete {root}, or simulate into another folder.") from error
    if version != FORMAT:
        raise UsageError(
            f"{root} was made by another version of the simulator ({version}, this is {FORMAT}): "
            "simulate into another folder, or delete this one first."
        )
    if there != arguments:
        differing = [name for name in arguments if there.get(name) != arguments[name]]
        wanted = ", ".join(f"{name} {arguments[name]} (there: {there.get(name)})" for name in differing)
        raise UsageError(
            f"{root} holds a simulated archive made with other arguments: asked for {wanted}. "
            "Simulate into another folder, or delete this one first."
        )
    return digest


def _paths(plan: _Plan) -> list[str]:
    """Return every path of the archive, relative to its root, in the order of writing."""
    dated = [path for session in plan.sessions for path, _ in _bhavcopies(session)]
    return [*dated, *_lists(plan)]


def _bhavcopies(session: date) -> list[tuple[str, bool]]:
    """Return the paths of a session's bhavcopies and whether each is in UDiFF."""
    published = []
    if session <= files.LEGACY_TO:
        month = f"{session:%b}".upper()
        folder = f"content/historical/EQUITIES/{session.year}/{month}"
        published.append((f"{folder}/cm{session:%d}{month}{session.year}bhav.csv.zip", False))
    if session >= files.UDIFF_FROM:
        published.append((f"content/cm/BhavCopy_NSE_CM_0_0_0_{session:%Y%m%d}_F_0000.csv.zip", True))
    return published


def _lists(plan: _Plan) -> tuple[str, str, str]:
    first, last = (date.fromisoformat(plan.arguments[name]) for name in ("start", "end"))
    span = f"{first:%d-%m-%Y}-to-{last:%d-%m-%Y}"
    return "content/equities/EQUITY_L.csv", "content/equities/symbolchange.csv", f"corporates/CF-CA-equities-{span}.csv"


def _contents(plan: _Plan, progress: Callable[[int, int], None] | None) -> Iterator[tuple[str, bytes]]:
    """Yield each file's path and bytes, in the order of `_paths`."""
    identity = files.identities(plan.universe)
    by_session: dict[date, list[Change]] = {}
    for change in plan.events.changes:
        by_session.setdefault(change.session, []).append(change)
    dividends: dict[tuple[int, date], int] = {}
    days = market.walk(plan.universe, plan.events, plan.sessions, seed=plan.seed, signal=plan.signal)
    for done, quotes in enumerate(days, start=1):
        session = quotes.session
        if session in by_session:
            identity = files.changed(identity, by_session[session])
        dividends |= {(position, session): amount for position, amount in quotes.dividends.items()}
        rows = files.bars(identity, quotes)
        for path, is_udiff in _bhavcopies(session):
            text = files.udiff(session, rows) if is_udiff else files.legacy(session, rows)
            yield path, files.zipped(path.rpartition("/")[2].removesuffix(".zip"), text, session)
        if progress:
            progress(done, len(plan.sessions))
    master, symbols, actions = _lists(plan)
    yield master, files.master(plan.universe, plan.events, plan.sessions)
    yield symbols, files.symbol_changes(plan.universe, plan.events.changes)
    yield actions, files.corporate_actions(plan.universe, plan.events, dividends)


def _write(path: Path, content: bytes, *, durable: bool = False) -> bool:
    """Put the bytes in place by one rename; return False where they already were.

    Only the marker is forced to disk: a file lost to a power cut shows in the digest and is written again.
    """
    if path.exists() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.tmp")
    with unfinished.open("wb") as stream:
        stream.write(content)
        if durable:
            stream.flush()
            os.fsync(stream.fileno())
    unfinished.replace(path)
    return True


def _write_marker(root: Path, arguments: dict[str, Any], digest: str) -> None:
    made = {"format": FORMAT, "arguments": arguments, "digest": digest}
    _write(root / MARKER, (json.dumps(made, indent=2) + "\n").encode(), durable=True)


def _digest(root: Path, paths: list[str]) -> str:
    """Return the SHA-256 over all paths and contents; a missing file changes it."""
    total = hashlib.sha256()
    for path in paths:
        file = root / path
        content = hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "missing"
        total.update(f"{path} {content}\n".encode())
    return total.hexdigest()
