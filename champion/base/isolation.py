"""Start Python processes that import nothing from the current directory.

`python -m` puts the current directory before the standard library: a `json.py` there would run, or break every server.
`-P` leaves it out for that process, `PYTHONSAFEPATH` for the processes it starts. A notebook's kernel uses neither
protection: it starts in a new folder of its run, and its cells can import modules that they write there.
"""

import os
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

SAFE_PATH = "PYTHONSAFEPATH"
_PARENT = Path(__file__).resolve().parents[2]


def command(module: str, *arguments: str) -> list[str]:
    """Return the command line of a module for this Python, with a fast start and without the current directory.

    >>> command("prefect", "version")[1:]
    ['-P', '-m', 'champion.base.gc_tuning', 'prefect', 'version']
    """
    return [sys.executable, "-P", "-m", "champion.base.gc_tuning", module, *arguments]


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for a process that, with its children, imports nothing from the current directory.

    Champion itself stays importable, also from a checkout that is not installed.

    >>> environment({"PYTHONPATH": ":/srv/own:relative"})["PYTHONPATH"].split(":")[-1]
    '/srv/own'
    """
    installed = {Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib")}
    ours = [] if _PARENT in installed else [str(_PARENT)]
    path = os.pathsep.join([*ours, *absolute(inherited.get("PYTHONPATH"))])
    kept = {name: value for name, value in inherited.items() if name != "PYTHONPATH"}
    return {**kept, SAFE_PATH: "1", **({"PYTHONPATH": path} if path else {})}


def absolute(path: str | None) -> list[str]:
    """Return the absolute folders of a PYTHONPATH; an empty or relative entry means the current directory.

    >>> absolute(":/srv/own:.")
    ['/srv/own']
    """
    return [folder for folder in (path or "").split(os.pathsep) if os.path.isabs(folder)]  # noqa: PTH117
