"""MLflow's own server with a login and confined artifacts; `services.mlflow` runs it as a module.

MLflow alone requires no login, and every client may name any `file://` path as an artifact location, read there, write
there and follow links. Three protections are added:

1. `LoginRequired`: every request but `/health` must carry user and password. A request from a page of another origin is
   refused, because a browser would add the password to it.
2. Stores that refuse a location outside the workspace for an experiment, its runs and models, and a model version.
3. Artifact repositories that refuse to read or write outside their folder, independent of locations in the database and
   of links. Other kinds of storage than the workspace's own are not opened.
"""

from __future__ import annotations

import base64
import hmac
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from champion.security import prefect_login
from champion.services.artifact_locations import Locations
from champion.settings import Settings, read

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PORT = "CHAMPION_MLFLOW_SERVER_PORT"
_STARTERS = ("/assistant", "/gateway", "/jobs", "/webhooks")  # parts of MLflow that start jobs or call other servers
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


class LoginRequired:
    """An ASGI application that requires the login."""

    def __init__(self, app: ASGIApp, login: str) -> None:
        self._app = app
        self._expected = b"Basic " + base64.b64encode(login.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 401 or 403."""
        headers = {name.lower(): value for name, value in scope.get("headers", ())}
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["path"] == "/health" and scope["method"] in _READS:
            await self._app(scope, receive, send)
        elif not hmac.compare_digest(headers.get(b"authorization", b""), self._expected):
            await _refuse(send, 401, b"user and password are in mlflow/login of the workspace, as user:password\n")
        elif not _is_same_origin(headers):
            await _refuse(send, 403, b"requests from pages of another address are refused\n")
        elif scope["method"] not in _READS and any(part in scope["path"] for part in _STARTERS):
            await _refuse(send, 403, b"these pages show recorded runs; they start no jobs\n")
        else:
            await self._app(scope, receive, send)


def _is_same_origin(headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a request comes from these pages, from the address bar, or not from a browser."""
    origin, site = headers.get(b"origin"), headers.get(b"sec-fetch-site", b"none")
    if origin is not None and urlsplit(origin).netloc != headers.get(b"host"):
        return False
    return site in {b"none", b"same-origin"} or headers.get(b"sec-fetch-mode") == b"navigate"


async def _refuse(send: Send, status: int, reason: bytes) -> None:
    headers = [(b"content-type", b"text/plain"), (b"cache-control", b"no-store")]
    if status == 401:  # noqa: PLR2004
        headers.append((b"www-authenticate", b'Basic realm="MLflow of this Champion workspace", charset="UTF-8"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": reason})


def application(settings: Settings) -> ASGIApp:
    """Return MLflow's application for a workspace, confined to it and behind its login."""
    locations = Locations.of(settings)
    from mlflow.server import constants  # noqa: PLC0415 - the locations must be set before the application is created

    os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = settings.tracking
    os.environ[constants.REGISTRY_STORE_URI_ENV_VAR] = settings.tracking
    os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = locations.roots[0]
    os.environ.pop(constants.SERVE_ARTIFACTS_ENV_VAR, None)  # no other access to files
    from mlflow.server.fastapi_app import app  # noqa: PLC0415

    from champion.services import confined  # noqa: PLC0415

    confined.install(locations)
    return LoginRequired(app, prefect_login.ensure_mlflow_login(settings))


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    import uvicorn  # noqa: PLC0415

    app, port = application(read()), int(os.environ[PORT])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
