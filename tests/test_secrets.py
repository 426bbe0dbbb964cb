"""Secrets: known by their names and by the addresses they stand in, masked however they are spelt, or refused."""

from __future__ import annotations

import json
from html import escape
from urllib.parse import quote

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import ValidationError

from champion.errors import UsageError
from champion.masking import masked, secrets
from champion.settings import Settings
from champion.sources import transport


@settings(max_examples=50)
@given(st.text(st.characters(exclude_characters="*", exclude_categories=["Cs"]), min_size=6, max_size=40))
def test_no_spelling_of_a_secret_is_left(secret: str) -> None:
    known = secrets({"API_TOKEN": secret})
    for spelt in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], escape(secret), quote(secret)):
        assert spelt not in masked(f"{{'token': '{spelt}'}}", known)


@pytest.mark.parametrize(("secret", "spelt"), [("caf\udce9-42", "caf%E9-42"), ("caf\ud800-42", "caf%ED%A0%80-42")])
def test_a_secret_that_is_no_text_is_masked_too(secret: str, spelt: str) -> None:
    """A variable may hold any bytes, which Python shows as surrogates."""
    for name in ("API_TOKEN", "PREFECT_API_AUTH_STRING"):
        known = secrets({name: secret})
        assert masked(f"of {secret} and {spelt}", known) == "of *** and ***"


def test_what_is_no_secret_stays() -> None:
    known = secrets({"HOME": "/home/asha", "CHAMPION_TRACKING_URI": "https://mlflow.example/x", "TOKEN": "short"})
    assert known == ()
    assert masked("/home/asha at https://mlflow.example/x", known) == "/home/asha at https://mlflow.example/x"


@pytest.mark.parametrize("address", ["ftp://me:Plant3d@h/x", "https://Plant3d@h/x", "file://me:Plant3d@h/x"])
def test_an_archive_with_credentials_is_refused_without_repeating_them(address: str) -> None:
    with pytest.raises(UsageError, match="credentials") as caught:
        transport.known(address)
    assert "Plant3d" not in str(caught.value)
    with pytest.raises(ValidationError, match="credentials") as refused:
        Settings(archive=address)
    assert "Plant3d" not in str(refused.value)


@pytest.mark.parametrize("name", ["warehouse_dsn", "tracking_uri", "prefect_database_url", "promotion_webhook"])
def test_an_address_that_libraries_would_quote_in_part_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="%2F") as caught:
        Settings.model_validate({name: "clickhouse://quant:Plant3d/x@host:8123/db"})
    assert "Plant3d" not in str(caught.value)
