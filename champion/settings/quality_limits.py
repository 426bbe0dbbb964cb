"""The limits of the quality gates; each is a setting, as CHAMPION_QUALITY_ROW_COUNT."""

from dataclasses import dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the gates. The defaults come from 1,483 real sessions of 2019 to 2024.

    Their row counts stay within 8.5% of the recent median, their universes within 6.6% of the previous session.

    >>> Limits().row_count
    0.25
    """

    completeness: float = 0.995
    """Least share of known values in each critical column of a session."""
    rejected: float = 0.01
    """Largest share of a session's rows in quarantine."""
    row_count: float = 0.25
    """Largest change of a session's row count from the recent median, as a share of it."""
    churn: float = 0.25
    """Largest share of instruments that entered or left since the previous session."""
    highest_price: float = 1_000_000.0
    """Highest plausible close, in rupees."""
    broken_closes: float = 0.05
    """Share of previous closes that may differ: 4% on a day of mass relisting, above 90% if a session is missing."""
    inconsistent: float = 0.001
    """Share of bars whose turnover over volume may be outside low and high."""
    gap: float = 0.25
    """Opens further from the previous close are gaps; the widest daily price band is 20%."""
    gap_share: float = 0.0002
    """Largest share of bars with an unexplained gap."""
    stale_days: float = 4
    """Days after which the last session is old."""
    hole_days: int = 10
    """Largest number of days between two sessions that gates compare; more days are missing data."""

    @classmethod
    def of(cls, settings: Any) -> Self:
        """Return the limits of a workspace's settings (`champion.settings.Settings`)."""
        return cls(**{field.name: getattr(settings, f"quality_{field.name}") for field in fields(cls)})

    @property
    def digest(self) -> str:
        """All limits as one text, which identifies the limits of a run."""
        return " ".join(f"{field.name}={getattr(self, field.name)}" for field in fields(self))
