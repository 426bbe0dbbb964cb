"""Kept training frames: the same values as a new frame, another file for other data or code, and safe files."""

from __future__ import annotations

import ast
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typing_extensions import override

from champion import contracts
from champion.contracts.datasets import BARS, FEATURES
from champion.errors import LakeError
from champion.lake import Lake
from champion.modeling.universe import UNIVERSES, Universe, find
from champion.pipeline.feature_store import builder_code
from champion.pipeline.feature_store.frame_cache import FrameCache
from champion.pipeline.ingest import quality
from champion.pipeline.models import frames
from champion.pipeline.reference import universe_lists
from champion.settings import Settings
from champion.settings.quality_limits import Limits

HORIZON, FRAME = 5, pl.DataFrame({"rank": [0.25, None, -0.25], "symbol": ["A", None, "B&C"]})


@pytest.fixture(scope="module")
def workspace(modelled: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = shutil.copytree(modelled.home, tmp_path_factory.mktemp("frames") / "home")
    return modelled.model_copy(update={"home": home})


@pytest.fixture(scope="module")
def days(workspace: Settings) -> list[date]:
    return Lake(workspace.lake).sessions(FEATURES)


def kept(settings: Settings) -> set[str]:
    return {path.name for path in FrameCache.of(settings).files()}


def test_a_kept_frame_equals_a_new_one_until_data_or_terms_change(workspace: Settings, days: list[date]) -> None:
    lake, asked = Lake(workspace.lake), {"horizon": HORIZON, "universe": find("all"), "limits": Limits.of(workspace)}
    new = frames.training_frame(lake, days[0], days[-1], **asked)  # type: ignore[arg-type]
    built, read = (frames.kept_training_frame(workspace, days[0], days[-1], **asked) for _ in range(2))  # type: ignore[arg-type]
    assert (built.schema, read.schema) == (new.schema, new.schema)
    assert built.equals(new)
    assert read.equals(new)
    assert len(kept(workspace)) == 1
    for number, other in enumerate(({"returns": "price"}, {"horizon": 2}, {"limits": None}, {"universe": find("main_board")}), 2):
        assert not frames.kept_training_frame(workspace, days[0], days[-1], **{**asked, **other}).equals(new) or "limits" in other  # type: ignore[arg-type]
        assert len(kept(workspace)) == number
    off = workspace.model_copy(update={"frames_gb": 0})
    before = kept(workspace)
    assert frames.kept_training_frame(off, days[0], days[-5], **asked).equals(  # type: ignore[arg-type]
        frames.training_frame(lake, days[0], days[-5], **asked)  # type: ignore[arg-type]
    )
    assert kept(workspace) == before
    # A corrected bar: features are out of date, then built from it.
    session = days[-3]
    bars = lake.scan(BARS, session, session).collect()
    lake.write(BARS, session, bars.with_columns(turnover=pl.col("turnover") * 2), {"corrected": "turnover"})
    with pytest.raises(LakeError, match="no current features"):
        frames.kept_training_frame(workspace, days[0], days[-1], **asked)  # type: ignore[arg-type]
    assert kept(workspace) == before
