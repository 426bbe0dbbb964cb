"""The manifest of a partition, stored as its `_SUCCESS` file: its revisions and the inputs of each."""

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
    """One revision of a partition: its file as written, even if a sealed file holds the rows now.

    `inputs` are the digests of its inputs. `known_at` is the moment from which it was known (ISO 8601, UTC), null if
    the writer gave none.
    """

    name: str
    rows: int
    bytes: int
    sha256: str
    inputs: Mapping[str, str]
    known_at: str | None = None

    def __post_init__(self) -> None:
        """Reject a name that leads out of the partition, and an invalid digest or moment."""
        if not PART.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is not the name of a part, as part-00000.parquet")
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"{self.sha256!r} is not a SHA-256")
        if self.known_at is not None:
            parse_moment(self.known_at)


@dataclass(frozen=True, slots=True)
class Manifest:
    """All revisions of a partition, oldest first; readers see the last.

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
        """Reject a partition without revisions."""
        if not self.parts:
            raise ValueError("it lists no parts")

    @property
    def current(self) -> Part:
        """The revision that readers see."""
        return self.parts[-1]

    def made_from(self, inputs: Mapping[str, str]) -> bool:
        """Return whether the current revision has exactly these inputs."""
        return dict(self.current.inputs) == dict(inputs)

    def visible(self, as_of: datetime | None) -> Part:
        """Return the revision that was known at `as_of`, by default the current one.

        The first revision was public on the evening of its session, so it is always visible. A later one without
        `known_at` is never visible, to exclude look-ahead.
        """
        if as_of is None:
            return self.current
        first, *later = self.parts
        known = [part for part in later if part.known_at and datetime.fromisoformat(part.known_at) <= as_of]
        return known[-1] if known else first


def moment(value: datetime | None, what: str) -> str | None:
    """Return a moment in ISO 8601 and UTC, as manifests store it; `what` names it in the error.

    Raises:
        LakeError: it has no time zone.

    >>> moment(datetime(2024, 1, 15, 19, tzinfo=UTC), "known_at")
    '2024-01-15T19:00:00+00:00'
    """
    if value is None:
        return None
    if value.tzinfo is None:
        raise LakeError(f"{what} is {value.isoformat()} without a time zone; pass an aware datetime, as {value}+05:30")
    return value.astimezone(UTC).isoformat()


def read(path: Path) -> Manifest | None:
    """Return the manifest at `path`, or None if there is none.

    Raises:
        LakeError: the file is not a manifest.
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
