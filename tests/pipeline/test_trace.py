"""Lineage by digest: back from rows to the published files, forward from a file to what it touched."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from champion.base import atomic_files
from champion.contracts.datasets import BARS, FACTORS, FEATURES, RAW_BARS
from champion.errors import LakeError, UsageError
from champion.lake import Lake
from champion.pipeline.feature_store.build import build_features
from champion.pipeline.provenance.downstream import forward
from champion.pipeline.provenance.graph import Node, Trace
from champion.pipeline.provenance.upstream import back
from champion.plots.trace import trace_graph
from champion.settings import Settings
from champion.simulate import SimulatedArchive
from champion.tracking import registry

SESSION, LAST = date(2024, 1, 15), date(2024, 1, 31)


@pytest.fixture(scope="module")
def built(known: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The known workspace with features up to January 2024."""
    made = known.model_copy(update={"home": tmp_path_factory.mktemp("built") / "home"})
    shutil.copytree(known.home, made.home)
    build_features(Lake(made.lake), date(2024, 1, 10), LAST)
    return made


@pytest.fixture
def own(built: Settings, tmp_path: Path) -> Settings:
    """A copy of it to damage."""
    made = built.model_copy(update={"home": tmp_path / "home"})
    shutil.copytree(built.home, made.home)
    return made


def states(found: Trace) -> dict[str, str]:
    return {node.id.removeprefix("dataset "): node.state for node in found.nodes.values() if node.state != "same"}


def test_bars_come_of_the_very_file_that_was_published(ingested: Settings, archive: SimulatedArchive) -> None:
    found = back(ingested, BARS, SESSION)
    assert [node.name for node in found.nodes.values()][:2] == [BARS, RAW_BARS]
    (published,) = (node for node in found.nodes.values() if node.name.startswith("BhavCopy"))
    (path,) = archive.root.rglob(published.name)
    assert published.digest == atomic_files.sha256(path)
    assert found.is_whole


def test_features_come_of_all_bars_before_them_and_their_files(built: Settings, archive: SimulatedArchive) -> None:
    found = back(built, FEATURES, LAST)
    assert found.is_whole
    sessions = Lake(built.lake).sessions(BARS, end=LAST)
    bars = found.nodes[f"dataset {BARS} {sessions[0]} {LAST}"]
    (published,) = (node for node in found.nodes.values() if node.count == len(sessions) and node.kind == "file")
    assert bars.count == len(published.members) == len(sessions)
    on_disk = {atomic_files.sha256(path) for path in archive.root.rglob("*.zip")}
    assert {digest for _, digest in published.members} <= on_disk
    assert {FACTORS, "normalized_corporate_actions"} <= {node.name for node in found.nodes.values()}


def test_a_bar_that_changed_since_breaks_the_link(own: Settings) -> None:
    lake = Lake(own.lake)
    frame = lake.scan(BARS, SESSION, SESSION).with_columns(pl.col("volume") + 1).collect()
    manifest = lake.manifest(BARS, SESSION)
    assert manifest is not None
    lake.write(BARS, SESSION, frame, {**manifest.current.inputs, "by": "hand"})
    first = lake.sessions(BARS)[0]
    assert states(back(own, FEATURES, LAST))[f"{BARS} {first} {LAST}"] == "changed"
    of_bars_before_it = states(back(own, FEATURES, date(2024, 1, 12)))
    assert list(of_bars_before_it) == [f"{BARS} {first} 2024-08-30"]  # which the factors were made from
    touched = states(forward(own, "BhavCopy_NSE_CM_0_0_0_20240115_F_0000.csv.zip"))
    assert touched == {f"{FEATURES} {SESSION} {LAST}": "changed"}


def test_a_staged_file_that_is_not_as_it_came_is_missed(own: Settings) -> None:
    (path,) = own.staging.rglob("BhavCopy_NSE_CM_0_0_0_20240115_F_0000.csv.zip")
    path.write_bytes(path.read_bytes() + b" ")
    assert list(states(back(own, BARS, SESSION)).values()) == ["missing"]


def test_a_file_touches_its_rows_and_all_features_from_there_on(built: Settings) -> None:
    name = "BhavCopy_NSE_CM_0_0_0_20240122_F_0000.csv.zip"
    found = forward(built, name)
    assert found.is_whole
    nodes = {node.name: node for node in found.nodes.values()}
    assert {name, RAW_BARS, BARS, FEATURES} <= set(nodes)
    assert (nodes[FEATURES].first, nodes[FEATURES].last) == (date(2024, 1, 22), LAST)
    assert forward(built, nodes[name].digest[:12]).nodes == found.nodes
    (path,) = built.staging.rglob(name)
    assert forward(built, str(path)).nodes == found.nodes


def test_models_and_predictions_lie_below_the_feature_set_they_use(modelled: Settings, tmp_path: Path) -> None:
    made = modelled.model_copy(update={"home": tmp_path / "home"})
    shutil.copytree(modelled.home, made.home)
    build_features(Lake(made.lake), date(2024, 8, 29), date(2024, 8, 30), feature_set="alpha158")
    found = forward(made, "BhavCopy_NSE_CM_0_0_0_20240122_F_0000.csv.zip")
    above: dict[str, set[str]] = {}
    path: list[str] = []
    for depth, node, _ in found.walk():
        path[depth:] = [node.name]
        above.setdefault(node.kind if node.kind != "dataset" else node.name, set()).add(
            path[depth - 1] if depth else ""
        )
    assert above["features_equity_alpha158"] == above[FEATURES] == {BARS}
    assert above["run"] == {FEATURES}
    assert above["predictions_equity_scores"] == {FEATURES, f"{registry.MODEL} version 1"}


def test_a_list_of_actions_touches_factors_and_features(built: Settings) -> None:
    (path,) = built.staging.rglob("CF-CA-equities-*.csv")
    names = {node.name for node in forward(built, path.name).nodes.values()}
    assert {"normalized_corporate_actions", FACTORS, FEATURES} <= names


def test_what_is_not_there_is_named(built: Settings) -> None:
    with pytest.raises(LakeError, match=r"no session 2024-01-14; it has 2023-11-01 to"):
        back(built, BARS, date(2024, 1, 14))
    with pytest.raises(UsageError, match="staging holds no file 'nonesuch'"):
        forward(built, "nonesuch")


def test_a_trace_is_read_once_and_drawn() -> None:
    trace = Trace()
    top, middle, low = (Node("dataset", name) for name in ("top", "middle", "low"))
    assert trace.add(top)
    assert trace.add(middle, top)
    assert trace.add(low, middle)
    assert not trace.add(low, top)
    assert [(depth, node.name, told) for depth, node, told in trace.walk()] == [
        (0, "top", False),
        (1, "middle", False),
        (2, "low", False),
        (1, "low", True),
    ]
    rows = [
        {"id": n.id, "kind": n.kind, "name": n.name, "span": n.span, "state": n.state} for n in trace.nodes.values()
    ]
    figure = trace_graph(pl.DataFrame(rows), trace.links, title="a trace")
    assert {"top", "middle", "low", "a trace"} <= {text.get_text() for text in figure.axes[0].texts}
    assert len(figure.axes[0].lines) == len(trace.links)
