"""One published file, taken apart: raw rows, normalized rows, and refused ones with their reasons.

Pure: bytes in, frames out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from champion import contracts
from champion.base.counting import quantity
from champion.contracts import Contract
from champion.errors import ContractError
from champion.market import validation
from champion.market.envelope import envelope
from champion.market.identity.symbol_history import SymbolHistory, digest
from champion.market.validation import ROW
from champion.pipeline.ingest.datasets import DatasetSpec, dataset_spec
from champion.sources import Published
from champion.sources.publications import BHAVCOPY

_BARS = dataset_spec(BHAVCOPY)
_UNKNOWN = SymbolHistory()


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a file came from: part of every record made of it."""

    session: date
    name: str
    sha256: str
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """The raw, normalized and quarantine contract of a publication.

    Each of the file's `row_count` data lines is in `normalized` or in `quarantine`, never in both. `names` is the
    digest of the names its renamed symbols got.
    """

    row_count: int
    raw: pl.DataFrame
    normalized: pl.DataFrame
    quarantine: pl.DataFrame
    names: str


def parse_file(
    content: bytes, origin: Provenance, fills: DatasetSpec = _BARS, lineage: SymbolHistory = _UNKNOWN
) -> ParsedFile:
    """Return what the published bytes hold; `lineage` tells who bears which symbol.

    Raises:
        FormatError: the file as a whole is not what it should be.
    """
    return split_rows(fills.publication.read(origin.name, content, origin.session), origin, fills, lineage)


def split_rows(published: Published, origin: Provenance, fills: DatasetSpec, lineage: SymbolHistory) -> ParsedFile:
    """Return the raw, normalized and refused rows of a published file that was read before; see `parse_file`."""
    contract = contracts.load(fills.raw)
    typed = validation.coerce(published.rows, contract)
    dated = _dated(typed.accepted, contract.session, origin.session)
    raw = validation.validate(_enveloped(_completed(dated.accepted, contract), published, origin, fills), contract)
    names = {} if fills.symbol is None else lineage.names(raw.accepted[fills.symbol], origin.session)
    normalized = validation.validate(fills.normalize(raw.accepted, names), contracts.load(fills.normalized))
    refused = [
        _refused("parse", published.rejected, published),
        _refused("raw", typed.rejected, published),
        _refused("raw", dated.rejected, published),
        _refused("raw", raw.rejected, published),
        _refused("normalized", normalized.rejected, published),
    ]
    quarantine = _quarantine(pl.concat(refused), published, origin)
    _check_account(origin.name, published.row_count, normalized.accepted, quarantine)
    return ParsedFile(
        published.row_count, raw.accepted.drop(ROW), normalized.accepted.drop(ROW), quarantine, digest(names)
    )


def _check_account(name: str, rows: int, normalized: pl.DataFrame, quarantine: pl.DataFrame) -> None:
    """Refuse to go on where a line is lost or counted twice: that would be a fault of ours, and worse than none."""
    kept, refused = set(normalized[ROW]), set(quarantine[ROW])
    if len(kept) + len(refused) != rows or kept & refused or normalized.height != len(kept):
        raise ContractError(
            f"{name}: {quantity(rows, 'line')}, but {len(kept)} kept and {len(refused)} refused; nothing was written"
        )


def _dated(rows: pl.DataFrame, column: str, session: date) -> validation.ValidationResult:
    """Refuse rows of another session; a null date is the contract's business."""
    stray = pl.col(column) != session
    reason = pl.concat_list(pl.format("{}: asked for {}, found {}", pl.lit(column), pl.lit(session), pl.col(column)))
    stray_rows = rows.filter(stray)
    return validation.ValidationResult(
        rows.filter(stray.not_().fill_null(value=True)), stray_rows.with_columns(reasons=reason)
    )


def _completed(rows: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """Add the columns an older format does not have, null."""
    return rows.with_columns(
        pl.lit(None, dtype).alias(name) for name, dtype in contract.polars_schema.items() if name not in rows.columns
    )


def _enveloped(rows: pl.DataFrame, published: Published, origin: Provenance, fills: DatasetSpec) -> pl.DataFrame:
    contract = contracts.load(fills.raw)
    stamped = rows.with_columns(
        envelope(
            contract,
            source=pl.lit(published.source),
            ingest_time=pl.lit(origin.fetched_at),
            entity_id=pl.concat_str(*fills.entity, separator=":", ignore_nulls=True),
            key=[*(pl.col(name) for name in contract.key), pl.lit(origin.sha256)],
        )
    )
    return stamped.select(*contract.polars_schema, ROW)


def _refused(stage: str, rejected: pl.DataFrame, published: Published) -> pl.DataFrame:
    numbers = rejected[ROW]
    return pl.DataFrame(
        {
            "stage": pl.repeat(stage, rejected.height, dtype=pl.String, eager=True),
            ROW: numbers,
            "reasons": rejected["reasons"].cast(pl.List(pl.String)),
            "row": published.lines.gather(numbers - 1),
        }
    )


def _quarantine(refused: pl.DataFrame, published: Published, origin: Provenance) -> pl.DataFrame:
    return refused.select(
        pl.lit(origin.session).alias("session"),
        "stage",
        ROW,
        "reasons",
        "row",
        pl.lit(published.source).alias("source"),
        pl.lit(origin.name).alias("source_file"),
        pl.lit(origin.sha256).alias("source_sha256"),
        pl.lit(origin.fetched_at).cast(pl.Datetime("ms", "UTC")).alias("ingest_time"),
    )
