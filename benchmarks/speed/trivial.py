"""Three trivial notebooks in one process, four ways: nbclient alone, papermill alone, Champion's runner, a whole flow.

`python benchmarks/speed/trivial.py WAY FOLDER` prints, as JSON, the seconds of wall and CPU that the three took once
everything was imported, their kernels included.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat

from benchmarks import meter
from champion.base import gc_tuning

COUNT = 3


def main() -> None:
    """Run one way and print its cost."""
    way, folder = sys.argv[1], Path(sys.argv[2])
    paths = [_notebook(folder, number) for number in range(COUNT)]
    run = {"nbclient": _nbclient, "papermill": _papermill, "runner": _runner, "flow": _flow}[way](folder)
    _, cost = meter.measured(lambda: run(paths))
    print(json.dumps({"wall": cost.wall, "cpu": cost.cpu}))


def _notebook(folder: Path, number: int) -> Path:
    cells = [
        nbformat.v4.new_code_cell("count: int = 1", metadata={"tags": ["parameters"]}),  # type: ignore[no-untyped-call]
        nbformat.v4.new_code_cell(f"count + {number}"),  # type: ignore[no-untyped-call]
    ]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path = folder / f"trivial{number}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)  # type: ignore[no-untyped-call]
    return path


def _nbclient(folder: Path) -> Callable[[list[Path]], None]:
    from nbclient import NotebookClient  # noqa: PLC0415 - each way imports its own

    def run(paths: list[Path]) -> None:
        for path in paths:
            book = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
            NotebookClient(book).execute()
            nbformat.write(book, folder / f"done-{path.name}")  # type: ignore[no-untyped-call]

    return run


def _papermill(folder: Path) -> Callable[[list[Path]], None]:
    import papermill  # noqa: PLC0415

    def run(paths: list[Path]) -> None:
        for path in paths:
            out = folder / f"done-{path.name}"
            papermill.execute_notebook(str(path), str(out), {"count": 2}, progress_bar=False)

    return run


def _runner(_folder: Path) -> Callable[[list[Path]], None]:
    gc_tuning.relax_gc()  # as every command of Champion begins
    from champion.runner import engine, run_notebook  # noqa: PLC0415
    from champion.settings import Settings  # noqa: PLC0415
    from champion.tracking import store  # noqa: PLC0415

    settings = Settings()
    store.prepare(settings)
    assert engine is not None  # noqa: S101 - imported before the watch starts

    def run(paths: list[Path]) -> None:
        for path in paths:
            run_notebook(settings, path, {"count": 2}, inputs={"nothing": "1"}, force=True)

    return run


def _flow(folder: Path) -> Callable[[list[Path]], None]:
    _runner(folder)  # its imports, outside of the watch
    from prefect import flow, task  # noqa: PLC0415

    from champion.runner import run_notebook  # noqa: PLC0415
    from champion.settings import Settings  # noqa: PLC0415
    from flows.notifications import HOOKS  # noqa: PLC0415
    from flows.run_tracking import prefect_ids, recorded  # noqa: PLC0415

    @task
    def one(path: Path, parent: str) -> None:
        tags = prefect_ids()
        given = {"count": 2}
        run_notebook(Settings(), path, given, inputs={"nothing": "1"}, parent_run_id=parent, tags=tags, force=True)

    @flow(name="trivial", **HOOKS)
    def trivial(paths: list[Path]) -> None:
        with recorded("trivial", "trivial", {}) as recording:
            for path in paths:
                one(path, recording.run_id)

    return trivial


if __name__ == "__main__":
    main()
