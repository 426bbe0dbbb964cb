"""Make a workspace to keep, with the code of this checkout: what a later release must be able to open.

    PYTHONPATH=.:tests python tests/kept/make.py tests/kept/0.2.0.tar.xz

It holds a simulated archive's sessions in the lake (one year of them sealed), the warehouse with all its migrations,
MLflow's ledger with a notebook run, a registered model, its promotion and its scores, and the archive's files of one
session more, which the test brings in with the code of its day. Nothing in it is real data.
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
import tempfile
from datetime import date
from pathlib import Path

from models import trained
from written import notebook

from champion import contracts
from champion.lake import Lake, index, seal, sweep
from champion.lake.vacuum import GRACE
from champion.pipeline.feature_store.build import build_features
from champion.pipeline.ingest import corporate_actions, symbol_changes, symbol_master
from champion.pipeline.ingest.fetch import fetch, staged
from champion.pipeline.ingest.ingest import ingest
from champion.pipeline.ingest.rename_instruments import rename_instruments
from champion.pipeline.maintenance.load_warehouse import load
from champion.pipeline.models.score import score_session
from champion.runner import NotebookRequest, run_notebook
from champion.runner.identity import code_version
from champion.settings import Settings
from champion.simulate import publish
from champion.tracking import promotion

START, END, NEXT = date(2023, 8, 25), date(2024, 1, 24), date(2024, 1, 25)
FIRST_FEATURES, LEARNT_TO, INSTRUMENTS = date(2023, 10, 25), date(2024, 1, 17), 5
_LEFT_OUT = ("/staging/", "/services/", "/prefect/", "/.locks/", "/snapshots/")


def make(target: Path, folder: Path) -> None:
    """Build the workspace in `folder` and pack it into `target`."""
    archive = publish(folder / "archive", instruments=INSTRUMENTS, start=START, end=NEXT, signal=1.0)
    settings = Settings(home=folder / "home", archive=str(archive.root))
    lake = Lake(settings.lake)
    fetch(settings, START, END)
    symbol_changes.refresh(settings)
    ingest(lake, staged(settings, START, END)).require_complete()
    rename_instruments(settings).require_complete()
    symbol_master.refresh(settings)
    corporate_actions.refresh(settings)
    build_features(lake, FIRST_FEATURES, END)
    trained(settings, "logistic", FIRST_FEATURES, LEARNT_TO)
    decision = promotion.Decision(promote=False, reasons=("kept for later releases",))
    promotion.promote(settings, 1, decision, reason="kept for later releases", force=True)
    score_session(settings, END)
    run_notebook(
        settings,
        NotebookRequest(notebook(folder, "kept", "session: str = ''", "print(session)"), {"session": str(END)}),
    )
    names = [name for name in contracts.names() if lake.sessions(name) and lake.sessions(name)[0].year < END.year]
    for name in names:
        seal(lake, name, 2023)
        index(lake, name)
    sweep(lake, names, GRACE * 0)
    load(settings, END.replace(day=1), END)
    _pack(target, folder)


def _pack(target: Path, folder: Path) -> None:
    stamp = {"version": code_version(), "folder": str(folder), "last": str(END), "next": str(NEXT)}
    with tarfile.open(target, "w:xz", preset=9) as pack:
        content = json.dumps(stamp, indent=1).encode()
        entry = tarfile.TarInfo("workspace.json")
        entry.size = len(content)
        pack.addfile(entry, io.BytesIO(content))
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if name.startswith(("home/", "archive/")) and not path.is_dir() and _is_kept(name):
                pack.add(path, name, recursive=False)


def _is_kept(name: str) -> bool:
    """Tell whether a file is packed: of the archive, the lists and what was published on the session to come."""
    if name.startswith("archive/"):
        dated = any(character.isdigit() for character in Path(name).stem)
        return not dated or f"{NEXT:%Y%m%d}" in name or f"{NEXT:%d%m%Y}" in name
    return not any(part in name for part in _LEFT_OUT)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        make(Path(sys.argv[1]), Path(scratch))
