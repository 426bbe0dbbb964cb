"""One check of a workspace: what it found, and how to fix it. Checks change nothing.

The doctor runs all checks on request; `health` runs a few every few minutes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from champion.errors import ChampionError

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Check:
    """The name and result of a check, and the remedy (empty if it passed)."""

    name: str
    state: State
    found: str
    remedy: str = ""

    @property
    def passed(self) -> bool:
        """Whether the check did not fail; a warning counts as passed."""
        return self.state != "failed"

    @property
    def sentence(self) -> str:
        """Name, result and remedy in one sentence.

        >>> Check("disk", "failed", "0.2 GB free", "free some space").sentence
        'disk: 0.2 GB free (free some space)'
        """
        return f"{self.name}: {self.found}" + (f" ({self.remedy})" if self.remedy else "")


def run_check(name: str, check: Callable[[], Check]) -> Check:
    """Run a check; one that raises counts as failed, with the error as its result.

    A damaged store can make a library raise any exception; the other checks must still run.
    """
    try:
        return check()
    except (ChampionError, OSError) as error:
        return Check(name, "failed", str(error), "fix what the message names")
    except Exception as error:  # noqa: BLE001 - see above
        return Check(name, "failed", reason_of(error), "restore what the message names; see `champion docs restore`")


def first(most: int, texts: Sequence[str]) -> str:
    """Return the first texts, and the number of the others.

    >>> first(2, ["a", "b", "c"]), first(2, ["a"])
    ('a; b; and 1 more', 'a')
    """
    return "; ".join([*texts[:most], *([f"and {len(texts) - most} more"] if len(texts) > most else [])])


def reason_of(error: Exception) -> str:
    """Return an exception as one line.

    >>> reason_of(ValueError("no header"))
    'ValueError: no header'
    """
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
