"""Refuse settings of earlier releases that no longer exist, instead of ignoring them."""

from collections.abc import Mapping
from typing import Any

_LEVELS = "CHAMPION_GATE_LUCK, CHAMPION_GATE_NEUTRAL and CHAMPION_GATE_CHAMPION"
FORMER = {
    "gate_margin": f"the gate has no margin of the rank IC any more; remove it: {_LEVELS} are the levels of its rules",
    "gate_level": f"each rule of the gate has its own level now; set {_LEVELS} instead, and remove it",
}
"""What replaces a setting of an earlier release, by its name."""


def problems(file: Mapping[str, Any], environment: Mapping[str, str]) -> list[str]:
    """Return a sentence for each former setting in `champion.toml` or in the environment.

    >>> problems({}, {"CHAMPION_GATE_MARGIN": "0.002", "CHAMPION_HOME": "data"})[0].partition(";")[0]
    'CHAMPION_GATE_MARGIN: the gate has no margin of the rank IC any more'
    """
    given = {
        **{f"CHAMPION_{name.upper()}": name for name in FORMER if environment.get(f"CHAMPION_{name.upper()}")},
        **{f"{name} in champion.toml": name for name in FORMER if name in file},
    }
    return [f"{shown}: {FORMER[name]}" for shown, name in given.items()]
