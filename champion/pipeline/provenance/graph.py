"""What something was made from, or what was made from it, as a graph: read from manifests, ledger and registry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal

from champion.base.counting import quantity

State = Literal["same", "changed", "missing", "not recorded"]


@dataclass(frozen=True, slots=True)
class Node:
    """A published file, sessions of a dataset, a run or a model.

    `state` says whether what lies there now is what was recorded when something was made of it; `count` is of sessions
    or files, `members` names files and their SHA-256 one by one.
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
        """What tells it from all others of the trace."""
        return " ".join(map(str, filter(None, [self.kind, self.name, self.first, self.last])))

    @property
    def span(self) -> str:
        """Its sessions as a text; empty where it has none.

        >>> Node("dataset", "bars", date(2024, 1, 1), date(2024, 1, 5), 5).span
        '2024-01-01 to 2024-01-05, 5 sessions'
        """
        if self.first is None or self.first == self.last:
            return str(self.first or "")
        return f"{self.first} to {self.last}, {quantity(self.count, 'session')}"


@dataclass(slots=True)
class Trace:
    """Nodes by id, the first the one asked about, and the links between them in the direction asked for."""

    root: str = ""
    nodes: dict[str, Node] = field(default_factory=dict)
    links: list[tuple[str, str]] = field(default_factory=list)

    def add(self, node: Node, below: Node | None = None) -> bool:
        """Put a node below another; return whether it is new, so that what lies below it is still to be found."""
        new = node.id not in self.nodes
        self.nodes.setdefault(node.id, node)
        self.root = self.root or node.id
        link = (below.id, node.id) if below else None
        if link and link not in self.links:
            self.links.append(link)
        return new

    @property
    def is_whole(self) -> bool:
        """Whether every link holds: nothing changed or went missing since."""
        return all(node.state == "same" for node in self.nodes.values())

    @property
    def rows(self) -> list[dict[str, str]]:
        """The nodes as `plots.trace_graph` takes them: id, kind, name, span and state."""
        return [
            {"id": node.id, "kind": node.kind, "name": node.name, "span": node.span, "state": node.state}
            for node in self.nodes.values()
        ]

    def walk(self) -> Iterator[tuple[int, Node, bool]]:
        """Yield depth, node and whether it was told before, in the order in which a tree is read."""
        told: set[str] = set()
        waiting = [(0, self.root)] if self.root else []
        while waiting:
            depth, name = waiting.pop()
            yield depth, self.nodes[name], name in told
            if name not in told:
                told.add(name)
                below = [to for of, to in self.links if of == name]
                waiting += [(depth + 1, to) for to in reversed(below)]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        nodes = [{"id": node.id, **asdict(node)} for node in self.nodes.values()]
        return {"root": self.root, "whole": self.is_whole, "nodes": nodes, "links": self.links}
