"""The envelope of a record: its id, entity, source, and the times of the event and of its ingestion."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time

import polars as pl
from polars_hash import UUIDHashNameSpace

from champion.base.clock import INDIA
from champion.contracts import Contract

_NAMESPACE = "5a9d6bd8-6a0c-5c0f-9a3e-2f5b8a3f6c11"  # never change it: event ids depend on it
_OPEN, _CLOSE = time(9, 15, tzinfo=INDIA), time(15, 30, tzinfo=INDIA)


def session_open(session: date) -> datetime:
    """Return the opening of a session in UTC.

    >>> session_open(date(2024, 1, 16)).isoformat()
    '2024-01-16T03:45:00+00:00'
    """
    return datetime.combine(session, _OPEN).astimezone(UTC)


def session_close(session: date) -> datetime:
    """Return the close of a session in UTC.

    >>> session_close(date(2024, 1, 15)).isoformat()
    '2024-01-15T10:00:00+00:00'
    """
    return datetime.combine(session, _CLOSE).astimezone(UTC)


def session_close_expr(session: pl.Expr) -> pl.Expr:
    """Return the close of each session as Datetime(ms, UTC)."""
    local = session.cast(pl.Datetime("ms")) + pl.duration(hours=_CLOSE.hour, minutes=_CLOSE.minute, time_unit="ms")
    return local.dt.replace_time_zone(INDIA.key).dt.convert_time_zone("UTC")


def session_start_expr(session: pl.Expr) -> pl.Expr:
    """Return the midnight in India at which each session's date begins, as Datetime(ms, UTC)."""
    return session.cast(pl.Datetime("ms")).dt.replace_time_zone(INDIA.key).dt.convert_time_zone("UTC")


def stamp(
    frame: pl.DataFrame, contract: Contract, source: pl.Expr, read_at: pl.Expr, entity: pl.Expr, key: Sequence[pl.Expr]
) -> pl.DataFrame:
    """Return the frame in the contract's columns, with the six of the envelope; `row_number` is kept if it has it.

    `event_id` is the UUIDv5, as 16 bytes, of source, dataset and `key`, so the same record always has the same id.
    """
    name = pl.concat_str([source, pl.lit(contract.name), *(part.cast(pl.String) for part in key)], separator="|")
    enveloped = frame.with_columns(
        event_id=event_id(name),
        event_time=session_close_expr(pl.col(contract.session)),
        ingest_time=read_at.cast(pl.Datetime("ms", "UTC")),
        source=source,
        schema_version=pl.lit(contract.schema_version),
        entity_id=entity,
    )
    return enveloped.select(*contract.polars_schema, *(name for name in ("row_number",) if name in frame.columns))


def normalize_rows(raw: pl.DataFrame, contract: Contract, entity: str, **columns: pl.Expr | str) -> pl.DataFrame:
    """Return one row per raw row, in the same order, in the contract's columns, with envelope.

    `columns` are those of the contract without the envelope, as expressions or as names of raw columns; `entity` is the
    one with the id of the instrument or index. `row_number` is kept if the raw frame has it.
    """
    key = [pl.col("trade_date"), pl.col(entity), pl.col("event_id").bin.encode("hex")]
    return stamp(raw.with_columns(**columns), contract, pl.col("source"), pl.col("ingest_time"), pl.col(entity), key)


def stamp_list(
    frame: pl.DataFrame,
    contract: Contract,
    *,
    source: pl.Expr,
    read_at: pl.Expr,
    entity: str,
    list_date: date | None = None,
    known_at: datetime | None = None,
    sha256: str | None = None,
) -> pl.DataFrame:
    """Return the rows of a published list in the contract's columns, with envelope; each id includes the list's digest.

    `entity` is the column with the id of a row's subject. `list_date`, `known_at` and the digest of the list are those
    of all rows; without them the frame has the columns, as it has the contract's other ones.
    """
    of_list = {
        "list_date": None if list_date is None else pl.lit(list_date),
        "known_at": None if known_at is None else pl.lit(known_at).cast(pl.Datetime("ms", "UTC")),
        "source_sha256": None if sha256 is None else pl.lit(sha256),
    }
    frame = frame.with_columns(**{name: value for name, value in of_list.items() if value is not None})
    key = [*(pl.col(name) for name in contract.key), pl.col("source_sha256")]
    return stamp(frame, contract, source, read_at, pl.col(entity), key)


def event_id(name: pl.Expr) -> pl.Expr:
    """Return the UUIDv5 of each name as 16 bytes.

    >>> import uuid
    >>> made = pl.select(event_id(pl.lit("a"))).item()
    >>> uuid.UUID(bytes=made) == uuid.uuid5(uuid.UUID(_NAMESPACE), "a")
    True
    """
    text: pl.Expr = UUIDHashNameSpace(name).uuid5(_NAMESPACE)
    return text.str.replace_all("-", "", literal=True).str.decode("hex")
