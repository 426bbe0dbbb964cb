"""The map of rooms: packages are rooms, imports between them are arrows, and no arrow leads back.

`python tests/house/test_rooms.py` prints the counts, and for each room its floor and the rooms that it imports.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOOSE = {"__init__", "__main__", "errors", "magic", "report", "settings", "workspace"}
MOST_FILES = 16
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for root in ("champion", "flows")
    for path in sorted((ROOT / root).rglob("*.py"))
}
FOLDERS = sorted({path.parent for path in MODULES.values()})


def room(module: str) -> str:
    """Return the room of a module: the package below `champion`, and below `champion.pipeline` the sub-package.

    >>> room("champion.pipeline.ingest.fetch"), room("champion.market.actions.adjustment"), room("flows.daily")
    ('champion.pipeline.ingest', 'champion.market', 'flows')
    """
    parts = module.split(".")
    return ".".join(parts[: 1 if parts[0] == "flows" else 3 if parts[1:2] == ["pipeline"] else 2])


def imported(path: Path) -> Iterator[str]:
    """Yield the modules of the project that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in names if node.module in MODULES)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)


def arrows() -> dict[str, set[str]]:
    """Return each room with the other rooms that it imports."""
    found: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        found.setdefault(room(module), set()).update({room(name) for name in imported(path)} - {room(module)})
    return found


def floors(rooms: dict[str, set[str]]) -> dict[str, int]:
    """Return the floor of each room: 0 imports no other room, all others stand above what they import.

    Raises:
        CycleError: rooms import each other.
    """
    found: dict[str, int] = {}
    for name in TopologicalSorter(rooms).static_order():
        found[name] = 1 + max((found[below] for below in rooms[name]), default=-1)
    return found


def test_no_rooms_import_each_other() -> None:
    assert floors(arrows())["champion.__main__"] == max(floors(arrows()).values())
    with pytest.raises(CycleError):
        floors({"lake": {"market"}, "market": {"lake"}})


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_package_holds_at_most_16_files(folder: Path) -> None:
    assert len(list(folder.glob("*.py"))) <= MOST_FILES


def test_only_entry_points_are_loose_modules() -> None:
    assert {path.stem for path in (ROOT / "champion").glob("*.py")} <= LOOSE


def test_contributing_has_a_line_for_every_room_and_names_files_that_are_there() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text()
    packages = {name.replace(".", "/") + "/" for name in arrows() if MODULES[name].name == "__init__.py"}
    assert set(re.findall(r"^\| `([\w/]+/)` \|", page, re.MULTILINE)) == packages - {"champion/", "champion/pipeline/"}
    named = re.findall(
        r"`((?:champion|flows|docs|notebooks|schemas|sql|tests)/[\w./]*|[\w.]+\.(?:yaml|lock|yml))`", page
    )
    assert [path for path in named if not (ROOT / path).exists()] == []


if __name__ == "__main__":
    ROOMS, LEVELS = arrows(), floors(arrows())
    print(f"{len(ROOMS)} rooms, {1 + max(LEVELS.values())} floors, {sum(map(len, ROOMS.values()))} arrows")  # noqa: T201
    for NAME in sorted(ROOMS, key=lambda name: (-LEVELS[name], name)):
        print(f"{LEVELS[NAME]:>2} {NAME} -> {', '.join(sorted(ROOMS[NAME]))}")  # noqa: T201
