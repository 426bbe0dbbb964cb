"""Versions of the model in MLflow's registry: register a fitted model, list versions, load one with checks.

Models are stored in the skops format, which runs no code on loading. This module decides which types may be loaded, by
the package that defines them, never by the list in a model file. A workspace may trust further packages
(`CHAMPION_MODEL_PACKAGES`): the user's own estimators, or a library such as LightGBM. A version stores the SHA-256 of
its file: a replaced file is refused before it is opened.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from zipfile import BadZipFile

import polars as pl

from champion.base.atomic_files import sha256
from champion.base.counting import quantity
from champion.base.strict_json import parse_json
from champion.errors import ModelError
from champion.tracking import model_types, runs, store

if TYPE_CHECKING:
    from champion.settings import Settings

MODEL = "equity_price_predictor"
CHAMPION, CHALLENGER = "champion", "challenger"
FEATURE_VERSION = "champion.feature_version"
FEATURES = "champion.features"
DIGEST = "champion.model_sha256"
ABOUT = "Scores NSE equities by their expected forward return."
_FILE = "model.skops"
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Version:
    """One registered version of the model; `created` is UTC.

    `problem` is why it can be listed but not used, for example because another tool registered it; empty if it can.
    """

    number: int
    aliases: tuple[str, ...]
    run_id: str
    created: datetime
    feature_version: str
    features: tuple[str, ...]
    tags: Mapping[str, str]
    problem: str = ""

    def text(self, tag: str) -> str:
        """Return the value of a tag.

        Raises:
            ModelError: the version has no such tag.
        """
        if tag not in self.tags:
            raise ModelError(
                f"version {self.number} has no tag {tag}: it was not registered by training; train it again"
            )
        return self.tags[tag]

    def integer(self, tag: str) -> int:
        """Return the integer in a tag.

        Raises:
            ModelError: the version has no such tag, or the tag has another form.
        """
        return self._parsed(tag, int, "an integer")

    def day(self, tag: str) -> date:
        """Return the date in a tag.

        Raises:
            ModelError: the version has no such tag, or the tag has another form.
        """
        return self._parsed(tag, date.fromisoformat, "a date")

    def _parsed(self, tag: str, parse: Callable[[str], Value], expected: str) -> Value:
        try:
            return parse(self.text(tag))
        except ValueError as error:
            raise ModelError(
                f"version {self.number}: tag {tag} is {self.tags[tag]!r}, not {expected}: correct it in MLflow, or "
                "train another version"
            ) from error


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A fitted scikit-learn model and its version."""

    model: Any
    version: Version


def register(
    settings: Settings,
    model: Any,
    example: pl.DataFrame,
    *,
    run_id: str,
    feature_version: str,
    tags: Mapping[str, str] | None = None,
    about: str = "",
) -> Version:
    """Register `model` as a new version with the alias `challenger`, and return the version.

    `example` holds some rows of the model's input: its columns, in order, are the signature required when scoring.
    `run_id` is the run that trained the model, and `about` the description on the version's page in MLflow.

    Raises:
        ModelError: the model contains types from packages that are not trusted.
    """
    import skops.io  # noqa: PLC0415 - brings scikit-learn
    from mlflow.models import Model  # noqa: PLC0415 - mlflow takes seconds to import

    client = store.prepare(settings)
    trusted = model_types.require_trusted(skops.io.dumps(model), settings.model_packages)
    run = client.get_run(run_id)
    logged = client.create_logged_model(run.info.experiment_id, name=MODEL, source_run_id=run_id)
    place, model_id = logged.artifact_location, logged.model_id
    identity = Model(artifact_path=place, run_id=run_id, model_uuid=model_id, model_id=model_id)
    with tempfile.TemporaryDirectory(prefix="champion-model-") as scratch:
        folder = Path(scratch) / "model"
        _save(model, example, folder, identity, trusted)
        digest = sha256(folder / _FILE)
        client.log_model_artifacts(model_id, str(folder))
    runs.flush_local(place)
    client.finalize_logged_model(model_id, "READY")
    ensure_model(settings, MODEL, ABOUT)
    labels = {**(tags or {}), FEATURE_VERSION: feature_version, FEATURES: json.dumps(example.columns), DIGEST: digest}
    created = client.create_model_version(
        MODEL, source=place, run_id=run_id, tags=labels, model_id=model_id, description=about or None
    )
    client.set_registered_model_alias(MODEL, CHALLENGER, str(created.version))
    runs.log(settings, run_id, tags={"champion.model_version": str(created.version)})
    return find(settings, int(created.version))


def versions(settings: Settings) -> list[Version]:
    """Return all versions, newest first; empty if none is registered."""
    aliases = _aliases(settings)
    found = [_read(one, aliases) for one in store.prepare(settings).search_model_versions(f"name='{MODEL}'")]
    return sorted(found, key=lambda one: one.number, reverse=True)


def find(settings: Settings, which: str | int) -> Version:
    """Return the version of a number or an alias.

    Raises:
        ModelError: there is no such version; the message lists the existing ones.
    """
    known = versions(settings)
    for one in known:
        if one.number == which or which in one.aliases:
            return one
    listed = ", ".join(f"{one.number}{' @' + ' @'.join(one.aliases) if one.aliases else ''}" for one in known)
    raise ModelError(f"{MODEL} has no version {which!r}; registered: {listed or 'none, run `champion train` first'}")


def load(
    settings: Settings,
    which: str | int = CHAMPION,
    *,
    features: Sequence[str] | None = None,
    feature_version: str | None = None,
) -> LoadedModel:
    """Return the model of an alias or number, after checking that it takes these features of this version.

    Raises:
        ModelError: there is no such version; it was trained on other features, another order or another feature
            version; or its file has changed, has another format, or contains types that are not trusted.
    """
    found = find(settings, which)
    if found.problem:
        raise ModelError(f"{MODEL} version {found.number}: {found.problem}")
    if feature_version is not None and found.feature_version != feature_version:
        raise ModelError(
            f"{MODEL} version {found.number} was trained on features {found.feature_version}, asked for "
            f"{feature_version}: build those features, or train and promote a model on them"
        )
    if features is not None and tuple(features) != found.features:
        raise ModelError(
            f"{MODEL} version {found.number} takes {quantity(len(found.features), 'feature')} "
            f"{list(found.features)[:6]}..., offered {len(features)}; "
            f"missing {sorted(set(found.features) - set(features))[:6]}, "
            f"unknown {sorted(set(features) - set(found.features))[:6]}: select its features in its order"
        )
    with tempfile.TemporaryDirectory(prefix="champion-model-") as folder:
        return LoadedModel(_load_file(settings, file_of(settings, found.number, folder), found), found)


def file_of(settings: Settings, number: int, folder: str) -> Path:
    """Return the path of a version's model file; a remote one is downloaded into `folder`."""
    from mlflow.artifacts import download_artifacts  # noqa: PLC0415 - mlflow takes seconds to import

    source = store.prepare(settings).get_model_version_download_uri(MODEL, str(number))
    into = None if urlsplit(source).scheme in {"file", ""} else folder
    return Path(download_artifacts(source, dst_path=into, tracking_uri=settings.tracking)) / _FILE


def point(settings: Settings, alias: str, number: int) -> None:
    """Move an alias to a version. Only for promotion, under its ledger: use `promotion.promote` instead."""
    store.prepare(settings).set_registered_model_alias(MODEL, alias, str(number))


def alias_of(settings: Settings, alias: str) -> int | None:
    """Return the version an alias points to, or None."""
    return _aliases(settings).get(alias)


def ensure_model(settings: Settings, name: str, about: str) -> None:
    """Create the registered model `name` unless it exists."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    client = store.prepare(settings)
    if not client.search_registered_models(f"name='{name}'"):
        try:
            client.create_registered_model(name, description=about)
        except MlflowException:  # another process created it meanwhile
            client.get_registered_model(name)


def _save(model: Any, example: pl.DataFrame, folder: Path, identity: Any, trusted: list[str]) -> None:
    import mlflow.sklearn  # noqa: PLC0415
    from mlflow.models import infer_signature  # noqa: PLC0415

    rows = example.head().cast(pl.Float64).to_pandas()  # a count with a null is a float to pandas
    answer = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    inputs = rows if hasattr(model, "feature_names_in_") else rows.to_numpy()
    with warnings.catch_warnings():  # which MLflow 3.17 causes in itself and in pandas 3
        warnings.filterwarnings("ignore", message="Operation with range is deprecated")
        warnings.filterwarnings("ignore", message=r".*Any type hint is inferred as AnyType")
        mlflow.sklearn.save_model(
            model,
            str(folder),
            mlflow_model=identity,
            signature=infer_signature(rows, getattr(model, answer)(inputs)),
            input_example=rows,
            pip_requirements=[f"{name}=={installed(name)}" for name in _packages(trusted)],
            pyfunc_predict_fn=answer,
            serialization_format="skops",
            skops_trusted_types=trusted,
        )


def _packages(types: Sequence[str]) -> list[str]:
    """Return the packages that a model of these types needs to predict."""
    boosted = any(name.startswith(f"{model_types.LIGHTGBM}.") for name in types)
    return ["scikit-learn", "skops", "numpy", "pandas", *(["lightgbm"] if boosted else [])]


def _load_file(settings: Settings, path: Path, version: Version) -> Any:
    """Return the model in a file, which is read once, so that the loaded content is the checked content."""
    import skops.io  # noqa: PLC0415 - brings scikit-learn

    name = f"{MODEL} version {version.number}"
    remedy = "restore its artifacts from a backup, or train and promote another"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{name} has no {_FILE} ({error.strerror}): {remedy}") from error
    wanted, digest = version.tags.get(DIGEST), hashlib.sha256(content).hexdigest()
    if wanted is not None and digest != wanted:  # versions of 0.1.0 have no digest
        raise ModelError(
            f"{name}: {path} is not the file that was registered, its SHA-256 is {digest[:12]}, not {wanted[:12]}; "
            f"it was not opened: {remedy}"
        )
    try:
        trusted = model_types.require_trusted(content, settings.model_packages)
        return skops.io.loads(content, trusted=trusted)
    except (BadZipFile, KeyError, ValueError) as error:
        raise ModelError(f"{name}: {path} is not a model in the skops format ({error}): {remedy}") from error


def _aliases(settings: Settings) -> dict[str, int]:
    found = store.prepare(settings).search_registered_models(f"name='{MODEL}'")
    return {alias: int(number) for one in found for alias, number in one.aliases.items()}


def _read(stored: Any, aliases: Mapping[str, int]) -> Version:
    number = int(stored.version)
    features, problem = _features(stored.tags.get(FEATURES))
    return Version(
        number=number,
        aliases=tuple(sorted(alias for alias, target in aliases.items() if target == number)),
        run_id=stored.run_id or "",
        created=datetime.fromtimestamp(stored.creation_timestamp / 1000, UTC),
        feature_version=stored.tags.get(FEATURE_VERSION, ""),
        features=features,
        tags=dict(stored.tags),
        problem=problem,
    )


def _features(tag: str | None) -> tuple[tuple[str, ...], str]:
    """Return the features that a tag lists, and the problem with the tag; a bad tag must not affect other versions."""
    if tag is None:
        return (), f"it has no tag {FEATURES}: it was not registered by training"
    try:
        return tuple(parse_json(list[str], tag)), ""
    except ValueError as error:
        return (), f"tag {FEATURES} is not a list of features ({error}): correct it in MLflow, or train another version"
