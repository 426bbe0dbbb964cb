"""Roles and grants for a shared server: `sql/access/roles.sql`. The embedded engine has no users to protect from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from champion import resources
from champion.warehouse.engine import refusals
from champion.warehouse.statements import split

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def statements() -> list[str]:
    """Return the statements that create the roles and grant their rights.

    >>> statements()[0]
    'create role if not exists analyst, pipeline_writer, data_admin'
    """
    return split((resources.folder("sql") / "access" / "roles.sql").read_text(encoding="utf-8"))


def apply_access(client: Client) -> None:
    """Create the roles and grant their rights; users are given a role by whoever runs the server.

    Raises:
        WarehouseError: the engine is the embedded one, or the connected user may not manage access.
    """
    with refusals("creating roles (a server is needed, and a user with access management)"):
        for statement in statements():
            client.command(statement)
