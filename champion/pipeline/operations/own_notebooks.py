"""The notebooks folder of a workspace: begin an own notebook, and keep copies of Champion's for JupyterLab.

The copies lie in the folder `champion` beside a person's own notebooks, so what ships stays as shipped. An
unchanged copy follows the notebook that ships; a changed one stays until `champion lab --reset`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from champion.base import atomic_files
from champion.base.atomic_files import Lock
from champion.errors import ChampionError, NotebookError
from champion.runner.notebook import find, names, source_of

if TYPE_CHECKING:
    from champion.settings import Settings

_RECORD = ".shipped.json"
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
    if (
        not parts
        or name != "/".join(parts)
        or not all(_PART.fullmatch(part) for part in parts)
        or name.endswith(".ipynb")
    ):
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


def refresh(settings: Settings) -> list[str]:
    """Copy every notebook that is missing or unchanged since its last copy; return the names of changed ones.

    A notebook is changed if its cells differ, whatever their outputs are.
    """
    folder = settings.notebook_copies
    atomic_files.make_folder(folder)
    with Lock(folder / ".lock"):
        shipped, changed = _record(folder), []
        for name in names():
            source, target = find(name), folder / f"{name}.ipynb"
            if target.exists() and _digest(target) not in {source.digest, shipped.get(name)}:
                changed.append(name)
            elif not target.exists() or shipped.get(name) != source.digest:
                atomic_files.write_bytes(target, source.path.read_bytes())
                shipped[name] = source.digest
        atomic_files.write_bytes(folder / _RECORD, json.dumps(shipped, indent=1).encode())
    return changed


def reset(settings: Settings, name: str) -> Path:
    """Replace the copy of a notebook by the notebook that ships; return the path of the changed copy, kept beside it.

    Raises:
        NotebookError: Champion has no notebook of this name.
    """
    if name not in names():
        raise NotebookError(f"Champion has no notebook {name!r}; it has {', '.join(names())}")
    target = settings.notebook_copies / f"{name}.ipynb"
    kept = target.with_name(f"{target.stem}_before_reset.ipynb")
    if target.exists():
        target.replace(kept)
    refresh(settings)
    return kept


def _record(folder: Path) -> dict[str, str]:
    try:
        known: dict[str, str] = json.loads((folder / _RECORD).read_text())
    except (OSError, ValueError):  # without the record, a copy that differs counts as changed
        return {}
    return known


def _digest(path: Path) -> str | None:
    """Return the digest of a copy's cells; None if it is no readable notebook, which counts as changed."""
    try:
        return find(path).digest
    except ChampionError:
        return None
