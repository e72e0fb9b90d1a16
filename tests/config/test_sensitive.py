from __future__ import annotations

import copy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_configs import SOUND

from clawstate.json5.parse import parse_json5
from clawstate.secrets.redaction import (
    SENTINEL,
    is_secret_reference,
    is_sensitive,
    literal_secrets,
    redact,
)

REFERENCE = {"source": "env", "provider": "default", "id": "OPENAI_API_KEY"}
KEYS = st.sampled_from(
    ["token", "apiKey", "id", "name", "secrets", "serviceAccount", "list", "url"]
)
TEXTS = st.sampled_from(["", "plain", "${TOKEN}", "https://me:pw@example.org/x", "a", "b"])
CONFIGS = st.recursive(
    TEXTS | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "path",
    [
        ("gateway", "auth", "token"),
        ("gateway", "auth", "PASSWORD"),
        ("channels", "telegram", "botToken"),
        ("channels", "telegram", "webhookSecret"),
        ("channels", "x", "passwords", "any"),
        ("models", "providers", "openai", "apiKey"),
        ("env", "vars", "OPENAI_API_KEY"),
        ("x", "api-key"),
        ("x", "API.KEY"),
        ("channels", "googlechat", "serviceAccount"),
        ("channels", "googlechat", "serviceAccountRef"),
        ("channels", "x", "token", 0),
        ("secrets", "providers", "vault", "path"),
    ],
)
def test_paths_of_secrets(path: tuple[str | int, ...]) -> None:
    """A path with a key that speaks of a secret is sensitive, whatever its case."""
    assert is_sensitive(path)


@pytest.mark.parametrize(
    "path",
    [
        (),
        ("gateway", "port"),
        ("agents", "defaults", "contextTokens"),
        ("channels", "x", "tokens"),
        ("channels", "x", "tokenFile"),
        ("channels", "x", "serviceAccountFile"),
        *(
            ("x", key)
            for key in (
                "maxTokens",
                "maxOutputTokens",
                "maxInputTokens",
                "maxCompletionTokens",
                "contextTokens",
                "totalTokens",
                "tokenCount",
                "TokenLimit",
                "tokenBudget",
                "passwordFile",
            )
        ),
        ("secrets", "maxTokens"),
    ],
)
def test_paths_of_other_things(path: tuple[str | int, ...]) -> None:
    """A path that only counts tokens, or names a file, is not sensitive."""
    assert not is_sensitive(path)


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        (REFERENCE, True),
        ({"source": "file", "provider": "vault", "id": "/a/b"}, True),
        ({"source": "file", "provider": "vault", "id": "value"}, True),
        ({"source": "exec", "provider": "vault", "id": "a/b:c"}, True),
        ({"source": "keyring", "id": "openai"}, True),
        ({"source": "env", "id": "OPENAI_API_KEY"}, True),
        ({"source": "env", "provider": "default", "id": "sk-live-1"}, False),
        ({"source": "env", "provider": "Default", "id": "A"}, False),
        ({"source": "env", "provider": 1, "id": "A"}, False),
        ({"source": "env", "provider": "default", "id": "A", "key": "sk-live-1"}, False),
        ({"source": "cloud", "id": "A"}, False),
        ({"source": [], "id": "A"}, False),
        ({"source": "env", "id": 1}, False),
        ({"source": "env"}, False),
        ("${A}", False),
        ({"source": "env", "id": "A\n"}, False),
    ],
)
def test_references(value: object, *, answer: bool) -> None:
    """A reference is a source, an id of its form and an alias; nothing that could be a secret."""
    assert is_secret_reference(value) is answer


def test_redacted_copy() -> None:
    """Secrets are left out; placeholders, references and all that is no secret stay."""
    config = {
        "gateway": {"port": 1, "auth": {"token": "t", "password": "${PASSWORD}"}},
        "models": {"providers": {"a": {"apiKey": REFERENCE, "maxTokens": "7"}}},
        "channels": {"googlechat": {"serviceAccount": {"private_key": "x"}}},
        "list": [{"botToken": "t"}, "plain"],
    }
    before = copy.deepcopy(config)

    shown = redact(config)

    assert shown == {
        "gateway": {"port": 1, "auth": {"token": SENTINEL, "password": "${PASSWORD}"}},
        "models": {"providers": {"a": {"apiKey": REFERENCE, "maxTokens": "7"}}},
        "channels": {"googlechat": {"serviceAccount": SENTINEL}},
        "list": [{"botToken": SENTINEL}, "plain"],
    }
    assert config == before


@pytest.mark.parametrize("text", ["a${TOKEN}", "${TOKEN}${TOKEN}", "$${TOKEN}", "${token}", ""])
def test_text_that_only_holds_a_placeholder_is_left_out(text: str) -> None:
    """Only text that is one whole placeholder says no more than a name."""
    assert redact({"token": text}) == {"token": SENTINEL}


@pytest.mark.parametrize(
    "config",
    [
        {"state": {"store": "postgresql://claw:hunter2@db/claw"}},
        {"proxy": "socks5://me:@p:1@host"},
        {"remote": {"headers": {"Authorization": "Bearer hunter2"}}},
        {"remote": {"headers": {"cookie": "hunter2"}}},
    ],
)
def test_secrets_at_other_paths(config: dict[str, object]) -> None:
    """Passwords in addresses and credentials in headers are secrets, too."""
    assert len(literal_secrets(config)) == 1
    assert "hunter2" not in str(redact(config))


@pytest.mark.parametrize(
    "text", ["postgresql://claw@db/claw", "https://host:80/a@b", "mailto:a:b@c", "http://a:@b"]
)
def test_addresses_without_a_password(text: str) -> None:
    """A user, a port or an empty password is no secret."""
    assert redact({"store": text}) == {"store": text}


def test_section_that_says_where_secrets_are_is_shown() -> None:
    """In the section `secrets`, only the keys below it tell what is a secret."""
    providers = {"v": {"source": "exec", "command": "/v", "env": {"VAULT_TOKEN": "t"}}}

    shown = redact({"secrets": {"providers": providers}})

    assert shown["secrets"]["providers"]["v"]["command"] == "/v"
    assert shown["secrets"]["providers"]["v"]["env"] == {"VAULT_TOKEN": SENTINEL}


def test_another_sentinel() -> None:
    """Who shows a configuration chooses what stands for a secret."""
    shown = redact({"token": "t"}, sentinel="***")

    assert shown == {"token": "***"}


def test_literal_secrets_have_paths() -> None:
    """The paths of secrets in the clear are those that are neither empty nor left out."""
    config = {
        "token": "t",
        "list": [{"apiKey": "k"}, {"apiKey": "${KEY}"}, {"apiKey": REFERENCE}],
        "password": "",
        "serviceAccount": {},
        "x": {"serviceAccount": {"key": "k"}, "botToken": SENTINEL},
    }

    assert literal_secrets(config) == [
        ("token",),
        ("list", 0, "apiKey"),
        ("x", "serviceAccount"),
    ]


@pytest.mark.parametrize("name", ["specification, sqlite", "server"])
def test_configurations_without_literal_secrets(name: str) -> None:
    """What only refers to secrets may stay public."""
    assert literal_secrets(parse_json5(SOUND[name], path=Path("openclaw.json"))) == []


def test_literal_secrets_of_a_family() -> None:
    """Every secret in the clear of a real configuration is found, and nothing else."""
    assert literal_secrets(parse_json5(SOUND["family"], path=Path("openclaw.json"))) == [
        ("env", "vars", "GROQ_API_KEY"),
        ("channels", "telegram", "botToken"),
        ("hooks", "token"),
        ("tools", "web", "search", "apiKey"),
    ]


@given(CONFIGS)
def test_redacted_copy_has_no_literal_secret(config: object) -> None:
    """What is shown holds no secret, and redacting it again changes nothing."""
    shown = redact(config)

    assert literal_secrets(shown) == []
    assert redact(shown) == shown


def test_deepest_documents_can_be_redacted() -> None:
    """Depth is bounded by what is read, not by what is shown."""
    config = parse_json5("[" * 490 + "{token: 't'}" + "]" * 490, path=Path("openclaw.json"))

    shown = redact(config)

    assert SENTINEL in str(shown)
