"""The account of all files of an archive: coverage, agreement, identity, adjustment, gaps, cost. See README.md.

`.venv/bin/python benchmarks/evidence/coverage.py [--archive FOLDER] [--start DATE] [--end DATE] [--report PATH]
[--details FOLDER] [--home FOLDER]` fills an empty workspace and writes the report, by default docs/coverage.md.
`--details` keeps every row behind the tables as Parquet, `--home` the workspace, `--what` names the archive in the
report.
"""

import os
import platform
import sys
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import meter
from benchmarks.evidence.proof import adjustment, files, formats, instruments, judged, listed, mirror, purposes, stages
from benchmarks.evidence.proof.page import Section
from benchmarks.evidence.proof.speed import speed
from champion.base import clock
from champion.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
HEAD = """\
# Coverage and proof

`benchmarks/evidence/coverage.py` writes this page (see `benchmarks/evidence/README.md`); do not edit it. The script
processed every session of {start} to {end} in {what}, from published file to quality gates, on {today}, with
{machine}, {versions}.
"""


def main() -> int:
    """Run the pipeline in an empty workspace and write the report."""
    asked = meter.arguments(
        __doc__, archive=meter.MIRROR, what="a mirror of NSE's archive", start=date(2019, 1, 1), end=date(2024, 12, 31),
        home=Path, report=ROOT / "docs" / "coverage.md", details=Path,
    )  # fmt: skip
    source: Path = asked.archive
    if not source.is_dir():
        sys.stderr.write(f"no archive at the folder of --archive or {meter.NSE}\n")
        return 2
    with TemporaryDirectory() as scratch, mirror.unpacked(source) as archive:
        run = stages.run(Settings(home=asked.home or Path(scratch), archive=str(archive)), asked.start, asked.end)
        sections = _sections(run, source)
    _write(asked.report, run, sections, asked.what)
    for name, frame in (pair for section in sections for pair in section.frames.items() if asked.details):
        asked.details.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(asked.details / f"{name}.parquet")
    print(f"{len(run.fetched.sessions):,} sessions, report in {asked.report}")
    return 0


def _sections(run: stages.Run, source: Path) -> list[Section]:
    """Return the sections; edge cases and wordings are optional parts of a mirror."""
    edges = source / "edge_cases"
    wordings = source / "corporates" / "purpose_string_samples.csv"
    return [
        files.coverage(run),
        files.missing(run, source),
        *([formats.edge_cases(edges)] if edges.is_dir() else []),
        formats.agreement(run, edges),
        instruments.identity(run),
        listed.verdicts(run),
        adjustment.proof(run),
        *([purposes.samples(wordings)] if wordings.is_file() else []),
        judged.quality(run),
        speed(run),
    ]


def _write(report: Path, run: stages.Run, sections: Sequence[Section], what: str) -> None:
    machine = f"{os.cpu_count()} cores, {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB"
    versions = f"Python {platform.python_version()}, polars {version('polars')}"
    today = clock.now().date()
    head = HEAD.format(start=run.start, end=run.end, what=what, today=today, machine=machine, versions=versions)
    lines = [head, *(line for section in sections for line in section.lines())]
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
