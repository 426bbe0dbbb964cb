"""Parse one published file into raw rows, normalized rows, and rejected rows with their reasons. Pure."""

from dataclasses import dataclass

import polars as pl

from champion import contracts
from champion.base.counting import quantity
from champion.errors import ContractError
from champion.market import validation
from champion.market.envelope import stamp
from champion.market.identity.symbol_history import SymbolHistory, digest
from champion.market.validation import ROW
from champion.pipeline.ingest.datasets import DatasetSpec, dataset_spec
from champion.sources import Published
from champion.sources.download.staging_records import Staged
from champion.sources.publications import BHAVCOPY

_BARS = dataset_spec(BHAVCOPY)
_NO_HISTORY = SymbolHistory()


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """The rows of a file by the raw, normalized and quarantine contract of its publication.

    Each of the file's `row_count` data lines is in `normalized` or in `quarantine`, never in both. `names` is the
    digest of the instrument names of renamed symbols, see `symbol_history.digest`.
    """

    row_count: int
    raw: pl.DataFrame
    normalized: pl.DataFrame
    quarantine: pl.DataFrame
    names: str


def parse_file(
    content: bytes, origin: Staged, spec: DatasetSpec = _BARS, history: SymbolHistory = _NO_HISTORY
) -> ParsedFile:
    """Return the rows of a published file; `history` names the instruments of renamed symbols.

    Session, name, digest and fetch time of `origin` are recorded with each row; its path is not read.

    Raises:
        FormatError: the file as a whole is not in the publication's format.
        ContractError: a line was lost or counted twice, which would be a defect of the parser.
    """
    return split_rows(spec.publication.read(origin.name, content, origin.session), origin, spec, history)


def split_rows(published: Published, origin: Staged, spec: DatasetSpec, history: SymbolHistory) -> ParsedFile:
    """Return the raw, normalized and quarantined rows of a published file that was read; see `parse_file`."""
    contract = contracts.load(spec.raw)
    typed = validation.coerce(published.rows, contract)
    asked, found = pl.lit(origin.session), pl.col(contract.session)
    is_other = (found != asked).fill_null(value=False)  # the contract decides about null dates
    reason = pl.format("{}: asked for {}, found {}", pl.lit(contract.session), asked, found)
    other = typed.accepted.filter(is_other).with_columns(reasons=pl.concat_list(reason))
    own = typed.accepted.filter(~is_other)
    # The envelope, and as null the columns that an older format does not have.
    missing = {name: dtype for name, dtype in contract.polars_schema.items() if name not in own.columns}
    complete = own.with_columns(pl.lit(None, dtype).alias(name) for name, dtype in missing.items())
    entity = pl.concat_str(*spec.entity, separator=":", ignore_nulls=True)
    key = [*map(pl.col, contract.key), pl.lit(origin.sha256)]
    stamped = stamp(complete, contract, pl.lit(published.source), pl.lit(origin.fetched_at), entity, key)
    raw = validation.validate(stamped, contract)
    names = {} if spec.symbol is None else history.names(raw.accepted[spec.symbol], origin.session)
    normalized = validation.validate(spec.normalize(raw.accepted, names), contracts.load(spec.normalized))
    rejected = [("parse", published.rejected), *(("raw", rows) for rows in (typed.rejected, other, raw.rejected))]
    rejected.append(("normalized", normalized.rejected))
    some = [(stage, rows) for stage, rows in rejected if rows.height] or rejected[:1]  # mostly there are none
    quarantine = pl.concat(_quarantine(stage, rows, published, origin) for stage, rows in some)
    kept, refused = set(normalized.accepted[ROW]), set(quarantine[ROW])
    if len(kept) + len(refused) != published.row_count or kept & refused or normalized.accepted.height != len(kept):
        lines = f"{quantity(published.row_count, 'line')}, but {len(kept)} kept and {len(refused)} rejected"
        raise ContractError(f"{origin.name}: {lines}; nothing was written")
    accepted = raw.accepted.drop(ROW), normalized.accepted.drop(ROW)
    series = [] if spec.series is None else raw.accepted[spec.series].unique().to_list()
    return ParsedFile(published.row_count, *accepted, quarantine, digest(names, series))


def _quarantine(stage: str, rejected: pl.DataFrame, published: Published, origin: Staged) -> pl.DataFrame:
    return rejected.select(
        pl.lit(origin.session).alias("session"),
        pl.lit(stage).alias("stage"),
        ROW,
        pl.col("reasons").cast(pl.List(pl.String)),
        published.lines.gather(rejected[ROW] - 1).alias("row"),
        pl.lit(published.source).alias("source"),
        pl.lit(origin.name).alias("source_file"),
        pl.lit(origin.sha256).alias("source_sha256"),
        pl.lit(origin.fetched_at).cast(pl.Datetime("ms", "UTC")).alias("ingest_time"),
    )
