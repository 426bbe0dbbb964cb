"""Record the code that a kernel used: each imported or executed file outside the installed packages, with its digest.

Python's audit events name each executed code object, each imported module and each opened file. The record is a JSON
file, written after every cell:

- `files`: path to SHA-256 of the content when it was used: the user's own modules and scripts, Champion's modules,
  schemas and SQL, and files that this code reads below its folders (`own_files`). This includes files that the code
  only names or does not find, and listings of folders, whose paths end with a separator;
- `asked`: the names of requested modules, found or not, those inside packages for own packages only: a new file of
  such a name may replace a module later;
- `variables`: the environment variables that own code reads, with their values.
"""

from __future__ import annotations

import json
import os
import site
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from champion.kernel import CODE_RECORD, own_files

_PACKAGE = Path(__file__).resolve().parents[1]
_RESOURCES = tuple(
    f"{root / name}{os.sep}" for root in (_PACKAGE / "_data", _PACKAGE.parent) for name in ("schemas", "sql")
)
_START_UP = frozenset({"sitecustomize", "usercustomize"})
_SOURCES = (".py", ".ipynb")  # read in order to be executed, most likely


def install(environment: Mapping[str, str]) -> CodeRecord | None:
    """Start to record this process and return the record; None if no record is requested."""
    if not (target := environment.get(CODE_RECORD)):
        return None
    record = CodeRecord(Path(target))
    sys.addaudithook(record.on_audit_event)
    sys.meta_path.insert(0, record)
    record.variables.install()
    record.add_loaded()
    return record


def installed_folders() -> tuple[str, ...]:
    """Return the folders of the standard library and of installed packages, each with a separator at its end."""
    found = [*map(sysconfig.get_paths().__getitem__, ("stdlib", "platstdlib", "purelib", "platlib"))]
    found += [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    return tuple({f"{path.rstrip(os.sep)}{os.sep}" for one in found for path in (one, os.path.realpath(one))})


class CodeRecord:
    """The files and names seen so far; `write` stores them in the target file."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._installed = installed_folders()
        self._package = f"{_PACKAGE}{os.sep}"
        workspace = [os.environ.get(f"CHAMPION_{name}", "") for name in ("HOME", "ARCHIVE", "LAKE_URI")]
        # Data is an input of a run.
        self._left_out = [os.path.realpath(place) for place in workspace if place[:1] == "/"]
        self._work = f"{os.path.realpath(os.curdir)}{os.sep}"  # the run's own folder: the notebook created its files
        self._seen: set[str] = set()
        self._asked: set[str] = set()
        self._files: dict[str, str] = {}
        self._read: dict[str, tuple[int, int, int] | None] = {}  # by path, the file's state when it was opened
        self._digests: dict[str, str] = {}  # of what was read
        self._searched: tuple[frozenset[str], frozenset[str]] | None = None
        self._names: set[str] = set()  # file names in own code
        self._requested: set[str] = set()  # names of modules, as `find_spec` gets them
        self.variables = own_files.Variables(self._is_own)
        self._written: set[str] = set()
        self._last = ""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> None:  # noqa: ARG002
        """Record the name of a requested module, also of `importlib.import_module`; the next finder finds it."""
        self._requested.add(name)

    def add_loaded(self) -> None:
        """Add the modules imported so far, including start-up modules that are installed."""
        self._asked.update(_START_UP)
        for name, module in list(sys.modules.items()):
            path = getattr(module, "__file__", None) or ""
            if name in _START_UP and (digest := own_files.digest(path)):
                self._files[os.path.abspath(path)] = digest  # noqa: PTH100
            elif not path.startswith(self._package):
                self._executed(path)

    def on_audit_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Record an audit event. It never raises, which would stop the audited operation."""
        try:
            if event == "exec":
                code = arguments[0]
                if self._is_own(code.co_filename):
                    self._names |= own_files.file_names(code)
                self._executed(getattr(code, "co_filename", ""))
            elif event == "import":
                self._asked.add(arguments[0].partition(".")[0])
                if arguments[1]:
                    self._executed(arguments[1])
            elif event == "open":
                self._opened(*arguments)
            elif event in {"os.listdir", "os.scandir"} and isinstance(arguments[0], str):
                file = own_files.calling_file(sys._getframe(1))  # noqa: SLF001
                if file is not None and self._is_own(file):
                    self._read.setdefault(f"{os.path.abspath(arguments[0])}{os.sep}", None)  # noqa: PTH100
        except Exception:  # noqa: BLE001, S110 - an incomplete record repeats a run, an error would stop this one
            pass

    def keep(self) -> None:
        """Write the record. If that fails, remove it: without a record, a request for the same run runs it again.

        A record of the earlier cells alone would look complete, without the code that later cells used.
        """
        try:
            self.write()
        except Exception:  # noqa: BLE001 - an error of the record must not fail the notebook
            self._last = ""
            with suppress(OSError):
                self._target.unlink(missing_ok=True)

    def write(self) -> None:
        """Write the record if it has changed.

        Raises:
            OSError: the file cannot be written.
        """
        files = dict(self._files)
        # The folders of own code: entries of the import path but for installed ones, Champion and the run.
        path_entries = {os.path.abspath(one) for one in sys.path if one} - {str(_PACKAGE.parent)}  # noqa: PTH100
        roots = sorted(one for one in path_entries if self._is_recorded(f"{one}{os.sep}"))
        folders = {os.path.dirname(path) for path in files if not path.startswith(self._package)}  # noqa: PTH120
        self._find_named({one for one in folders if self._is_below(one, roots)})
        for path in sorted(self._read.keys() - self._written):
            below = self._is_below(path, roots)
            beside = os.path.dirname(path) in folders  # noqa: PTH120
            if below or beside or path.startswith(_RESOURCES) or path.endswith(_SOURCES):
                digest = self._digest_of_read(path)
                is_missing = digest == own_files.ABSENT and (not below or path.endswith(_SOURCES))  # as for a traceback
                files.setdefault(path, "" if is_missing else digest)
        searched = set(self._requested)  # copied in one step, as other threads import meanwhile
        asked = self._asked | {name for name in searched if "." not in name or self._is_own_package(name)}
        for path in self._unexecuted(asked, roots):
            files.setdefault(path, own_files.digest(path) or "")
        files = {path: digest for path, digest in files.items() if digest and path not in self._written}
        content = {"files": files, "asked": sorted(asked), "variables": self.variables.read}
        if (text := json.dumps(content, sort_keys=True)) != self._last:
            part = self._target.with_suffix(".part")
            part.write_text(text, encoding="ascii")
            part.replace(self._target)
            self._last = text

    def _executed(self, name: str) -> None:
        if not name or name.startswith("<") or name in self._seen:
            return
        self._seen.add(name)
        path = os.path.abspath(name)  # noqa: PTH100 - links stay as they are named
        if self._is_recorded(path):
            for place in (path, *map(str, Path(path).parents)):  # a module may be inside a ZIP archive
                if place != os.sep and (digest := own_files.digest(place)):
                    self._files[place] = digest
                    return

    def _opened(self, path: Any, mode: Any, flags: Any) -> None:
        if not isinstance(path, str) or f"{os.sep}__pycache__{os.sep}" in (whole := os.path.abspath(path)):  # noqa: PTH100
            return
        if (isinstance(flags, int) and flags & os.O_ACCMODE) or (isinstance(mode, str) and set(mode) & set("wax+")):
            self._written.add(whole)
        elif whole.endswith(".pyc"):  # a module without its source
            self._executed(whole)
        elif whole.startswith(_RESOURCES) or self._is_recorded(whole):
            self._read.setdefault(whole, own_files.stamp(whole))

    def _find_named(self, folders: set[str]) -> None:
        """Add the files that own code names; search only if folders or names are new."""
        inner = {one for one in folders for other in folders if one != other and own_files.is_below(one, other)}
        outer = folders - inner
        if (searched := (frozenset(outer), frozenset(self._names))) != self._searched:
            for path in own_files.find_named(sorted(outer), searched[1], self._left_out):
                self._read.setdefault(path, own_files.stamp(path))
            self._searched = searched

    def _digest_of_read(self, path: str) -> str:
        """Return the digest of a file as it was when it was read; a marker if it changed since."""
        if path not in self._digests:
            self._digests[path] = own_files.digest(path) or own_files.ABSENT
        if not path.endswith(os.sep) and os.path.isdir(path):  # noqa: PTH112 - a folder opened as a file
            return ""
        same = path.endswith(os.sep) or own_files.stamp(path) == self._read[path]
        return self._digests[path] if same else own_files.CHANGED

    def _is_below(self, path: str, roots: list[str]) -> bool:
        is_left_out = path.startswith((self._package, *(f"{one}{os.sep}" for one in self._left_out)))
        return not is_left_out and any(own_files.is_below(path, root) for root in roots)

    def _is_own(self, name: str) -> bool:
        """Return whether code of this file name is a cell or one of the user's own modules."""
        is_cell = f"{os.sep}ipykernel_" in name or name.startswith("<ipython-input")
        return is_cell or (not name.startswith(("<", self._package)) and self._is_recorded(name))

    def _is_own_package(self, name: str) -> bool:
        folders = getattr(sys.modules.get(name.partition(".")[0]), "__path__", ())
        places = [f"{os.path.abspath(one)}{os.sep}" for one in folders]  # noqa: PTH100
        return any(self._is_recorded(one) and not one.startswith(self._package) for one in places)

    def _unexecuted(self, asked: set[str], roots: list[str]) -> Iterator[str]:
        """Yield the files of modules that were requested but not executed, as by `importlib.util.find_spec`."""
        for root in roots:
            there = set[str]()
            with suppress(OSError):
                there = {name.partition(".")[0] for name in os.listdir(root)}  # noqa: PTH208
            for name in (one for one in asked if one.partition(".")[0] in there):
                places = (f"{root}{os.sep}{one}" for one in own_files.candidates(name))
                yield from [one for one in places if os.path.isfile(one)][:1]  # noqa: PTH113

    def _is_recorded(self, path: str) -> bool:
        is_ours = path.startswith(self._package)
        return is_ours or not path.startswith((*self._installed, self._work, "/proc/", "/sys/"))
