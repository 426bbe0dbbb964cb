"""Track the folders of a workspace, which may be moved, copied, restored or mounted elsewhere.

Some stores keep absolute locations. `<home>/home.json` lists every folder in which this workspace was used, so that a
store can update its locations. A copy of a workspace starts with the original's list, and later changes affect only the
copy.
"""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from champion.base import atomic_files
from champion.base.file_modes import workspace_folder
from champion.base.strict_json import parse_json
from champion.errors import UsageError

_RECORD = "home.json"
_MARKER = re.compile(r"sqlite:///(/.*)/mlflow/mlflow\.db mlflow ")
"""Content of `mlflow/prepared` before 0.3.0: the only place where these versions recorded their home."""


def remember(home: Path) -> None:
    """Append the current folder to the list of this workspace's homes, unless it is the last one there."""
    known = recorded(home)
    if known[-1:] != [str(home)] or not (home / _RECORD).exists():
        listed = [one for one in known if one != str(home)] + [str(home)]
        workspace_folder(home)
        atomic_files.write_bytes(home / _RECORD, (json.dumps(listed, indent=1) + "\n").encode())


def recorded(home: Path) -> list[str]:
    """Return the folders in which a workspace was used, the latest last; empty for a new workspace.

    Raises:
        UsageError: the list is damaged.
    """
    path = home / _RECORD
    try:
        return parse_json(list[str], path.read_bytes())
    except FileNotFoundError:
        with suppress(OSError, ValueError):  # a workspace of an earlier version
            return [found] if (found := of_marker((home / "mlflow" / "prepared").read_text(encoding="utf-8"))) else []
        return []
    except ValueError as error:
        raise UsageError(
            f'{path}: expected a list of folders, ["/..."], found something else ({error}); write the folder in which '
            "this workspace was last used into it"
        ) from error


def former(home: Path) -> list[str]:
    """Return the folders in which a workspace was before, without aliases of the current one."""
    return [one for one in recorded(home) if one != str(home) and not is_same(Path(one), home)]


def is_same(one: Path, other: Path) -> bool:
    """Return whether two paths lead to the same folder; False if one does not exist."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def identity(home: Path) -> str:
    """Return an id that a folder keeps when it is moved on its disk, and that a copy does not share; empty if missing.

    It is valid until the machine restarts, so as long as any process that was started for the folder.
    """
    try:
        found = home.stat()
    except FileNotFoundError:
        return ""
    return f"{found.st_dev}:{found.st_ino}"


def moved(location: str, old: Sequence[str], home: Path) -> str:
    """Return a stored location with a former home replaced by the current one; other locations stay.

    A location is a path or a `file:` URL, whose path is percent-encoded.

    >>> moved("file:///a/b%20c/mlflow/artifacts/x", ["/a/b c"], Path("/d e"))
    'file:///d%20e/mlflow/artifacts/x'
    >>> [moved(one, ["/a"], Path("/d")) for one in ("/a/mlruns/0", "s3://a/b", "/ab")]
    ['/d/mlruns/0', 's3://a/b', '/ab']
    >>> moved("/a/b/lake", ["/a"], Path("/a/b")), moved("/a/b/lake", ["/a/b"], Path("/a"))  # one home inside the other
    ('/a/b/lake', '/a/lake')
    """
    path = local(location)
    if path is None or ".." in path.parts:
        return location
    root = max((one for one in [*old, str(home)] if path.is_relative_to(one)), key=len, default=None)  # the nearest
    if root is None or root == str(home):
        return location
    now = home / path.relative_to(root)
    return now.as_uri() if location.startswith("file:") else str(now)


def local(location: str) -> Path | None:
    """Return the local path of a location, None for one in an object store or behind a server.

    >>> local("file:///srv/a%20b"), local("/srv/a"), local("s3://bucket/a")
    (PosixPath('/srv/a b'), PosixPath('/srv/a'), None)
    """
    if location.startswith("/"):
        return Path(location)
    parts = urlsplit(location)
    return Path(unquote(parts.path)) if parts.scheme == "file" and parts.netloc in {"", "localhost"} else None


def of_marker(text: str) -> str | None:
    """Return the home whose own MLflow store `mlflow/prepared` names, None for another store.

    >>> of_marker("sqlite:////srv/nse/mlflow/mlflow.db mlflow 3.17.2")
    '/srv/nse'
    """
    found = _MARKER.match(text)
    return found.group(1) if found else None
