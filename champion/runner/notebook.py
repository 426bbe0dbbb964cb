"""A notebook file: found by name, read, and told apart from its copies by what it would run."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from champion import files, masking, resources
from champion.errors import NotebookError
from champion.runner import parameters
from champion.runner.outcome import Outcome, Verdict

_PARAMETERS = "parameters"
_WRITTEN = frozenset({"source", "text", "data", "ename", "evalue", "traceback"})  # what a person or a cell wrote


@dataclass(frozen=True, slots=True)
class Notebook:
    """A notebook to run: its name, file, declared parameters, and the hash of its cells without outputs."""

    name: str
    path: Path
    parameters: Mapping[str, parameters.Parameter]
    digest: str


def find(name_or_path: str | Path) -> Notebook:
    """Return the notebook of a name, as `ingest` or `explore/prices`, or of a path that ends in .ipynb.

    Raises:
        NotebookError: there is none, or it is not a notebook. ParameterError: its parameters cell is wrong.
    """
    folder = resources.folder("notebooks")
    path = Path(name_or_path)
    if path.suffix != ".ipynb":
        path = folder / f"{name_or_path}.ipynb"
    if not _is_file(path):
        known = ", ".join(names()) or "none"
        raise NotebookError(f"there is no notebook {str(name_or_path)!r} ({path}); known: {known}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        cells = [
            (cell["cell_type"], source_of(cell), cell.get("metadata", {}).get("tags", [])) for cell in content["cells"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise NotebookError(
            f"{path} is not a notebook of format 4 ({error!r}): open and save it in JupyterLab"
        ) from error
    declared = [source for kind, source, tags in cells if kind == "code" and _PARAMETERS in tags]
    return Notebook(
        name=path.stem,
        path=path.absolute(),
        parameters=parameters.read(declared[0], path.stem) if declared else {},
        digest=hashlib.sha256(json.dumps(cells).encode()).hexdigest(),
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # longer than a file's name can be
        return False


def names() -> list[str]:
    """Return the names of the notebooks that travel with Champion."""
    folder = resources.folder("notebooks")
    found = folder.rglob("*.ipynb") if folder.is_dir() else []
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in found if path.name[0] != ".")


def titles(cells: list[Any]) -> list[str]:
    """Return for each cell the heading it stands under, or the empty text."""
    current, found = "", []
    for cell in cells:
        if cell["cell_type"] == "markdown":
            headings = [line.lstrip("# ").strip() for line in source_of(cell).splitlines() if line.startswith("#")]
            current = headings[-1] if headings else current
        found.append(current)
    return found


def stamp(path: Path, run_id: str, verdict: Verdict) -> list[dict[str, Any]]:
    """Write the verdict into an executed notebook and return how each of its code cells went.

    Papermill calls the cell that a dead kernel or a time-out cut short, and all after it, completed: that is put right.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    error = verdict.error
    content["metadata"]["champion"] = {
        "run_id": run_id,
        "outcome": verdict.outcome.value,
        "error": None if error is None else {"cell": error.cell, "name": error.name, "value": error.value},
    }
    papermill = content["metadata"].setdefault("papermill", {})
    papermill["exception"] = None if verdict.outcome is Outcome.SUCCEEDED else True
    for number, cell in enumerate(content["cells"], start=1):
        _correct(cell["metadata"].setdefault("papermill", {}), is_stopped=error is not None and number == error.cell)
    files.write_bytes(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    return _summary(content["cells"])


def _correct(record: dict[str, Any], *, is_stopped: bool) -> None:
    if is_stopped or record.get("status") == "running":
        record.update(status="failed", exception=True)
    elif record.get("start_time") is None:
        record["status"] = "pending"


def _summary(cells: list[Any]) -> list[dict[str, Any]]:
    return [
        {
            "cell": number,
            "title": title,
            "status": cell["metadata"]["papermill"].get("status"),
            "started": cell["metadata"]["papermill"].get("start_time"),
            "seconds": cell["metadata"]["papermill"].get("duration"),
        }
        for number, (cell, title) in enumerate(zip(cells, titles(cells), strict=True), start=1)
        if cell["cell_type"] == "code"
    ]


def masked(book: Any, secrets: Sequence[str]) -> Any:
    """Return a notebook whose sources and outputs hold no secret; the given one stays as it is: it may yet run."""
    clean = copy.copy(book)
    clean["cells"] = [copy.copy(cell) for cell in book["cells"]]
    for cell in clean["cells"]:
        for name in _WRITTEN & cell.keys():
            cell[name] = masking.masked_values(cell[name], secrets)
        if "outputs" in cell:
            cell["outputs"] = [_masked_output(output, secrets) for output in cell["outputs"]]
    return clean


def _masked_output(output: Any, secrets: Sequence[str]) -> Any:
    clean = copy.copy(output)
    for name in _WRITTEN & clean.keys():
        clean[name] = type(clean[name])(masking.masked_values(clean[name], secrets))
    return clean


def source_of(cell: Mapping[str, Any]) -> str:
    """Return the source of a cell, which files hold as a text or as its lines."""
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)
