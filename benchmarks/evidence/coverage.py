"""Proof over all files of an archive: coverage, agreement, identity, adjustment, gaps, cost. See README.md.

python benchmarks/evidence/coverage.py [--archive FOLDER] [--start DATE] [--end DATE] [--report PATH] [--details FOLDER]
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.evidence.proof import (
    adjustment,
    files,
    formats,
    instruments,
    judged,
    listed,
    mirror,
    purposes,
    speed,
    stages,
)
from benchmarks.evidence.proof.page import Section
from champion.base import clock
from champion.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
NSE = "CHAMPION_NSE"
START, END = "2019-01-01", "2024-12-31"
HEAD = """\
# Coverage and proof

Made by `benchmarks/evidence/coverage.py` (see `benchmarks/evidence/README.md`); do not edit. Every session of {start} to
{end} in {what}, from published file to judged lake. On {today}, {machine}, {versions}.
"""


def main() -> int:
    """Run the pipeline in an empty workspace and write the report."""
    asked = _arguments()
    source: Path = asked.archive
    if not source.is_dir():
        sys.stderr.write(f"no archive at the folder of --archive or {NSE}\n")
        return 2
    with TemporaryDirectory() as scratch, mirror.unpacked(source) as archive:
        settings = Settings(home=asked.home or Path(scratch), archive=str(archive))
        run = stages.run(settings, asked.start, asked.end)
        sections = _sections(run, source)
    _write(asked.report, run, sections, asked.what)
    for name, frame in (pair for section in sections for pair in section.frames.items() if asked.details):
        asked.details.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(asked.details / f"{name}.parquet")
    print(f"{len(run.fetched.sessions):,} sessions, report in {asked.report}")
    return 0


def _sections(run: stages.Run, source: Path) -> list[Section]:
    """Return the sections; what a mirror has beside the archive's own files may be absent."""
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
        speed.speed(run),
    ]


def _write(report: Path, run: stages.Run, sections: Sequence[Section], what: str) -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    head = HEAD.format(
        start=run.start,
        end=run.end,
        what=what,
        today=clock.now().date(),
        machine=f"{os.cpu_count()} cores, {memory:.0f} GB",
        versions=f"Python {platform.python_version()}, polars {version('polars')}",
    )
    lines = [head, *(line for section in sections for line in section.lines())]
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text("\n".join(lines).rstrip() + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    folder = Path(os.environ.get(NSE, ROOT.parent / "shared" / "nse"))
    parser.add_argument("--archive", type=Path, default=folder, help=f"a mirror of the archive, default {NSE}")
    parser.add_argument("--what", default="a mirror of NSE's archive", help="how the report names it")
    parser.add_argument("--start", type=date.fromisoformat, default=date.fromisoformat(START))
    parser.add_argument("--end", type=date.fromisoformat, default=date.fromisoformat(END))
    parser.add_argument("--home", type=Path, help="an empty folder for the workspace; default: a temporary one")
    parser.add_argument("--report", type=Path, default=ROOT / "docs" / "coverage.md")
    parser.add_argument("--details", type=Path, help="a folder for every row behind the tables, as Parquet")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
