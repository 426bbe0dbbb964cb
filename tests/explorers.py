"""How explorer notebooks are tried: each cell by nbval, in a kernel, on a workspace."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from waiting import PATIENCE

from champion.settings import Settings

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = ["welcome", *sorted(f"explore/{path.stem}" for path in (FOLDER / "explore").glob("*.ipynb"))]
NEED_RUNS = ["explore/ledger_tour", "explore/model_desk", "explore/sql_tour"]  # and a warehouse, and a model


def explore(notebooks: Sequence[str], settings: Settings, folder: Path) -> None:
    """Run notebooks on a workspace, each in a separate kernel, from copies in `folder`; every cell must succeed."""
    (folder / "pytest.ini").write_text("[pytest]\n")  # not the project's options: they are for its own tests
    names = [Path(shutil.copy(FOLDER / f"{notebook}.ipynb", folder)).name for notebook in notebooks]
    options = ["-c", "pytest.ini", "-p", "no:cacheprovider", "--nbval-lax", "--nbval-current-env"]
    options += [f"--nbval-cell-timeout={PATIENCE:.0f}", f"--nbval-kernel-startup-timeout={PATIENCE:.0f}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", *options, *names],
        env={**os.environ, **settings.environment()},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    unseen = [name for name in names if f"\n{Path(name).stem}::" not in done.stdout]
    assert unseen == [], "no cell of these was run"
