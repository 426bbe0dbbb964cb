"""Find and read notebook files, and identify them by their cells."""

from __future__ import annotations

import copy
import difflib
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from champion.base import atomic_files, package_data
from champion.base.strict_json import is_unicode
from champion.errors import NotebookError
from champion.runner import parameters
from champion.runner.outcome import Outcome, Verdict
from champion.security import redaction
from champion.settings import NOTEBOOK_COPIES

_UNUSUAL = re.compile(r"^[ .-]|[^\w .,()'-]|[ .]$")
_LONGEST = 120  # bytes
_WRITTEN = frozenset({"source", "text", "data", "ename", "evalue", "traceback"})  # text that a user or a cell wrote


@dataclass(frozen=True, slots=True)
class Notebook:
    """A notebook: its name, file, declared parameters, and the hash of its cells without outputs.

    `sources` is the text of its code cells; `undetermined` are names that its parameters cell computes besides
    parameters.
    """

    name: str
    path: Path
    parameters: Mapping[str, parameters.Parameter]
    digest: str
    sources: str = ""
    undetermined: tuple[str, ...] = ()

    @property
    def beside(self) -> Path | None:
        """The notebook's folder, whose modules it may import; None for a notebook of Champion."""
        return None if self.path.is_relative_to(package_data.folder("notebooks").absolute()) else self.path.parent

    def computed(self, given: Mapping[str, Any]) -> list[str]:
        """Return the names that only a run can compute: parameters with a computed default and no value, and others."""
        computed = [name for name, one in self.parameters.items() if one.computed and name not in given]
        return [*computed, *self.undetermined]


def find(name_or_path: str | Path, own: Path | None = None) -> Notebook:
    """Return the notebook of a name, as `ingest` or `explore/prices`, or of a path that ends in .ipynb.

    `own` is the folder of the workspace's own notebooks, whose names are known too.

    Raises:
        NotebookError: there is none, two have the name, it is not a Python notebook, or its text or path is not UTF-8.
        ParameterError: its parameters cell is wrong.
    """
    path = Path(name_or_path)
    if path.suffix != ".ipynb":
        path = _named(str(name_or_path), own)
    if not os.path.isfile(path):  # noqa: PTH113 - False also if the name is too long
        known = names(own)
        near = difflib.get_close_matches(str(name_or_path), known, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise NotebookError(
            f"there is no notebook {str(name_or_path)!r} ({path}); {meant}known: {', '.join(known) or 'none'}"
        )
    if not is_unicode(path.absolute()):
        raise NotebookError(f"the path {str(path.absolute())!a} is not UTF-8: rename the file or the folder")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        languages = _languages(content.get("metadata", {}))
        tags = [cell.get("metadata", {}).get("tags", []) for cell in content["cells"]]
        cells = [(cell["cell_type"], source_of(cell), of) for cell, of in zip(content["cells"], tags, strict=True)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise NotebookError(
            f"{path} is not a notebook of format 4 ({error!r}): open and save it in JupyterLab"
        ) from error
    if other := [one for one in languages if not one.startswith(("python", "ipython"))]:
        raise NotebookError(
            f"{path} is a notebook for the kernel or language {other[0]!r}; Champion runs Python: choose a "
            "Python kernel in JupyterLab and save it"
        )
    if not is_unicode([list(one) for one in cells]):
        raise NotebookError(f"{path} holds text that is not Unicode (a lone surrogate): retype that text")
    declared = [source for kind, source, tags in cells if kind == "code" and "parameters" in tags]
    return Notebook(
        name=path.stem,
        path=path.absolute(),
        parameters=parameters.read(declared[0], path.stem) if declared else {},
        digest=hashlib.sha256(json.dumps(cells).encode()).hexdigest(),
        sources="\n".join(source for kind, source, _ in cells if kind == "code"),
        undetermined=tuple(parameters.undetermined(declared[0])) if declared else (),
    )


def _languages(metadata: Mapping[str, Any]) -> list[str]:
    """Return the languages in a notebook's metadata, of the kernel and of the cells, in lower case."""
    kernel, language = metadata.get("kernelspec", {}), metadata.get("language_info", {})
    names = [one for one in (kernel.get("language"), language.get("name")) if one] or [kernel.get("name")]
    return [str(name).lower() for name in names if name]


def file_name(name: str) -> str:
    """Return a notebook's name as a file name that every artifact store accepts.

    A name of letters, digits and ` .,()'_-` stays; in others each other character becomes `_`, and a digest is added.

    >>> file_name("it's 5"), file_name("50% #1")
    ("it's 5", '50_ _1-d42d3c5c')
    """
    plain = _UNUSUAL.sub("_", name).encode()[:_LONGEST].decode(errors="ignore")
    return name if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _named(name: str, own: Path | None) -> Path:
    """Return the path of the notebook that has a name, in Champion's folder or in the workspace's."""
    shipped = package_data.folder("notebooks") / f"{name}.ipynb"
    if own is None or not os.path.isfile(mine := own / f"{name}.ipynb"):  # noqa: PTH113 - see `find`
        return shipped
    if os.path.isfile(shipped):  # noqa: PTH113
        raise NotebookError(f"{name!r} is a notebook of Champion and one of your own ({mine}): rename yours")
    return mine


def names(own: Path | None = None) -> list[str]:
    """Return the names of Champion's notebooks, and of those in the workspace's folder `own`, sorted.

    Hidden files and folders, such as JupyterLab's checkpoints, are left out, and so are its copies.
    """
    found: list[str] = []
    for folder in filter(None, (package_data.folder("notebooks"), own)):
        paths = folder.rglob("*.ipynb") if folder.is_dir() else []
        parts = [path.relative_to(folder).with_suffix("") for path in paths]
        found += [path.as_posix() for path in parts if not _is_left_out(path.parts)]
    return sorted(found)


def _is_left_out(parts: Sequence[str]) -> bool:
    return parts[0] == NOTEBOOK_COPIES or any(part.startswith(".") for part in parts)


def titles(cells: list[Any]) -> list[str]:
    """Return the heading above each cell, or the empty text."""
    current, found = "", []
    for cell in cells:
        if cell["cell_type"] == "markdown":
            headings = [line.lstrip("# ").strip() for line in source_of(cell).splitlines() if line.startswith("#")]
            current = headings[-1] if headings else current
        found.append(current)
    return found


def stamp(path: Path, run_id: str, verdict: Verdict) -> list[dict[str, Any]]:
    """Write the verdict into an executed notebook and return how each of its code cells ended.

    Papermill marks the cell that a dead kernel or a time-out interrupted, and all after it, as completed. This corrects
    it.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    error = verdict.error
    content["metadata"]["champion"] = {
        "run_id": run_id,
        "outcome": verdict.outcome.value,
        "error": None if error is None else {"cell": error.cell, "name": error.name, "value": error.value},
    }
    is_failed = verdict.outcome is not Outcome.SUCCEEDED
    content["metadata"].setdefault("papermill", {})["exception"] = is_failed or None
    cells, rows = content["cells"], []
    for number, (cell, title) in enumerate(zip(cells, titles(cells), strict=True), start=1):
        record = cell["metadata"].setdefault("papermill", {})
        if (error is not None and number == error.cell) or record.get("status") == "running":
            record.update(status="failed", exception=True)
        elif record.get("start_time") is None:
            record["status"] = "pending"
        if cell["cell_type"] == "code":
            row = {"cell": number, "title": title, "status": record.get("status")}
            rows.append(row | {"started": record.get("start_time"), "seconds": record.get("duration")})
    atomic_files.write_bytes(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    return rows


def redacted(book: Any, secrets: Sequence[str]) -> Any:
    """Return a copy of a notebook with secrets removed from sources and outputs; the original may still run."""
    clean = copy.copy(book)
    clean["cells"] = [_redacted(cell, secrets) for cell in book["cells"]]
    for cell in clean["cells"]:
        if "outputs" in cell:
            cell["outputs"] = [_redacted(output, secrets) for output in cell["outputs"]]
    return clean


def _redacted(part: Any, secrets: Sequence[str]) -> Any:
    """Return a copy of a cell or an output, redacted."""
    clean = copy.copy(part)
    for name in _WRITTEN & clean.keys():
        clean[name] = type(clean[name])(redaction.redact_values(clean[name], secrets))
    return clean


def source_of(cell: Mapping[str, Any]) -> str:
    """Return the source of a cell, which files hold as a text or a list of lines."""
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)
