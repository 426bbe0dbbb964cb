"""An archive accepts the partitions of one lake, loses no archived data, and may be in an object store."""

from __future__ import annotations

import os
import shutil
import threading
import uuid
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import boto3
import polars as pl
import pytest
import s3_server
import warehouse_rows
from polars.testing import assert_frame_equal

from champion import contracts
from champion.base import object_path
from champion.base.atomic_files import sha256
from champion.errors import LakeError, UsageError
from champion.lake import Lake, layout, ownership, seal
from champion.pipeline.maintenance import retention
from champion.settings import Settings

NAME, RAW = "normalized_equity_ohlc", "raw_equity_ohlc"
NONE, TODAY = timedelta(0), date(2027, 2, 10)
SESSIONS = [date(2023, 11, day) for day in (1, 2, 3)]


def _fill(settings: Settings, source: Lake, factor: float = 1.0, version: str = "a") -> Lake:
    """Write three sessions of bars, raw and normalized, into a workspace's own lake."""
    lake = Lake(settings.lake)
    for name in (RAW, NAME):
        for session in SESSIONS:
            rows = source.scan(name, session, session).collect()
            if factor != 1.0:
                rows = rows.head(max(1, int(rows.height * factor)))
            lake.write(name, session, rows, {"file": version})
    return lake


def _files(root: Path) -> dict[str, str]:
    found = (path for path in root.rglob("*") if path.is_file() and ".locks" not in path.parts)
    return {str(path.relative_to(root)): sha256(path) for path in found}


@pytest.fixture
def source(ingested: Settings) -> Lake:
    return Lake(ingested.lake)


@pytest.fixture
def archived(source: Lake, tmp_path: Path) -> Settings:
    """A workspace with three archived sessions."""
    settings = Settings(home=tmp_path / "one", lake_archive=tmp_path / "archive")
    _fill(settings, source)
    assert retention.retain(settings, TODAY, NONE)
    return settings


def test_an_archive_refuses_another_workspace_unchanged(archived: Settings, source: Lake, tmp_path: Path) -> None:
    other = Settings(home=tmp_path / "two", lake_archive=archived.lake_archive, normalized_years=3)
    lake, before = _fill(other, source, 0.5), _files(tmp_path / "archive")
    for attempt in (
        lambda: retention.plan(other, TODAY),
        lambda: retention.retain(other, TODAY, NONE),
        lambda: retention.restore(other, SESSIONS[0], SESSIONS[-1], [NAME]),
    ):
        with pytest.raises(LakeError, match=f"belongs to another lake, {archived.lake}.*CHAMPION_LAKE_ARCHIVE"):
            attempt()
    assert _files(tmp_path / "archive") == before
    assert lake.sessions(NAME) == SESSIONS


def test_an_archive_accepts_a_moved_workspace_and_refuses_a_copy(archived: Settings, tmp_path: Path) -> None:
    shutil.copytree(archived.home, tmp_path / "copy")
    copy = archived.model_copy(update={"home": tmp_path / "copy", "normalized_years": 3})
    with pytest.raises(LakeError, match=r"of which .* is a copy"):
        retention.retain(copy, TODAY, NONE)
    archived.home.rename(tmp_path / "gone")
    retention.retain(copy, TODAY, NONE)
    assert Lake(copy.lake).sessions(NAME) == []
    assert retention.restore(copy, SESSIONS[0], SESSIONS[-1], [NAME]) == {NAME: SESSIONS}


def test_adopt_makes_a_new_lake_the_owner_of_an_archive(archived: Settings, source: Lake, tmp_path: Path) -> None:
    shutil.rmtree(archived.lake)
    with pytest.raises(LakeError, match="champion lake adopt"):
        retention.restore(archived, SESSIONS[0], SESSIONS[-1], [NAME])
    assert retention.adopt(archived) == str(archived.lake)
    assert retention.restore(archived, SESSIONS[0], SESSIONS[-1], [NAME, RAW]) == {NAME: SESSIONS, RAW: SESSIONS}
    rows = source.scan(NAME, SESSIONS[0], SESSIONS[-1]).collect()
    assert_frame_equal(Lake(archived.lake).scan(NAME).collect(), rows, check_row_order=False)
    with pytest.raises(UsageError, match="CHAMPION_LAKE_ARCHIVE"):
        retention.adopt(Settings(home=tmp_path / "x"))


def test_archiving_a_correction_keeps_the_superseded_partition(archived: Settings, source: Lake) -> None:
    archive = Lake(archived.lake_archive or Path())
    before = _files(archive.root)
    lake = _fill(archived, source, 0.5, "b")
    retention.retain(archived, TODAY, NONE)
    after = _files(archive.root)
    assert set(before.values()) <= set(after.values()), "a file of the archive is lost"
    assert archive.digest(NAME) == lake.digest(NAME)
    assert [damage for name in (NAME, RAW) for damage in archive.verify(name)] + archive.unknown_files() == []


def test_a_correction_during_archiving_is_not_lost(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "one", lake_archive=tmp_path / "archive", raw_years=3)
    lake, rows, day = Lake(settings.lake), warehouse_rows.raw(), pl.col("TradDt")
    first, last = rows["TradDt"].unique().sort()
    for session in (first, last):
        lake.write(RAW, session, rows.filter(day == session), {"file": "a"})
    corrected = rows.filter(day == last).head(1)

    def correct(*_: object) -> None:  # after the first session is archived, before the second is
        lake.write(RAW, last, corrected, {"file": "b"})

    retention.retain(settings, TODAY, NONE, correct)
    assert lake.sessions(RAW) == []
    assert Lake(tmp_path / "archive").verify(RAW) == []
    assert retention.restore(settings, first, last, [RAW]) == {RAW: [first, last]}
    assert_frame_equal(lake.scan(RAW, last).collect(), corrected)
    assert lake.verify(RAW) == []


def test_an_archive_without_owner_is_claimed_unless_it_holds_other_data(
    archived: Settings, source: Lake, tmp_path: Path
) -> None:
    (tmp_path / "archive" / ".archive_owner").unlink()
    other = Settings(home=tmp_path / "two", lake_archive=archived.lake_archive)
    _fill(other, source, 0.5)
    before = _files(tmp_path / "archive")
    with pytest.raises(LakeError, match="holds other data"):
        retention.retain(other, TODAY, NONE)
    assert _files(tmp_path / "archive") == before
    rows = source.scan(NAME, date(2023, 11, 6), date(2023, 11, 6)).collect()
    Lake(archived.lake).write(NAME, date(2023, 11, 6), rows, {"file": "c"})
    retention.retain(archived, TODAY, NONE)
    assert (tmp_path / "archive" / ".archive_owner").exists()


def test_concurrent_claims_of_an_archive_have_one_winner(tmp_path: Path) -> None:
    archive, lakes = Lake(tmp_path / "archive"), [Lake(tmp_path / str(number)) for number in range(8)]
    start, outcomes = threading.Barrier(len(lakes)), list[str]()

    def claim(lake: Lake) -> None:
        start.wait()
        try:
            ownership.claim(lake, archive, [])
            outcomes.append(str(lake.root))
        except LakeError:
            outcomes.append("refused")

    threads = [threading.Thread(target=claim, args=(lake,)) for lake in lakes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = ownership.owner(archive)
    assert found is not None
    assert sorted(outcomes) == sorted([found.place, *["refused"] * 7])


def test_a_damaged_owner_file_is_named_in_the_error(archived: Settings, tmp_path: Path) -> None:
    (tmp_path / "archive" / ".archive_owner").write_text("{}")
    with pytest.raises(LakeError, match=r"\.archive_owner.*champion lake adopt"):
        retention.plan(archived, TODAY)


def test_a_storage_class_requires_an_archive_in_a_bucket(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="storage class"):
        Settings(home=tmp_path, lake_archive=tmp_path / "a", lake_archive_class="GLACIER")
    with pytest.raises(ValueError, match="s3://bucket/prefix"):
        Settings(home=tmp_path, lake_archive="ftp://x/y")
    asked = Settings(home=tmp_path, lake_archive="s3://bucket/prefix", lake_archive_class="GLACIER")
    assert asked.environment()["CHAMPION_LAKE_ARCHIVE"] == "s3://bucket/prefix"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    if reason := s3_server.missing():
        pytest.skip(reason)
    with s3_server.running(tmp_path_factory.mktemp("s3")) as variables, pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


@pytest.mark.parametrize("lake_is_stored", [False, True], ids=["folder", "store"])
@pytest.mark.usefixtures("s3")
def test_partitions_are_archived_in_a_storage_class_and_restored(
    source: Lake, tmp_path: Path, *, lake_is_stored: bool
) -> None:
    place = f"s3://{s3_server.BUCKET}/{uuid.uuid4().hex}"
    settings = Settings(
        home=tmp_path / "ws",
        lake_uri=f"{place}/lake" if lake_is_stored else None,
        lake_archive=f"{place}/archive",
        lake_archive_class="STANDARD_IA",
        normalized_years=3,
        raw_years=3,
    )
    lake = _fill(settings, source)
    before = {name: (lake.digest(name), lake.scan(name).collect()) for name in (NAME, RAW)}
    seal(lake, RAW, 2023)
    assert {step.action for step in retention.retain(settings, TODAY, NONE)} == {"archive", "delete"}
    assert lake.sessions(NAME) == lake.sessions(RAW) == []
    assert settings.lake_archive is not None
    archive, uri = Lake(settings.lake_archive), object_path.path(f"{place}/archive")
    stored = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).list_objects_v2(
        Bucket=uri.bucket, Prefix=f"{uri.key}/"
    )["Contents"]
    classes = {(found["Key"].endswith(".parquet"), found["StorageClass"]) for found in stored}
    assert classes == {(True, "STANDARD_IA"), (False, "STANDARD")}
    assert [d for name in (NAME, RAW) for d in archive.verify(name) if not d.harmless] + archive.unknown_files() == []
    assert retention.retain(settings, TODAY, NONE) == []
    assert retention.restore(settings, SESSIONS[0], SESSIONS[-1], [NAME, RAW]) == {NAME: SESSIONS, RAW: SESSIONS}
    for name, (digest, rows) in before.items():
        assert lake.digest(name) == digest
        session = contracts.load(name).session
        assert_frame_equal(lake.scan(name).collect().sort(session, pl.all()), rows.sort(session, pl.all()))
        assert [damage for damage in lake.verify(name) if not damage.harmless] == []


@pytest.mark.usefixtures("s3")
def test_an_archive_in_a_store_refuses_another_lake(source: Lake, tmp_path: Path) -> None:
    place = f"s3://{s3_server.BUCKET}/{uuid.uuid4().hex}"
    first, second = (Settings(home=tmp_path / name, lake_archive=place) for name in ("one", "two"))
    for settings in (first, second):
        _fill(settings, source)
    retention.retain(first, TODAY, NONE)
    with pytest.raises(LakeError, match="belongs to another lake"):
        retention.retain(second, TODAY, NONE)


@pytest.mark.usefixtures("s3")
def test_a_copy_of_a_stored_lake_is_refused_beside_it(tmp_path: Path) -> None:
    place = f"s3://{s3_server.BUCKET}/{uuid.uuid4().hex}"
    first, second = (
        Settings(home=tmp_path / one, lake_uri=f"{place}/{one}", lake_archive=f"{place}/archive")
        for one in ("one", "two")
    )
    rows = warehouse_rows.raw()
    session = rows["TradDt"][0]
    for settings in (first, second):
        Lake(settings.lake).write(RAW, session, rows.filter(pl.col("TradDt") == session), {"file": "a"})
    retention.retain(first, TODAY, NONE)
    identity = (first.lake / layout.IDENTITY).read_bytes()
    (second.lake / layout.IDENTITY).write_bytes(identity)
    with pytest.raises(LakeError, match=r"of which .* is a copy"):
        retention.retain(second, TODAY, NONE)
    (first.lake / layout.IDENTITY).unlink()  # as of a lake that moved
    assert retention.retain(second, TODAY, NONE) == []
