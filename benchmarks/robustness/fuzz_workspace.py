"""Targets of fuzzing in a workspace: manifests, records, ledgers, settings, results of notebooks."""

import json
import os
from collections.abc import Callable
from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks.robustness.fuzz_mutations import mutated, mutated_json, mutated_lines
from benchmarks.robustness.fuzz_published import SESSION, Target
from champion import contracts, report
from champion.base import clock
from champion.base.atomic_files import write_bytes
from champion.cli.terminal import console
from champion.lake import Lake, layout, metadata, seal, sweep
from champion.pipeline.ingest.fetch import fetch, staged
from champion.pipeline.ingest.ingest import ingest
from champion.services import managed_process
from champion.settings import Settings
from champion.sources.download import staging_records
from champion.sources.download.archive import find_staged, set_aside
from champion.sources.download.negative_cache import NegativeCache
from champion.sources.download.staging import Staging
from champion.sources.download.transport import canonical
from champion.sources.publications import BHAVCOPY
from champion.tracking import ledger_storage, promotion_ledger, run_spool
from champion.warehouse import backup

_BARS = "normalized_equity_ohlc"
_YEAR = 2023
_TOML = b"""home = "data"
archive = "https://nsearchives.nseindia.com"
archive_pause = 0.34
task_runner = "threads"
holidays = "2026-01-26, 2026-08-15"
raw_years = 7
feature_sets = ["v1", "alpha158"]
prefect_port = 4200
"""


def workspace(folder: Path, archive: Path) -> Settings:
    """Return a small workspace: two sessions by day, and two of a year to be sealed."""
    settings = Settings(home=folder / "home", archive=str(archive))
    for start in (SESSION - timedelta(days=1), date(_YEAR, 12, 28)):
        fetch(settings, start, start + timedelta(days=1))
        ingest(Lake(settings.lake), staged(settings, start, start + timedelta(days=1)))
    return settings


def targets(folder: Path, settings: Settings) -> list[Target]:
    """Return the targets; they may write into `folder`."""
    return [*_lake(settings), *_staging(settings), *_tracking(settings), *_others(folder, settings)]


def _lake(settings: Settings) -> list[Target]:
    lake, contract = Lake(settings.lake), contracts.load(_BARS)
    index_seeds = []
    for name in (_BARS, "raw_equity_ohlc"):
        metadata.write(lake.root, contracts.load(name), None)
        index_seeds.append((layout.dataset_folder(lake.root, contracts.load(name)) / layout.INDEX).read_bytes())
    success = layout.partition_folder(lake.root, contract, SESSION, None) / layout.SUCCESS
    year = layout.sealed_folder(lake.root, contract, _YEAR, None)
    seal(lake, _BARS, _YEAR)
    sealed = (year / layout.SEALED).read_bytes()
    retired = layout.partition_folder(lake.root, contract, SESSION + timedelta(days=1), None) / layout.RETIRED
    index = layout.dataset_folder(lake.root, contract) / layout.INDEX
    whole = success.read_bytes()

    def read_lake() -> object:
        lake.digest(_BARS)
        lake.sessions(_BARS, SESSION, SESSION)
        return len(list(lake.parts(_BARS))), frozenset(damage.reason[:20] for damage in lake.verify(_BARS))

    return [
        _json_file("manifest", success, read_lake, whole, after=whole),
        _json_file("manifest of a sealed year", year / layout.SEALED, read_lake, sealed),
        _json_file("retired manifest", retired, lambda: sweep(lake, [_BARS], timedelta()), whole, sealed),
        Target("_metadata", index_seeds, _file(index, lambda: metadata.is_fresh(lake.root, contract, None)), mutated),
    ]


def _staging(settings: Settings) -> list[Target]:
    root = settings.staging
    path = next(path for path in BHAVCOPY.paths(SESSION) if (root / path).exists())
    record = (root / path).with_suffix(".json")
    whole, known = record.read_bytes(), (root / "archive.json").read_bytes()
    asked = {"2024-06-01": {"asked_at": "2024-06-10T10:00:00+00:00", "archive": "https://a", "paths": ["x", "y"]}}
    absent = NegativeCache(root, "https://a", "bhavcopy")
    bytes_of = (root / path).read_bytes()

    def read_record() -> object:
        (root / path).write_bytes(bytes_of)
        found = find_staged(root, SESSION)
        if found is not None and found.path.parent not in {(root / path).parent for path in BHAVCOPY.paths(SESSION)}:
            raise AssertionError(f"a record led out of its folder: {found.path}")
        Staging(root, canonical(settings.archive)).find([path], SESSION)
        kept = list(staging_records.everything(root))
        if found is not None:
            set_aside(found, BHAVCOPY.paths(SESSION))
        return len(kept), found is None

    def read_absent() -> object:
        absent.remember(date(2024, 6, 2), ["z"], datetime.fromisoformat("2024-06-10T10:00:00+00:00"))
        absent.forget(date(2024, 6, 2))
        return absent.asked_at(date(2024, 6, 1), ["x"]) is None

    return [
        _json_file("record of staging", record, read_record, whole, after=whole),
        _json_file("list of addresses", root / "archive.json", Staging(root, "file:///x").known, known, after=known),
        _json_file("dates without a session", root / "absent" / "bhavcopy-2024.json", read_absent, asked),
    ]


def _tracking(settings: Settings) -> list[Target]:
    lines = [_line(number, kind, state) for number, kind, state in _DECISIONS]
    book = ledger_storage.local(settings)
    folder = settings.runs / "20240702T100000-0a0b0c0d"
    begun = {"experiment": "e", "name": "n", "parameters": {"a": "1"}, "tags": {"t": "1"}, "inputs": {}, "parent": None}
    begun |= {"started": "2024-07-02T10:00:00+00:00", "run_id": None}
    ended = {"outcome": "succeeded", "metrics": {"x": 1.0}, "tags": {}, "outputs": {}, "series": {"s": {"1": 2.0}}}
    ended |= {"note": {}, "at": "2024-07-02T10:00:00+00:00"}

    def read_ledger(content: bytes) -> object:
        write_bytes(book.path, _resealed(content))
        found = promotion_ledger.read(book)
        promotion_ledger.next_decision(found)
        known = promotion_ledger.on_date(found, SESSION), promotion_ledger.pending(found)
        return len(found), len(promotion_ledger.champions(found)), known[0] is None, known[1] is None

    def read_journal() -> object:
        found = [(ledger_entry, run_spool.ended(ledger_entry)) for ledger_entry in run_spool.entries(settings)]
        return len(found), [(run_spool.abandoned(entry), how is None) for entry, how in found]

    seeds = {"begun": json.dumps(begun).encode(), "ended": json.dumps(ended).encode()}
    for name, content in seeds.items():
        write_bytes(folder / f"{name}.json", content)
    return [
        Target("promotion ledger", [b"\n".join(lines) + b"\n"], read_ledger, mutated_lines, 5),
        *(
            _json_file(f"journal, {name}", folder / f"{name}.json", read_journal, seed, after=seed)
            for name, seed in seeds.items()
        ),
    ]


_DECISIONS = ((1, "promote", "pending"), (1, "promote", "done"), (2, "promote", "refused"), (3, "rollback", "done"))


def _line(number: int, kind: str, state: str) -> bytes:
    at = "2024-06-01T10:00:00+00:00"
    content = {"decision": number, "kind": kind, "state": state, "version": number, "previous": None, "reason": "r"}
    content |= {"forced": False, "at": at, "effective": at if state == "done" else None, "by": "a", "reasons": []}
    return json.dumps(content | {"evidence": {}}).encode()


def _resealed(content: bytes) -> bytes:
    """Seal each line again, as a forger of the ledger can."""
    seal, lines = "", []
    for line in content.split(b"\n"):
        try:
            entry = json.loads(line)
            seal = sha256((seal + json.dumps(entry, sort_keys=True)).encode()).hexdigest()
            lines.append(json.dumps({**entry, "seal": seal}).encode())
        except (ValueError, TypeError, RecursionError):
            lines.append(line)
    return b"\n".join(lines)


def _others(folder: Path, settings: Settings) -> list[Target]:
    toml = folder / "cwd" / "champion.toml"
    published = {"metrics": {"x": 1.0}, "values": {"session": "2024-07-02"}, "outputs": {"d": "0" * 64}}
    published |= {"figures": {"f": "figures/f.png"}, "tables": {}}
    result, place = folder / "result", folder / "backup"
    write_bytes(place / "warehouse" / "a.bin", b"x")
    held = {"made_at": clock.now().isoformat(), "files": {"a.bin": [1, sha256(b"x").hexdigest()]}}
    server = {"pid": 2**22 + 1, "born": "1", "port": 4200}

    def read_settings() -> object:
        before = Path.cwd()
        os.chdir(toml.parent)
        try:
            found = console.settings()
            return found.closed, len(found.environment()), found.feature_sets, found.task_runner
        finally:
            os.chdir(before)

    def read_server() -> object:
        found = managed_process.recorded(settings, "mlflow")
        return found is None, found is not None and found.alive

    def read_result() -> object:
        found = report.read(result)
        return sorted(found), [type(value).__name__ for value in found.values()]

    return [
        Target("champion.toml", [_TOML], _file(toml, read_settings), mutated, 5),
        _json_file("result of a notebook", result / report.RESULT, read_result, published),
        _json_file("BACKUP.json", place / "BACKUP.json", lambda: len(backup._verified_files(place)), held),  # noqa: SLF001
        _json_file("record of a server", settings.services / "mlflow.json", read_server, server),
    ]


def _json_file(name: str, path: Path, read: Callable[[], object], *seeds: Any, after: bytes | None = None) -> Target:
    """Return a target that reads a JSON file; a seed is its content as bytes or as a value."""
    contents = [seed if isinstance(seed, bytes) else json.dumps(seed).encode() for seed in seeds]
    return Target(name, contents, _file(path, read, after), mutated_json)


def _file(path: Path, read: Callable[[], object], after: bytes | None = None) -> Callable[[bytes], object]:
    """Return a function that writes an input to `path`, reads it, and restores the file to `after`, or removes it."""

    def run(content: bytes) -> object:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        try:
            return read()
        finally:
            path.unlink(missing_ok=True)
            if after is not None:
                path.write_bytes(after)

    return run
