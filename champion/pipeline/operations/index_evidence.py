"""The doctor's check of index lists: which lists and changes are not used, and which members are missing."""

from champion.base.counting import quantity
from champion.lake import Lake
from champion.market.reference.indices.sizes import summary
from champion.pipeline.operations.checks import Check, first
from champion.pipeline.reference import membership, refused_lists
from champion.settings import Settings

_NAME = "index lists"
_SHOWN = 3


def check(settings: Settings) -> Check:
    """Report lists set aside or refused, changes not applied, wrong numbers of companies, and unknown instruments."""
    left_open = membership.open_evidence(Lake(settings.lake))
    refused = list(refused_lists.files(settings))
    if not left_open.covered:
        return Check(_NAME, "ok", "none in the lake: index members and sectors are unknown")
    aside = [f"{index} of {day}: {why}" for index, day, why, _ in left_open.set_aside.rows()]
    typed = left_open.contradictions.filter(basis="press release")
    changes = [f"{name} on {day}: {why}" for day, name, why in typed.select("effective", "member", "reason").rows()]
    facts, remedies = [quantity(len(left_open.covered), "index", "indices")], list[str]()
    if aside:
        facts.append(f"{quantity(len(aside), 'list')} set aside ({first(_SHOWN, aside)})")
        remedies.append("put a list under its right date, or `champion lists withdraw INDEX DATE --reason TEXT`")
    if changes:
        facts.append(f"{quantity(len(changes), 'change')} not applied ({first(_SHOWN, changes)})")
        remedies.append("correct index_changes.csv, then `champion lists refresh`")
    if wrong := [f"{index}: {text}" for index, text in summary(left_open.sizes).items()]:
        number = quantity(len(wrong), "index has", "indices have")
        facts.append(f"{number} a wrong number of companies ({first(_SHOWN, wrong)})")
        remedies.append("load lists of the indices on or near these dates; `champion lists ls` has all of them")
    if unresolved := [f"{index}: {text}" for index, text in membership.absent_text(left_open.unresolved).items()]:
        facts.append(f"members without an instrument are in no universe ({first(_SHOWN, unresolved)})")
        remedies.append("load corporate actions and the list of shares, or a list of the index that has their symbols")
    if refused:
        facts.append(f"{quantity(len(refused), 'file')} refused ({first(_SHOWN, refused)})")
        remedies.append("correct or remove them, then `champion lists refresh`; `champion lists ls` says why")
    return Check(_NAME, "warning" if remedies else "ok", "; ".join(facts), "; ".join(remedies))
