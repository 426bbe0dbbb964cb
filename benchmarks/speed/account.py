"""Who caused what a command cost: the work, its notebooks, MLflow, Prefect; from what probe.py saw in each process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.meter import Cost, Finished

WORK, NOTEBOOKS, MLFLOW, PREFECT, PYTHON, OTHER = "work", "notebooks", "MLflow", "Prefect", "Python", "not explained"
_WORK = ("champion.pipeline.", "champion.modeling.metrics.", "champion.modeling.training.")
_NOTEBOOK_PACKAGES = frozenset({"papermill", "nbclient", "nbformat", "nbconvert", "jupyter_client", "jupyter_core"})


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a command's cost, and who caused it."""

    name: str
    owner: str
    cost: Cost


@dataclass(frozen=True, slots=True)
class Seen:
    """What the probe saw in one process, until it `ended` or, in a kernel, until its last cell did.

    `boot` is a kernel's start, `children` the CPU of processes it waited for, `executed` when notebooks were done;
    times of the clock.
    """

    boot: Cost | None
    cpu: float
    children: float
    ended: float
    executed: list[float]
    labels: Mapping[str, Cost]

    def total(self, wanted: Callable[[str], bool] = lambda _: True) -> Cost:
        """Return the cost under all labels wanted."""
        return sum((cost for label, cost in self.labels.items() if wanted(label)), Cost())


def read(path: Path) -> Seen:
    """Return what the probe wrote at the end of a process."""
    account = json.loads(path.read_bytes())
    boot, labels = account["boot"], account["totals"]
    return Seen(
        boot=Cost(boot["wall"], boot["cpu"]) if boot else None,
        cpu=account["cpu"],
        children=account["children"],
        ended=account["ended"],
        executed=account["executed"],
        labels={label: Cost(wall, cpu) for label, (_, wall, cpu) in labels.items()},
    )


def attribute(done: Finished, command: Seen, kernels: list[Seen], client: Cost) -> list[Part]:
    """Return the parts of a command's cost, the last of them what nothing explains.

    `client` is what an empty flow costs beside its imports and its end.
    """
    ending_cpu = done.cost.cpu - command.cpu - command.children
    parts = [
        Part("the work, wherever it ran", WORK, _over([command, *kernels], _starts(*_WORK))),
        *_of_kernels(command, kernels),
        Part("supervisor: HTML of the notebooks", NOTEBOOKS, command.total(_starts("champion.runner.html_report."))),
        Part("supervisor: hashes of code and packages", NOTEBOOKS, command.total(_starts("champion.runner.identity."))),
        Part("supervisor: imports of notebook libraries", NOTEBOOKS, command.total(_imports(_NOTEBOOK_PACKAGES))),
        Part("command: imports of mlflow", MLFLOW, command.total(_imports({"mlflow"}))),
        Part("kernels: imports of mlflow", MLFLOW, _over(kernels, _imports({"mlflow"}))),
        Part("runs, registry, promotion", MLFLOW, _over([command, *kernels], _starts("champion.tracking."))),
        Part("command: imports of prefect", PREFECT, command.total(_imports({"prefect"}))),
        Part("flow and tasks, as an empty flow has", PREFECT, client),
        Part("command: imports of all else", PYTHON, command.total(_other_imports)),
        Part("command: end of Python", PYTHON, Cost(done.ended - command.ended, ending_cpu)),
    ]
    return [*parts, Part("remainder", OTHER, done.cost - sum((part.cost for part in parts), Cost()))]


def shares(parts: Iterable[Part], server_cpu: float) -> list[tuple[str, float, float]]:
    """Return each owner's wall and CPU seconds; Prefect's with those of its server."""
    found = {owner: Cost() for owner in (WORK, NOTEBOOKS, MLFLOW, PREFECT, PYTHON, OTHER)}
    for part in parts:
        found[part.owner] += part.cost
    found[PREFECT] += Cost(cpu=server_cpu)
    return [(owner, cost.wall, cost.cpu) for owner, cost in found.items()]


def imports(seen: Iterable[Seen], least: float = 0.1) -> list[tuple[str, float]]:
    """Return the CPU seconds of each package's imports, the dearest first."""
    found: dict[str, float] = {}
    for process in seen:
        for label, cost in process.labels.items():
            if label.startswith("import "):
                found[label[7:]] = found.get(label[7:], 0.0) + cost.cpu
    return sorted(((name, cpu) for name, cpu in found.items() if cpu >= least), key=lambda entry: -entry[1])


def _of_kernels(command: Seen, kernels: list[Seen]) -> list[Part]:
    boots = sum((kernel.boot for kernel in kernels if kernel.boot), Cost())
    inside = boots + _over(kernels, lambda _: True)
    until_last_cell = sum(kernel.cpu for kernel in kernels)
    ending = Cost(sum(command.executed) - sum(kernel.ended for kernel in kernels), command.children - until_last_cell)
    messages = command.total(_starts("champion.runner.engine.")) + Cost(cpu=until_last_cell) - inside
    messages -= Cost(ending.wall)
    libraries = _over(kernels, lambda label: _other_imports(label) or _imports(_NOTEBOOK_PACKAGES)(label))
    return [
        Part("kernels: start", NOTEBOOKS, boots),
        Part("kernels: imports but mlflow", NOTEBOOKS, libraries),
        Part("kernels: plots", NOTEBOOKS, _over(kernels, _starts("cell plots"))),
        Part("kernels: publishing figures and tables", NOTEBOOKS, _over(kernels, _starts("cell publish"))),
        Part("kernels: other cells, beside the work", NOTEBOOKS, _over(kernels, _starts("cell other"))),
        Part("kernels: after the last cell", NOTEBOOKS, ending),
        Part("papermill and messages", NOTEBOOKS, messages),
    ]


def _over(seen: Iterable[Seen], wanted: Callable[[str], bool]) -> Cost:
    return sum((process.total(wanted) for process in seen), Cost())


def _starts(*prefixes: str) -> Callable[[str], bool]:
    return lambda label: label.startswith(prefixes)


def _imports(packages: Iterable[str]) -> Callable[[str], bool]:
    labels = {f"import {name}" for name in packages}
    return lambda label: label in labels


def _other_imports(label: str) -> bool:
    return label.startswith("import ") and label[7:] not in {"mlflow", "prefect", *_NOTEBOOK_PACKAGES}
