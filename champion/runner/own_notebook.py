"""Begin a notebook of one's own in the workspace, as a copy of another one under another title."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from champion.base import atomic_files
from champion.errors import NotebookError
from champion.runner.notebook import find, names, source_of

if TYPE_CHECKING:
    from pathlib import Path

    from champion.settings import Settings

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
COMMANDS = frozenset({"add", "list", "pause", "resume", "remove"})
"""Names that `champion schedule` takes for its own commands."""


def create(settings: Settings, name: str, source: str) -> Path:
    """Write a notebook of this name into the workspace, with the cells of `source`, and return its path.

    Its title is its name; outputs are left out. Nothing that exists is replaced.

    Raises:
        NotebookError: the name is taken or not allowed, or there is no notebook `source`.
    """
    parts = PurePosixPath(name).parts
    if name != "/".join(parts) or not all(_PART.fullmatch(part) for part in parts) or name.endswith(".ipynb"):
        raise NotebookError(
            f"{name!r} is no name for a notebook: use letters, digits, `-`, `_` and `.`, with `/` for a folder, and no "
            ".ipynb at the end"
        )
    if name in COMMANDS or name in names():
        raise NotebookError(f"{name!r} is a name of Champion's: choose another one, as my_{parts[-1]}")
    begun = find(source, settings.notebooks)
    content = json.loads(begun.path.read_text(encoding="utf-8"))
    title = re.sub(r"[_-]", " ", parts[-1]).capitalize()
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    if content["cells"] and (first := content["cells"][0])["cell_type"] == "markdown":
        first["source"] = re.sub(r"\A# .*", f"# {title}", source_of(first))
    path = settings.notebooks / f"{name}.ipynb"
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    try:
        with atomic_files.temporary_file(path) as temporary:
            temporary.write_bytes(text.encode())
            path.hardlink_to(temporary)  # fails if another process was first
    except FileExistsError as error:
        raise NotebookError(
            f"there is a notebook {name!r} already ({path}): choose another name, or remove it"
        ) from error
    return path
