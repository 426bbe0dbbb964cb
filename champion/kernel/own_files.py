"""What own code depends on besides the modules it executes: files, listings of folders, variables, missing modules.

Own code is what is imported from outside the installed packages, and the notebook's cells. Its folders are the entries
of the import path that are not installed, without those of Champion and of the workspace.
"""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set as AbstractSet
from contextlib import suppress
from importlib.machinery import all_suffixes
from pathlib import Path
from types import CodeType
from typing import Any

ABSENT = "absent"
"""The digest of a file that was asked for and was not there."""
CHANGED = "changed"
"""The digest of a file that was written while the run used it."""
_CACHE = "__pycache__"
_MOST_FILES = 5000  # below a folder; more is data, not a package
_LONGEST = 200  # characters of a text that may name a file
_STANDARD = tuple(f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib"))
_SITE = f"{os.sep}site-packages{os.sep}"
_CELL = f"{os.sep}ipykernel_"


def digest(path: str) -> str | None:
    """Return the SHA-256 of a file's content or, where the path ends with a separator, of a folder's listing."""
    try:
        content = listing(path) if path.endswith(os.sep) else Path(path).read_bytes()
    except OSError:
        return None
    return hashlib.sha256(content).hexdigest()


def listing(folder: str) -> bytes:
    """Return the names in a folder, one a line, without hidden ones and Python's caches.

    Raises:
        OSError: it cannot be read.
    """
    names = sorted(name for name in os.listdir(folder) if name[0] != "." and name != _CACHE)  # noqa: PTH208
    return "\n".join(names).encode("utf-8", "surrogateescape")


def stamp(path: str) -> tuple[int, int, int] | None:
    """Return what changes when a file is written; None where there is no file."""
    try:
        found = os.stat(path)  # noqa: PTH116 - called for each file that is opened
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def is_below(path: str, folder: str) -> bool:
    """Tell whether a path is in a folder, or is that folder, and no part of it in the folder is hidden.

    >>> is_below("/own/data/x.csv", "/own"), is_below("/own/.cache/x", "/own"), is_below("/owner/x", "/own")
    (True, False, False)
    """
    inside = path.rstrip(os.sep) == folder or path.startswith(f"{folder}{os.sep}")
    return inside and f"{os.sep}." not in path[len(folder) :]


def candidates(name: str) -> Iterator[str]:
    """Yield the relative paths of a module, the first one that is there wins.

    >>> next(candidates("pack.inner"))
    'pack/inner/__init__.py'
    """
    place = name.replace(".", "/")
    yield f"{place}/__init__.py"
    yield from (f"{place}{suffix}" for suffix in all_suffixes())


def asker(frame: Any) -> str | None:
    """Return the file whose code made a call, past the standard library; None if the import system made it."""
    while frame is not None:
        name = frame.f_code.co_filename
        if "importlib" in name and "resources" not in name:
            return None
        if not name.startswith("<frozen") and (_SITE in name or not name.startswith(_STANDARD)) and name != __file__:
            return str(name)
        frame = frame.f_back
    return None


def is_cell(name: str) -> bool:
    """Tell whether a code object of this file name is a notebook's cell."""
    return _CELL in name or name.startswith("<ipython-input")


def file_names(code: CodeType) -> set[str]:
    """Return the texts of some code that may name a file: absolute paths whole, of others the last part.

    >>> sorted(file_names(compile("def f(): return open('data/x.csv'), open('/y.csv')", "m", "exec")))
    ['/y.csv', 'x.csv']
    """
    found: set[str] = set()
    for constant in code.co_consts:
        for text in constant if isinstance(constant, tuple | frozenset) else (constant,):
            if isinstance(text, CodeType):
                found |= file_names(text)
            elif isinstance(text, str) and "." in text and len(text) <= _LONGEST and "\n" not in text:
                found.add(text if text[0] == "/" else text.rpartition("/")[2])
    return found - {"", ".", ".."}


def named(folders: Iterable[str], names: AbstractSet[str], left_out: Sequence[str]) -> Iterator[str]:
    """Yield the files below some folders that have one of the names, and absolute names, other than of Python's files.

    Readers that are not written in Python, as Polars', do not say which files they open.
    """
    yield from (one for one in names if one[0] == "/" and not one.endswith(".py") and os.path.isfile(one))  # noqa: PTH113
    for folder in folders:
        count = 0
        for place, inner, files in os.walk(folder):
            inner[:] = [one for one in inner if one[0] != "." and one != _CACHE and f"{place}/{one}" not in left_out]
            count += len(files) + len(inner)
            if count > _MOST_FILES:
                break
            yield from (f"{place}{os.sep}{one}" for one in files if one in names and not one.endswith(".py"))


class AskedModules:
    """A finder that finds nothing, and remembers what it was asked for, also by `importlib.import_module`."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> None:  # noqa: ARG002
        """Return None: the next finder is asked."""
        self.names.add(name)

    def invalidate_caches(self) -> None:
        """Do nothing: there are none."""


class Variables:
    """The variables of the environment that own code and cells read, as they were when the process began."""

    def __init__(self, is_own: Callable[[str], bool]) -> None:
        self._began: Mapping[str, str] = dict(os.environ)
        self._is_own = is_own
        self.read: dict[str, str | None] = {}

    def install(self) -> None:
        """Remember each name that is read from now on."""
        environment: Any = os.environ
        encode = environment.encodekey

        def encodekey(name: str) -> Any:
            with suppress(Exception):
                if name not in self.read and (file := asker(sys._getframe(1))) and self._is_own(file):  # noqa: SLF001
                    self.read[name] = self._began.get(name)
            return encode(name)

        environment.encodekey = encodekey
