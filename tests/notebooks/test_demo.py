"""The whole pipeline, once, through the command line: real archive files, kernels, Prefect, MLflow and engine."""

from __future__ import annotations

import getpass
import json
import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import demo_workspace
import nbformat
import psutil
from demo_workspace import DEMO, FIRST, LAST, Command, Look
from explorers import NEED_RUNS, explore
from hooks import listening
from modes import too_closed, too_open
from prefect_api import Api, keep_notifier, request
from waiting import PATIENCE

from champion.base.atomic_files import sha256
from champion.lake import Lake
from champion.pipeline.models import trials
from champion.runner import repair
from champion.security import prefect_login
from champion.services import prefect
from champion.settings import Settings
from champion.simulate.calendar import sessions
from champion.tracking import promotion, registry, runs, store

# Fixtures: pytest takes them for this module.
base, champion, demo = demo_workspace.base, demo_workspace.champion, demo_workspace.demo
look, settings = demo_workspace.look, demo_workspace.settings
_TABLES = ("raw_equity_ohlc", "normalized_equity_ohlc", "features_equity_indicators", "predictions_equity_scores")
_NOTEBOOKS = ("ingest", "quality", "features", "training", "promotion", "scoring")
_SCHEDULED = """
import json
from datetime import date
from champion.cli.terminal import console
with console.flow_context(console.settings(), hidden=True):
    from flows.daily import daily_after_publication, weekend_check
    from flows.features import weekly_feature_recompute
    from flows.monitoring import data_quality_audit, market_health_check
    result = {
        "health": market_health_check(date(2025, 1, 1), query_seconds=10),
        "audit": data_quality_audit(date(2024, 12, 1), date(2024, 12, 31)),
        "recompute": weekly_feature_recompute(date(2024, 12, 31), 5),
        "weekend": weekend_check(date(2024, 12, 31), 2),
        "sunday": daily_after_publication(date(2024, 12, 29)),
    }
print(json.dumps(result, default=str))
"""


def test_every_session_of_the_archive_arrives(demo: dict[str, Any], settings: Settings) -> None:
    expected = list(sessions(FIRST, LAST))
    lake = Lake(settings.lake)
    assert lake.sessions("normalized_equity_ohlc") == lake.sessions("features_equity_indicators") == expected
    assert demo["sessions"] == len(expected)
    assert demo["steps"] == (
        "backfill succeeded, features succeeded, training succeeded, challenger succeeded, scoring succeeded"
    )


def test_the_planted_signal_is_found_and_the_model_promoted(demo: dict[str, Any], settings: Settings) -> None:
    assert demo["champion"] == "equity_price_predictor version 1"
    entry = promotion.current_champion(settings)
    assert entry is not None
    assert (entry.version, entry.forced) == (1, False)
    rules = {each["rule"]: each for each in entry.evidence["rules"]}
    assert all(each["passed"] for each in rules.values())
    assert rules["luck"]["figure"] > rules["luck"]["threshold"] > 1
    assert entry.evidence["trials"] == 1
    assert demo["gate: luck"] == f"passed. {rules['luck']['sentence']}"
    account = "best 20: net of charges +"
    assert demo["account, a year"].startswith(account), "the net return, beside benchmark and active return"
    assert runs.get(settings, entry.evidence["report"]).name == "promotion"
    assert registry.alias_of(settings, "champion") == 1


def test_the_challenger_is_refused_and_the_champion_has_scored_many_sessions(
    demo: dict[str, Any], settings: Settings
) -> None:
    assert demo["challenger, ridge"].startswith("version 2 is refused. champion: ")
    decided = [(entry.version, entry.state) for entry in promotion.history(settings)]
    assert decided == [(1, "pending"), (1, "done"), (2, "refused")]
    lake, every = Lake(settings.lake), list(sessions(FIRST, LAST))
    scored = lake.sessions("predictions_equity_scores")
    assert scored == every[-(len(every) // 8) :]
    learnt_to = date.fromisoformat(registry.find(settings, 1).tags["champion.learnt_to"])
    assert learnt_to < scored[0], "the scores are out of sample"
    about = store.prepare(settings).get_model_version(registry.MODEL, "2").description
    assert about is not None
    assert about.startswith("ridge: return over 5 sessions, universe ")
    assert re.fullmatch(r"http://x/#/experiments/\d+/runs\?.*", store.training_page(settings, "http://x"))


def test_every_notebook_is_a_run_with_its_notebook_and_html(settings: Settings) -> None:
    recorded = [run for run in runs.find_runs(settings) if "champion.notebook" in run.tags]
    found = {run.tags["champion.notebook"]: run for run in recorded}
    assert set(found) == {"ingest", "quality", "features", "training", "promotion", "scoring"}
    assert {run.name for run in recorded} == {*found} - {"training"} | {"logistic v1 h5", "ridge v2 h5"}
    for name, run in found.items():
        assert (run.status, run.outcome) == ("FINISHED", "succeeded")
        assert run.parameters
        assert run.metrics
        parent = runs.get(settings, run.tags["mlflow.parentRunId"])
        assert parent.outcome == "succeeded"
        assert run.tags["prefect.flow_run_id"] == parent.tags["prefect.flow_run_id"]
        html = Path(runs.location(run, f"notebook/{name}.html")).read_text(encoding="utf-8")
        assert "<img" in html
        book = nbformat.read(runs.location(run, f"notebook/{name}.ipynb"), as_version=4)  # type: ignore[no-untyped-call]
        errors = [
            o
            for cell in book.cells
            for o in cell.get("outputs", [])
            if o.output_type == "error" or o.get("name") == "stderr"
        ]
        assert errors == []
    measured, values = (
        found["training"].metrics,
        runs.read_file(settings, found["training"].run_id, "result/result.json"),
    )
    assert {
        "portfolio_net_return",
        "portfolio_gross_return",
        "portfolio_charges_bps",
        "ranking_sharpe",
    } <= measured.keys()
    assert values is not None
    assert "after costs" in json.loads(values)["values"]["account"]


def test_warehouse_has_the_rows_of_the_lake(champion: Command, settings: Settings) -> None:
    lake = Lake(settings.lake)
    counts = " union all ".join(
        f"select '{name}' as name, count() as n from champion_market.{name}" for name in _TABLES
    )
    result = json.loads(champion("sql", counts, "--json").stdout)
    assert {row["name"]: row["n"] for row in result} == {name: lake.rows(name) for name in _TABLES}


def test_named_queries_take_parameters(champion: Command) -> None:
    result = champion("sql", "--name", "volume_leaders", "-p", "session=2024-12-31", "-p", "rows=5", "--json")
    rows = json.loads(result.stdout)
    assert rows
    assert [row["volume"] for row in rows] == sorted((row["volume"] for row in rows), reverse=True)


def test_scores_cover_the_universe_of_the_session(settings: Settings) -> None:
    scores = Lake(settings.lake).scan("predictions_equity_scores", LAST, LAST).collect()
    assert scores.height > 20
    assert sorted(scores["rank"]) == list(range(1, scores.height + 1))
    assert scores.sort("rank")["score"].is_sorted(descending=True)
    targets = Lake(settings.lake).scan("predictions_equity_targets", LAST, LAST).collect()
    assert set(scores["instrument_id"]) <= set(targets["instrument_id"])
    assert 0.9 < targets["weight"].sum() <= 1


def test_a_second_run_skips_everything_and_changes_nothing(champion: Command, base: Path, settings: Settings) -> None:
    lake = Lake(settings.lake)
    before = [lake.digest(name) for name in _TABLES]
    shown = champion(*(word for word in DEMO if word != "--json"), home=base).stdout
    assert len(re.findall(r"^  [123]\. champion ", shown, re.MULTILINE)) == 3, "what to look at next"
    shown = re.sub(r"[\s│┃|]+", " ", shown)  # lines of a table
    assert "backfill skipped, features skipped, training skipped, challenger skipped, scoring skipped" in shown
    assert "(0 files written)" in shown
    assert "skipped" in champion("score", str(LAST)).stdout
    assert [lake.digest(name) for name in _TABLES] == before
    assert len(registry.versions(settings)) == 2


def test_manual_run_skips_a_notebook_that_a_flow_has_run(champion: Command, settings: Settings) -> None:
    ran = runs.find_runs(settings, tags={"champion.notebook": "training"})
    given = [f"{name}={value}" for name, value in ran[0].parameters.items()]
    options = [word for pair in given for word in ("-p", pair)]
    result = json.loads(champion("notebook", "run", "training", *options, "--json").stdout)
    assert (result["outcome"], result["run"]) == ("skipped", ran[0].run_id)
    assert len(runs.find_runs(settings, tags={"champion.notebook": "training"})) == len(ran) == 2


def test_daily_processes_one_session_to_scores(champion: Command, settings: Settings) -> None:
    scored = Lake(settings.lake).sessions("predictions_equity_scores")
    result = json.loads(champion("daily", "2024-12-30", "--json", feature_sets="v1,alpha158").stdout)
    assert result["ingest"]["sessions"] == 1
    assert result["score"]["instruments"] > 20
    assert Lake(settings.lake).sessions("predictions_equity_scores") == scored
    assert scored[-2:] == [date(2024, 12, 30), LAST]
    assert result["features alpha158"]["written"] == 2  # the session and the next one, which depends on its bars
    assert result["loaded"]["features_equity_alpha158"] == result["features alpha158"]["rows"] > 20
    flow = runs.find_runs(settings, ["daily-market-pipeline"], limit=1)[0]
    kept = Path(runs.location(flow, "report/morning.html")).read_text(encoding="utf-8")
    assert kept == Path(result["report"]).read_text(encoding="utf-8")
    assert "Monday, 30 December 2024" in kept
    assert flow.metrics["hours_after_close"] > 0  # the session is long past


def test_date_without_a_session_is_not_a_failure(champion: Command) -> None:
    result = json.loads(champion("daily", "2024-12-25", "--json").stdout)
    assert result == {"session": "2024-12-25", "sessions": 0}


def test_a_failing_cell_leaves_a_failed_run_with_its_notebook(
    champion: Command, settings: Settings, tmp_path: Path
) -> None:
    cells = [
        nbformat.v4.new_code_cell("count: int = 1", metadata={"tags": ["parameters"]}),  # type: ignore[no-untyped-call]
        nbformat.v4.new_code_cell(  # type: ignore[no-untyped-call]
            "import os\nprint(dict(os.environ))\nos.write(2, os.environ['AWS_SECRET_ACCESS_KEY'].encode())\nos.environ"
        ),
        nbformat.v4.new_code_cell("1 / (count - 1)"),  # type: ignore[no-untyped-call]
    ]
    path = tmp_path / "broken.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)  # type: ignore[no-untyped-call]
    result = champion("notebook", "run", str(path), code=1)
    assert "ZeroDivisionError" in result.stderr
    assert "Traceback" not in result.stderr
    run = runs.find_runs(settings, tags={"champion.notebook": "broken"})[0]
    assert (run.status, run.outcome) == ("FAILED", "failed")
    assert Path(runs.location(run, "notebook/broken.ipynb")).exists()
    assert "ZeroDivisionError" in Path(runs.location(run, "notebook/broken.html")).read_text(encoding="utf-8")


def test_modes_of_all_files_do_not_depend_on_the_umask(demo: dict[str, Any], settings: Settings) -> None:
    """All commands here run under a umask that leaves and takes rights; test_file_modes.py has 000, 022 and 077."""
    assert demo
    assert {"lake", "mlflow", "prefect", "services", "warehouse"} <= {path.name for path in settings.home.iterdir()}
    assert too_open(settings.home) == []
    assert too_closed(settings.home) == []


def test_wrong_parameters_raise_usage_error_before_a_kernel_starts(champion: Command) -> None:
    result = champion("notebook", "run", "quality", "-p", "begin=2024-01-01", code=2)
    assert "begin" in result.stderr


def test_audit_lists_flows_runs_and_their_users(champion: Command, settings: Settings) -> None:
    audit = json.loads(champion("audit", "--json").stdout)
    assert set(audit["not_asked"]) == {"warehouse"}, "Prefect's server runs"
    flows = {event["what"]: event for event in audit["events"] if event["source"] == "prefect"}
    backfill = next(event for what, event in flows.items() if what.startswith(f"flow backfill {FIRST}"))
    assert backfill["user"] == getpass.getuser(), "by the run in MLflow that the flow made"
    trained = {event["id"]: event["data"] for event in audit["events"] if event["what"] == "notebook training"}
    assert trained.keys() == {registry.find(settings, version).run_id for version in (1, 2)}
    assert all("read " in data and "features_equity_indicators" in data for data in trained.values())


def test_no_command_line_shows_a_secret(demo: dict[str, Any], settings: Settings) -> None:
    assert demo
    assert prefect.running(settings) is not None
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert any("prefect_server server start" in line for line in lines)
    hidden = ("Plant3d", _made_login(settings))
    assert [line for line in lines if any(secret in line for secret in hidden)] == []


def test_prefect_received_the_progress_of_notebooks(demo: dict[str, Any], settings: Settings) -> None:
    server = prefect.running(settings)
    assert demo
    assert server is not None
    wanted = {"artifacts": {"type": {"any_": ["progress"]}}}
    answer = request(Api.of(settings, server.api), "POST", "artifacts/filter", wanted)
    progress = {found["key"]: float(found["data"]) for found in answer}
    assert progress == {f"notebook-{name}": 100.0 for name in _NOTEBOOKS}


def test_a_prediction_is_traced_to_the_files_and_a_file_to_the_predictions(
    champion: Command, base: Path, settings: Settings, tmp_path: Path
) -> None:
    picture = tmp_path / "lineage.png"
    asked = ("lineage", "back", "predictions_equity_scores", str(LAST))
    found = json.loads(champion(*asked, "--picture", str(picture), "--json").stdout)
    assert found["whole"] is True
    assert {"file", "dataset", "run", "model"} == {node["kind"] for node in found["nodes"]}
    published = [node for node in found["nodes"] if node["kind"] == "file" and node["count"] > 1]
    every = len(list(sessions(FIRST, LAST)))
    assert [node["count"] for node in published] == [every - every // 8, every], "of the training, and of the session"
    on_disk = {sha256(path) for path in (base / "demo" / "archive").rglob("*.zip")}
    assert {digest for node in published for _, digest in node["members"]} <= on_disk
    trained = next(node for node in found["nodes"] if node["kind"] == "run")
    assert trained["digest"] == registry.find(settings, 1).run_id
    assert picture.read_bytes().startswith(b"\x89PNG")

    result = champion("lineage", "forward", "BhavCopy_NSE_CM_0_0_0_20240715_F_0000.csv.zip").stdout
    for text in ("features_equity_indicators", "equity_price_predictor version 1", "predictions_equity_scores"):
        assert text in result
    assert "every link holds" in result, result


def test_scheduled_flows_run_on_the_demo(demo: dict[str, Any], settings: Settings) -> None:
    variables = {**os.environ, "CHAMPION_HOME": str(settings.home), "CHAMPION_ARCHIVE": settings.archive}
    variables["CHAMPION_DISK_FREE_GB"] = "0"
    command = [sys.executable, "-c", _SCHEDULED]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    lake = Lake(settings.lake)
    assert result["health"]["freshness"] == "the last session is 2024-12-31"
    assert "last session 2024-12-31, lake 2024-12-31" in result["health"]["warehouse"]
    assert result["audit"]["verified"]["normalized_equity_ohlc"] == demo["sessions"]
    assert result["audit"]["reloaded"]["normalized_equity_ohlc"] == 0
    last = lake.sessions("features_equity_indicators")[-5:]
    rows = lake.scan("features_equity_indicators", last[0], last[-1]).select("symbol").collect().height
    assert (result["recompute"]["v1"]["compared_sessions"], result["recompute"]["v1"]["compared_rows"]) == (5, rows)
    assert result["recompute"]["v1"]["features"] == "nothing stale"
    assert (result["weekend"]["new"], result["weekend"]["ingest"]["written"]) == ([], 0)
    assert result["sunday"] == {"session": "2024-12-29", "awaited": "no_session", "sessions": 0}
    flow = runs.find_runs(settings, ["daily-market-pipeline"], limit=1)[0]
    assert flow.outcome == "succeeded"
    assert flow.metrics["flow_seconds"] > 0


def test_status_shows_the_workspace(champion: Command, look: Look) -> None:
    result = champion("status").stdout
    for text in (
        "normalized_equity_ohlc",
        "2024-12-31",
        "quarantine: ",
        "champion: version 1",
        "succeeded",
    ):
        assert text in result
    found = json.loads(look("status", "--json"))
    assert {entry["name"] for entry in found["datasets"]} >= {"raw_equity_ohlc", "predictions_equity_scores"}


def test_models_notebooks_lake_and_schema_commands(champion: Command, look: Look) -> None:
    assert "champion" in look("models", "list")
    assert json.loads(look("models", "history", "--on", "2020-01-01", "--json"))["version"] is None
    assert "promote" in look("models", "history")
    assert "training" in look("notebook", "list")
    run = json.loads(look("notebook", "list", "--json"))["runs"][0]["run"]
    assert "champion.home" in look("notebook", "show", run)
    assert json.loads(look("lake", "verify", "--json"))["damaged"] == 0
    assert "low_le_high" in look("schema", "show", "normalized_equity_ohlc")
    assert json.loads(champion("warehouse", "migrate", "--json").stdout) == {"applied": []}


def test_errors_are_clear_and_have_exit_codes(champion: Command, settings: Settings) -> None:
    assert "write it as 2024-01-15" in champion("daily", "15/01/2024", code=2).stderr
    assert "no features" in champion("train", "--start", "2030-01-01", code=1).stderr
    server = prefect.running(settings)
    assert server is not None
    with listening() as webhook:
        block = keep_notifier(Api.of(settings, server.api), webhook)
        result = champion("train", "--start", "2024-12-20", code=1, notify_block=block).stderr
    assert (why := "too few for 5 folds") in result
    assert [(one["subject"], why in one["body"]) for one in webhook.got] == [("train_model: Failed", True)]
    assert "only reading statements are allowed" in champion("sql", "drop database champion_market", code=1).stderr


def test_the_explorers_of_runs_and_models_run(settings: Settings, tmp_path: Path) -> None:
    explore(NEED_RUNS[::-1], settings, tmp_path)


def test_a_search_reuses_a_training_and_adds_its_rule_and_its_choice(
    champion: Command, settings: Settings, tmp_path: Path
) -> None:
    trained, file = {"champion.notebook": "training"}, tmp_path / "space.toml"
    ran = runs.find_runs(settings, tags=trained)[-1]
    given = {name: json.loads(ran.parameters[name]) for name in ("horizon", "seed", "n_splits", "embargo")}
    texts = {name: json.dumps(ran.parameters[name]) for name in ("universe", "target", "feature_set", "model")}
    space = f"""
        name = "demo"
        start = {ran.parameters["start"]}
        end = {ran.parameters["as_of"]}
        folds = {given["n_splits"]}
        embargo = {given["embargo"]}
        recipe.horizon = {given["horizon"]}
        recipe.seed = {given["seed"]}
        recipe.universe = {texts["universe"]}
        recipe.target = {texts["target"]}
        recipe.feature_set = {texts["feature_set"]}
        model = [{{name = {texts["model"]}}}]
        rule = [{{top = [{ran.parameters["top"]}]}}]
        """
    file.write_text(space)
    champion("search", str(file))  # it trains again: lists arrived since the demo
    known = runs.find_runs(settings, tags=trained)
    file.write_text(space.replace(f"[{ran.parameters['top']}]", f"[{ran.parameters['top']}, 10]"))
    before = trials.count(settings).total
    result = json.loads(champion("search", str(file), "--json").stdout)
    assert (result["recipes"], result["failed"]) == (2, 0)
    assert trials.count(settings).total == before + 2
    assert runs.find_runs(settings, tags=trained) == known, "the training is skipped"
    (used,) = {row["run"] for row in result["table"]}
    assert used in {run.run_id for run in known}
    assert Path(result["report"]).read_text(encoding="utf-8").count("<img") == 2
    assert registry.alias_of(settings, "champion") == 1


def test_no_file_contains_a_secret_of_the_environment(champion: Command, base: Path, settings: Settings) -> None:
    """Neither the lake, MLflow, Prefect's database, notebooks, pages and logs, nor the printed output."""
    champion("stop")  # SQLite writes all data at its end
    failed = runs.find_runs(settings, tags={"champion.notebook": "broken"})[0]
    assert "***" in Path(runs.location(failed, "notebook/broken.html")).read_text(encoding="utf-8")
    files = [path for path in base.rglob("*") if path.is_file() and base / "demo" / "archive" not in path.parents]
    assert {"mlflow.db", "prefect.db", "outputs.txt", "kernel.log", "prefect.log"} <= {path.name for path in files}
    hidden = (b"Plant3d", _made_login(settings).encode())
    found = {path for path in files if any(secret in path.read_bytes() for secret in hidden)}
    assert found == {prefect_login.path(settings)}, "the owner's own copy"


def test_no_file_is_left_in_the_temporary_folder(champion: Command, base: Path) -> None:
    """MLflow copies each file that is read from a run to a temporary folder, and does not remove it."""
    champion("stop")
    assert sorted(path.name for path in (base / "scratch").iterdir()) == []


def test_no_run_is_left_marked_as_running(settings: Settings) -> None:
    assert repair(settings) == []
    assert [run.name for run in runs.find_runs(settings, status="RUNNING")] == []


def _made_login(settings: Settings) -> str:
    """Return the secret part of the login of the workspace's Prefect server."""
    _, secret = prefect_login.pair(settings) or ("", "")
    assert len(secret) == 48
    return secret
