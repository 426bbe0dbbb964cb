"""Recognises a simulated archive's folder by `simulation.json`, and puts its files in place.

The marker names the arguments that made the folder. It is written first without a digest and last with one, so that an
interrupted run is recognised and a repeated one finishes it: files that are already right are left alone. It also keeps
the close before each ex-date, so that the truth of a finished archive is known without walking its market again.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from champion.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

MARKER = "simulation.json"
FORMAT = 3  # of the generator: another number makes other files from the same arguments
CONTENTS = ("content", "corporates", "products")


@dataclass(frozen=True)
class Made:
    """What a marker says: the digest of the finished archive ("" before), and closes in paise before each ex-date."""

    digest: str = ""
    closes: dict[tuple[int, date], int] = field(default_factory=dict)


def claim(root: Path, arguments: dict[str, Any]) -> Made:
    """Return what the marker in root says, after writing one into an empty folder.

    Raises:
        UsageError: root holds other files, a damaged marker, or an archive made otherwise.
    """
    marker = root / MARKER
    if not marker.exists():
        if any((root / name).exists() for name in CONTENTS):
            raise UsageError(
                f"{root} holds an archive that was not simulated (no {MARKER}): simulate into another folder."
            )
        return seal(root, arguments, "", {})
    there, made = _read(marker)
    if there != arguments:
        differing = [name for name in arguments if there.get(name) != arguments[name]]
        wanted = ", ".join(f"{name} {arguments[name]} (there: {there.get(name)})" for name in differing)
        raise UsageError(
            f"{root} holds a simulated archive made with other arguments: asked for {wanted}. "
            "Simulate into another folder, or delete this one first."
        )
    return made


def _read(marker: Path) -> tuple[dict[str, Any], Made]:
    """Return the arguments in a marker and what else it says."""
    root = marker.parent
    try:
        found = json.loads(marker.read_bytes())
        version, there, whole = found["format"], dict(found["arguments"]), str(found["digest"])
        closes = {(int(place), date.fromisoformat(day)): int(paise) for place, day, paise in found.get("closes", ())}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{marker} is damaged: delete {root}, or simulate into another folder.") from error
    if version != FORMAT:
        raise UsageError(
            f"{root} was made by another version of the simulator ({version}, this is {FORMAT}): "
            "simulate into another folder, or delete this one first."
        )
    return there, Made(whole, closes)


def seal(root: Path, arguments: dict[str, Any], digest_now: str, closes: dict[tuple[int, date], int]) -> Made:
    """Write the marker, durably, and return what it says."""
    kept = [[position, day.isoformat(), paise] for (position, day), paise in closes.items()]
    made = {"format": FORMAT, "arguments": arguments, "digest": digest_now, "closes": kept}
    write(root / MARKER, (json.dumps(made) + "\n").encode(), durable=True)
    return Made(digest_now, closes)


def write(path: Path, content: bytes, *, durable: bool = False) -> bool:
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


def on_disk(root: Path, paths: list[str]) -> dict[str, str]:
    """Return the fingerprint of each path's file, "missing" where there is none."""
    return {path: fingerprint((root / path).read_bytes()) if (root / path).exists() else "missing" for path in paths}


def fingerprint(content: bytes) -> str:
    """Return the SHA-256 of some bytes."""
    return hashlib.sha256(content).hexdigest()


def digest(fingerprints: dict[str, str]) -> str:
    """Return the SHA-256 over all paths and fingerprints, in their order."""
    return fingerprint("".join(f"{path} {content}\n" for path, content in fingerprints.items()).encode())
