"""How explorer notebooks are tried: each cell by nbval, in a kernel, on a workspace."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat
from waiting import PATIENCE

from champion.settings import Settings

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = ["welcome", *sorted(f"explore/{path.stem}" for path in (FOLDER / "explore").glob("*.ipynb"))]
NEED_RUNS = ["explore/ledger_tour", "explore/model_desk", "explore/sql_tour"]  # and a warehouse, and a model


def explore(notebooks: Sequence[str], settings: Settings, folder: Path) -> None:
    """Run notebooks on a workspace in one kernel, from a copy in `folder`; every cell must succeed.

    Each notebook begins without the variables of the one before. A kernel for each would import the same packages,
    which costs more than all cells.
    """
    (folder / "pytest.ini").write_text("[pytest]\n")  # not the project's options: they are for its own tests
    joined = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
    for notebook in notebooks:
        book = nbformat.read(FOLDER / f"{notebook}.ipynb", as_version=4)  # type: ignore[no-untyped-call]
        joined.metadata = book.metadata
        begin = nbformat.v4.new_code_cell(f"%reset -f\nprint({notebook!r})")  # type: ignore[no-untyped-call]
        joined.cells += [begin, *(cell for cell in book.cells if cell.cell_type == "code")]
    for number, cell in enumerate(joined.cells):
        cell.id = f"cell-{number}"
    nbformat.write(joined, folder / "joined.ipynb")  # type: ignore[no-untyped-call]
    options = ["-c", "pytest.ini", "-p", "no:cacheprovider", "--nbval-lax", "--nbval-current-env"]
    options += [f"--nbval-cell-timeout={PATIENCE:.0f}", f"--nbval-kernel-startup-timeout={PATIENCE:.0f}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", *options, "joined.ipynb"],
        env={**os.environ, **settings.environment()},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    passed = re.findall(r"^joined::ipynb::Cell \d+ PASSED", done.stdout, re.MULTILINE)
    assert len(passed) == len(joined.cells), "each cell was run"
