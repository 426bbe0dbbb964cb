"""Read one recorded run in detail: its parameters and data, its cells, and its results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from champion import report
from champion.base.atomic_files import write_bytes
from champion.base.strict_json import Kind
from champion.runner import cache_lookup
from champion.runner.notebook import source_of
from champion.runner.record import ERROR, REASON, file_of
from champion.tracking import connectivity, runs

if TYPE_CHECKING:
    from champion.settings import Settings
    from champion.tracking.runs import Run


@dataclass(frozen=True, slots=True)
class Cell:
    """One code cell of a run: its source and its output, both as text; images are represented by their hash."""

    number: int
    title: str
    status: str | None
    seconds: float | None
    source: str
    shown: str


@dataclass(frozen=True, slots=True)
class RunDetail:
    """A run with the datasets it read and wrote (digests by name), its cells, packages and code."""

    run: Run
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    values: Mapping[str, Any]
    cells: tuple[Cell, ...]
    packages: Mapping[str, str]
    traceback: str
    code: Mapping[str, str] | None = None  # None for runs of earlier versions

    @property
    def reason(self) -> str:
        """Why the run was not skipped."""
        return self.run.tags.get(REASON, "")

    @property
    def error(self) -> str:
        """What stopped the run."""
        return self.run.tags.get(ERROR, "")

    def file(self, suffix: str) -> str:
        """Return the path of its executed notebook (.ipynb) or page (.html); empty if the run is not a notebook's."""
        if cache_lookup.NOTEBOOK not in self.run.tags:
            return ""
        return runs.location(self.run, f"notebook/{file_of(self.run.tags)}{suffix}")


def read(settings: Settings, which: str) -> RunDetail:
    """Return the details of a run, given its id, the beginning of the id, or its name in the spool.

    Raises:
        UsageError: there is no such run, or more than one.
        ServiceError: MLflow does not answer.
    """
    connectivity.require(settings)
    run = runs.find(settings, which)
    code = cache_lookup.code_of(settings, run)
    is_notebook = cache_lookup.NOTEBOOK in run.tags
    book = _record(settings, run, f"notebook/{file_of(run.tags)}.ipynb", dict[str, Any]) if is_notebook else {}
    times = {entry["cell"]: entry for entry in _record(settings, run, "cells.json", list[dict[str, Any]])}
    return RunDetail(
        run=run,
        inputs=runs.digests(settings, run, cache_lookup.INPUTS),
        outputs=runs.digests(settings, run, cache_lookup.OUTPUTS),
        values=_record(settings, run, f"result/{report.RESULT}", dict[str, Any]).get("values", {}),
        cells=tuple(_cells(book.get("cells", []), times)),
        packages=_record(settings, run, "environment.json", dict[str, Any]).get("packages", {}),
        traceback=(runs.read_file(settings, run.run_id, "error.txt") or b"").decode().rstrip(),
        code=code.files if code is not None else None,
    )


def page(settings: Settings, found: RunDetail) -> str:
    """Return the path of a run's page, or an empty text. A page that retention removed is rendered again.

    The new page is written to the `runs` folder of the workspace.
    """
    kept = found.file(".html")
    if not kept or "://" in kept or Path(kept).exists():
        return kept
    from champion.runner import html_report as pages  # noqa: PLC0415 - nbconvert is slow to import
    from champion.runner.outcome import Outcome, Verdict  # noqa: PLC0415

    executed, run = Path(found.file(".ipynb")), found.run
    if not executed.exists() or run.outcome is None:
        return ""
    seconds = (run.ended - run.started).total_seconds() if run.ended else 0.0
    text = pages.render(executed, run.run_id, Verdict(Outcome(run.outcome), seconds), run.parameters, found.reason)
    target = settings.runs / "pages" / f"{run.run_id}.html"
    write_bytes(target, text.encode())
    return str(target)


def _cells(cells: list[Any], times: Mapping[int, Mapping[str, Any]]) -> list[Cell]:
    """Return the code cells, without the cell of the given parameters."""
    found = []
    for number, cell in enumerate(cells, start=1):
        if cell["cell_type"] == "code" and "injected-parameters" not in cell["metadata"].get("tags", []):
            time, shown = times.get(number, {}), "\n".join(map(_text, cell.get("outputs", [])))
            title, status, seconds = time.get("title", ""), time.get("status"), time.get("seconds")
            found.append(Cell(number, title, status, seconds, source_of(cell), shown))
    return found


def _text(output: Mapping[str, Any]) -> str:
    if output["output_type"] == "stream":
        return "".join(output["text"]).rstrip()
    if output["output_type"] == "error":
        return f"{output['ename']}: {output['evalue']}"
    data = output.get("data", {})
    kinds = [kind for kind in sorted(data) if kind.startswith("image/")]
    images = [f"[{kind} {cache_lookup.digest_of(''.join(data[kind]))[:12]}]" for kind in kinds]
    plain = "" if images else "".join(data.get("text/plain", ""))
    return "\n".join([*filter(None, [plain]), *images])


def _record(settings: Settings, run: Run, artifact: str, kind: type[Kind]) -> Kind:
    content = runs.read_file(settings, run.run_id, artifact)
    return runs.record(run, artifact, kind, content) if content else kind()
