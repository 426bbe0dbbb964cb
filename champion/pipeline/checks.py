"""One look at whether a workspace is fit for work: what was found, and what to do about it. Nothing is changed.

The doctor looks at everything when a person asks; `health` looks every few minutes at what changes by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from champion.errors import ChampionError

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, what was found, and what to do about it (empty where all is well)."""

    name: str
    state: State
    found: str
    remedy: str = ""

    @property
    def well(self) -> bool:
        """Whether work can go on; a warning does not stop it."""
        return self.state != "failed"

    @property
    def told(self) -> str:
        """All of it in a sentence.

        >>> Check("disk", "failed", "0.2 GB free", "free some space").told
        'disk: 0.2 GB free (free some space)'
        """
        return f"{self.name}: {self.found}" + (f" ({self.remedy})" if self.remedy else "")


def looked(name: str, look: Callable[[], Check]) -> Check:
    """Return what a look found; one that could not be made failed, and says why."""
    try:
        return look()
    except (ChampionError, OSError) as error:
        return Check(name, "failed", str(error), "mend what the message names")
