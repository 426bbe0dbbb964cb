"""The page of results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from textwrap import fill
from typing import Any

_SAID = 260
_HEAD = """# Faults

Each fault of the daily flow (`champion daily`: archive, lake, quality, features, warehouse, scores, report), the error
message, and the result of running the command again. Written by `benchmarks/robustness/faults.py`, whose first lines
explain how to repeat it: real processes in a small workspace with a champion model ({instruments} simulated
instruments, {sessions}), each fault in a fresh copy of it.

**Equal** is checked after the fault is over and the command has run once more (after the remedy, if there is one):

- Every file of lake and staging has the same SHA-256 as in an undisturbed workspace, manifests and records included.
  Champion's clock is fixed in these runs (`SOURCE_DATE_EPOCH`), so no file is left out because of its time. Left out
  are locks, the state of feature builds (a cache), `_metadata` (an index for other readers), and damaged bytes that
  were set aside as evidence. In cases that move the clock, rows are compared without `ingest_time` and `known_at`.
- Every table of the warehouse, its ledger of loads included, has the same number of rows and the same sum of hashes of
  all columns.
- In the ledger the same notebooks succeeded, by name and identity (code, parameters, inputs), each once; the flow
  succeeded at least once; no run is open, no record waits beside the lake; the champion is the same.

**Kept** means that right after the fault, before anything is run again, every file and every table is either as before
the run or as after an undisturbed one, and that MLflow's database is intact. No process may be left. {count} cases,
{equal} equal{others}.
"""


def written(results: Sequence[Mapping[str, Any]], *, instruments: int, sessions: str) -> str:
    """Return the page: kills by stage, and every other case in a line."""
    equal = sum(bool(result["equal"]) for result in results)
    others = "" if equal == len(results) else f", {len(results) - equal} not: see below"
    lines = [_HEAD.format(instruments=instruments, sessions=sessions, count=len(results), equal=equal, others=others)]
    kills = [result for result in results if result["group"].startswith("SIGKILL")]
    lines += ["## Kills", "", *_kills(kills), ""] if kills else []
    for group in dict.fromkeys(result["group"] for result in results if result not in kills):
        lines += [f"## {group[:1].upper()}{group[1:]}", "", *_cases([r for r in results if r["group"] == group]), ""]
    return "\n".join(lines)


def _kills(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a row for each stage: the number of kills in it, and of workspaces that ended equal."""
    fallen, equal, halves = Counter[str](), Counter[str](), 0
    for result in results:
        for stage in result["place"].split("; "):
            fallen[stage] += 1
            equal[stage] += bool(result["equal"])
        halves += bool(result["halves"])
    boundaries = sum(result["group"].endswith("commit") for result in results)
    yield fill(
        f"{fallen.total()} kills in {len(results)} workspaces: {boundaries} before a commit (each file that appears in "
        f"the workspace is one; figures and tables of pages are left out), {fallen.total() - boundaries} at random "
        "instants, four in a row. Every other kill takes all processes, like a power cut; the others take the command "
        f"alone, and the kernel must end by itself. Kept in {len(results) - halves} of {len(results)}.",
        width=120,
    )
    yield ""
    yield from ("| killed in | kills | rerun equal |", "|---|---|---|")
    yield from (f"| {stage} | {count} | {equal[stage]} |" for stage, count in fallen.most_common())


def _cases(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from ("| fault | exit | error message | kept | again | equal |", "|---|---|---|---|---|---|")
    for one in results:
        what = f"{one['name']}" + (f": {one['detail']}" if one["detail"] else "")
        message = _cell(one["said"]) or ("none: it succeeded" if one["code"] == 0 else "-")
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
    return f"{cut.rpartition('`')[0] if cut.count('`') % 2 else cut}…"  # cut before a command that would be incomplete
