"""Who may do what on a shared server: roles, users by them, and what they asked. The embedded engine has no users."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, get_args

from champion.base import package_data
from champion.errors import WarehouseError
from champion.warehouse.engine.database import Executor, refusals
from champion.warehouse.engine.query import frame
from champion.warehouse.engine.statements import split

if TYPE_CHECKING:
    import polars as pl
    from pydantic import SecretStr

Role = Literal["analyst", "pipeline_writer", "data_admin"]
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_SHORTEST_PASSWORD = 12


def statements() -> list[str]:
    """Return the statements that create the roles and grant their rights.

    >>> statements()[0]
    'create role if not exists analyst, pipeline_writer, data_admin'
    """
    return split(_text("roles"))


def apply_access(client: Executor) -> None:
    """Create the roles and grant their rights; `add_user` gives one to a user.

    Raises:
        WarehouseError: the engine is the embedded one, or the connected user may not manage access.
    """
    with refusals("creating roles (a server is needed, and a user with access management)"):
        for statement in statements():
            client.command(statement)


def user_statements(user: str, role: Role, password: SecretStr) -> list[str]:
    """Return the statements that create a user, or give it a new password, with one role and no other.

    Raises:
        WarehouseError: the name is not one word, the role is none of ours, or the password is short.

    >>> from pydantic import SecretStr
    >>> user_statements("asha", "analyst", SecretStr("correct horse battery"))[2:]
    ['revoke all on *.* from asha', 'grant analyst to asha with replace option', 'set default role analyst to asha']
    """
    if not _USER.fullmatch(user):
        raise WarehouseError(f"user {user!r}: a name is letters, digits and underscores, and begins with no digit")
    if role not in get_args(Role):
        raise WarehouseError(f"role {role!r}: there are {', '.join(get_args(Role))}")
    secret = password.get_secret_value()
    if len(secret) < _SHORTEST_PASSWORD:
        raise WarehouseError(f"the password of {user} has {len(secret)} characters; {_SHORTEST_PASSWORD} are the least")
    quoted = secret.replace("\\", "\\\\").replace("'", "\\'")
    identified = f"identified with sha256_password by '{quoted}'"
    return [
        f"create user if not exists {user} {identified}",
        f"alter user {user} {identified}",
        f"revoke all on *.* from {user}",
        f"grant {role} to {user} with replace option",
        f"set default role {role} to {user}",
    ]


def add_user(client: Executor, user: str, role: Role, password: SecretStr) -> None:
    """Create a user of one role, or give an old one another role or password.

    Raises:
        WarehouseError: as `user_statements`, or the server refused; the message never holds the password.
    """
    for statement in user_statements(user, role, password):
        try:
            with refusals(f"adding the user {user} (a server is needed, and a user with access management)"):
                client.command(statement)
        except WarehouseError as error:
            told = str(error).replace(password.get_secret_value(), "***")
            raise WarehouseError(told) from None


def audit(client: Executor, days: int = 1, rows: int = 100) -> pl.DataFrame:
    """Return the last statements of the last days, newest first: when, who, what, on which tables, how long.

    Raises:
        WarehouseError: the engine keeps no query log, as the embedded one does not.
    """
    if not client.command("exists table system.query_log"):
        raise WarehouseError(
            "this engine keeps no query log: the embedded one has no users to audit, and a server writes its log a few "
            "seconds after its first query (`query_log` in its configuration)"
        )
    return frame(client, _text("audit"), {"days": days, "rows": rows})


def _text(name: str) -> str:
    return (package_data.folder("sql") / "access" / f"{name}.sql").read_text(encoding="utf-8")
