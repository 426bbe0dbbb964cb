"""The results of quality gates: the tables of gates and findings, and the report that stops publication."""

from dataclasses import dataclass, field

import polars as pl

from champion import contracts
from champion.base.counting import quantity
from champion.contracts import datasets
from champion.errors import QualityGateError
from champion.market.acceptance import key

_SHOWN = 5
LESS_IS_WORSE = ("completeness",)
"""The gates that fail if the value is below the limit; all others fail if it is above."""
GATES = {
    **dict.fromkeys(("gate", "severity"), pl.String()),
    **dict.fromkeys(("value", "limit"), pl.Float64()),
    "passed": pl.Boolean(),
    "detail": pl.String(),
}
FINDINGS = contracts.load(datasets.FINDINGS).polars_schema


@dataclass(frozen=True, slots=True)
class GateReport:
    """`gates` has gate, severity, value, limit, passed, detail; `findings` has contract quality_findings.

    `accepted` are the findings that a user accepted.
    """

    gates: pl.DataFrame
    findings: pl.DataFrame
    accepted: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=FINDINGS))

    def worse(self, other: "GateReport") -> "GateReport":
        """Return the worse result of each gate, and the findings of both reports."""
        both = pl.concat([self.gates, other.gates]).with_row_index("_order")
        order = both.group_by("gate").agg(pl.col("_order").min())
        sign = pl.when(pl.col("gate").is_in(LESS_IS_WORSE)).then(-1).otherwise(1)
        beyond = (pl.col("value") - pl.col("limit")) * sign
        # A failed gate is worse than one whose worst session was accepted.
        ranked = both.sort(pl.col("passed"), beyond, descending=[False, True])
        gates = (
            ranked.unique("gate", keep="first").drop("_order").join(order, on="gate").sort("_order").select(list(GATES))
        )
        accepted = pl.concat([self.accepted, other.accepted])
        return GateReport(gates, pl.concat([self.findings, other.findings]), accepted)

    @property
    def open_keys(self) -> list[str]:
        """The keys of the findings for which an error gate fails."""
        failed = self.gates.filter(~pl.col("passed"), severity="error")["gate"]
        left = self.findings.join(self.accepted, on=["session", "gate", "instrument_id"], how="anti")
        rows = left.filter(pl.col("gate").is_in(failed.to_list())).select("gate", "session", "instrument_id")
        return [key(*row) for row in rows.sort("session", "gate", "instrument_id").rows()]

    @property
    def failed(self) -> list[str]:
        """The gates that did not pass."""
        return self.gates.filter(~pl.col("passed"))["gate"].to_list()


def require(report: GateReport | pl.DataFrame) -> None:
    """Do nothing if every gate of severity 'error' passed.

    Raises:
        QualityGateError: some did not; the message names them and their findings. Nothing downstream may be published.
    """
    gates = report if isinstance(report, pl.DataFrame) else report.gates
    broken = gates.filter((pl.col("severity") == "error") & ~pl.col("passed"))
    if broken.is_empty():
        return
    text = pl.format("{} is {}, limit {} ({})", "gate", pl.col("value").round(4), "limit", "detail")
    shown = "; ".join(broken.select(text).to_series())
    keys = [] if isinstance(report, pl.DataFrame) else report.open_keys
    named = f" FINDING is one of {', '.join(keys[:_SHOWN])}{', ...' * (len(keys) > _SHOWN)}." if keys else ""
    raise QualityGateError(
        f"publication stopped by {quantity(broken.height, 'quality gate')}: {shown}. Correct the data, or accept the "
        f"findings if the data are right: `champion quality accept FINDING --reason WHY`.{named} "
        "`champion quality list` shows all"
    )
