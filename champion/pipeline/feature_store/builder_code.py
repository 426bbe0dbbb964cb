"""Identify the code that builds a frame: a module, what it imports of Champion, and the tables beside these modules."""

from __future__ import annotations

import re
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import psutil

import champion

_ROOT = Path(champion.__file__).resolve().parents[1]
_LIBRARIES = ("numpy", "polars")
_FROM, _WHOLE = r"from[ \t]+(champion[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)", r"import[ \t]+(champion[\w.]*)"
_IMPORT = re.compile(rf"^[ \t]*(?:{_FROM}|{_WHOLE})", re.MULTILINE)


@cache
def code_digest(module: str) -> str | None:
    """Return the SHA-256 of a module, of what it imports of Champion, of their tables, and of the libraries' versions.

    None if a file changed after this process started: the process may have loaded it before.

    >>> len(code_digest("champion.pipeline.models.frames"))
    64
    """
    digest = sha256(" ".join(f"{name} {version(name)}" for name in _LIBRARIES).encode())
    began = psutil.Process().create_time()
    files = {*sources(module).values()}
    tables = {table for folder in {path.parent for path in files} for table in folder.glob("*.csv")}
    for path in sorted(files | tables):
        if path.stat().st_ctime > began:
            return None
        digest.update(f"\n{path.relative_to(_ROOT).as_posix()} {sha256(path.read_bytes()).hexdigest()}".encode())
    return digest.hexdigest()


def sources(module: str) -> dict[str, Path]:
    """Return the files of a module and of Champion's modules that it imports, by name, those within functions included.

    >>> "champion.lake.store" in sources("champion.pipeline.models.frames")
    True
    """
    found, waiting = dict[str, Path](), [module]
    while waiting:
        name = waiting.pop()
        if name in found or (path := _file(name)) is None:
            continue
        found[name] = path
        waiting.append(name.rpartition(".")[0])
        for package, names, whole in _IMPORT.findall(path.read_text(encoding="utf-8")):
            waiting.append(package or whole)
            waiting += [f"{package}.{one}" for one in re.findall(r"\w+", names)]
    return found


def _file(module: str) -> Path | None:
    if not module:
        return None  # above the top package: a file beside the installation may have its folder's name
    place = _ROOT.joinpath(*module.split("."))
    return next((path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()), None)
