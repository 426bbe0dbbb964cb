"""Decide where MLflow's pages may read and write artifacts: only in the workspace."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

from champion.settings import Settings

BY_REFERENCE = frozenset({"runs", "models"})
"""Schemes of MLflow's references, whose targets are checked separately."""
FILES = frozenset({"", "file"})
"""Schemes of local files."""


@dataclass(frozen=True, slots=True)
class Locations:
    """The artifact locations of a workspace as URIs; new experiments go to the first."""

    roots: tuple[str, ...]

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the artifact folder of the workspace, preceded by its prefix in an object store if it has one."""
        folder = settings.artifacts.resolve().as_uri()
        return cls((settings.artifacts_uri.rstrip("/"), folder) if settings.artifacts_uri else (folder,))

    def holds(self, uri: str) -> bool:
        """Return whether a location is in the workspace, after all links are resolved.

        >>> places = Locations(("file:///srv/ws/mlflow/artifacts",))
        >>> places.holds("file:///srv/ws/mlflow/artifacts/daily/1"), places.holds("/srv/ws/mlflow/artifacts/../x")
        (True, False)
        >>> places.holds("file://elsewhere/srv/ws/mlflow/artifacts"), places.holds("ftp://there/x")
        (False, False)
        """
        parts = urlsplit(uri)
        if parts.query or parts.fragment:
            return False
        if parts.scheme in FILES:
            paths = {unquote(parts.path), parts.path if parts.scheme else uri}  # MLflow decodes a plain path as well
            within = all(os.path.isabs(path) and self.holds_path(path) for path in paths)  # noqa: PTH117
            return not parts.netloc and within
        plain = ".." not in unquote(parts.path).split("/")
        return plain and any(f"{uri.rstrip('/')}/".startswith(f"{root}/") for root in self.roots)

    def holds_path(self, path: str | Path) -> bool:
        """Return whether a local path is in the workspace's artifacts, after all links are resolved."""
        folders = [Path(unquote(urlsplit(root).path)) for root in self.roots if root.startswith("file:")]
        try:
            real = Path(path).resolve()
        except (OSError, RuntimeError, ValueError):  # too long, circular links, NUL
            return False
        return any(real.is_relative_to(folder) for folder in folders)
