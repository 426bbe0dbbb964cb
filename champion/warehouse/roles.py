"""Access to a shared server: roles, their users, and an audit of statements. The embedded engine has no users."""

import re
from typing import Literal, get_args

import polars as pl
from pydantic import SecretStr

from champion.base import package_data
from champion.errors import WarehouseError
from champion.warehouse.engine.database import Executor, refusals
from champion.warehouse.engine.query import frame
from champion.warehouse.engine.statements import split

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
    """Create the roles and grant their rights.

    Raises:
        WarehouseError: the engine is embedded, or the connected user may not manage access.
    """
    with refusals("creating roles (a server is needed, and a user with access management)"):
        for statement in statements():
            client.command(statement)


def user_statements(user: str, role: Role, password: SecretStr) -> list[str]:
    """Return the statements that create a user, or change its password, with exactly one role.

    Raises:
        WarehouseError: the name is not one word, the role is unknown, or the password is too short.

    >>> from pydantic import SecretStr
    >>> user_statements("asha", "analyst", SecretStr("correct horse battery"))[2:]
    ['revoke all on *.* from asha', 'grant analyst to asha with replace option', 'set default role analyst to asha']
    """
    if not _USER.fullmatch(user):
        raise WarehouseError(
            f"user {user!r}: a name consists of letters, digits and underscores, and does not start with a digit"
        )
    if role not in get_args(Role):
        raise WarehouseError(f"role {role!r} is unknown; the roles are {', '.join(get_args(Role))}")
    secret = password.get_secret_value()
    if len(secret) < _SHORTEST_PASSWORD:
        raise WarehouseError(
            f"the password of {user} has {len(secret)} characters; it needs at least {_SHORTEST_PASSWORD}"
        )
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
    """Create a user with one role, or change the role and password of an existing user.

    Raises:
        WarehouseError: as `user_statements`, or the server refused; the message does not contain the password.
    """
    for statement in user_statements(user, role, password):
        try:
            with refusals(f"adding the user {user} (a server is needed, and a user with access management)"):
                client.command(statement)
        except WarehouseError as error:
            raise WarehouseError(str(error).replace(password.get_secret_value(), "***")) from None


def audit(client: Executor, days: int = 1, rows: int = 100) -> pl.DataFrame:
    """Return the latest statements of the last days, newest first, with time, user, tables and duration.

    Raises:
        WarehouseError: the engine has no query log; the embedded one never has.
    """
    if not client.command("exists table system.query_log"):
        raise WarehouseError(
            "this engine has no query log: the embedded engine has no users to audit, and a server writes its log a "
            "few seconds after its first query (`query_log` in its configuration)"
        )
    return frame(client, _text("audit"), {"days": days, "rows": rows})


def _text(name: str) -> str:
    return (package_data.folder("sql") / "access" / f"{name}.sql").read_text(encoding="utf-8")
