"""Connections to this machine go past every proxy: `NO_PROXY` for a process and the processes it starts.

HTTP clients (httpx, requests, urllib, and so Prefect's and MLflow's) send requests for 127.0.0.1 to the proxy that
`HTTP_PROXY` or `ALL_PROXY` names, unless `NO_PROXY` names that address itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from urllib.parse import urlsplit

from champion.errors import UsageError

HOSTS = ("127.0.0.1", "localhost", "::1")
_EXCEPT = ("NO_PROXY", "no_proxy")  # some clients read the one, some the other
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_SOCKS = frozenset({"socks4", "socks4a", "socks5", "socks5h"})
_SCHEMES = frozenset({"http", "https"})


def without_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that keep requests to this machine off every proxy, besides what they name already.

    >>> without_proxy({"NO_PROXY": "intranet"})["no_proxy"]
    'intranet,127.0.0.1,localhost,::1'
    """
    named = [host.strip() for name in _EXCEPT for host in environment.get(name, "").split(",") if host.strip()]
    hosts = "*" if "*" in named else ",".join(dict.fromkeys([*named, *HOSTS]))
    return dict.fromkeys(_EXCEPT, hosts)


def bypass_proxies() -> None:
    """Have this process, and all it starts, reach this machine without a proxy."""
    os.environ.update(without_proxy(os.environ))


def require_usable_proxies(environment: Mapping[str, str]) -> None:
    """Do nothing where the proxies of the environment are such as httpx takes: it makes no client otherwise.

    Raises:
        UsageError: one is not.
    """
    for name in (spelled for one in _PROXIES for spelled in (one, one.lower())):
        value = environment.get(name, "")
        scheme = urlsplit(value).scheme if "://" in value else "http"
        if scheme in _SOCKS and find_spec("socksio") is None:
            raise UsageError(
                f"{name} names a SOCKS proxy, for which the package socksio is missing: install it "
                "(`pip install 'httpx[socks]'`), name an http:// proxy, or unset it"
            )
        if scheme not in _SCHEMES | _SOCKS:
            raise UsageError(f"{name} is no http://, https:// or socks5:// address: correct or unset it")
