"""Run the proof over all files of an archive on a simulated one, whose truth is known."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from waiting import PATIENCE

from champion.simulate import SimulatedArchive

PROOF = Path(__file__).resolve().parents[2] / "benchmarks" / "evidence" / "coverage.py"
KINDS = {"split", "bonus", "bonus and split", "consolidation", "rights"}
BAND = 0.20


@dataclass(frozen=True)
class Proof:
    """The report of the proof, and its frames."""

    report: str
    details: Path

    def frame(self, name: str) -> pl.DataFrame:
        """The rows behind a table."""
        return pl.read_parquet(self.details / f"{name}.parquet")

    def tables(self, section: str) -> list[list[list[str]]]:
        """The tables of a section, each a list of rows of cells, headers first."""
        text = next(part for part in self.report.split("\n## ") if part.startswith(section))
        blocks = [block for block in text.split("\n\n") if block.startswith("|")]
        lines = [[line.strip("| ").split(" | ") for line in block.splitlines()] for block in blocks]
        return [[rows[0], *rows[2:]] for rows in lines]


@pytest.fixture(scope="module")
def proof(archive: SimulatedArchive, tmp_path_factory: pytest.TempPathFactory) -> Proof:
    folder = tmp_path_factory.mktemp("proof")
    report, details = folder / "coverage.md", folder / "details"
    first, last = str(archive.sessions[0]), str(archive.sessions[-1])
    places = ["--archive", str(archive.root), "--report", str(report), "--details", str(details)]
    command = [sys.executable, str(PROOF), *places, "--start", first, "--end", last]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr[-3000:]
    return Proof(report.read_text(), details)


def number(text: str) -> int:
    return int(text.replace(",", ""))


def test_every_row_is_kept_or_rejected(proof: Proof, archive: SimulatedArchive) -> None:
    rows, fates = proof.tables("Coverage")[:2]
    counts = [[number(cell) for cell in row[-4:]] for row in rows[1:]]
    assert [sum(column) for column in zip(*counts[:-1], strict=True)] == counts[-1]
    assert all(row == kept + rejected for _, row, kept, rejected in counts)
    assert counts[-1][0] == 3 * len(archive.sessions)
    assert counts[-1][1] == proof.frame("account")["rows"].sum()
    *_, read, spare, stale, refused, unhandled = fates[-1]
    assert number(read) == counts[-1][0]
    assert number(spare) == proof.frame("files").filter(format="legacy bhavcopy", year=2024).height
    assert [stale, refused, unhandled] == ["0", "0", "0"]


def test_formats_of_one_session_agree(proof: Proof) -> None:
    found = proof.frame("agreement")
    assert found["formats"].n_unique() == 3
    assert found["fields that differ"].sum() == 0
    assert (found["fields compared"] > 0).all()


def test_every_action_of_the_truth_is_explained(proof: Proof, archive: SimulatedArchive) -> None:
    events = proof.frame("events")
    true = [action for action in archive.actions if action.kind in KINDS]
    assert {action.kind for action in true} >= {"split", "bonus", "consolidation", "rights"}
    for action in true:
        event = events.filter(symbol=action.traded_symbol, ex_date=action.ex_date)
        assert event.height == 1, action
        assert event["factors"].item() > 0, action
        assert abs(event["gap"].item()) <= BAND, action
    (rows, *_) = proof.tables("Adjustment proof")
    assert all(number(row[1]) == number(row[-1]) for row in rows[1:])


def test_every_rename_of_the_truth_is_one_instrument(proof: Proof, archive: SimulatedArchive) -> None:
    renames = {(change.before, change.after) for change in archive.changes if change.attribute == "symbol"}
    quiet = {(c.before, c.after) for c in archive.changes if c.attribute == "symbol" and not c.published}
    assert set(proof.frame("renames").select("before", "after").rows()) == renames
    assert quiet
    assert set(proof.frame("learned").select("before", "after").rows()) == quiet


def test_the_report_contains_no_path(proof: Proof, archive: SimulatedArchive) -> None:
    assert str(archive.root) not in proof.report
    assert not re.search(r"/tm[p]/|/[a-z]+/main/|/home/", proof.report)
