"""The table of results, as a page."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from textwrap import fill
from typing import Any

_SAID = 260
_HEAD = """# Faults

This page lists faults injected into the daily flow (`champion daily`: archive, lake, quality, features, warehouse,
scores, report), the message to the user, and the result of a rerun. `benchmarks/robustness/faults.py` writes the page
and describes the method. It runs real processes in a small workspace with a champion model ({instruments} simulated
instruments, {sessions}), with a fresh copy of the workspace for each fault.

**Equal** compares the workspace with a workspace without a fault. After the fault, the remedy is applied if there is
one, and the command is run once more. Then these conditions must hold:

- Every file of lake and staging has the same SHA-256, including manifests and records. Champion's clock is frozen in
  these runs (`SOURCE_DATE_EPOCH`), so no field is excluded as volatile. Locks, the carried state of feature builds (a
  cache), `_metadata` (an index for other readers), and files of a fault that were kept as evidence are not compared. If
  the fault changes the clock, rows are compared without `ingest_time` and `known_at`.
- Every table of the warehouse, including its ledgers, has the same count and the same sum of hashes of all columns.
- In the execution ledger the same notebooks succeeded once each, by name and identity (code, parameters, inputs), and
  the flow succeeded at least once. No run is marked as running, no record waits for delivery, and the champion is the
  same.

**Kept** compares immediately after the fault, before any rerun. Every existing file and every table must have the state
from before the run, or the state after a run without a fault. MLflow's database must be intact, and no process may be
left.
{count} cases, {equal} equal{others}.
"""


def written(results: Sequence[Mapping[str, Any]], *, instruments: int, sessions: str) -> str:
    """Return the page: a summary by kind of fault, kills by stage, and every other case in a line."""
    equal = sum(bool(result["equal"]) for result in results)
    others = "" if equal == len(results) else f", {len(results) - equal} not: see below"
    lines = [_HEAD.format(instruments=instruments, sessions=sessions, count=len(results), equal=equal, others=others)]
    kills = [result for result in results if result["group"].startswith("SIGKILL")]
    lines += ["## Kills", "", *_kills(kills), ""] if kills else []
    for group in dict.fromkeys(result["group"] for result in results if result not in kills):
        lines += [f"## {group[:1].upper()}{group[1:]}", "", *_cases([r for r in results if r["group"] == group]), ""]
    return "\n".join(lines)


def _kills(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a row for each stage: how many kills fell into it, and how many of their workspaces ended equal."""
    fallen, equal, halves = Counter[str](), Counter[str](), 0
    for result in results:
        for stage in result["place"].split("; "):
            fallen[stage] += 1
            equal[stage] += bool(result["equal"])
        halves += bool(result["halves"])
    boundaries = sum(result["group"].endswith("commit") for result in results)
    yield fill(
        f"{fallen.total()} kills in {len(results)} workspaces were tested. {boundaries} were before a commit, which is "
        "each file that appears in the workspace except figures and tables of pages. "
        f"{fallen.total() - boundaries} were at random instants, four in a row. Half of the kills hit all processes "
        "together, like a power cut; the others hit only the command, and its guard must end the kernel. Kept in "
        f"{len(results) - halves} of {len(results)}.",
        width=120,
    )
    yield ""
    yield from ("| killed in | kills | rerun equal |", "|---|---|---|")
    yield from (f"| {stage} | {count} | {equal[stage]} |" for stage, count in fallen.most_common())


def _cases(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from ("| fault | exit | message to the user | kept | again | equal |", "|---|---|---|---|---|---|")
    for one in results:
        what = f"{one['name']}" + (f": {one['detail']}" if one["detail"] else "")
        message = _cell(one["message"]) or ("nothing: it went well" if one["code"] == 0 else "-")
        kept = "yes" if not one["halves"] else _cell("; ".join(one["halves"]))
        again = f"{one['again']}" + (" after the remedy" if one["remedied"] is not None else "")
        yield f"| {_cell(what)} | {one['code']} | {message} | {kept} | {again} | {_equality(one)} |"


def _equality(one: Mapping[str, Any]) -> str:
    if one["equal"]:
        return "yes"
    wrong = [f"{place}: {'; '.join(names)}" for place, names in one["different"].items()]
    return _cell("; ".join([*wrong, *(f"left running: {name}" for name in one["left"])])) or "no"


def _cell(text: str) -> str:
    plain = " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
    if len(plain) <= _SAID:
        return plain
    cut = plain[:_SAID]
    return f"{cut.rpartition('`')[0] if cut.count('`') % 2 else cut}…"  # half a command is none
