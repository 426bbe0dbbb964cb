"""Bad input that several tests share: what was found by fuzzing, and what somebody who means harm would try first.

Each is refused with one of Champion's own errors, or taken for the plain text it is; none leads out of the workspace.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from champion.base.atomic_files import write_bytes

DEEP = "[" * 100_000
FORMULAS = ("=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1:A9)")
HOSTILE = (
    "O'Brien",
    '"; drop table loads; --',
    "<script>alert(1)</script>",
    "[/red]",
    "$\\frac$",
    "{x:String}",
    *FORMULAS,
)


def put(path: Path, content: Any) -> None:
    """Write bytes as they are, text as it is, all else as JSON."""
    if isinstance(content, str) and content == DEEP:
        content = content.encode()
    write_bytes(path, content if isinstance(content, bytes) else json.dumps(content).encode())


def hostile_home(folder: Path) -> dict[str, str]:
    """Write a home directory whose start-up files would stop or change a run; return the variables that name it."""
    bad = "raise SystemExit('a personal start-up file ran')\n"
    ipython, jupyter = folder / "ipy", folder / ".jupyter"
    places = {
        ipython / "profile_default/startup/00.py": "print = lambda *a, **k: None; SECRET_STATE = 1\n",
        ipython / "profile_default/ipython_config.py": "c.InteractiveShellApp.exec_lines = ['SECRET_STATE = 2']\n",
        ipython / "profile_default/ipython_kernel_config.py": (
            "c.InteractiveShellApp.exec_lines = ['import os; os.chdir(\"/\")']\n"
            "c.InteractiveShell.ast_node_interactivity = 'all'\n"
        ),
        jupyter / "jupyter_config.json": "{broken",
        jupyter / "jupyter_config.py": bad,
        jupyter / "jupyter_kernel_config.py": bad,
        folder / "start.py": "SECRET_STATE = 3\n",
        folder / ".config/matplotlib/matplotlibrc": "figure.figsize: 1, 1\nsavefig.dpi: 7\n",
        folder / ".netrc": "default login nobody password wrong\n",
    }
    for path, text in places.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / ".netrc").chmod(0o600)
    return {
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / ".config"),
        "IPYTHONDIR": str(ipython),
        "JUPYTER_CONFIG_DIR": str(jupyter),
        "JUPYTER_CONFIG_PATH": str(jupyter),
        "PYTHONSTARTUP": str(folder / "start.py"),
        "PYTHONINSPECT": "1",
        "PYTHONBREAKPOINT": "nothing.at_all",
    }
