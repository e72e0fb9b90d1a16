from __future__ import annotations

import hashlib
import random
import string
from pathlib import Path

import pytest

from clawstate.config.service import Config
from clawstate.files.paths import StatePaths
from clawstate.secret_rules import is_secret, is_sensitive, without_secrets
from clawstate.secrets.redaction import literal_secrets, redact

SENTINEL = "__OPENCLAW_REDACTED__"
RANDOM = random.Random(7)
LETTERS = string.ascii_letters + string.digits


def made(alphabet: str, length: int) -> str:
    """Return a text that no scanner of repositories takes for a real key."""
    return "".join(RANDOM.choice(alphabet) for _ in range(length))


BY_NAME = [
    "channels.nostr.privateKey",
    "channels.feishu.encryptKey",
    "channels.feishu.verificationToken",
    "channels.wecom.encodingAESKey",
    "channels.irc.nickserv.password",
    "skills.entries.x.env.GH_PAT",
    "env.vars.NOSTR_PRIVATE_KEY",
    "env.vars.OPENAI_API_KEY",
    "mcp.servers.x.headers.Authorization",
    "mcp.servers.x.headers.X-Api-Key",
    "mcp.servers.x.headers.cookie",
    "x.passphrase",
    "gateway.tls.keyPassphrase",
    "x.dbPasswd",
    "x.WALLET_MNEMONIC",
    "x.signing_key",
    "x.accountKey",
]
BY_FORM = [
    f"sk-proj-{made(LETTERS, 40)}",
    f"sk_live_{made(LETTERS, 24)}",
    f"ghp_{made(LETTERS, 36)}",
    f"xoxb-{made(string.digits, 12)}-{made(LETTERS, 20)}",
    f"AKIA{made(string.ascii_uppercase, 16)}",
    f"AIza{made(LETTERS, 35)}",
    f"gsk_{made(LETTERS, 40)}",
    f"nsec1{made(string.ascii_lowercase, 58)}",
    f"{made(string.digits, 9)}:{made(LETTERS, 35)}",
    f"M{made(LETTERS, 23)}.{made(LETTERS, 6)}.{made(LETTERS, 30)}",
    f"eyJ{made(LETTERS, 20)}.eyJ{made(LETTERS, 20)}.{made(LETTERS, 20)}",
    f"Bearer {made(LETTERS, 30)}",
    "https://ada:hunter2@example.org/x",
    f"https://hooks.slack.com/services/T{made(LETTERS, 8)}/B{made(LETTERS, 8)}/{made(LETTERS, 24)}",
    f"https://discord.com/api/webhooks/{made(string.digits, 18)}/{made(LETTERS, 60)}",
    f"https://example.org/hook?a=1&token={made(LETTERS, 12)}",
    f"https://example.org/mcp?key=a1{made(LETTERS, 20)}",
    f"https://example.org/mcp?exaApiKey={made(LETTERS, 20)}&x=1",
    f"https://a1{made(string.hexdigits.lower(), 30)}@o1.ingest.example.org/1",
    "Server=h;User Id=sa;Password=hunter2!;",
    "Server=h;User Id=sa;Pwd=hunter2!",
    f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={made(LETTERS, 20)}==",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIB",
    f"run it with sk-ant-{made(LETTERS, 40)} please",
    *(made(LETTERS, length) for length in (40, 64, 100)),
    made(LETTERS + "-_", 43),
    made(LETTERS + "+/", 60) + "==",
]
ORDINARY = [
    "claude-3-5-sonnet-20241022",
    "anthropic/claude-opus-4-6",
    "openai/gpt-4.1",
    "meta-llama/Llama-3.3-70B-Instruct-Turbo-Free",
    "Qwen2-VL-72B-Instruct-GPTQ-Int4-2024-11-05",
    "hf:nomic-ai/nomic-embed-text-v1.5-GGUF/nomic-embed-text-v1.5.Q8_0.gguf",
    "sha512-" + made(LETTERS + "+/", 86) + "==",
    hashlib.sha1(b"").hexdigest(),
    hashlib.sha256(b"").hexdigest(),
    "550e8400-e29b-41d4-a716-446655440000",
    "/home/ada/.openclaw/workspace/Projects2024/ReadMe1",
    "https://api.openai.com/v1",
    "wss://gw.example.org:18789/ws?agent=main",
    "https://host:80/a@b",
    "https://example.org/list?key=createdAt",
    "https://example.org/list?sort_key=name&page=2",
    "ssh://git@example.org/a.git",
    "Server=h;User Id=sa;Password=${DB_PASSWORD};",
    "ada@example.org",
    "120363012345678901@g.us",
    "123456789012345678",
    "2026-02-27T09:30:00.000Z",
    "Europe/Vienna",
    "You are a helpful assistant that likes tea.",
    "agent:main:telegram:group:-1001234567890:topic:42",
    f"ghcr.io/org/image:tag@sha256:{hashlib.sha256(b'').hexdigest()}",
    "task-something-very-long-name-of-a-thing",
    "GoogleGenerativeAIEmbeddingProviderConfigV2",
    "MyLongProjectName20241125ProductionEnvironment",
    "my-very-long-agent-name-2024-production-eu-west-1",
    "arn:aws:iam::123456789012:role/My-Role",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "Basic authentication is required here",
    "${NAME}",
    "",
]
VARIABLES = {
    "LOG_LEVEL": "debug",
    "NODE_ENV": "production",
    "TZ": "Europe/Vienna",
    "GIT_COMMIT": hashlib.sha1(b"").hexdigest(),
    "MODEL": "claude-3-5-sonnet-20241022",
    "BASE_URL": "https://example.org/v1",
    "MAX_TOKENS": "8192",
    "CACHE_KEY": "abc1234567890",
    "AWS_REGION": "eu-central-1",
    "BUCKET": "my-bucket-2024-prod",
    "SSH_KEY_PATH": "/home/ada/.ssh/id_1",
    "PUBLIC_KEY": "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kudhwmrp5qzz",
    "PWD": "/home/ada",
}


@pytest.mark.parametrize("path", BY_NAME)
def test_names_of_secrets(path: str) -> None:
    """Under such a name any text is a secret, however short."""
    assert is_sensitive(path.split("."))
    assert is_secret(path.split("."), "x")


@pytest.mark.parametrize("text", BY_FORM)
def test_forms_of_secrets(text: str) -> None:
    """A text of such a form is a secret under any name."""
    assert is_secret(("ui", "colour"), text)


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_texts(text: str) -> None:
    """What looks long and odd, and is in every configuration, is no secret."""
    assert not is_secret(("ui", "colour"), text)


@pytest.mark.parametrize("name", VARIABLES)
def test_ordinary_variables(name: str) -> None:
    """Variables of programs that only set them up are shown."""
    assert not is_secret(("mcp", "servers", "x", "env", name), VARIABLES[name])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LINEAR", "a1b2c3d4e5f6g7h8"),
        ("DATADOG", hashlib.md5(b"", usedforsecurity=False).hexdigest()),
        ("DB_PASS", "hunter"),
        ("DEPLOY_KEY", "a1b2c3d4e5f6"),
    ],
)
def test_variables_that_look_like_keys(name: str, value: str) -> None:
    """A variable of a program is a secret if its value looks like a key, whatever its name."""
    for path in (("mcp", "servers", "x", "env", name), ("env", "vars", name), ("env", name)):
        assert is_secret(path, value)


@pytest.mark.parametrize(
    "name", ["mainKey", "sessionKey", "publicKey", "keyPath", "hotkey", "contextTokens", "authMode"]
)
def test_names_that_only_sound_like_secrets(name: str) -> None:
    """Such names hint at no secret."""
    assert not is_secret(("x", name), "a1b2c3d4e5f6g7h8")


def test_arguments_of_programs() -> None:
    """Behind an option such as `--token`, and after `TOKEN=`, stands a secret."""
    config = {"args": ["--token", "abc", "--api-key=def", "-e", "GH_TOKEN=ghi", "--port", "80"]}

    shown = redact(config)

    assert shown["args"] == ["--token", *[SENTINEL] * 2, "-e", SENTINEL, "--port", "80"]


def test_random_texts_are_found() -> None:
    """At most one in twenty random texts of 32 characters is missed, and fewer longer ones."""
    for length, most in ((32, 100), (43, 20), (64, 10)):
        missed = sum(not is_secret(("x",), made(LETTERS + "-_", length)) for _ in range(2000))
        assert missed <= most


def test_masked_text_keeps_everything_else() -> None:
    """Only what is known by its form is masked in a text."""
    text = f"take {BY_FORM[2]}, or https://ada:hunter2@example.org/x"

    assert without_secrets(text, "[-]") == "take [-], or https://[-]@example.org/x"


def test_file_with_such_a_secret_becomes_private(tmp_path: Path) -> None:
    """The mode of the file follows the same rule as what is shown of it."""
    file = tmp_path / "openclaw.json"
    file.write_text('{channels: {nostr: {privateKey: "nsec"}}, mcp: {servers: {x: {env: {A: 1}}}}}')
    file.chmod(0o644)
    config = Config(StatePaths(tmp_path), env={"HOME": "/h"}, cwd=tmp_path)

    config.set("gateway.port", 7)

    assert file.stat().st_mode & 0o777 == 0o600
    assert config.redacted("channels.nostr.privateKey") == SENTINEL
    assert literal_secrets(config.redacted()) == []


def test_comment_with_a_secret_is_masked_in_a_diff(tmp_path: Path) -> None:
    """A secret known by its form is shown in no diff, though it stands in a comment."""
    file = tmp_path / "openclaw.json"
    file.write_text(f"{{\n  // was {BY_FORM[2]}\n  gateway: {{port: 1}},\n}}\n")
    config = Config(StatePaths(tmp_path), env={"HOME": "/h"}, cwd=tmp_path)

    config.set("gateway.port", 7)

    assert "was " in config.diff()
    assert BY_FORM[2] not in config.diff()
