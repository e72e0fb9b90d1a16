"""Who may ask what: tokens, scopes, names and origins."""

from __future__ import annotations

import json
import re

import pytest
from running_gateway import Gateway

import clawstate
from clawstate.gateway.address import Address, _names
from clawstate.gateway.app import FAILED_TOKENS, ROUTES
from clawstate.gateway.guard import Guard
from clawstate.gateway.routing import operations

OPERATIONS = [(each, route) for each in ROUTES for route in operations(each.routes)]
NAMES = [f"{min(route.methods)} {route.path}" for _, route in OPERATIONS]
LESSER = {
    "read": (),
    "write": ("operator.read",),
    "admin": ("operator.write",),
    "pairing": ("operator.write",),
}

by_route = pytest.mark.parametrize("route", [route for _, route in OPERATIONS], ids=NAMES)


def path_of(route) -> str:
    return re.sub(r"\{[^}]*\}", "x", route.path)


@pytest.fixture(scope="module")
def tokens(gateway: Gateway) -> dict[str, str]:
    """Return a token without the scope, for each scope."""
    with clawstate.open(gateway.root) as state:
        return {
            scope: state.devices.issue(device_id=scope, user_id="ada", scopes=lesser).token
            for scope, lesser in LESSER.items()
        }


@by_route
def test_every_operation_takes_a_token(gateway: Gateway, route) -> None:
    """No operation but signing in answers without a token."""
    answer = gateway.ask(min(route.methods), path_of(route), token=None)

    if route.scope_name == "open":
        assert answer.status == 422
    else:
        assert (answer.status, answer.error) == (401, "unauthorized")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@by_route
def test_every_operation_takes_its_scope(gateway: Gateway, route, tokens) -> None:
    """A token with a lesser scope is refused, and told which one it takes."""
    if route.scope_name == "open":
        return
    answer = gateway.ask(min(route.methods), path_of(route), token=tokens[route.scope_name])

    assert (answer.status, answer.error) == (403, "forbidden")
    assert f"operator.{route.scope_name}" in answer.json["error"]["message"]


@pytest.mark.parametrize("path", ["/metrics", "/mcp", "/mcp/x"])
def test_what_stands_beside_the_operations_takes_a_token(gateway: Gateway, path: str) -> None:
    """Counts and the MCP server are nobody's who has no token."""
    assert gateway.get(path, token=None).status == 401
    assert gateway.post(path, token="wrong-one").status in {401, 405}


def test_the_description_tells_every_operation(gateway: Gateway) -> None:
    """The OpenAPI document has each operation with its scope, and no other one."""
    document = gateway.get("/api/v1/openapi.json").json

    told = {
        (method.upper(), path): operation["x-scope"]
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    assert told == {
        (min(each.methods), each.path_format): each.scope_name for _, each in OPERATIONS
    }


def test_health_is_open_and_tells_no_secret(gateway: Gateway) -> None:
    """Whether the gateway is there is answered to anybody; where the state lies is not."""
    answer = gateway.get("/health", token=None)

    assert answer.status == 200
    assert answer.json["status"] == "ok"
    assert str(gateway.root) not in answer.body.decode()


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "127.0.0.1.nip.io"])
def test_another_name_is_refused(gateway: Gateway, host: str) -> None:
    """A page whose name leads to this machine (DNS rebinding) gets nothing."""
    answer = gateway.get("/health", headers={"Host": host})

    assert (answer.status, answer.error) == (421, "misdirected")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1", "x"])
def test_another_origin_is_refused(gateway: Gateway, origin: str) -> None:
    """A page of another origin is refused, whatever token it has."""
    answer = gateway.get("/api/v1/memory/records", headers={"Origin": origin})

    assert (answer.status, answer.error) == (403, "forbidden")


def test_its_own_page_may_ask(gateway: Gateway) -> None:
    """A page that came from the gateway itself is answered, and may be framed by nobody."""
    answer = gateway.get("/api/v1/memory/records", headers={"Origin": gateway.url})

    assert answer.status == 200
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_the_link_lets_one_reader_in(gateway: Gateway) -> None:
    """What stands in the link is good once; the device it makes is listed, and can be revoked."""
    ticket = gateway.post("/api/v1/sign-in/tickets").json["ticket"]

    first = gateway.post("/api/v1/sign-in", {"ticket": ticket, "name": "page"}, token=None)
    again = gateway.post("/api/v1/sign-in", {"ticket": ticket}, token=None)

    assert first.status == 201
    assert again.status == 401
    token, device = first.json["token"], first.json["deviceId"]
    assert gateway.get("/api/v1/memory/records", token=token).status == 200
    with clawstate.open(gateway.root) as state:
        assert state.devices.get(device).name == "page"
        assert state.devices.revoke(device)
    assert gateway.get("/api/v1/memory/records", token=token).status == 401


def test_the_owner_token_is_private(gateway: Gateway) -> None:
    """The owner's token lies in a file that nobody else can read, and in no setting."""
    kept = gateway.root / "state" / "gateway-token"

    assert kept.stat().st_mode & 0o777 == 0o600
    with clawstate.open(gateway.root) as state:
        assert gateway.token not in json.dumps(state.config.resolve())


def test_guessing_is_limited_on_this_machine_too(tmp_path) -> None:
    """Who tries wrong tokens is told to wait, while good ones are let in all the same."""
    with Gateway(tmp_path / "state") as gateway:
        tries = [
            gateway.get("/api/v1/memory/records", token=f"wrong-{number}").status
            for number in range(FAILED_TOKENS + 2)
        ]
        late = gateway.get("/api/v1/memory/records", token="wrong")
        with clawstate.open(gateway.root) as state:
            good = state.devices.issue(device_id="phone", user_id="ada").token

        assert tries == [401] * FAILED_TOKENS + [429] * 2
        assert int(late.headers["Retry-After"]) > 0
        assert gateway.get("/api/v1/memory/records").status == 200
        assert gateway.get("/api/v1/memory/records", token=good).status == 200


def test_a_gateway_of_all_addresses_answers_to_each() -> None:
    """At every address of the machine the address itself is a name, and so is that of a proxy."""
    wide = Address("0.0.0.0", 1, names=("localhost", *_names(["https://memory.example"])))
    narrow = Address("localhost", 1, names=("localhost",))

    known = [Guard(None, address=each)._is_known for each in (wide, narrow)]

    assert [each("192.0.2.7") for each in known] == [True, False]
    assert [each("memory.example") for each in known] == [True, False]
    assert [each("evil.example") for each in known] == [False, False]
