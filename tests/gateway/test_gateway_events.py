"""What moves, as it does: over WebSockets and Server-Sent Events, to the end."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from running_gateway import Gateway
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

import clawstate
from clawstate.gateway.hub import MOST_WAITING, Listener

API = "/api/v1"


def follow(gateway: Gateway, token: str = "", since: str = "", **settings) -> ClientConnection:
    headers = {"Authorization": f"Bearer {token or gateway.token}"}
    place = f"ws://{gateway.place}/ws{since and f'?since={since}'}"
    return connect(place, additional_headers=headers, compression=None, **settings)


def until(socket: ClientConnection, part: str) -> dict:
    """Return the next message that tells of *part*."""
    while True:
        message = json.loads(socket.recv(timeout=10))
        if any(each["part"] == part for each in message["items"]):
            return message


def code_at_end(socket: ClientConnection) -> int:
    """Read all that comes, and return with which code the other side closed."""
    try:
        while True:
            socket.recv(timeout=10)
    except ConnectionClosed as closed:
        return closed.rcvd.code


@contextmanager
def curl(gateway: Gateway, *arguments: str) -> Iterator[Iterator[str]]:
    """Give the lines that curl prints of the stream."""
    header = f"Authorization: Bearer {gateway.token}"
    command = ["curl", "-sN", "-H", header, *arguments, f"{gateway.url}{API}/events"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield iter(process.stdout.readline, "")
        finally:
            process.terminate()


def test_a_change_of_another_process_arrives(gateway: Gateway) -> None:
    """What another process writes is told, with the keys that moved."""
    with follow(gateway) as socket, clawstate.open(gateway.root) as state:
        first = json.loads(socket.recv(timeout=10))
        made = state.memory.add("Ada prefers green tea")

        told = until(socket, "memory")

    assert first["items"] == []
    assert {"part": "memory", "keys": [made]} in told["items"]


def test_who_comes_back_is_told_what_it_missed(gateway: Gateway) -> None:
    """A cursor goes on where it was, in another connection."""
    with follow(gateway) as socket:
        cursor = json.loads(socket.recv(timeout=10))["cursor"]
    made = gateway.post(f"{API}/memory/records", {"text": "while nobody listened"}).json["id"]

    with follow(gateway, since=cursor) as socket:
        told = until(socket, "memory")

    assert made in told["items"][0]["keys"]
    assert told["complete"] is True


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_reads_the_stream_and_goes_on(gateway: Gateway) -> None:
    """Server-Sent Events have ids, with which a browser goes on by itself."""
    with curl(gateway) as lines:
        first = next(each for each in lines if each.startswith("id: "))
    gateway.post(f"{API}/memory/records", {"text": "meanwhile"})

    with curl(gateway, "-H", f"Last-Event-ID: {first.split()[1]}") as lines:
        data = next(each for each in lines if each.startswith("data: "))

    assert "memory" in [each["part"] for each in json.loads(data[6:])["items"]]


def test_a_cursor_that_nobody_gave_means_read_all(gateway: Gateway) -> None:
    """After a cursor that is none, it is told that anything may have moved."""
    with follow(gateway, since="nonsense") as socket:
        assert json.loads(socket.recv(timeout=10))["complete"] is False


def test_a_page_gives_its_token_as_a_subprotocol(gateway: Gateway) -> None:
    """A page, which cannot set headers, is let in by the protocols that it offers."""
    offered = ["clawstate.v1", f"bearer.{gateway.token}"]
    with connect(f"ws://{gateway.place}/ws", subprotocols=offered) as socket:
        assert socket.subprotocol == "clawstate.v1"
        assert json.loads(socket.recv(timeout=10))["type"] == "changes"


@pytest.mark.parametrize(
    ("headers", "origin", "status"),
    [
        ({}, None, 401),
        ({"Authorization": "Bearer wrong-one"}, None, 401),
        ({"Authorization": "Bearer {token}"}, "https://evil.example", 403),
    ],
)
def test_a_stranger_does_not_listen(gateway: Gateway, headers, origin, status) -> None:
    """Without a good token, or from a page of another origin, there is no WebSocket."""
    sent = {name: value.format(token=gateway.token) for name, value in headers.items()}

    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://{gateway.place}/ws", additional_headers=sent, origin=origin)

    assert refused.value.response.status_code == status


def test_who_is_revoked_hears_nothing_more(gateway: Gateway) -> None:
    """Revoking a device closes what it has open at once; others go on."""
    with clawstate.open(gateway.root) as state:
        token = state.devices.issue(device_id="lost", user_id="ada").token
        with follow(gateway, token) as lost, follow(gateway) as ours:
            lost.recv(timeout=10)
            ours.recv(timeout=10)
            state.devices.revoke("lost")

            until(ours, "devices")
            code = code_at_end(lost)
            state.memory.add("still here")
            until(ours, "memory")

    assert code == 1008


def test_a_slow_listener_is_told_to_read_anew() -> None:
    """One that does not read costs bounded memory, and hears that it missed something."""

    async def listen() -> list:
        listener = Listener(lambda: True)
        for number in range(10 * MOST_WAITING):
            listener.tell(str(number), json.dumps({"cursor": str(number)}).encode())
        waiting = len(listener)
        told = json.loads((await listener.next())[1])
        listener.tell("later", b'{"cursor": "later"}')
        return [waiting, told, json.loads((await listener.next())[1])]

    waiting, first, second = asyncio.run(listen())

    assert waiting <= MOST_WAITING
    assert (first["complete"], first["cursor"]) == (False, str(10 * MOST_WAITING - 1))
    assert second == {"cursor": "later"}


def test_it_ends_with_sockets_open(tmp_path) -> None:
    """A gateway that many listen to ends at once, and tells them."""
    gateway = Gateway(tmp_path / "state")
    with follow(gateway) as socket, curl(gateway) as lines:
        socket.recv(timeout=10)
        next(lines)

        assert gateway.stop() == 0

        code = code_at_end(socket)
        assert not [each for each in lines if each.startswith("id: never")]
    assert code in {1001, 1012}
    assert gateway.log == ""


def test_no_event_overtakes_another() -> None:
    """Frames are written at once only where nothing waits or is on its way to the same listener."""
    written: list[bytes] = []
    takes = [True]

    def write(frame: bytes) -> bool:
        if takes[0]:
            written.append(frame)
        return takes[0]

    async def follow() -> list[str]:
        listener = Listener(lambda: True, write)
        listener.tell("1", b"1", b"f1")
        takes[0] = False
        listener.tell("2", b"2", b"f2")
        takes[0] = True
        listener.tell("3", b"3", b"f3")
        got = [(await listener.next())[0], (await listener.next())[0]]
        listener.tell("4", b"4", b"f4")  # while the one before is on its way
        got.append((await listener.next())[0])
        waiting = asyncio.ensure_future(listener.next())
        await asyncio.sleep(0)
        listener.tell("5", b"5", b"f5")
        listener.end()
        assert await waiting is None
        return got

    assert asyncio.run(follow()) == ["2", "3", "4"]
    assert written == [b"f1", b"f5"]
