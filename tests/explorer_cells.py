"""Run the code cells of notebooks in this process, on the workspace of the environment, and report what failed.

`python explorer_cells.py NOTEBOOK...` prints one JSON object: a list of errors by notebook. A kernel for each would
cost ten times as much; `test_explorers.py` runs some in kernels as well.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

from champion.base.gc_tuning import relax_gc

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"


def run(notebook: str) -> list[str]:
    """Return what failed: `cell 4: IndexError: ...`; the cells after a failure run too, as in a person's hands."""
    space: dict[str, Any] = {"__name__": "__main__", "display": shown}
    failed = []
    for number, cell in enumerate(json.loads((FOLDER / f"{notebook}.ipynb").read_text())["cells"]):
        if cell["cell_type"] != "code":
            continue
        lines = "".join(cell["source"]).splitlines()
        code = ast.parse("\n".join("" if line.startswith("%") else line for line in lines))
        last = code.body[-1] if code.body and isinstance(code.body[-1], ast.Expr) else None
        code.body = code.body[:-1] if last else code.body
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(code, f"{notebook} cell {number}", "exec"), space)  # noqa: S102 - the project's notebooks
                if last is not None:
                    shown(eval(compile(ast.Expression(last.value), f"{notebook} cell {number}", "eval"), space))  # noqa: S307
        except Exception as error:  # noqa: BLE001 - every failure is reported
            where = traceback.extract_tb(error.__traceback__)[-1]
            failed.append(f"cell {number}: {type(error).__name__}: {error} ({where.filename}:{where.lineno})")
        plt.close("all")
    return failed


def shown(value: Any) -> None:
    """Render what a cell shows, as a kernel would."""
    render = getattr(value, "_repr_html_", None)
    if hasattr(value, "savefig"):
        value.savefig(io.BytesIO(), format="png", dpi=20)
    elif render is not None:
        render()
    else:
        repr(value)


if __name__ == "__main__":
    relax_gc()  # as in a kernel
    mpl.use("Agg")
    warnings.simplefilter("error", UserWarning)
    sys.stdout.write(json.dumps({name: found for name in sys.argv[1:] if (found := run(name))}, indent=1))
