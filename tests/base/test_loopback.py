"""Connections to this machine use no proxy, whatever the environment contains."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given, strategies as st
from waiting import PATIENCE

from champion.base import loopback
from champion.errors import UsageError
from champion.services import managed_process

CLIENTS = {
    "httpx": f"import httpx; httpx.get(url, timeout={PATIENCE}).raise_for_status()",
    "requests": f"import requests; requests.get(url, timeout={PATIENCE}).raise_for_status()",
    "urllib": f"import urllib.request; urllib.request.urlopen(url, timeout={PATIENCE}).read()",
}
ASKS = """
import sys
from champion.base import loopback
loopback.bypass_proxies()
for url in sys.argv[2:]:
    exec(sys.argv[1])
"""
PROXY = "http://127.0.0.1:9"  # nobody answers there
HOSTILE = [
    dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), PROXY),
    {"http_proxy": PROXY, "NO_PROXY": "", "no_proxy": "intranet"},
    {"HTTP_PROXY": PROXY, "ALL_PROXY": PROXY, "NO_PROXY": "localhost"},
]


class Answers(http.server.BaseHTTPRequestHandler):
    """A server that answers every request with two bytes."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("variables", HOSTILE)
def test_every_client_reaches_this_machine(port: int, client: str, variables: dict[str, str]) -> None:
    inherited = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    urls = [f"http://127.0.0.1:{port}/", f"http://localhost:{port}/"]
    environment = {**inherited, **variables, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", ASKS, CLIENTS[client], *urls]
    asked = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stderr[-500:]


def test_local_services_are_requested_without_a_proxy(port: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            patch.setenv(name, PROXY)
        for name in ("NO_PROXY", "no_proxy"):
            patch.delenv(name, raising=False)
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{port}/", timeout=PATIENCE)
        assert managed_process.answers(f"http://127.0.0.1:{port}/")


@given(st.dictionaries(st.sampled_from(["NO_PROXY", "no_proxy"]), st.text("ab.,* 1", max_size=12)))
def test_no_proxy_keeps_its_hosts_in_both_spellings(environment: dict[str, str]) -> None:
    found = loopback.without_proxy(environment)
    assert found["NO_PROXY"] == found["no_proxy"]
    named = {one.strip() for value in environment.values() for one in value.split(",") if one.strip()}
    if "*" in named:
        assert found["NO_PROXY"] == "*"
    else:
        assert set(found["NO_PROXY"].split(",")) == named | set(loopback.HOSTS)
    assert loopback.without_proxy(found) == found


@pytest.mark.parametrize("value", ["ftp://proxy:1", "garbage://x"])
@pytest.mark.parametrize("name", ["HTTP_PROXY", "all_proxy"])
def test_unsupported_proxy_is_named_in_the_error(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is not an http"):
        loopback.require_usable_proxies({name: value})


def test_a_socks_proxy_needs_its_package() -> None:
    with pytest.raises(UsageError, match="ALL_PROXY names a SOCKS proxy, for which the package socksio is missing"):
        loopback.require_usable_proxies({"ALL_PROXY": "socks5://127.0.0.1:1080"})
    loopback.require_usable_proxies({"HTTP_PROXY": "http://proxy:3128", "https_proxy": "proxy:3128", "ALL_PROXY": ""})
