"""Recognise the folder of a simulated archive by its marker, `simulation.json`, and write its files.

The marker has the arguments of the archive. It is first written without a digest and last with one, so an interrupted
run is recognised and the next one completes it; correct files stay. It also has the close before each ex-date, so the
truth of a finished archive is known without simulating its market again.
"""

import hashlib
import json
import os
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from champion.errors import UsageError

MARKER = "simulation.json"
FORMAT = 3  # of the generator: another number means other files from the same arguments


@dataclass(frozen=True)
class Marker:
    """The digest of the finished archive, "" before, and the closes in paise before each ex-date."""

    digest: str = ""
    closes: dict[tuple[int, date], int] = field(default_factory=dict)


def claim(root: Path, arguments: dict[str, Any]) -> Marker:
    """Return the marker in root, after writing one into an empty folder.

    Raises:
        UsageError: root contains other files, a damaged marker, or an archive with other arguments.
    """
    marker = root / MARKER
    if not marker.exists():
        if any((root / name).exists() for name in ("archives", "content", "corporates", "indices", "products")):
            raise UsageError(
                f"{root} contains an archive that was not simulated (no {MARKER}): simulate into another folder."
            )
        return seal(root, arguments, "", {})
    existing, content = _read(marker)
    if existing != arguments:
        names = dict.fromkeys([*arguments, *existing])
        differing = [name for name in names if existing.get(name) != arguments.get(name)]
        shown = {name: [given.get(name, "the default") for given in (arguments, existing)] for name in differing}
        wanted = ", ".join(f"{name} {asked} (there: {there})" for name, (asked, there) in shown.items())
        raise UsageError(
            f"{root} contains a simulated archive with other arguments: asked for {wanted}. "
            "Simulate into another folder, or delete this one first."
        )
    return content


def _read(marker: Path) -> tuple[dict[str, Any], Marker]:
    """Return the arguments in a marker, and its other content."""
    root = marker.parent
    try:
        found = json.loads(marker.read_bytes())
        version, arguments, whole = found["format"], dict(found["arguments"]), str(found["digest"])
        closes = {(int(place), date.fromisoformat(day)): int(paise) for place, day, paise in found.get("closes", ())}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{marker} is damaged: delete {root}, or simulate into another folder.") from error
    if version != FORMAT:
        raise UsageError(
            f"{root} was written by another version of the simulator ({version}, this is {FORMAT}): "
            "simulate into another folder, or delete this one first."
        )
    return arguments, Marker(whole, closes)


def seal(root: Path, arguments: dict[str, Any], digest_now: str, closes: dict[tuple[int, date], int]) -> Marker:
    """Write the marker durably, and return it."""
    kept = [[position, day.isoformat(), paise] for (position, day), paise in closes.items()]
    record = {"format": FORMAT, "arguments": arguments, "digest": digest_now, "closes": kept}
    write(root / MARKER, (json.dumps(record) + "\n").encode(), durable=True)
    return Marker(digest_now, closes)


def write(path: Path, content: bytes, *, durable: bool = False) -> bool:
    """Write the bytes by one rename; return False if the file already has them.

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
    """Return the fingerprint of each file, "missing" if it does not exist."""
    return {path: fingerprint((root / path).read_bytes()) if (root / path).exists() else "missing" for path in paths}


def fingerprint(content: bytes) -> str:
    """Return the SHA-256 of the bytes."""
    return hashlib.sha256(content).hexdigest()


def digest(fingerprints: dict[str, str]) -> str:
    """Return the SHA-256 over all paths and fingerprints, in their order."""
    return fingerprint("".join(f"{path} {content}\n" for path, content in fingerprints.items()).encode())
