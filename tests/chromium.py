"""A real browser for pages: Playwright drives the Chromium of the machine, and downloads none.

`CHAMPION_CHROMIUM` names it, or it is the first of the usual names on the path.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from waiting import PATIENCE

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = "--no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --disable-background-networking".split()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    named = [os.environ[name] for name in ("CHAMPION_CHROMIUM",) if name in os.environ]
    found = next(filter(None, map(shutil.which, [*named, *NAMES])), None)
    if found is None:
        pytest.skip(f"no Chromium: none of {', '.join(NAMES)} is on the path, CHAMPION_CHROMIUM is not set")
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=QUIET)
        yield opened
        opened.close()


@contextmanager
def opened(browser: Browser, login: str | None = None) -> Iterator[Page]:
    """A page of its own, which may ask nothing of any other machine; `login` is what a person types, user:password."""
    user, _, password = (login or "").partition(":")
    typed = {"username": user, "password": password} if login else None
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, http_credentials=typed)  # type: ignore[arg-type]
    foreign: list[str] = []
    context.on("request", lambda request: foreign.append(request.url) if is_foreign(request.url) else None)
    shown = context.new_page()
    shown.set_default_timeout(PATIENCE * 1000)
    yield shown
    context.close()
    assert not foreign, "works without a network"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of its own, which may ask nothing of any other machine."""
    with opened(browser) as shown:
        yield shown


def is_foreign(url: str) -> bool:
    return urlsplit(url).scheme in {"http", "https"} and urlsplit(url).hostname != "127.0.0.1"
