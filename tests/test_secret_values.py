"""Values as they stand in configurations, and whether each is hidden."""

from __future__ import annotations

import base64
import hashlib
import random
import string

import pytest

from clawstate.secret_rules import is_secret

RANDOM = random.Random(11)
LETTERS = string.ascii_letters + string.digits
HEX = "0123456789abcdef"


def made(alphabet: str, length: int) -> str:
    """Return a text that no scanner of repositories takes for a real key."""
    return "".join(RANDOM.choice(alphabet) for _ in range(length))


PLACES = (
    ("plugins", "entries", "a", "config", "path"),
    ("plugins", "entries", "a", "config", "note"),
    ("mcp", "servers", "a", "args"),
    ("env", "vars", "PLACE"),
)

PATHS = [
    "src/components/ui/LongFolderName2/AnotherName3",
    "src/components/ui/LongFolderName2/AnotherName3.tsx",
    "packages/api/v2/HttpApiKeyAuth/SigV4AConfig",
    "node_modules/@smithy/types/dist-types/ts34/auth/HttpApiKeyAuth.d.ts",
    "lib/stream/WebStreamReaderFactory2/BufferSizeError",
    "Library/Application Support/Obsidian/Vault2/Notes",
    "Users/ada/Documents/MyNotes2024/Ideas4You/ReadMe1st",
    "/var/lib/clawstate/Backups2024/WeeklyFull/State01",
    "~/Projects/ClawState2/ExampleApp3/SourceCode",
    "./Data/Run12/Part3/OutputOfModelB",
    "../SharedThings2/AnotherTeam/Templates4All",
    r"C:\Users\Ada\AppData\Roaming\OpenClaw2\Profiles\Default1",
    "C:/Users/Ada/AppData/Roaming/OpenClaw2/Profiles/Default1",
    r"\\fileserver\Share2\Projects\Alpha3\ReadMe",
    r"src\Components\Ui\LongFolderName2\AnotherName3",
    "dist/control-ui/assets/widget-sandbox-host-C1gA3HY8.js.br",
    "org/apache/commons/lang3/StringUtils2/Builder",
]
NAMES = [
    "@modelcontextprotocol/server-filesystem",
    "@anthropic-ai/claude-agent-sdk@0.1.77",
    "com.example.MyApplication2.MainActivity",
    "github.com/ada/ProjectName2/v3/InternalThings",
    "lodash-4.17.21",
    "types-setuptools==69.0.0.20240125",
    "claude-opus-4-5-20251101",
    "anthropic/claude-3-7-sonnet-20250219",
    "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "models/gemini-2.5-flash-preview-native-audio-dialog",
    "Qwen/Qwen2.5-Coder-32B-Instruct-AWQ",
    "mistralai/Mixtral-8x22B-Instruct-v0.1",
    "nomic-ai/nomic-embed-text-v1.5-GGUF",
    "TheBloke/Llama-2-13B-chat-GGUF",
    "AmazonBedrockAgentCoreRuntimeRoleForProduction2024",
    "getUserByIdFromLocalStorageV2AndRefresh",
    "MAX_RETRY_COUNT_FOR_UPLOADS_V2",
    "eu-central-1a-production-cluster-42",
    "ghcr.io/example/openclaw-gateway:2026.9.6",
    "agent:main:telegram:group:-1001234567890:topic:42",
]
TEXTS = [
    "https://api.example.org/v1/chat/completions?model=gpt-4o&limit=20",
    "https://docs.example.org/Guide2/HowToInstall/OnMacOS14#Step3",
    "https://github.com/ada/ClawState2/blob/main/SourceCode/MainApp3.py",
    "postgres://db.example.org:5432/notes?sslmode=require",
    "redis://cache:6379/0",
    "ssh://git@example.org:22/ada/notes.git",
    "mailto:ada@example.org?subject=Hello",
    "Speak like a pirate in 2 or 3 sentences, and never mention passwords.",
    "Du bist eine freundliche Assistentin, die Tee über alles liebt.",
    "0 9 * * 1-5",
    "YYYY-MM-DDTHH:mm:ss.SSSZ",
    "2026-02-27T09:30:00.000+01:00",
    "#1a2B3c",
    "rgba(12, 34, 56, 0.78)",
    "text/html; charset=utf-8",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0.0.0",
    "^(?:[A-Z][a-z]+){2,5}[0-9]*$",
    "SELECT Id, UserName2 FROM AppUsers WHERE CreatedAt > :since",
    "Basic Authentication and OAuth2 are supported",
    "1200x800",
    "ada.lovelace2@mail.example.org",
    "+43 660 1234567",
    "120363012345678901@g.us",
]
HASHES = {
    "commit": hashlib.sha1(b"1").hexdigest(),
    "sha256": hashlib.sha256(b"1").hexdigest(),
    "checksum": f"sha256:{hashlib.sha256(b'1').hexdigest()}",
    "integrity": "sha512-" + base64.b64encode(hashlib.sha512(b"1").digest()).decode(),
    "md5": hashlib.md5(b"1", usedforsecurity=False).hexdigest(),
    "rev": hashlib.sha1(b"2").hexdigest()[:12],
    "etag": hashlib.md5(b"2", usedforsecurity=False).hexdigest(),
    "fingerprint": hashlib.sha256(b"2").hexdigest(),
    "id": "550e8400-e29b-41d4-a716-446655440000",
    "clientId": "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
    "deviceId": hashlib.sha256(b"3").hexdigest(),
    "sessionUuid": "01890a5d-ac96-774b-bcce-b302099a8057",
}
WHERE_A_SECRET_LIES = {
    "clientSecretFile": "/run/secrets/client",
    "tokenFile": "./secrets/Token2",
    "apiKeyPath": r"C:\Keys\Api2.txt",
    "privateKeyPath": "certs/Server1/Key2.pem",
    "keyFile": "~/.config/clawstate/Key1",
    "key": "certs/server1/tls2.pem",
}

TOKENS = [
    f"sk-ant-api03-{made(LETTERS + '-_', 80)}",
    f"sk-or-v1-{made(HEX, 64)}",
    f"github_pat_{made(LETTERS, 22)}_{made(LETTERS, 59)}",
    f"ghs_{made(LETTERS, 36)}",
    f"glpat-{made(LETTERS, 20)}",
    f"gldt-{made(LETTERS, 20)}",
    f"glptt-{made(HEX, 40)}",
    f"xoxc-{made(string.digits, 12)}-{made(string.digits, 12)}-{made(HEX, 64)}",
    f"xoxd-{made(LETTERS, 40)}",
    f"xoxe.xoxp-1-{made(LETTERS, 40)}",
    f"dckr_pat_{made(LETTERS, 27)}",
    f"ATATT3{made(LETTERS, 60)}",
    f"figd_{made(LETTERS, 40)}",
    f"sq0atp-{made(LETTERS, 22)}",
    f"PMAK-{made(HEX, 24)}-{made(HEX, 34)}",
    f"NRAK-{made(string.ascii_uppercase, 27)}",
    f"lsv2_pt_{made(HEX, 32)}_{made(HEX, 10)}",
    f"nvapi-{made(LETTERS, 64)}",
    f"tskey-auth-{made(LETTERS, 12)}-{made(LETTERS, 32)}",
    f"hvs.{made(LETTERS, 24)}",
    f"dapi{made(HEX, 32)}",
    f"phx_{made(LETTERS, 40)}",
    f"ntn_{made(LETTERS, 46)}",
    f"sbp_{made(HEX, 40)}",
    f"jina_{made(LETTERS, 60)}",
    f"re_{made(LETTERS, 8)}_{made(LETTERS, 24)}",
    f"key-{made(HEX, 32)}",
    f"SK{made(HEX, 32)}",
    f"1//0{made(LETTERS, 60)}",
    f"AIza{made(LETTERS + '-_', 35)}",
    f"{made(string.digits, 10)}:AA{made(LETTERS + '-_', 33)}",
]
CREDENTIALS_IN_TEXTS = [
    "https://ada:hunter2@example.org/path",
    "postgresql://ada:p%40ss@db.example.org:5432/notes",
    "mongodb+srv://ada:hunter2@cluster0.example.org/notes?retryWrites=true",
    "redis://:hunter2@cache:6379/0",
    "amqp://guest:guest2@queue:5672/%2f",
    "jdbc:postgresql://db/notes?user=ada&password=hunter2",
    "host=db user=ada password=hunter2 dbname=notes",
    "Server=db;Database=notes;User Id=sa;password=hunter2;",
    f"Endpoint=sb://x.example.org/;SharedAccessKeyName=Root;SharedAccessKey={made(LETTERS, 43)}=",
    f"https://example.org/blob?sv=2024&sig={made(LETTERS, 40)}",
    f"https://example.org/api?access_token={made(LETTERS, 24)}",
    f"https://example.org/api?api_key={made(LETTERS, 24)}",
    f"Authorization: Bearer {made(LETTERS, 24)}",
    "Authorization: Basic " + base64.b64encode(b"ada:hunter2").decode(),
    "Authorization: Basic " + base64.b64encode(b"user:pass").decode(),
    f"curl -H 'X-Token: ghp_{made(LETTERS, 36)}' https://example.org",
    f"OPENAI_API_KEY={made(LETTERS, 20)}",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\n-----END OPENSSH PRIVATE KEY-----",
]
RANDOM_KEYS = [
    *(made(LETTERS, length) for length in (36, 43, 64, 88)),
    *(made(LETTERS + "-_", length) for length in (43, 64, 86)),
    *(made(LETTERS + "+/", length) + "=" for length in (43, 87)),
    *("/".join(made(LETTERS, 14) for _ in range(3)) for _ in range(3)),
]


@pytest.mark.parametrize("text", PATHS + NAMES + TEXTS)
@pytest.mark.parametrize("path", PLACES, ids=lambda path: str(path[-1]))
def test_ordinary_value_is_shown(path: tuple[str, ...], text: str) -> None:
    """Paths, addresses, names of packages and models, and sentences are shown, however long."""
    assert not is_secret(path, text)


@pytest.mark.parametrize("name", HASHES)
@pytest.mark.parametrize("path", [("plugins", "x"), ("env", "vars")], ids=lambda path: path[0])
def test_hash_or_id_by_its_name_is_shown(path: tuple[str, ...], name: str) -> None:
    """What its name calls a hash, a revision or an id is shown."""
    assert not is_secret((*path, name), HASHES[name])


@pytest.mark.parametrize("name", WHERE_A_SECRET_LIES)
def test_place_of_a_secret_is_shown(name: str) -> None:
    """The path of a file that holds a secret is none itself."""
    assert not is_secret(("plugins", "x", name), WHERE_A_SECRET_LIES[name])


@pytest.mark.parametrize("text", TOKENS + CREDENTIALS_IN_TEXTS + RANDOM_KEYS)
@pytest.mark.parametrize("path", PLACES, ids=lambda path: str(path[-1]))
def test_secret_value_is_hidden(path: tuple[str, ...], text: str) -> None:
    """Tokens of vendors, random keys and what holds a password are hidden under any name."""
    assert is_secret(path, text)


@pytest.mark.parametrize("name", ["clientSecretFile", "tokenFile", "apiKeyPath"])
def test_secret_in_the_place_of_a_path_is_hidden(name: str) -> None:
    """A name that ends in `File` or `Path` shows no token that was put there by mistake."""
    assert is_secret(("plugins", "x", name), TOKENS[0])


def test_random_texts_are_found_though_words_are_shown() -> None:
    """No more than one in a hundred random keys of 40 characters passes for words or a path."""
    for alphabet in (LETTERS, LETTERS + "-_", LETTERS + "+/"):
        missed = sum(not is_secret(("x",), made(alphabet, 40)) for _ in range(3000))

        assert missed <= 30
