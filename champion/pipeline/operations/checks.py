"""One look at whether a workspace is fit for work: what was found, and what to do about it. Nothing is changed.

The doctor looks at everything when a person asks; `health` looks every few minutes at what changes by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from champion.errors import ChampionError

_LONGEST = 300
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


def run_check(name: str, look: Callable[[], Check]) -> Check:
    """Return what a look found; one that could not be made failed, and says why.

    A damaged store can make a library raise anything, and the other looks go on whatever it is.
    """
    try:
        return look()
    except (ChampionError, OSError) as error:
        return Check(name, "failed", str(error), "mend what the message names")
    except Exception as error:  # noqa: BLE001 - see above
        return Check(name, "failed", reason_of(error), "restore what the message names; see docs/howto/restore.md")


def reason_of(error: Exception) -> str:
    """Return an error of any library in one line.

    >>> reason_of(ValueError("no header"))
    'ValueError: no header'
    """
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:_LONGEST]}"
