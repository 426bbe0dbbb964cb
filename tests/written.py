"""Notebooks that tests write, and what they wait for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from waiting import until


def notebook(folder: Path, name: str, *sources: str) -> Path:
    """Write a notebook from the sources of its cells, the first one its parameters; `# ...` is prose."""
    cells: list[dict[str, Any]] = []
    for number, source in enumerate(sources):
        cell: dict[str, Any] = {"id": f"cell-{number}", "metadata": {}, "source": source}
        code: dict[str, Any] = {"cell_type": "code", "execution_count": None, "outputs": []}
        cells.append(cell | ({"cell_type": "markdown"} if source.startswith("#") else code))
    cells[0]["metadata"] = {"tags": ["parameters"]}
    path = folder / f"{name}.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


def statuses(saved: str) -> list[str]:
    """Return the status of each cell of an executed notebook."""
    return [cell["metadata"]["papermill"]["status"] for cell in json.loads(Path(saved).read_text())["cells"]]


def wait_for(condition: Callable[[], object]) -> None:
    """Return once the condition holds, or fail."""
    until("a condition of the test", condition)
