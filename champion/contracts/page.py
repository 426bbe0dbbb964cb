"""Write the page about the contracts (`docs/contracts.md`) from the contracts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from champion.contracts.catalog import load, names, versions
from champion.contracts.contract import Contract, Field

_INTRODUCTION = """\
# Contracts

Written from `schemas/` by `champion schema docs > docs/contracts.md`; a test keeps it current. Each dataset has one
Avro record per major version. Null means that the source gives no value. A row breaks a rule only if the rule is
false for it. What may change within a version is in `champion/contracts/evolution.py`, and `champion schema check`
compares with the last release.
"""


def page() -> str:
    """Return the page as Markdown."""
    contracts = [load(name, version) for name in names() for version in versions(name)]
    listed = _table(("Contract", "What it holds"), ((f"[{_title(c)}](#{_title(c)})", c.doc) for c in contracts))
    return "\n".join([_INTRODUCTION, *listed, *(line for contract in contracts for line in _section(contract))]) + "\n"


def _section(contract: Contract) -> Iterator[str]:
    yield from ("", f"## {_title(contract)}", "", contract.doc, "")
    yield from _table(("", ""), _facts(contract))
    if contract.rules:
        yield ""
        rules = ((name, f"`{rule}`") for name, rule in contract.rules.items())
        yield from _table(("Rule", "Holds unless false"), rules)
    yield ""
    rows = ((f.name, _type(f), f.clickhouse, f.unit or "", "yes" if f.nullable else "", f.doc) for f in contract.fields)
    yield from _table(("Field", "Type", "ClickHouse", "Unit", "Null", "Meaning"), rows)


def _facts(contract: Contract) -> Iterator[tuple[str, str]]:
    yield "Layer, dataset", f"{contract.layer}, {contract.dataset}"
    yield "Schema version", contract.schema_version
    yield "Key", ", ".join(contract.key)
    yield "Session", contract.session
    yield "Partitioned by", ", ".join(contract.partition_by)
    yield "Sorted by", ", ".join(contract.sort_by)
    if contract.groups:
        yield "Groups", "; ".join(f"{group}: {', '.join(columns)}" for group, columns in contract.groups.items())
    kept = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in contract.retention.items())
    yield "Retention", kept or "kept for good"


def _type(field: Field) -> str:
    return re.sub(r"Datetime\(time_unit='(.s)', time_zone='UTC'\)", r"Datetime(\1, UTC)", str(field.types.polars))


def _title(contract: Contract) -> str:
    return f"{contract.name}_v{contract.version}"


def _table(head: Sequence[str], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for row in (head, ("---",) * len(head), *rows):
        cells = (cell.replace("|", "\\|") for cell in row)
        yield f"| {' | '.join(cells)} |"
