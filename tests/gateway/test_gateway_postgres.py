"""Gateways of two machines over one PostgreSQL database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from running_gateway import Gateway
from test_gateway_events import code_at_end, follow, until

import clawstate

API = "/api/v1"


@pytest.fixture(scope="module")
def gateways(
    postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Gateway, Gateway]]:
    """Start two gateways, each with a state directory of its own, over the same database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLAWSTATE_STORE", postgres.full_url)
        folders = [tmp_path_factory.mktemp(name) / "state" for name in ("one", "two")]
        with Gateway(folders[0]) as one, Gateway(folders[1]) as two:
            yield one, two


def test_what_one_writes_the_other_tells_and_finds(gateways: tuple[Gateway, Gateway]) -> None:
    """Sessions and memories of one machine are told and found by the gateway of another."""
    one, two = gateways
    with follow(two) as socket:
        socket.recv(timeout=10)
        made = one.post(f"{API}/sessions", {"key": "shared"}).json
        until(socket, "sessions")
        record = one.post(f"{API}/memory/records", {"text": "Ada prefers green tea"}).json["id"]
        until(socket, "memory")

    found = two.post(f"{API}/memory/search", {"query": "green tea", "k": 1}).json["results"]
    assert two.get(f"{API}/sessions/entries/shared").json["sessionId"] == made["sessionId"]
    assert found[0]["id"] == record
    assert one.get("/metrics").status == two.get("/metrics").status == 200


def test_a_device_is_let_in_and_out_everywhere(gateways: tuple[Gateway, Gateway]) -> None:
    """A device approved at one gateway is let in by both, and revoking it ends what it has open."""
    one, two = gateways
    with clawstate.open(one.root) as state:  # the fixture names the database
        code = state.pairing.request(user_id="ada", device_id="phone").code
    token = two.post(f"{API}/pairing/approve", {"code": code}).json["token"]

    with follow(one, token) as first, follow(two, token) as second:
        first.recv(timeout=10)
        second.recv(timeout=10)
        assert two.get(f"{API}/devices/self", token=token).json["deviceId"] == "phone"
        assert one.post(f"{API}/devices/revoke/phone").json["revoked"] is True

        assert (code_at_end(first), code_at_end(second)) == (1008, 1008)
    assert one.get(f"{API}/devices/self", token=token).status == 401
    assert two.log == one.log == ""


def test_a_version_is_compared_on_the_server(gateways: tuple[Gateway, Gateway]) -> None:
    """Who has read an older version at one gateway deletes nothing at the other."""
    one, two = gateways
    path = f"{API}/sessions/entries/versions"
    one.post(f"{API}/sessions", {"key": "versions"})
    old = one.get(path).headers["ETag"]
    two.ask("PATCH", path, {"label": "two"})

    refused = one.ask("DELETE", path, headers={"If-Match": old})

    assert (refused.status, refused.headers["ETag"]) == (412, two.get(path).headers["ETag"])
