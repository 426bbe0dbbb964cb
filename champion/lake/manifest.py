"""The manifest of a partition, kept as its `_SUCCESS` file: what is in it, and what it was made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from champion.errors import LakeError
from champion.files import write_bytes


@dataclass(frozen=True, slots=True)
class Part:
    """One revision of a partition: the file as it was written, also where its rows lie in a sealed file by now.

    `inputs` are the digests it was made from; `known_at` is since when it was known (ISO 8601, UTC), null where the
    writer did not say.
    """

    name: str
    rows: int
    bytes: int
    sha256: str
    inputs: Mapping[str, str]
    known_at: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """All revisions of a partition, oldest first; readers read the last."""

    contract: str
    parts: tuple[Part, ...] = field(default=())

    @property
    def current(self) -> Part:
        """The revision that readers see."""
        return self.parts[-1]

    def made_from(self, inputs: Mapping[str, str]) -> bool:
        """Tell whether the current revision was made from just these inputs."""
        return dict(self.current.inputs) == dict(inputs)

    def visible(self, as_of: datetime | None) -> Part:
        """Return the revision that was known at `as_of`; without it the current one.

        The first was public on its session's evening, so it is always visible. A later one of which nobody wrote down
        when it became known is visible at no moment: that would be looking ahead.
        """
        if as_of is None:
            return self.current
        first, *later = self.parts
        known = [part for part in later if part.known_at and datetime.fromisoformat(part.known_at) <= as_of]
        return known[-1] if known else first


def moment(value: datetime | None, what: str) -> str | None:
    """Return a moment in ISO 8601 and UTC, as manifests keep it.

    Raises:
        LakeError: it has no time zone, so it names no moment.

    >>> moment(datetime(2024, 1, 15, 19, tzinfo=UTC), "known_at")
    '2024-01-15T19:00:00+00:00'
    """
    if value is None:
        return None
    if value.tzinfo is None:
        raise LakeError(f"{what} is {value.isoformat()} without a time zone; pass an aware datetime, as {value}+05:30")
    return value.astimezone(UTC).isoformat()


def read(path: Path) -> Manifest | None:
    """Return the manifest at `path`, or None where there is none.

    Raises:
        LakeError: it is not a manifest.
    """
    try:
        return from_json(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise LakeError(f"{path}: not a manifest ({error}); `champion lake verify` lists what is damaged") from error


def from_json(content: Mapping[str, Any]) -> Manifest:
    """Return the manifest that a JSON object holds; KeyError or TypeError where it holds none."""
    return Manifest(content["contract"], tuple(Part(**part) for part in content["parts"]))


def write(path: Path, manifest: Manifest) -> None:
    """Commit `manifest` in one step."""
    write_bytes(path, json.dumps(asdict(manifest), indent=1, sort_keys=True).encode(), shared=True)
