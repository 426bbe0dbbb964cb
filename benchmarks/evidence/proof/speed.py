"""Cost of each stage, the speed of ingest in sessions a minute and core, and which part of it dominates."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from benchmarks import meter
from benchmarks.evidence.proof.page import Section, table
from benchmarks.evidence.proof.stages import INGEST, Run
from benchmarks.meter import Cost
from champion.lake import Lake
from champion.pipeline.ingest.datasets import dataset_spec
from champion.pipeline.ingest.fetch import FetchedFile
from champion.pipeline.ingest.parse_file import ParsedFile, Provenance, parse_file
from champion.sources import container

AIM = 250  # sessions a minute and core
_SAMPLE = 60  # files of each format


def speed(run: Run) -> Section:
    """Return the costs, and a profile of ingest over a sample of files of each format."""
    sessions = len(run.fetched.sessions)
    rows = [(stage, cost.wall, cost.cpu, cost.peak_mb) for stage, cost in run.costs.items()]
    names = ["stage", "wall s", "CPU s", "peak MB"]
    stages = pl.DataFrame(rows, schema=names, orient="row").with_columns(pl.col(names[1:]).round(1))
    ingest = run.costs[INGEST]
    a_minute = 60 * sessions / ingest.cpu
    whole = 60 * sessions / sum(cost.cpu for cost in run.costs.values())
    profile = _profile(run)
    return Section(
        "Cost",
        [
            (
                f"From zip to normalized lake: **{a_minute:,.0f} sessions a minute and core** ({sessions:,} sessions, "
                f"{ingest.cpu:.0f} CPU seconds, {ingest.wall:.0f} wall seconds; aim {AIM}); with fetch, identity, "
                f"lists, factors and quality gates {whole:,.0f}."
            ),
            table(stages),
            "What dominates ingest: CPU milliseconds a file, one thread, a sample of each format.",
            table(profile),
            _shares(profile),
        ],
    )


def _profile(run: Run) -> pl.DataFrame:
    account = run.ingested.sessions.select("publication", "session", "file")
    kinds = account.with_columns(kind=pl.col("file").str.extract(r"^([A-Za-z_]+?)_?\d"))
    by_name = {(one.publication.name, one.file.name): one for one in run.fetched.staged}
    rows = []
    for (publication, kind), group in kinds.group_by("publication", "kind", maintain_order=True):
        step = max(1, group.height // _SAMPLE)
        chosen = [by_name[str(publication), name] for name in islice(group["file"], 0, None, step)]
        rows.append((f"{publication}: {kind}", len(chosen), *_timed(chosen)))
    names = ["format", "files", "unzip, decode", "parse", "type, validate, normalize", "write raw, normalized"]
    return pl.DataFrame(rows, schema=names, orient="row")


def _shares(profile: pl.DataFrame) -> str:
    """Return each part's share of the sample's cost, the largest first."""
    parts = profile.columns[2:]
    costs = profile.select((pl.col(name) * pl.col("files")).sum() for name in parts).row(0, named=True)
    ordered = sorted(costs.items(), key=lambda cost: cost[1], reverse=True)
    return "Over the sample: " + "; ".join(f"{name} {cost / sum(costs.values()):.0%}" for name, cost in ordered) + "."


def _timed(files: list[FetchedFile]) -> tuple[float, ...]:
    """Return milliseconds a file of each part; a part's own cost is what it adds to those before it."""
    contents = [one.file.path.read_bytes() for one in files]
    pairs = list(zip(files, contents, strict=True))
    _, lines = meter.measured(lambda: [container.lines(one.file.name, content) for one, content in pairs])
    _, read = meter.measured(lambda: [_rows(one, content) for one, content in pairs])
    parts, apart = meter.measured(lambda: [_apart(one, content) for one, content in pairs])
    with TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        _, written = meter.measured(lambda: _write(lake, files, parts))
    costs: list[Cost] = [lines, read - lines, apart - read, written]
    return tuple(round(1000 * cost.cpu / len(files), 1) for cost in costs)


def _rows(one: FetchedFile, content: bytes) -> int:
    return one.publication.read(one.file.name, content, one.session).row_count


def _apart(one: FetchedFile, content: bytes) -> ParsedFile:
    origin = Provenance(one.session, one.file.name, one.file.sha256, one.file.fetched_at)
    return parse_file(content, origin, dataset_spec(one.publication))


def _write(lake: Lake, files: list[FetchedFile], parts: list[ParsedFile]) -> None:
    for one, part in zip(files, parts, strict=True):
        fills = dataset_spec(one.publication)
        lake.write(fills.raw, one.session, part.raw, {"file": one.file.sha256})
        lake.write(fills.normalized, one.session, part.normalized, {"file": one.file.sha256})
