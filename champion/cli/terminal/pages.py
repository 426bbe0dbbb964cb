"""The pages of the documentation, as they are shipped with the code."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

from champion.base import package_data
from champion.errors import UsageError

_FOLDERS = (".", "howto")  # the reference is generated for a browser; here `--help` has it


def pages() -> Mapping[str, Path]:
    """Return the file of each page, by the name that the command line takes.

    >>> pages()["restore"].name
    'restore.md'
    """
    folder = package_data.folder("docs")
    found = (path for part in _FOLDERS for path in sorted((folder / part).glob("*.md")) if path.stem != "index")
    return {_name(path): path for path in found}


def _name(path: Path) -> str:
    """Return a page's name: its file's, and for a how-to of the same name as another page with `howto-` before it."""
    other = path.parents[1] / path.name
    return f"howto-{path.stem}" if path.parent.name == "howto" and other.exists() else path.stem


def title(path: Path) -> str:
    """Return the title of a page, its first heading."""
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def page(name: str) -> str:
    """Return the Markdown of a page.

    Raises:
        UsageError: there is no such page.
    """
    known = pages()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        meant = f", perhaps {near[0]!r}" if near else ""
        raise UsageError(f"there is no page {name!r}{meant}: `champion docs` lists all pages")
    return known[name].read_text(encoding="utf-8")
