"""The manifest of a partition, kept as its `_SUCCESS` file: what is in it, and what it was made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from champion.errors import LakeError
from champion.files import write_bytes


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a partition. `inputs` are the digests it was made from."""

    name: str
    rows: int
    bytes: int
    sha256: str
    inputs: Mapping[str, str]


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


def read(path: Path) -> Manifest | None:
    """Return the manifest at `path`, or None where there is none.

    Raises:
        LakeError: it is not a manifest.
    """
    try:
        content = json.loads(path.read_bytes())
        return Manifest(content["contract"], tuple(Part(**part) for part in content["parts"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise LakeError(f"{path}: not a manifest ({error}); `champion lake verify` lists what is damaged") from error


def write(path: Path, manifest: Manifest) -> None:
    """Commit `manifest` in one step."""
    write_bytes(path, json.dumps(asdict(manifest), indent=1, sort_keys=True).encode())
