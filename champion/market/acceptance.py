"""Findings that a user accepted: their keys, and the findings that an acceptance covers. Frames in, frames out.

The key of a finding is its gate, its session and, for a finding about one bar, its instrument: `row_count:2025-08-06`
or `unexplained_gaps:2024-01-25:NSE:ISHAN`.
"""

from datetime import date

import polars as pl

from champion.errors import UsageError

SESSION = "*"
"""The instrument of a finding about a whole session."""
ACCEPTED = {"session": pl.Date(), "gate": pl.String(), "instrument_id": pl.String(), "value": pl.Float64()}
_KEY = ["session", "gate", "instrument_id"]
_ROUNDING = 1e-9


def key(gate: str, session: date, instrument_id: str = SESSION) -> str:
    """Return the key of a finding.

    >>> key("row_count", date(2025, 8, 6)), key("validity", date(2025, 8, 6), "NSE:MRF")
    ('row_count:2025-08-06', 'validity:2025-08-06:NSE:MRF')
    """
    return f"{gate}:{session}" + ("" if instrument_id == SESSION else f":{instrument_id}")


def parse_key(text: str) -> tuple[str, date, str]:
    """Return gate, session and instrument of a key.

    Raises:
        UsageError: it is not a key.

    >>> parse_key("row_count:2025-08-06")
    ('row_count', datetime.date(2025, 8, 6), '*')
    """
    gate, _, rest = text.strip().partition(":")
    day, _, instrument_id = rest.partition(":")
    try:
        return gate, date.fromisoformat(day), instrument_id or SESSION
    except ValueError as error:
        raise UsageError(
            f"{text!r} is not a finding: write it as row_count:2025-08-06; `champion quality list` shows them"
        ) from error


def accepted_rows(found: pl.DataFrame, accepted: pl.DataFrame, sign: int = 1) -> pl.DataFrame:
    """Return the findings that were accepted and have not become worse.

    With `sign` 1 a value further from zero is worse, with -1 a lower value.

    >>> found = {"session": [date(2025, 8, 6)], "gate": ["row_count"], "instrument_id": ["*"], "value": [0.30]}
    >>> rows = pl.DataFrame(found, schema=ACCEPTED)
    >>> accepted_rows(rows, rows).height, accepted_rows(rows, rows.with_columns(value=pl.lit(0.26))).height
    (1, 0)
    """
    badness = pl.col("value").abs() if sign > 0 else -pl.col("value")
    worst = accepted.group_by(_KEY).agg(_worst=badness.max())
    both = found.join(worst, on=_KEY, how="inner", maintain_order="left")
    return both.filter(badness <= pl.col("_worst") + _ROUNDING).drop("_worst")
