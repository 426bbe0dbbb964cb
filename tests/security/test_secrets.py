"""Secrets are recognized by their names and addresses, redacted in every spelling, or refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from html import escape
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import ValidationError

from champion.errors import UsageError
from champion.security.redaction import is_secret_name, redact, secrets
from champion.settings import Settings
from champion.sources.download import transport


@settings(max_examples=50)
@given(st.text(st.characters(exclude_characters="*", exclude_categories=["Cs"]), min_size=6, max_size=40))
def test_every_spelling_of_a_secret_is_redacted(secret: str) -> None:
    known = secrets({"API_TOKEN": secret})
    for spelt in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], escape(secret), quote(secret)):
        assert spelt not in redact(f"{{'token': '{spelt}'}}", known)


@pytest.mark.parametrize(("secret", "spelt"), [("caf\udce9-42", "caf%E9-42"), ("caf\ud800-42", "caf%ED%A0%80-42")])
def test_secrets_that_are_not_utf8_are_redacted(secret: str, spelt: str) -> None:
    """A variable may contain any bytes, which Python shows as surrogates."""
    for name in ("API_TOKEN", "PREFECT_API_AUTH_STRING"):
        known = secrets({name: secret})
        assert redact(f"of {secret} and {spelt}", known) == "of *** and ***"


def test_ordinary_text_is_not_redacted() -> None:
    known = secrets({"HOME": "/home/asha", "CHAMPION_TRACKING_URI": "https://mlflow.example/x", "TOKEN": "short"})
    assert known == ()
    assert redact("/home/asha at https://mlflow.example/x", known) == "/home/asha at https://mlflow.example/x"


@pytest.mark.parametrize("address", ["ftp://me:Plant3d@h/x", "https://Plant3d@h/x", "file://me:Plant3d@h/x"])
def test_archive_url_with_credentials_is_refused_without_quoting_them(address: str) -> None:
    with pytest.raises(UsageError, match="credentials") as caught:
        transport.parse_address(address)
    assert "Plant3d" not in str(caught.value)
    with pytest.raises(ValidationError, match="credentials") as refused:
        Settings(archive=address)
    assert "Plant3d" not in str(refused.value)


@pytest.mark.parametrize("name", ["warehouse_dsn", "tracking_uri", "prefect_database_url", "promotion_webhook"])
def test_unparsable_url_with_a_password_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="%2F") as caught:
        Settings.model_validate({name: "clickhouse://quant:Plant3d/x@host:8123/db"})
    assert "Plant3d" not in str(caught.value)


ENCODINGS: dict[str, Callable[[bytes], str]] = {
    "base64": lambda content: base64.b64encode(content).decode(),
    "base64 for URLs": lambda content: base64.urlsafe_b64encode(content).decode().rstrip("="),
    "base64 in lines": lambda content: base64.encodebytes(content).decode(),
    "base64 quoted": lambda content: quote(base64.b64encode(content).decode(), safe=""),
    "hex": lambda content: content.hex(),
    "HEX": lambda content: content.hex().upper(),
    "hex in pairs": lambda content: content.hex(":"),
    "quoted": lambda content: quote(content, safe=""),
    "quoted in lower case": lambda content: quote(content, safe="").replace("%2F", "%2f").replace("%3D", "%3d"),
    "a form": quote_plus,
    "all quoted": lambda content: "".join(f"%{byte:02x}" for byte in content),
}


@pytest.mark.parametrize(
    "name",
    "PGPASSWORD MYSQL_PWD SSHPASS DB_PASS GITHUB_PAT MYAPIKEY CLIENTSECRET clientSecret REDISCLI_AUTH API_KEYS TOKEN2 "
    "GHTOKEN AWS_SECRET_ACCESS_KEY db-password ACCESSKEY AZURE_STORAGE_CONNECTION_STRING PASS VAULT_PASSPHRASE "
    "API_TOKENS DB_CREDS PASS_WORD PASS_PHRASE SLACK_WEBHOOK_URL AUTHKEY SSHKEY MASTERKEY ROOTPW DB_PSWD SSH_KEYS AUTH "
    "AZURE_STORAGE_SAS githubPat".split(),
)
def test_secret_names_are_recognized_by_words_and_joined_words(name: str) -> None:
    assert is_secret_name(name)
    assert redact("it is Plant3d-value", secrets({name: "Plant3d-value"})) == "it is ***"


@pytest.mark.parametrize(
    "name",
    "PWD OLDPWD PATH MANPATH SSH_AUTH_SOCK XAUTHORITY LOGNAME low_pass max_tokens pass_rate pat turnkey monkey compass "
    "keyboard author session window feature_sets pat_growth PYTHONPATH tokens keys "
    "sort_keys index_keys turkey hockey author_pattern".split(),
)
def test_ordinary_names_are_not_secret(name: str) -> None:
    assert not is_secret_name(name)


@settings(max_examples=60)
@given(
    secret=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="*"), min_size=8, max_size=70),
    before=st.binary(max_size=4),
    after=st.binary(max_size=4),
    encoding=st.sampled_from(sorted(ENCODINGS)),
)
def test_base64_secrets_are_redacted_alone_and_inside_longer_data(
    secret: str, before: bytes, after: bytes, encoding: str
) -> None:
    known = secrets({"API_TOKEN": secret})
    whole = ENCODINGS[encoding](secret.encode())
    assert "***" in redact(f"<{whole}>", known)
    assert whole not in redact(f"<{whole}>", known)
    longer = ENCODINGS[encoding](before + secret.encode() + after)
    if encoding not in {"base64 in lines", "quoted", "a form", "quoted in lower case"}:
        assert "***" in redact(longer, known), "a login is encoded as user:password"


def test_only_the_secret_part_of_a_connection_string_is_redacted() -> None:
    known = secrets({"STORAGE_CONNECTION_STRING": "AccountName=asha;AccountKey=Plant3d+key=="})
    assert redact("key Plant3d+key== of asha", known) == "key *** of asha"


@pytest.mark.parametrize(
    "spelt",
    [
        repr({"x": """it's é/"<1>" & more""".encode()}),
        r"""{"x": "it's \u00e9\/\"<1>\" & more"}""",
        r"""<script>x = "it\u0027s \u00e9/\"\u003c1\u003e\" \u0026 more"</script>""",
        "<p>it&#39;s é/&#34;&lt;1&gt;&#34; &amp; more</p>",
        "<p>it&apos;s é/&quot;&lt;1&gt;&quot; &amp; more</p>",
        """<p>it's é/"&lt;1&gt;" &amp; more</p>""",
        """curl -d 'it'"'"'s é/"<1>" & more'""",
        """curl -d 'it'\\''s é/"<1>" & more'""",
        r"""'it\'s \xe9/"<1>" & more'""",
    ],
)
def test_secrets_are_redacted_in_bytes_pages_scripts_and_shells(spelt: str) -> None:
    clean = redact(spelt, secrets({"API_TOKEN": """it's é/"<1>" & more"""}))
    assert "***" in clean
    assert "more" not in clean


def test_secret_is_redacted_without_its_trailing_newline() -> None:
    assert redact("it is Plant3d-value.", secrets({"API_TOKEN": " Plant3d-value\n"})) == "it is ***."


def test_each_line_of_a_key_is_redacted() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nPlant3dPlant3dA\nPlant3dPlant3dB\n-----END PRIVATE KEY-----\n"
    known = secrets({"SERVER_PRIVATE_KEY": key})
    assert redact("INFO Plant3dPlant3dA\nINFO Plant3dPlant3dB", known) == "INFO ***\nINFO ***"


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://host/db?user=asha&password=Plant3d-value",
        "host=there user=asha password=Plant3d-value",
        "jdbc:postgresql://host/db?password=Plant3d-value&ssl=true",
        "Server=there;Pwd=Plant3d-value;User=asha",
        "https://there/x?api_key=Plant3d-value",
        "https://Plant3d-value-of-a-user@there/12",
        "https://asha:before@Plant3d-value@there/12",
    ],
)
@pytest.mark.parametrize("name", ["CHAMPION_TRACKING_URI", "SOME_ADDRESS", "URL"])
def test_passwords_inside_urls_are_redacted(name: str, value: str) -> None:
    assert "Plant3d" not in redact(f"{value} refused", secrets({name: value}))


def test_two_variables_that_differ_in_case_are_both_secret() -> None:
    known = secrets({"api_token": "Plant3d-one", "API_TOKEN": "Plant3d-two"})
    assert redact("Plant3d-one Plant3d-two", known) == "*** ***"
