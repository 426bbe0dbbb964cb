"""A Python process that starts and ends quickly: its garbage collector waits until there can be garbage.

Importing mlflow or prefect makes hundreds of thousands of objects that stay. As CPython comes set, its collector walks
all of them several times while they are made, and once more when the process ends: a third of what starting and ending
such a process costs. `python -m champion.base.gc_tuning MODULE ARGUMENTS` is `python -m MODULE ARGUMENTS` without that.
"""

from __future__ import annotations

import atexit
import gc
import os
import runpy
import sys
from pathlib import Path

_OTHERS = 0o077
_THRESHOLDS = (50_000, 10, 10)  # new objects before the collector looks: a program's start is longer than its loops


def relax_gc() -> None:
    """Have this process's collector look rarely, and not at all when the process ends."""
    gc.set_threshold(*_THRESHOLDS)
    atexit.register(gc.freeze)  # nothing is left to look at: files are closed and servers stopped by then


if __name__ == "__main__":
    relax_gc()
    os.umask(os.umask(_OTHERS) | _OTHERS)  # what a server or a kernel writes is its owner's alone
    del sys.argv[0]
    if sys.argv[0].partition(".")[0] == "prefect":
        from champion.base.prefect_sources import leave_out_the_current_directory

        leave_out_the_current_directory(Path(os.environ.get("PREFECT_HOME", ".")))
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
