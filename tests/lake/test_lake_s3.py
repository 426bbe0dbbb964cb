"""A lake in an object store, on a real S3 server: the same partitions, digests and guarantees as in a folder."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import polars as pl
import pytest
import s3_server
from waiting import PATIENCE

from champion import contracts, warehouse
from champion.base import object_path
from champion.base.object_path import ObjectPath
from champion.errors import LakeError, UsageError
from champion.lake import Lake, index, object_lock, seal, sweep
from champion.modeling.universe import UNIVERSES
from champion.pipeline.feature_store.build import build_features
from champion.pipeline.ingest.fetch import fetch, staged
from champion.pipeline.ingest.ingest import ingest
from champion.pipeline.maintenance import load_warehouse
from champion.pipeline.models.frames import training_frame
from champion.settings import Settings
from champion.simulate import SimulatedArchive

NAME, RAW = "quarantine_equity_ohlc", "raw_equity_ohlc"
SESSION = date(2024, 1, 15)
SHORT = object_lock.Times(renew=0.1, trusted=0.4, lease=1.0)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    if reason := s3_server.missing():
        pytest.skip(reason)
    with s3_server.running(tmp_path_factory.mktemp("s3")) as variables, pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield variables


@pytest.fixture
def root(s3: dict[str, str]) -> ObjectPath:
    """An empty prefix in the store."""
    assert s3
    return object_path.path(f"s3://{s3_server.BUCKET}/{uuid.uuid4().hex}/lake")


@pytest.fixture
def lake(root: ObjectPath) -> Lake:
    return Lake(cast("Path", root))


def rows(count: int, session: date = SESSION, name: str = NAME) -> pl.DataFrame:
    """Return rows of a dataset: those of quarantine are numbered, those of raw differ by symbol."""
    if name == RAW:
        symbols = [f"S{number}" for number in range(count)]
        columns = {
            "TradDt": [session] * count,
            "TckrSymb": symbols,
            "entity_id": symbols,
            "event_id": [b"0" * 16] * count,
        }
    else:
        columns = {"session": [session] * count, "row_number": list(range(count)), "reasons": [["low_le_high"]] * count}
    schema = contracts.load(name).polars_schema
    moments = {c: datetime(2024, 1, 15, tzinfo=UTC) for c, t in schema.items() if isinstance(t, pl.Datetime)}
    texts = {c: "x" for c, t in schema.items() if t == pl.String or isinstance(t, pl.Enum)}
    texts |= {"source": "nse_cm_udiff", "stage": "raw", "Src": "NSE", "Sgmt": "CM", "FinInstrmTp": "STK"}
    fill = {c: pl.lit(v) for c, v in (texts | moments).items() if c in schema and c not in columns}
    frame = pl.DataFrame(columns).with_columns(**fill)
    return frame.select(pl.col(c) if c in frame.columns else pl.lit(None).alias(c) for c in schema).cast(dict(schema))  # type: ignore[arg-type]


def test_a_lake_in_a_store_equals_the_lake_in_a_folder(lake: Lake, tmp_path: Path) -> None:
    folder = Lake(tmp_path / "lake")
    for one in (lake, folder):
        for day in (15, 16):
            session = date(2024, 1, day)
            assert one.write(NAME, session, rows(3, session), {"file": "a"})
            assert not one.write(NAME, session, rows(3, session), {"file": "a"}), "the same inputs change nothing"
        assert one.write(NAME, SESSION, rows(5), {"file": "b"}), "other inputs replace"
        assert one.write(RAW, SESSION, rows(2, name=RAW), {"file": "a"})
        assert one.write(RAW, SESSION, rows(4, name=RAW), {"file": "b"}, known_at=datetime(2024, 2, 1, tzinfo=UTC))
    for name in (NAME, RAW):
        assert lake.digest(name) == folder.digest(name)
        assert lake.sessions(name) == folder.sessions(name)
        assert lake.manifest(name, SESSION) == folder.manifest(name, SESSION)
        assert lake.scan(name).collect().equals(folder.scan(name).collect())
        assert [damage for damage in lake.verify(name) if not damage.harmless] == []
    early = datetime(2024, 1, 20, tzinfo=UTC)
    assert lake.scan(RAW, as_of=early).collect().height == 2, "a later revision is not visible"
    assert lake.scan(NAME, date(2024, 1, 16)).collect().height == 3
    assert lake.unknown_files() == []


def test_replaced_files_stay_readable_until_swept(lake: Lake) -> None:
    lake.write(NAME, SESSION, rows(3), {"file": "a"})
    before = lake.scan(NAME)
    lake.write(NAME, SESSION, rows(5), {"file": "b"})
    assert before.collect().height == 3, "a reader keeps its files"
    assert [damage.harmless for damage in lake.verify(NAME)] == [True]
    assert sweep(lake, [NAME], timedelta(0)) == 1
    assert lake.verify(NAME) == []
    assert lake.scan(NAME).collect().height == 5


def test_a_sealed_year_in_a_store_is_indexed_for_other_readers(lake: Lake) -> None:
    sessions = [date(2023, 1, day) for day in (2, 3, 4)]
    for session in sessions:
        lake.write(NAME, session, rows(3, session), {"file": str(session)})
    digest = lake.digest(NAME)
    (sealed,) = seal(lake, NAME, 2023)
    assert (sealed.sessions, sealed.rows) == (3, 9)
    assert sweep(lake, [NAME], timedelta(0)) == 3
    assert lake.digest(NAME) == digest
    assert lake.sessions(NAME) == sessions
    assert lake.scan(NAME, sessions[1], sessions[1]).collect().height == 3
    assert index(lake, NAME)
    assert not index(lake, NAME)
    known = pl.read_parquet_schema(f"{lake.root}/quarantine/equity_ohlc/_metadata")
    assert list(known) == list(contracts.load(NAME).polars_schema)
    assert lake.verify(NAME) == []


def test_verify_reports_damage_in_a_store(lake: Lake) -> None:
    for day in (15, 16, 17):
        lake.write(NAME, date(2024, 1, day), rows(3, date(2024, 1, day)), {"file": "a"})
    changed, gone, _ = lake.files(NAME)
    changed.write_bytes(b"x" + changed.read_bytes()[1:])
    gone.unlink()
    reasons = [damage.reason for damage in lake.verify(NAME)]
    assert len(reasons) == 2
    assert "SHA-256" in reasons[0]
    assert reasons[1] == "the file is missing"


WRITER = """
import sys; sys.path[:0] = {tests!r}
from datetime import date
from champion.base import object_path
from champion.lake import Lake
import test_lake_s3 as t
lake, name = Lake(object_path.path({uri!r})), sys.argv[1]
print("ready", flush=True)
number = 0
while number < int(sys.argv[2]):
    lake.write(t.RAW, t.SESSION, t.rows(1, name=t.RAW), {{"file": f"{{name}}{{number}}"}})
    number += 1
"""


def writer(root: ObjectPath, name: str, count: int) -> subprocess.Popen[str]:
    code = WRITER.format(tests=[str(folder) for folder in Path(__file__).parents[:2]], uri=str(root))
    return subprocess.Popen([sys.executable, "-c", code, name, str(count)], stdout=subprocess.PIPE, text=True)


def test_concurrent_writers_keep_all_revisions(lake: Lake, root: ObjectPath) -> None:
    processes = [writer(root, name, 8) for name in "ab"]
    for process in processes:
        with process:
            assert process.wait(PATIENCE) == 0
    manifest = lake.manifest(RAW, SESSION)
    assert manifest is not None
    assert {part.inputs["file"] for part in manifest.parts} == {
        f"{name}{number}" for name in "ab" for number in range(8)
    }
    assert [part.name for part in manifest.parts] == [f"part-{number:05d}.parquet" for number in range(16)]
    assert lake.verify(RAW) == []


def test_a_killed_writer_leaves_whole_revisions_and_a_lock_that_expires(lake: Lake, root: ObjectPath) -> None:
    for killed in range(3):
        with writer(root, f"k{killed}-", 10_000) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.2 + 0.07 * killed)
            process.send_signal(signal.SIGKILL)
        assert [damage for damage in lake.verify(RAW) if not damage.harmless] == []
        lake.write(RAW, SESSION, rows(2, name=RAW), {"file": f"after {killed}"})  # takes over the dead writer's lock
    sweep(lake, [RAW], timedelta(0))
    assert lake.verify(RAW) == []
    assert lake.scan(RAW).collect().height == 2


def test_a_renewed_lock_is_not_taken_over(root: ObjectPath) -> None:
    lock = root / "x.lock"
    with object_lock.held(lock, times=SHORT), pytest.raises(LakeError, match=f'still held by .*"pid": {os.getpid()}'):
        object_lock.held(lock, wait=2.0, times=SHORT).__enter__()
    assert not lock.exists()


def test_an_expired_lock_of_another_machine_is_taken_over(root: ObjectPath) -> None:
    lock = root / "x.lock"
    lock.create(json.dumps({"host": "elsewhere", "pid": 1, "born": 0.0}).encode())
    began = time.monotonic()
    with object_lock.held(lock, wait=PATIENCE, times=SHORT):
        assert time.monotonic() - began >= SHORT.lease
    assert not lock.exists()


def test_a_writer_that_lost_its_lock_writes_nothing_more(root: ObjectPath) -> None:
    lock = root / "x.lock"
    with object_lock.held(lock, times=SHORT):
        (root / "before").write_bytes(b"")
        tag = lock.stat().etag
        while lock.exchange(tag, b"another writer") is None:  # a renewal may happen in between
            tag = lock.stat().etag
        time.sleep(3 * SHORT.renew)
        with pytest.raises(LakeError, match="was lost to another writer"):
            (root / "after").write_bytes(b"")
    assert (root / "before").exists()
    assert not (root / "after").exists()
    assert lock.read_bytes() == b"another writer", "a lost lock is not removed"


def test_an_error_of_the_store_names_the_path_and_what_to_check(s3: dict[str, str]) -> None:
    assert s3
    with pytest.raises(LakeError, match=r"s3://absent/lake/.*NoSuchBucket.*Check that the bucket exists"):
        Lake(cast("Path", object_path.path("s3://absent/lake"))).sessions(NAME)


@contextmanager
def slow_uplink(url: str, bytes_per_second: int) -> Iterator[str]:
    """Yield the URL of a proxy that passes on what clients send at this speed, and answers without delay."""
    host, port = urlsplit(url).hostname, urlsplit(url).port

    class Proxy(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(ConnectionError), socket.create_connection((host, port)) as server:  # the client may hang up
                threading.Thread(target=self.answer, args=(server,), daemon=True).start()
                while block := self.request.recv(1 << 14):
                    time.sleep(len(block) / bytes_per_second)
                    server.sendall(block)

        def answer(self, server: socket.socket) -> None:
            with suppress(OSError):
                while block := server.recv(1 << 16):
                    self.request.sendall(block)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Proxy) as proxy:
        proxy.daemon_threads = True
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{proxy.server_address[1]}"
        proxy.shutdown()


def test_a_slow_uplink_can_upload_a_large_file(
    s3: dict[str, str], root: ObjectPath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "year.parquet"
    file.write_bytes(random.Random(1).randbytes(2_600_000))  # noqa: S311 - 13 seconds at this speed, for one request
    with slow_uplink(s3["AWS_ENDPOINT_URL"], 200_000) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        (root / file.name).put(file, "STANDARD_IA")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3["AWS_ENDPOINT_URL"])
    assert (root / file.name).read_bytes() == file.read_bytes()


def test_operations_that_need_a_folder_raise_lake_error(root: ObjectPath) -> None:
    with pytest.raises(LakeError, match=r"s3://.*/lake is in an object store, and this needs a folder"):
        root.mkdir()
    with pytest.raises(UsageError, match="write s3://bucket/prefix"):
        object_path.path("gs://bucket/lake")


def test_from_published_files_to_training_and_warehouse(
    archive: SimulatedArchive, root: ObjectPath, tmp_path: Path
) -> None:
    away = Settings(home=tmp_path / "away", archive=str(archive.root), lake_uri=str(root))
    span = date(2024, 6, 24), date(2024, 7, 26)
    fetch(away, *span)
    received = staged(away, *span)
    lakes = [Lake(away.lake), Lake(tmp_path / "folder")]
    frames = []
    for lake in lakes:
        ingest(lake, received).require_complete()
        first, *_, last = lake.sessions("normalized_equity_ohlc")
        build_features(lake, first, last)
        frames.append(training_frame(lake, first, last, horizon=1, universe=UNIVERSES["all"]))
    assert str(lakes[0].root) == str(root)
    assert frames[0].height > 100
    assert frames[0].equals(frames[1])
    bars, *_ = (lake.scan("normalized_equity_ohlc").drop("ingest_time").collect() for lake in lakes)
    assert bars.equals(lakes[1].scan("normalized_equity_ohlc").drop("ingest_time").collect())
    assert lakes[0].digest("features_equity_indicators") == lakes[1].digest("features_equity_indicators")
    loaded = load_warehouse.load(away, first, last, ("normalized_equity_ohlc", "features_equity_indicators"))
    assert sum(result.rows for result in loaded) == bars.height + lakes[0].rows("features_equity_indicators")
    assert {result.route for result in loaded} == {"s3"}, "the engine reads the store itself"
    assert warehouse.sql(away, "select count() as n from champion_market.equity_ohlc")["n"].item() == bars.height
    assert not (away.home / "lake").exists(), "no file of the lake is on the local disk"


def test_changed_aws_variables_take_effect(s3: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A client for the old variables must not be used."""
    place = object_path.path(f"s3://{s3_server.BUCKET}/{uuid.uuid4().hex}")
    place.write_bytes(b"here")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(LakeError, match="refused or did not answer"):
        place.read_bytes()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3["AWS_SECRET_ACCESS_KEY"])
    assert place.read_bytes() == b"here"
