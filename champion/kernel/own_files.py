"""Find dependencies of the user's code besides executed modules: files, folder listings, variables, missing modules.

Own code is code from outside the installed packages, and the notebook's cells. Its folders are the entries of the
import path that are not installed, except the folders of Champion and of the workspace.
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
"""The digest of a file that was requested but missing."""
CHANGED = "changed"
"""The digest of a file that was written while the run used it."""
_CACHE = "__pycache__"
_MOST_FILES = 5000  # below a folder; a larger folder holds data, not a package
_LONGEST = 200  # characters of a text that may be a file name
_STANDARD = tuple(f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib"))


def digest(path: str) -> str | None:
    """Return the SHA-256 of a file's content or, if the path ends with a separator, of a folder's listing."""
    with suppress(OSError):
        return hashlib.sha256(listing(path) if path.endswith(os.sep) else Path(path).read_bytes()).hexdigest()
    return None


def listing(folder: str) -> bytes:
    """Return the names in a folder, one per line, without hidden files and Python's caches.

    Raises:
        OSError: the folder cannot be read.
    """
    names = sorted(name for name in os.listdir(folder) if name[0] != "." and name != _CACHE)  # noqa: PTH208
    return "\n".join(names).encode("utf-8", "surrogateescape")


def stamp(path: str) -> tuple[int, int, int] | None:
    """Return values that change when a file is written; None if the file is missing."""
    with suppress(OSError):
        status = os.stat(path)  # noqa: PTH116 - called for each file that is opened
        return status.st_ino, status.st_size, status.st_mtime_ns
    return None


def is_below(path: str, folder: str) -> bool:
    """Return whether a path is a folder or inside it, without hidden parts in between.

    >>> is_below("/own/data/x.csv", "/own"), is_below("/own/.cache/x", "/own"), is_below("/owner/x", "/own")
    (True, False, False)
    """
    inside = path.rstrip(os.sep) == folder or path.startswith(f"{folder}{os.sep}")
    return inside and f"{os.sep}." not in path[len(folder) :]


def candidates(name: str) -> Iterator[str]:
    """Yield the relative paths that a module may have, in order of precedence.

    >>> next(candidates("pack.inner"))
    'pack/inner/__init__.py'
    """
    place = name.replace(".", "/")
    yield f"{place}/__init__.py"
    yield from (f"{place}{suffix}" for suffix in all_suffixes())


def calling_file(frame: Any) -> str | None:
    """Return the file whose code made a call, beyond the standard library; None for the import system."""
    while frame is not None:
        name = frame.f_code.co_filename
        if "importlib" in name and "resources" not in name:
            return None
        is_standard = name.startswith(_STANDARD) and "/site-packages/" not in name
        if not (is_standard or name.startswith("<frozen") or name == __file__):
            return str(name)
        frame = frame.f_back
    return None


def file_names(code: CodeType) -> set[str]:
    """Return the texts in code that may name a file: absolute paths, and the last part of relative ones.

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


def find_named(folders: Iterable[str], names: AbstractSet[str], left_out: Sequence[str]) -> Iterator[str]:
    """Yield files below the folders that have one of the names, and absolute names, except Python files.

    Readers that are not written in Python, as Polars' readers, do not report the files they open.
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


class Variables:
    """The environment variables that own code and cells read, with their values at the start of the process."""

    def __init__(self, is_own: Callable[[str], bool]) -> None:
        self._initial: Mapping[str, str] = dict(os.environ)
        self._is_own = is_own
        self.read: dict[str, str | None] = {}

    def install(self) -> None:
        """Record each name that is read from now on."""
        environment: Any = os.environ
        encode = environment.encodekey

        def encodekey(name: str) -> Any:
            with suppress(Exception):
                if name not in self.read and (file := calling_file(sys._getframe(1))) and self._is_own(file):  # noqa: SLF001
                    self.read[name] = self._initial.get(name)
            return encode(name)

        environment.encodekey = encodekey
