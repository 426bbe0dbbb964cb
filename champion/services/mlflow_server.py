"""MLflow's own server behind a login, its artifacts confined to the workspace; run as a module, by `services.mlflow`.

MLflow alone asks for nothing, and whoever may talk to it may name any `file://` place as an artifact location, read
what lies there, write there and follow links. Three things are added here:

1. `Door`: every request but `/health` has to bring user and password; one that a page of another origin makes is
   refused, as a browser would add the password to it.
2. Stores that refuse a location outside the workspace for an experiment, its runs and models, and a model version.
3. Artifact repositories that refuse to read or write outside, by whatever way a location came into the database and
   whatever links lead there. Other kinds of storage than the workspace's own are not opened.
"""

from __future__ import annotations

import base64
import hmac
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from champion.security import prefect_login
from champion.services.artifact_locations import Locations
from champion.settings import Settings, read

PORT = "CHAMPION_MLFLOW_SERVER_PORT"
HOST = "127.0.0.1"
_OPEN = frozenset({"/health"})
_STARTERS = ("/assistant", "/gateway", "/jobs", "/webhooks")  # parts of MLflow that start jobs or call other servers
_READS = frozenset({"GET", "HEAD", "OPTIONS"})

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Door:
    """An ASGI application that lets in who brings the login."""

    def __init__(self, app: App, login: str) -> None:
        self._app = app
        self._wanted = b"Basic " + base64.b64encode(login.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 401 or 403."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        if scope["path"] in _OPEN and scope["method"] in _READS:
            await self._app(scope, receive, send)
        elif not hmac.compare_digest(headers.get(b"authorization", b""), self._wanted):
            await _refuse(send, 401, b"user and password stand in mlflow/login of the workspace, as user:password\n")
        elif not _is_of_this_page(headers):
            await _refuse(send, 403, b"a page of another address may not use these\n")
        elif scope["method"] not in _READS and any(part in scope["path"] for part in _STARTERS):
            await _refuse(send, 403, b"these pages show what was recorded; they start nothing\n")
        else:
            await self._app(scope, receive, send)


def _is_of_this_page(headers: MutableMapping[bytes, bytes]) -> bool:
    """Return whether a request was made by these pages, by the address bar or by no browser at all."""
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


def application(settings: Settings) -> App:
    """Return MLflow's application for a workspace, confined to it and behind its login."""
    locations = Locations.of(settings)
    from mlflow.server import constants  # noqa: PLC0415 - the places must be known before the application is made

    os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = settings.tracking
    os.environ[constants.REGISTRY_STORE_URI_ENV_VAR] = settings.tracking
    os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = locations.roots[0]
    os.environ.pop(constants.SERVE_ARTIFACTS_ENV_VAR, None)  # no second way to files
    from mlflow.server.fastapi_app import app  # noqa: PLC0415

    from champion.services import confined  # noqa: PLC0415

    confined.install(locations)
    return Door(app, prefect_login.ensure_mlflow_login(settings))


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    import uvicorn  # noqa: PLC0415

    uvicorn.run(application(read()), host=HOST, port=int(os.environ[PORT]), log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
