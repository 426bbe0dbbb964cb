"""MLflow's stores and file repository, confined to the artifacts of a workspace.

`install` replaces MLflow's own classes, only in the process that serves the pages. Flows and kernels are the owner's
own processes and open the store themselves.
"""

import os
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from mlflow.server import handlers
from mlflow.store.artifact.artifact_repository_registry import get_registered_artifact_repositories
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.store.db.db_types import DATABASE_ENGINES
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore
from typing_extensions import override

from champion.services.artifact_locations import BY_REFERENCE, FILES, Locations

# Untyped, as MLflow's classes are in part.
_MlflowFiles: Any = LocalArtifactRepository
_MlflowTracking: Any = TrackingStore
_MlflowRegistry: Any = RegistryStore


def install(locations: Locations) -> None:
    """Let this process open and record artifacts only in these locations."""
    _Confined.locations = locations
    known: Any = get_registered_artifact_repositories()
    stores_of: Any = handlers
    remote = {urlsplit(root).scheme for root in locations.roots} - FILES
    for scheme in set(known) - {*FILES, *BY_REFERENCE, *remote}:
        del known[scheme]  # storage of others
    known.update({scheme: _checked(known[scheme]) for scheme in remote})
    known.update(dict.fromkeys(FILES, Files))
    for engine in DATABASE_ENGINES:
        # MLflow has no public function for it, and passes the arguments by these names.
        tracking, registry = stores_of._tracking_store_registry, stores_of._model_registry_store_registry  # noqa: SLF001
        tracking.register(engine, lambda store_uri, artifact_uri: Tracking(store_uri, artifact_uri))  # noqa: PLW0108
        registry.register(engine, lambda store_uri: Registry(store_uri))  # noqa: PLW0108


def _require(uri: str) -> None:
    if not _Confined.locations.holds(uri):
        raise _outside(uri)


def _outside(where: str | Path) -> MlflowException:
    return MlflowException(
        f"{str(where)[:300]} is outside this workspace's artifacts: these pages neither read nor write there",
        error_code=PERMISSION_DENIED,
    )


def _checked(make: Any) -> Any:
    """Return a function that opens a repository in an object store after checking its location."""

    def open_repository(artifact_uri: str, **options: Any) -> Any:
        _require(artifact_uri)
        return make(artifact_uri, **options)

    return open_repository


def _inside(method: Any) -> Any:
    """Return a method of MLflow's files that first checks the path it gets, its first argument under any name."""

    @wraps(method)
    def checked(self: "Files", *arguments: Any, **options: Any) -> Any:
        _, *given = signature(method).bind(self, *arguments, **options).arguments.values()
        self._require_inside(given[0] if given else None)
        return method(self, *arguments, **options)

    return checked


class _Confined:
    locations: ClassVar[Locations] = Locations(())


class Files(_Confined, _MlflowFiles):  # type: ignore[misc]
    """Artifacts in a folder of the workspace; a path is checked, with all links, each time it is used."""

    def __init__(self, artifact_uri: str, *arguments: Any, **options: Any) -> None:
        """Open a folder.

        Raises:
            MlflowException: it is outside the workspace.
        """
        _require(artifact_uri)
        super().__init__(artifact_uri, *arguments, **options)

    def _require_inside(self, path: str | None) -> None:
        """Refuse a path that leads out of the workspace, and a folder that contains a link that does."""
        place = Path(self.artifact_dir, path or "")
        paths = [place]
        for folder, folders, files in os.walk(place):
            paths += [one for name in (*folders, *files) if (one := Path(folder, name)).is_symlink()]
        for one in paths:
            if not self.locations.holds_path(one):
                raise _outside(one)

    get_local_path = _inside(_MlflowFiles.get_local_path)
    _get_or_create_artifact_dir = _inside(_MlflowFiles._get_or_create_artifact_dir)  # noqa: SLF001
    list_artifacts = _inside(_MlflowFiles.list_artifacts)
    _download_file = _inside(_MlflowFiles._download_file)  # noqa: SLF001
    download_artifacts = _inside(_MlflowFiles.download_artifacts)
    delete_artifacts = _inside(_MlflowFiles.delete_artifacts)
    download_trace_data = _inside(_MlflowFiles.download_trace_data)


class Tracking(_Confined, _MlflowTracking):  # type: ignore[misc]
    """MLflow's tracking store, with new experiments, runs and models only in the workspace."""

    @override
    def create_experiment(self, name: str, artifact_location: str | None = None, tags: Any = None) -> Any:
        if artifact_location:
            _require(artifact_location)
        return super().create_experiment(name, artifact_location, tags)

    @override
    def create_run(self, experiment_id: str, *arguments: Any, **options: Any) -> Any:
        _require(self.get_experiment(experiment_id).artifact_location)
        return super().create_run(experiment_id, *arguments, **options)

    @override
    def create_logged_model(self, experiment_id: str, *arguments: Any, **options: Any) -> Any:
        _require(self.get_experiment(experiment_id).artifact_location)
        return super().create_logged_model(experiment_id, *arguments, **options)


class Registry(_Confined, _MlflowRegistry):  # type: ignore[misc]
    """MLflow's model registry, with new versions only in the workspace."""

    @override
    def create_model_version(self, name: str, source: str, *arguments: Any, **options: Any) -> Any:
        if urlsplit(source).scheme not in BY_REFERENCE:
            _require(source)
        return super().create_model_version(name, source, *arguments, **options)
