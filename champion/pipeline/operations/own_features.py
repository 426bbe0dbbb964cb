"""The doctor's check of custom features: whether the stored values equal the values that their sets compute now."""

from datetime import date

from champion import contracts, features
from champion.base.counting import quantity
from champion.contracts.datasets import feature_datasets
from champion.lake import Lake, layout
from champion.pipeline.feature_store.build import outdated_sessions
from champion.pipeline.operations.checks import Check
from champion.settings import Settings

_NAME = "own features"


def check(settings: Settings) -> Check:
    """Check that custom features in the lake were built from the present bars and formulas, by the present rules.

    Sets in `CHAMPION_FEATURE_SETS` are compared session by session. Other sets cannot be imported by the name of their
    dataset, so they are reported only if an earlier version of Champion built them by other rules.

    Raises:
        UsageError: a set in the setting is refused: see `champion.features.examination`.
    """
    lake = Lake(settings.lake)
    shipped = {each.contract for each in tuple(features.FEATURE_SETS.values()) if features.is_shipped(each)}
    held = [name for name in feature_datasets() if name not in shipped and lake.sessions(name)]
    wrong, compared = [], set()
    for name in (each for each in settings.feature_sets if ":" in each):
        contract = features.find(name).contract
        compared.add(contract)
        if contract in held and (outdated := outdated_sessions(lake, date.max, name)):
            wrong.append(f"{quantity(len(outdated), 'outdated session')} of {name}, {outdated[0]} to {outdated[-1]}")
    older = ((name, _by_earlier_rules(lake, name)) for name in held if name not in compared)
    wrong += [f"{name}: an earlier version built {old}; it could read other instruments" for name, old in older if old]
    if wrong:
        remedy = "build them again: champion features START END --feature-set module:NAME"
        return Check(_NAME, "warning", "; ".join(wrong), remedy)
    return Check(_NAME, "ok", f"{len(held)} sets in the lake")


def _by_earlier_rules(lake: Lake, contract: str) -> str | None:
    """Return the sessions that were built by other rules than the present ones, as text; None without any."""
    group = layout.groups(contracts.load(contract))[0]
    held = ((session, lake.manifest(contract, session, group)) for session in lake.sessions(contract))
    old = [day for day, m in held if m and not features.is_by_current_rules(m.current.inputs.get("feature_set", ""))]
    return f"{quantity(len(old), 'session')}, {old[0]} to {old[-1]}" if old else None
