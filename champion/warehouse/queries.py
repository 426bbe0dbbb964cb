"""Named queries: the files of `sql/queries/`, whose first comment says what each answers and its parameters."""

from __future__ import annotations

from champion import resources
from champion.errors import WarehouseError


def names() -> list[str]:
    """Return the names of the queries.

    >>> "movers" in names()
    True
    """
    return sorted(path.stem for path in (resources.folder("sql") / "queries").glob("*.sql"))


def load(name: str) -> str:
    """Return the text of the query of that name, to pass to `sql` with its parameters.

    Raises:
        WarehouseError: there is none of that name.

    >>> load("movers").startswith("-- ")
    True
    """
    if name not in names():
        raise WarehouseError(f"no query is named {name!r}; there are: {', '.join(names())}")
    return (resources.folder("sql") / "queries" / f"{name}.sql").read_text(encoding="utf-8")
