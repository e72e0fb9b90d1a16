"""Remote clients of MCP get their tokens from the gateway, and its owner lets them in."""

from __future__ import annotations

import json
from collections.abc import Callable

import anyio
import httpx2
import pytest
from mcp.client import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from oauth_person import REDIRECT, Program, answer_of, begin, initialize
from running_gateway import Gateway

Run = Callable[..., str]


class Storage:
    """Keeps what the client of the SDK has to remember."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.info: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.info

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.info = client_info


async def use_tools(gateway: Gateway, storage: Storage, run: Run) -> tuple[list[str], str]:
    """Connect as the SDK's client does; return its tools, and the code that a person read."""
    seen: dict[str, str] = {}

    async def redirect(url: str) -> None:
        seen["place"], seen["code"] = await anyio.to_thread.run_sync(begin, gateway, url)
        await anyio.to_thread.run_sync(run, "pairing", "approve", seen["code"])

    async def callback() -> AuthorizationCodeResult:
        told = await anyio.to_thread.run_sync(answer_of, gateway, seen["place"])
        return AuthorizationCodeResult(**told)

    metadata = OAuthClientMetadata(client_name="SDK", redirect_uris=[REDIRECT])
    url = f"{gateway.url}/mcp"
    provider = OAuthClientProvider(url, metadata, storage, redirect, callback)
    async with (
        httpx2.AsyncClient(auth=provider, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        found = await client.list_tools()
        before = storage.tokens
        if seen:
            provider.context.token_expiry_time = 1.0  # long ago: now it has to refresh
        await client.call_tool("memory_store", {"text": "Ada drinks green tea"})
    assert (storage.tokens.refresh_token != before.refresh_token) is bool(seen)
    return [each.name for each in found.tools], seen.get("code", "")


@pytest.fixture
def program(gateway: Gateway) -> Program:
    return Program(gateway)


@pytest.mark.slow
def test_the_client_of_the_sdk_is_let_in(gateway: Gateway, run: Run) -> None:
    """The SDK's own client finds the server, registers, is approved on the host, and refreshes."""
    storage = Storage()

    names, code = anyio.run(use_tools, gateway, storage, run)
    again, no_code = anyio.run(use_tools, gateway, storage, run)

    assert code
    assert {"memory_search", "memory_store"} <= set(names)
    assert (again, no_code) == (names, "")


def test_who_has_no_token_is_led_to_the_server(gateway: Gateway) -> None:
    """A refusal at /mcp names the metadata, which names the server, which says what it can do."""
    refused = initialize(gateway, None)
    metadata = gateway.get("/.well-known/oauth-protected-resource/mcp", token=None).json
    server = gateway.get("/.well-known/oauth-authorization-server", token=None).json

    told = refused.headers["WWW-Authenticate"]
    place = f"{gateway.url}/.well-known/oauth-protected-resource/mcp"
    assert refused.status == 401
    assert f'resource_metadata="{place}"' in told
    assert "error=" not in told
    assert 'error="invalid_token"' in initialize(gateway, "wrong").headers["WWW-Authenticate"]
    assert metadata["resource"] == f"{gateway.url}/mcp"
    assert metadata["authorization_servers"] == [server["issuer"]] == [gateway.url]
    assert server["code_challenge_methods_supported"] == ["S256"]


def test_a_token_of_a_client_is_good_at_mcp_alone(
    gateway: Gateway, run: Run, program: Program
) -> None:
    """What was given for /mcp opens no other operation, and neither does what refreshes it."""
    made = program.exchange(program.code(run)).json

    assert initialize(gateway, made["access_token"]).status == 200
    assert gateway.get("/api/v1/status", token=made["access_token"]).status == 403
    assert gateway.get("/api/v1/status", token=made["refresh_token"]).status == 401
    assert initialize(gateway, made["refresh_token"]).status == 401


def test_revoking_the_device_ends_the_client(gateway: Gateway, run: Run, program: Program) -> None:
    """A client is a device like any other: listed by its name, and gone once it is revoked."""
    made = program.exchange(program.code(run)).json
    listed = json.loads(run("devices", "list"))["devices"]
    (mine,) = [each for each in listed if "Test program" in each.get("name", "")][:1]

    run("devices", "revoke", mine["deviceId"])

    assert mine["name"] == "MCP client Test program (localhost)"
    assert initialize(gateway, made["access_token"]).status == 401
    assert program.refresh(made["refresh_token"]).json["error"] == "invalid_grant"


def test_a_code_brings_tokens_once(gateway: Gateway, run: Run, program: Program) -> None:
    """A code that comes a second time was overheard, and ends what the first time brought."""
    code = program.code(run)
    made = program.exchange(code).json

    again = program.exchange(code)

    assert (again.status, again.json["error"]) == (400, "invalid_grant")
    assert initialize(gateway, made["access_token"]).status == 401


@pytest.mark.parametrize(
    "changed",
    [
        {"code_verifier": "x" * 43},
        {"client_id": "another"},
        {"redirect_uri": "http://localhost:7777/other"},
    ],
)
def test_a_code_is_for_who_asked(run: Run, program: Program, changed: dict[str, str]) -> None:
    """Without the proof key, the id and the address of who asked, a code brings nothing."""
    refused = program.exchange(program.code(run), **changed)

    assert (refused.status, refused.json["error"]) == (400, "invalid_grant")


def test_a_copied_refresh_token_ends_the_client(
    gateway: Gateway, run: Run, program: Program
) -> None:
    """A refresh token is good once; but an answer that was lost is given again."""
    first = program.exchange(program.code(run)).json
    lost = program.refresh(first["refresh_token"]).json
    second = program.refresh(first["refresh_token"]).json
    assert initialize(gateway, lost["access_token"]).status == 401
    assert initialize(gateway, second["access_token"]).status == 200

    assert program.refresh(lost["refresh_token"]).json["error"] == "invalid_grant"
    assert program.refresh(second["refresh_token"], client_id="x").json["error"] == "invalid_grant"
    assert (
        program.send(
            "/revoke", {"token": second["refresh_token"], "client_id": program.client_id}
        ).status
        == 200
    )
    assert initialize(gateway, second["access_token"]).status == 401


def test_who_was_turned_away_is_told(gateway: Gateway, run: Run, program: Program) -> None:
    """A client that the owner rejects hears `access_denied`, with its state and our name."""
    place, code = begin(gateway, program.url())
    run("pairing", "reject", code)

    told = answer_of(gateway, place)

    assert (told["error"], told["state"], told["iss"]) == ("access_denied", "s1", gateway.url)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"resource": "https://elsewhere.org/mcp"}, "invalid_target"),
    ],
)
def test_a_wrong_wish_goes_back_to_its_client(
    gateway: Gateway, program: Program, changed: dict[str, str | None], error: str
) -> None:
    """What is wrong with a question is told to the client that asked it, at its own address."""
    refused = gateway.get(program.url(**changed), token=None)

    assert refused.status == 302
    assert refused.headers["Location"].startswith(f"{REDIRECT}?error={error}&")


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": "http://localhost:7777/callback/../x"},
        {"redirect_uri": "http://localhost@evil.example/callback"},
        {"client_id": "c1.e30.x"},
        {"client_id": "https://127.0.0.1/client"},
        {"client_id": None},
    ],
)
def test_an_unknown_address_is_sent_nothing(
    gateway: Gateway, program: Program, changed: dict[str, str | None]
) -> None:
    """Where the client or its address is not known, a page says so and nobody is led anywhere."""
    refused = gateway.get(program.url(**changed), token=None)

    assert refused.status == 400
    assert "Location" not in refused.headers
    assert refused.headers["Content-Type"].startswith("text/html")


def test_a_program_may_listen_at_any_port(gateway: Gateway, program: Program) -> None:
    """The address of a program on this machine is known at whichever port was free."""
    page = gateway.get(program.url(redirect_uri="http://localhost:50123/callback"), token=None)

    assert page.status == 200


@pytest.mark.parametrize(
    "uri", ["javascript:alert(1)", "http://elsewhere.org/x", "data:text/html,x", "/x", "", 5]
)
def test_an_unsafe_address_is_not_registered(gateway: Gateway, uri: object) -> None:
    """Answers go to https, to this machine, or to the scheme of a program, and nowhere else."""
    refused = gateway.post("/register", {"redirect_uris": [uri]}, token=None)

    assert (refused.status, refused.json["error"]) == (400, "invalid_redirect_uri")


def test_the_name_of_a_client_is_text(gateway: Gateway) -> None:
    """What a client calls itself is shown as text, whatever it holds."""
    wish = {"client_name": "<script>alert(1)</script>", "redirect_uris": [REDIRECT]}
    made = gateway.post("/register", wish, token=None).json

    page = gateway.get(Program(gateway, made["client_id"]).url(), token=None)

    assert b"<script>" not in page.body
    assert b"&lt;script&gt;" in page.body
