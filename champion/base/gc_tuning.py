"""Start and end a Python process quickly by running its garbage collector rarely.

Importing mlflow or prefect creates hundreds of thousands of permanent objects. CPython's default collector walks all of
them several times during the import, and again at exit: a third of the cost of starting and ending the process. `python
-m champion.base.gc_tuning MODULE ARGUMENTS` runs `python -m MODULE ARGUMENTS` without that.
"""

import atexit
import gc
import os
import runpy
import sys
from pathlib import Path


def relax_gc() -> None:
    """Run this process's garbage collector rarely, and not at exit."""
    gc.set_threshold(50_000, 10, 10)  # new objects before a collection
    atexit.register(gc.freeze)  # files are closed and servers stopped by then


if __name__ == "__main__":
    relax_gc()
    os.umask(os.umask(0o077) | 0o077)  # servers and kernels write for their owner only
    del sys.argv[0]
    if sys.argv[0].partition(".")[0] == "prefect":
        from champion.base.prefect_sources import ignore_current_directory

        ignore_current_directory(Path(os.environ.get("PREFECT_HOME", ".")))
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
