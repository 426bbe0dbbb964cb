"""A cluster of ClickHouse replicas: the same statements, said to all of them, with engines that replicate.

1. What creates, drops, renames or grants gets `on cluster`, so that every replica does it.
2. Engines of the MergeTree family become their Replicated kind, whose default path (`{uuid}`, `{shard}`, `{replica}`)
   the servers' own configuration holds.
3. What alters a table or fills it stays as it is: a replicated table passes it on by itself, and said to the cluster,
   a swap of a month could run where the staged rows have not arrived yet.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from champion.errors import WarehouseError
from champion.warehouse.engine.database import DATABASE
from champion.warehouse.engine.statements import masked

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_NAME = r"[`\"']?[\w.]+[`\"']?"
_NAMES = rf"{_NAME}(?:\s*,\s*{_NAME})*"
_EXISTS = r"(?:if\s+not\s+exists\s+|if\s+exists\s+)?(?:if\s+empty\s+)?"
_AFTER = re.compile(  # what `on cluster` follows
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
_SINGLE = """
select name
from system.tables
where
    database = {database:String}
    and engine like '%MergeTree'
    and engine not like 'Replicated%'
    and engine not like 'Shared%'
order by name
"""
_ENGINE = re.compile(r"\bengine\s*=\s*(?P<kind>(?!Replicated|Shared)\w*MergeTree)\b", re.IGNORECASE)


def rendered(statement: str, cluster: str) -> str:
    """Return a statement as all replicas of `cluster` should hear it.

    Raises:
        WarehouseError: it is of a kind that has not been thought through for a cluster.

    >>> rendered("create table if not exists t (a Int8) engine = MergeTree order by a", "ours")
    "create table if not exists t on cluster 'ours' (a Int8) engine = ReplicatedMergeTree order by a"
    """
    if default := _DEFAULT_ROLE.match(statement):  # the same, of a kind that knows clusters
        statement = f"alter user {default['user']} default role {default['role']}"
    code = masked(statement)
    found = _AFTER.match(code)
    if found is None:
        if _PLAIN.match(code):
            return statement
        raise WarehouseError(f"on the cluster {cluster}: {code.split()[:3]} is not known; teach it to cluster.py")
    engine = _ENGINE.search(code)
    if engine:
        statement = f"{statement[: engine.start('kind')]}Replicated{statement[engine.start('kind') :]}"
    return f"{statement[: found.end()]} on cluster '{cluster}'{statement[found.end() :]}"


def on_cluster(client: Client, cluster: str) -> Client:
    """Return the client of a server, whose commands from now on reach all replicas of `cluster`.

    Raises:
        WarehouseError: the server knows no such cluster; its data is spread over several shards, where a replica does
            not hold every row; or there are tables already that do not replicate.
    """
    if single := [name for (name,) in client.query(_SINGLE, parameters={"database": DATABASE}).result_rows]:
        raise WarehouseError(
            f"the warehouse was made without a cluster: {', '.join(single[:3])} ({len(single)} tables) are on this "
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
    plain = client.command

    def command(cmd: str, *arguments: Any, **options: Any) -> Any:
        return plain(rendered(cmd, cluster), *arguments, **options)

    client.command = command  # type: ignore[method-assign] # one seam for migrations, staging tables and grants alike
    return client
