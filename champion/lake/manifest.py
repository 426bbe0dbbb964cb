"""The manifest of a partition, kept as its `_SUCCESS` file: what is in it, and what it was made from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from champion.base.strict_json import moment as parse_moment, parse_json
from champion.errors import LakeError
from champion.lake import backend

_SHA256 = re.compile(r"[0-9a-f]{64}")
PART = re.compile(r"part-[0-9]{5}\.parquet")


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

    def __post_init__(self) -> None:
        """Refuse a name that would lead out of the partition, and a moment that is none."""
        if not PART.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no part's name, as part-00000.parquet")
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"{self.sha256!r} is no SHA-256")
        if self.known_at is not None:
            parse_moment(self.known_at)


@dataclass(frozen=True, slots=True)
class Manifest:
    """All revisions of a partition, oldest first; readers read the last.

    >>> first = Part("part-00000.parquet", 2104, 98_304, "5f" * 32, {"file": "a1"})
    >>> revised = Part("part-00001.parquet", 2104, 98_310, "77" * 32, {"file": "b2"}, "2024-01-17T13:00:00+00:00")
    >>> manifest = Manifest("raw_equity_ohlc v1.0.0", (first, revised))
    >>> manifest.current.name, manifest.made_from({"file": "b2"})
    ('part-00001.parquet', True)
    >>> manifest.visible(datetime(2024, 1, 16, tzinfo=UTC)).name
    'part-00000.parquet'
    """

    contract: str
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        """Refuse a partition without a revision."""
        if not self.parts:
            raise ValueError("it names no parts")

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
        return parse_json(Manifest, path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise LakeError(f"{path}: not a manifest ({error}); `champion lake verify` lists what is damaged") from error


def write(path: Path, manifest: Manifest) -> None:
    """Commit `manifest` in one step."""
    backend.write_bytes(path, json.dumps(asdict(manifest), indent=1, sort_keys=True).encode())
