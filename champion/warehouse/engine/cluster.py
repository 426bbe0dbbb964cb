"""A cluster of ClickHouse replicas: one server executes each statement on all of them, with replicated tables.

1. Statements that create, drop, rename or grant get `on cluster`, so that every replica executes them.
2. Engines of the MergeTree family become their Replicated kind. The servers' configuration holds its default path
   (`{uuid}`, `{shard}`, `{replica}`).
3. Statements that alter or fill a table stay as they are, because a replicated table passes the change on. On the
   whole cluster, the swap of a month could run on a replica that the staged rows have not reached yet.
"""

import re
from typing import Any, cast

from champion.errors import WarehouseError
from champion.warehouse.engine.database import DATABASE, Executor
from champion.warehouse.engine.statements import mask

_NAME = r"[`\"']?[\w.]+[`\"']?"
_NAMES = rf"{_NAME}(?:\s*,\s*{_NAME})*"
_EXISTS = r"(?:if\s+not\s+exists\s+|if\s+exists\s+)?(?:if\s+empty\s+)?"
_AFTER = re.compile(  # `on cluster` follows the match
    rf"""\A\s*(?:
        create\s+(?:or\s+replace\s+)?(?:materialized\s+)?(?:table|view|database|dictionary|function)\s+{_EXISTS}{_NAME}
      | create\s+(?:user|role|quota|row\s+policy|settings\s+profile)\s+(?:or\s+replace\s+)?{_EXISTS}{_NAMES}
      | (?:drop|detach)\s+(?:table|view|database|dictionary|function)\s+{_EXISTS}{_NAME}
      | drop\s+(?:user|role|quota|settings\s+profile)\s+{_EXISTS}{_NAMES}
      | alter\s+(?:user|role|quota|settings\s+profile)\s+{_EXISTS}{_NAMES}
      | (?:rename|exchange)\s+(?:table|tables|database)\s+.*\S
      | grant\b | revoke\b
    )""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_PLAIN = re.compile(
    r"\A\s*(?:alter\s+table|truncate|insert|select|with|exists|explain|show|describe|desc|use|set|optimize|system|check|kill|backup"
    r"|restore|\()\b",
    re.IGNORECASE,
)
_DEFAULT_ROLE = re.compile(
    rf"\A\s*set\s+default\s+role\s+(?P<role>{_NAMES})\s+to\s+(?P<user>{_NAMES})\s*\Z", re.IGNORECASE
)
_SINGLE = (
    "select name from system.tables where database = {database:String} and engine like '%MergeTree' "
    "and engine not like 'Replicated%' and engine not like 'Shared%' order by name"
)
_ENGINE = re.compile(r"\bengine\s*=\s*(?P<kind>(?!Replicated|Shared)\w*MergeTree)\b", re.IGNORECASE)


def render(statement: str, cluster: str) -> str:
    """Return the statement that executes `statement` on all replicas of `cluster`.

    Raises:
        WarehouseError: the kind of statement is not known to be safe on a cluster.

    >>> render("create table if not exists t (a Int8) engine = MergeTree order by a", "ours")
    "create table if not exists t on cluster 'ours' (a Int8) engine = ReplicatedMergeTree order by a"
    """
    if default := _DEFAULT_ROLE.match(statement):  # it has no `on cluster`
        statement = f"alter user {default['user']} default role {default['role']}"
    code = mask(statement)
    found = _AFTER.match(code)
    if found is None:
        if _PLAIN.match(code):
            return statement
        raise WarehouseError(f"on the cluster {cluster}: {code.split()[:3]} is not known; add it to cluster.py")
    engine = _ENGINE.search(code)
    if engine:
        statement = f"{statement[: engine.start('kind')]}Replicated{statement[engine.start('kind') :]}"
    return f"{statement[: found.end()]} on cluster '{cluster}'{statement[found.end() :]}"


class ClusterExecutor:
    """Executes statements on all replicas of `cluster` through the client of one server."""

    def __init__(self, client: Executor, cluster: str) -> None:
        self._client, self._cluster = client, cluster
        self.query, self.query_arrow, self.raw_query = client.query, client.query_arrow, client.raw_query
        self.insert, self.insert_arrow = client.insert, client.insert_arrow

    @property
    def database(self) -> str | None:
        """The database of unqualified names."""
        return self._client.database

    @database.setter
    def database(self, name: str | None) -> None:
        self._client.database = name

    def command(
        self, cmd: str, parameters: dict[str, Any] | None = None, *, settings: dict[str, Any] | None = None
    ) -> Any:
        """Execute a statement on all replicas and return the single value of its result, if it has one.

        Raises:
            WarehouseError: as `render`.
        """
        return self._client.command(render(cmd, self._cluster), parameters, settings=settings)


def on_cluster(client: Executor, cluster: str) -> Executor:
    """Return an executor on all replicas of `cluster`.

    Raises:
        WarehouseError: the server knows no such cluster; the cluster has several shards, so that no replica holds every
            row; or the warehouse has tables that do not replicate.
    """
    if single := [name for (name,) in client.query(_SINGLE, parameters={"database": DATABASE}).result_rows]:
        raise WarehouseError(
            f"the warehouse was created without a cluster: {', '.join(single[:3])} ({len(single)} tables) are on this "
            "server alone; empty it, run `champion warehouse migrate`, and load it again from the lake"
        )
    rows = client.query("select cluster, uniqExact(shard_num) from system.clusters group by cluster").result_rows
    known = {str(name): int(shards) for name, shards in rows}
    if cluster not in known:
        raise WarehouseError(
            f"the server knows no cluster {cluster!r} (CHAMPION_WAREHOUSE_CLUSTER); it knows {sorted(known) or 'none'}"
        )
    if known[cluster] > 1:
        raise WarehouseError(
            f"the cluster {cluster!r} has {known[cluster]} shards; the warehouse is replicated whole, on one shard of "
            "several replicas: define such a cluster in the servers' remote_servers"
        )
    return cast("Executor", ClusterExecutor(client, cluster))
