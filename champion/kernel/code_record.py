"""Which code a kernel ran: every file outside the installed packages that it imported or executed, with its digest.

Python's audit events name each code object that is executed, each module that is asked for, each file that is opened.
The record is a JSON file, written after every cell:

- `files`: path to SHA-256 of the content, as it was when it was used: own modules and scripts, Champion's modules,
  schemas and SQL, files that own code reads from its own folder or package;
- `asked`: the top-level names that were asked for, found or not: a file of such a name may take a module's place later.
"""

from __future__ import annotations

import hashlib
import json
import os
import site
import sys
import sysconfig
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from champion.kernel import CODE_RECORD

_PACKAGE = Path(__file__).resolve().parents[1]
_RESOURCES = tuple(
    f"{root / name}{os.sep}" for root in (_PACKAGE / "_data", _PACKAGE.parent) for name in ("schemas", "sql")
)
_COMPILED, _CACHE = ".pyc", f"{os.sep}__pycache__{os.sep}"
_START_UP = frozenset({"sitecustomize", "usercustomize"})
_SOURCES = (".py", ".ipynb")  # read by somebody: executed, most likely


def install(environment: Mapping[str, str]) -> CodeRecord | None:
    """Return the record of this process, from now on; None where nobody wants one."""
    target = environment.get(CODE_RECORD)
    if not target:
        return None
    record = CodeRecord(Path(target))
    sys.addaudithook(record.hear)
    record.add_loaded()
    return record


def installed_folders() -> tuple[str, ...]:
    """Return the folders of the standard library and of installed packages, each with a separator at its end."""
    found = [*map(sysconfig.get_paths().__getitem__, ("stdlib", "platstdlib", "purelib", "platlib"))]
    found += [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    return tuple({f"{path.rstrip(os.sep)}{os.sep}" for one in found for path in (one, os.path.realpath(one))})


class CodeRecord:
    """The files and names heard of so far; `write` puts them into the target."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._installed = installed_folders()
        self._package = f"{_PACKAGE}{os.sep}"
        self._work = f"{os.path.realpath(os.curdir)}{os.sep}"  # the run's own folder: what is there, the notebook made
        self._seen: set[str] = set()
        self._asked: set[str] = set()
        self._files: dict[str, str] = {}
        self._read: set[str] = set()
        self._written: set[str] = set()
        self._last = ""

    def add_loaded(self) -> None:
        """Take note of the modules that were imported before: start-up modules, also where they are installed."""
        self._asked.update(_START_UP)
        for name, module in list(sys.modules.items()):
            path = getattr(module, "__file__", None) or ""
            if name in _START_UP and (digest := _digest(path)):
                self._files[os.path.abspath(path)] = digest  # noqa: PTH100
            elif not path.startswith(self._package):
                self._executed(path)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take note of an audit event; never raise, which would stop what is audited."""
        try:
            if event == "exec":
                self._executed(getattr(arguments[0], "co_filename", ""))
            elif event == "import":
                self._asked.add(arguments[0].partition(".")[0])
                if arguments[1]:
                    self._executed(arguments[1])
            elif event == "open":
                self._opened(*arguments)
        except Exception:  # noqa: BLE001, S110 - an incomplete record costs a repeated run, an error would cost this one
            pass

    def keep(self) -> None:
        """Write the record, if the disk has room: without it the run is repeated when it is asked for again."""
        with suppress(OSError):
            self.write()

    def write(self) -> None:
        """Write the record if it has changed.

        Raises:
            OSError: it cannot be written.
        """
        files = dict(self._files)
        own = [path for path in files if not path.startswith(self._package)]
        folders = {os.path.dirname(path) for path in own}  # noqa: PTH120
        packages = tuple(path.removesuffix("__init__.py") for path in own if path.endswith(f"{os.sep}__init__.py"))
        for path in sorted(self._read - self._written):
            beside = os.path.dirname(path) in folders or path.startswith(packages)  # noqa: PTH120
            if beside or path.startswith(_RESOURCES) or path.endswith(_SOURCES):
                files.setdefault(path, _digest(path) or "")
        files = {path: digest for path, digest in files.items() if digest and path not in self._written}
        text = json.dumps({"files": files, "asked": sorted(self._asked)}, sort_keys=True)
        if text == self._last:
            return
        part = self._target.with_suffix(".part")
        part.write_text(text, encoding="ascii")
        part.replace(self._target)
        self._last = text

    def _executed(self, name: str) -> None:
        if name in self._seen:
            return
        self._seen.add(name)
        if not name or name.startswith("<"):
            return
        path = os.path.abspath(name)  # noqa: PTH100 - links stay as they are named
        if not self._is_recorded(path):
            return
        for place in (path, *map(str, Path(path).parents)):  # a module may be inside of a ZIP archive
            if digest := _digest(place):
                self._files[place] = digest
                return

    def _opened(self, path: Any, mode: Any, flags: Any) -> None:
        if not isinstance(path, str):
            return
        whole = os.path.abspath(path)  # noqa: PTH100
        if _CACHE in whole:
            return
        if (isinstance(flags, int) and flags & os.O_ACCMODE) or (isinstance(mode, str) and set(mode) & set("wax+")):
            self._written.add(whole)
        elif whole.endswith(_COMPILED):  # a module without its source
            self._executed(whole)
        elif whole.startswith(_RESOURCES) or self._is_recorded(whole):
            self._read.add(whole)

    def _is_recorded(self, path: str) -> bool:
        if path.startswith(self._package):
            return True
        return not path.startswith((*self._installed, self._work, "/proc/", "/sys/"))


def _digest(path: str) -> str | None:
    try:
        content = Path(path).read_bytes()
    except OSError:
        return None
    return hashlib.sha256(content).hexdigest()
