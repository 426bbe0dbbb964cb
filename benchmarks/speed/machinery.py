"""The overhead of the machinery: three trivial notebooks by papermill, by the runner, and as a flow with its ledger.

`.venv/bin/python benchmarks/speed/machinery.py [--repeats 5] [--json PATH]`. Each variant runs in its own process,
alternating; the Prefect server is up beforehand, as in daily use. `process` is the whole process with its imports,
`inside` the three notebooks after the imports. Medians of seconds; kernels are included.
"""

import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import nbformat

from benchmarks import meter
from champion.base import gc_tuning

COUNT = 3
Run = Callable[[list[Path]], object]


def main() -> None:
    """Measure and print."""
    given = meter.arguments(__doc__, repeats=5, json=Path, way=str, folder=Path)
    if given.way:  # in its own process
        paths = [_notebook(given.folder, number) for number in range(COUNT)]
        run = _WAYS[given.way](given.folder)
        _, cost = meter.measured(lambda: run(paths))
        print(json.dumps({"wall": cost.wall, "cpu": cost.cpu}))
        return
    from champion.services import prefect  # noqa: PLC0415 - no part of the cost of papermill
    from champion.settings import Settings  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder) / "home", archive=folder)
        try:
            quiet = {**prefect.environment(settings, prefect.ensure(settings)), "PREFECT_LOGGING_LEVEL": "CRITICAL"}
            figures = _measure({**settings.environment(), **quiet}, folder, given.repeats)
        finally:
            prefect.stop(settings)
    meter.write_json(given.json, figures)
    columns = list(figures["flow"])
    rows: list[list[object]] = [[way, *values.values()] for way, values in figures.items()]
    rows.append(["flow over papermill", *(figures["flow"][name] - figures["papermill"][name] for name in columns)])
    meter.print_table(f"{COUNT} trivial notebooks, seconds; {meter.machine()}", ["way", *columns], rows)


def _measure(variables: dict[str, str], folder: str, repeats: int) -> dict[str, dict[str, float]]:
    costs: dict[str, list[dict[str, float]]] = {way: [] for way in _WAYS}
    for repeat in range(repeats + 1):
        for way in _WAYS:
            printed, cost = meter.run([sys.executable, __file__, "--way", way, "--folder", folder], variables)
            inside = json.loads(printed.splitlines()[-1])
            if repeat:  # the first time compiles, creates tables and fills caches
                names = {"process wall": cost.wall, "process cpu": cost.cpu}
                costs[way].append(names | {f"inside {name}": seconds for name, seconds in inside.items()})
    return {
        way: {name: statistics.median(one[name] for one in all_) for name in all_[0]} for way, all_ in costs.items()
    }


def _notebook(folder: Path, number: int) -> Path:
    cells = [
        nbformat.v4.new_code_cell("count: int = 1", metadata={"tags": ["parameters"]}),  # type: ignore[no-untyped-call]
        nbformat.v4.new_code_cell(f"count + {number}"),  # type: ignore[no-untyped-call]
    ]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path = folder / f"trivial{number}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)  # type: ignore[no-untyped-call]
    return path


def _papermill(folder: Path) -> Run:
    from papermill import execute_notebook  # noqa: PLC0415

    return lambda paths: [
        execute_notebook(str(path), str(folder / f"done-{path.name}"), {"count": 2}, progress_bar=False)
        for path in paths
    ]


def _runner(_folder: Path) -> Run:
    gc_tuning.relax_gc()  # as every command of Champion begins
    from champion.runner import NotebookRequest, engine, run_notebook  # noqa: PLC0415
    from champion.settings import Settings  # noqa: PLC0415
    from champion.tracking import store  # noqa: PLC0415

    settings = Settings()
    store.prepare(settings)
    assert engine is not None  # noqa: S101 - imported before the measurement
    return lambda paths: [
        run_notebook(settings, NotebookRequest(path, {"count": 2}, inputs={"nothing": "1"}, force=True))
        for path in paths
    ]


def _flow(folder: Path) -> Run:
    _runner(folder)  # its imports, before the measurement
    from prefect import flow, task  # noqa: PLC0415

    from champion.runner import NotebookRequest, run_notebook  # noqa: PLC0415
    from champion.settings import Settings  # noqa: PLC0415
    from flows.notifications import HOOKS  # noqa: PLC0415
    from flows.run_tracking import prefect_ids, record_flow  # noqa: PLC0415

    @task
    def one(path: Path, parent: str) -> None:
        parameters, inputs, tags = {"count": 2}, {"nothing": "1"}, prefect_ids()
        run_notebook(
            Settings(), NotebookRequest(path, parameters, inputs=inputs, parent_run_id=parent, tags=tags, force=True)
        )

    @flow(name="trivial", **HOOKS)
    def trivial(paths: list[Path]) -> None:
        with record_flow("trivial", "trivial", {}) as recording:
            for path in paths:
                one(path, recording.run_id)

    return trivial


_WAYS: dict[str, Callable[[Path], Run]] = {
    "papermill": _papermill,
    "runner": _runner,
    "flow": _flow,
}


if __name__ == "__main__":
    main()
