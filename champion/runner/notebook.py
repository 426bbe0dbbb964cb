"""A notebook file: found by name, read, and told apart from its copies by what it would run."""

from __future__ import annotations

import copy
import hashlib
import json
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

_PARAMETERS = "parameters"
_PYTHON = ("python", "ipython")
_UNUSUAL = re.compile(r"^[ .-]|[^\w .,()'-]|[ .]$")
_LONGEST = 120  # bytes
_WRITTEN = frozenset({"source", "text", "data", "ename", "evalue", "traceback"})  # what a person or a cell wrote


@dataclass(frozen=True, slots=True)
class Notebook:
    """A notebook to run: its name, file, declared parameters, and the hash of its cells without outputs.

    `sources` is the text of its code cells; `undetermined` is what its parameters cell computes besides parameters.
    """

    name: str
    path: Path
    parameters: Mapping[str, parameters.Parameter]
    digest: str
    sources: str = ""
    undetermined: tuple[str, ...] = ()

    @property
    def beside(self) -> Path | None:
        """The folder whose modules it may import: its own; None for a notebook that travels with Champion."""
        return None if self.path.is_relative_to(package_data.folder("notebooks").absolute()) else self.path.parent

    def computed(self, given: Mapping[str, Any]) -> list[str]:
        """Return what only a run can tell: parameters with a computed default and no given value, and the like."""
        return [
            *(name for name, one in self.parameters.items() if one.computed and name not in given),
            *self.undetermined,
        ]


def find(name_or_path: str | Path) -> Notebook:
    """Return the notebook of a name, as `ingest` or `explore/prices`, or of a path that ends in .ipynb.

    Raises:
        NotebookError: there is none, it is not a notebook, not one of Python, or its text or path is not UTF-8.
        ParameterError: its parameters cell is wrong.
    """
    folder = package_data.folder("notebooks")
    path = Path(name_or_path)
    if path.suffix != ".ipynb":
        path = folder / f"{name_or_path}.ipynb"
    if not _is_file(path):
        known = ", ".join(names()) or "none"
        raise NotebookError(f"there is no notebook {str(name_or_path)!r} ({path}); known: {known}")
    if not is_unicode(path.absolute()):
        raise NotebookError(f"the path {str(path.absolute())!a} is not UTF-8: rename the file or the folder")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        languages = _languages(content.get("metadata", {}))
        cells = [
            (cell["cell_type"], source_of(cell), cell.get("metadata", {}).get("tags", [])) for cell in content["cells"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise NotebookError(
            f"{path} is not a notebook of format 4 ({error!r}): open and save it in JupyterLab"
        ) from error
    _require_python(path, languages)
    code = [source for kind, source, _ in cells if kind == "code"]
    if not is_unicode([list(one) for one in cells]):
        raise NotebookError(f"{path} holds text that is not Unicode (a lone surrogate): retype that text")
    declared = [source for kind, source, tags in cells if kind == "code" and _PARAMETERS in tags]
    return Notebook(
        name=path.stem,
        path=path.absolute(),
        parameters=parameters.read(declared[0], path.stem) if declared else {},
        digest=hashlib.sha256(json.dumps(cells).encode()).hexdigest(),
        sources="\n".join(code),
        undetermined=tuple(parameters.undetermined(declared[0])) if declared else (),
    )


def _languages(metadata: Mapping[str, Any]) -> list[str]:
    """Return what a notebook says of its language: of its kernel and of the language itself, in lower case."""
    kernel, language = metadata.get("kernelspec", {}), metadata.get("language_info", {})
    found = [kernel.get("language"), language.get("name")]
    said = [one for one in found if one]
    return [str(one).lower() for one in said or [kernel.get("name")] if one]


def _require_python(path: Path, languages: Sequence[str]) -> None:
    other = [one for one in languages if not one.startswith(_PYTHON)]
    if other:
        raise NotebookError(
            f"{path} is a notebook for the kernel or language {other[0]!r}; Champion runs Python: choose a "
            "Python kernel in JupyterLab and save it"
        )


def file_name(name: str) -> str:
    """Return a notebook's name as the name of a file that any store of artifacts takes.

    A name of letters, digits and ` .,()'_-` stays; in another one the rest becomes `_`, and a digest tells it apart.

    >>> file_name("it's 5"), file_name("50% #1")
    ("it's 5", '50_ _1-d42d3c5c')
    """
    plain = _UNUSUAL.sub("_", name).encode()[:_LONGEST].decode(errors="ignore")
    return name if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # longer than a file's name can be
        return False


def names() -> list[str]:
    """Return the names of the notebooks that travel with Champion."""
    folder = package_data.folder("notebooks")
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
    atomic_files.write_bytes(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
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
            cell[name] = redaction.redact_values(cell[name], secrets)
        if "outputs" in cell:
            cell["outputs"] = [_masked_output(output, secrets) for output in cell["outputs"]]
    return clean


def _masked_output(output: Any, secrets: Sequence[str]) -> Any:
    clean = copy.copy(output)
    for name in _WRITTEN & clean.keys():
        clean[name] = type(clean[name])(redaction.redact_values(clean[name], secrets))
    return clean


def source_of(cell: Mapping[str, Any]) -> str:
    """Return the source of a cell, which files hold as a text or as its lines."""
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)
