"""What scores would have earned: charges, settlement, fills and an account under the exchange's rules.

A notebook uses it as `ch.portfolio`. All modules here are pure; `simulate`, `market` and `compare` read bars, corporate
actions and indices from the workspace's lake, and `latest_targets` what scoring published.
"""

from importlib import import_module
from typing import Any

_PURE = {
    **dict.fromkeys(("PLANS", "Plan", "charges", "contract_notes"), "contract_note"),
    **dict.fromkeys(("Rule", "target_weights"), "construction"),
    **dict.fromkeys(("MarketRules", "Simulation"), "simulator"),
    "market_arrays": "arrays",
    "mean_variance_weights": "mean_variance",
    "within_risk": "risk_limit",
    **dict.fromkeys(("active_parts", "parts_by_year", "risk_by_year", "risk_periods"), "risk_attribution"),
    **dict.fromkeys(("by_group", "by_instrument", "by_session", "capacity"), "attribution"),
    **dict.fromkeys(("characteristics", "exposures", "quantile_groups"), "attribution"),
}
_OF_THE_WORKSPACE = {
    **dict.fromkeys(("Portfolio", "market", "phases", "simulate"), "models.portfolio"),
    "compare": "models.index_comparison",
    "latest_targets": "targets.published",
    "risk_model": "feature_store.risk_model",
}
__all__ = sorted([*_PURE, *_OF_THE_WORKSPACE])  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name in _PURE:
        return getattr(import_module(f"champion.portfolio.{_PURE[name]}"), name)
    if name in _OF_THE_WORKSPACE:
        return getattr(import_module(f"champion.pipeline.{_OF_THE_WORKSPACE[name]}"), name)
    raise AttributeError(f"champion.portfolio has no {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return list(__all__)
