"""The provenance graph: the inputs of a node, or the nodes derived from it, according to manifests and MLflow."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal

from champion.base.counting import quantity
from champion.tracking.runs import Run

State = Literal["same", "changed", "missing", "not recorded"]


@dataclass(frozen=True, slots=True)
class Node:
    """A published file, sessions of a dataset, a run or a model.

    `state` shows whether the present content equals the content recorded when something was derived from it. `count` is
    the number of sessions or files; `members` lists files and their SHA-256.
    """

    kind: Literal["file", "dataset", "run", "model"]
    name: str
    first: date | None = None
    last: date | None = None
    count: int = 1
    digest: str = ""
    state: State = "same"
    note: str = ""
    members: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def id(self) -> str:
        """The identifier of the node in its trace."""
        return " ".join(map(str, filter(None, [self.kind, self.name, self.first, self.last])))

    @property
    def span(self) -> str:
        """The sessions of the node as text; empty if it has none.

        >>> Node("dataset", "bars", date(2024, 1, 1), date(2024, 1, 5), 5).span
        '2024-01-01 to 2024-01-05, 5 sessions'
        """
        if self.first is None or self.first == self.last:
            return str(self.first or "")
        return f"{self.first} to {self.last}, {quantity(self.count, 'session')}"


def run_node(run: Run, state: State) -> Node:
    """Return the node of a recorded run."""
    return Node("run", f"run {run.run_id[:8]} of {run.name}", digest=run.run_id, state=state, note=run.outcome or "")


@dataclass(slots=True)
class Trace:
    """Nodes by id, starting with the root, and the links between them in the direction of the search."""

    root: str = ""
    nodes: dict[str, Node] = field(default_factory=dict)
    links: list[tuple[str, str]] = field(default_factory=list)

    def add(self, node: Node, below: Node | None = None) -> bool:
        """Add a node below another; return whether it is new, so that its own links must still be searched."""
        new = node.id not in self.nodes
        self.nodes.setdefault(node.id, node)
        self.root = self.root or node.id
        if below and (link := (below.id, node.id)) not in self.links:
            self.links.append(link)
        return new

    @property
    def is_whole(self) -> bool:
        """Whether every link holds: nothing has changed or is missing."""
        return all(node.state == "same" for node in self.nodes.values())

    @property
    def rows(self) -> list[dict[str, str]]:
        """The nodes for `plots.trace_graph`: id, kind, name, span and state."""
        columns = ("id", "kind", "name", "span", "state")
        return [{column: getattr(node, column) for column in columns} for node in self.nodes.values()]

    def walk(self) -> Iterator[tuple[int, Node, bool]]:
        """Yield depth, node, and whether it was yielded before, depth first."""
        seen: set[str] = set()
        stack = [(0, self.root)] if self.root else []
        while stack:
            depth, name = stack.pop()
            yield depth, self.nodes[name], name in seen
            if name not in seen:
                seen.add(name)
                stack += [(depth + 1, to) for of, to in reversed(self.links) if of == name]

    def as_dict(self) -> dict[str, Any]:
        """Return the trace as plain values."""
        nodes = [{"id": node.id, **asdict(node)} for node in self.nodes.values()]
        return {"root": self.root, "whole": self.is_whole, "nodes": nodes, "links": self.links}
