"""Clients that mean no good: many, slow, large, and none of them keeps others out."""

from __future__ import annotations

import asyncio
import http.client
import socket
from pathlib import Path

import pytest
from running_gateway import Gateway

from clawstate.gateway import guard
from clawstate.gateway.address import Address

API = "/api/v1"
BAD = [
    b"GET / HTTP/1.1\r\nHost: evil\r\nConnection: close\r\n\r\n",
    b"\x16\x03\x01\x00garbage\r\n\r\n",
    b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
    b"POST /api/v1/memory/records HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
    b"GET /api/v1/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
]


def connect(gateway: Gateway) -> socket.socket:
    host, _, port = gateway.place.partition(":")
    return socket.create_connection((host, int(port)), timeout=30)


def memory(gateway: Gateway) -> int:
    """Return the bytes that the gateway has in memory."""
    told = Path(f"/proc/{gateway.process.pid}/statm").read_text().split()
    return int(told[1]) * 4096


def send_bad(gateway: Gateway, count: int) -> None:
    for number in range(count):
        with connect(gateway) as sent:
            sent.sendall(BAD[number % len(BAD)])
            try:
                while sent.recv(1 << 16):
                    pass
            except ConnectionError:  # cut off while it sent
                continue


@pytest.mark.parametrize(
    "count", [pytest.param(100, id="100"), pytest.param(10_000, id="10000", marks=pytest.mark.slow)]
)
def test_bad_requests_cost_no_memory(gateway: Gateway, count: int) -> None:
    """However many bad requests come, the memory stays what it was, and good ones are answered."""
    send_bad(gateway, 100)
    before = memory(gateway)

    send_bad(gateway, count)

    assert memory(gateway) - before < 16 << 20
    assert gateway.get(f"{API}/agents").status == 200
    assert gateway.log == ""


@pytest.mark.slow
def test_a_slow_head_is_cut_off(gateway: Gateway) -> None:
    """Who begins many requests and ends none is cut off, and keeps nobody out meanwhile."""
    slow = [connect(gateway) for _ in range(200)]
    try:
        for each in slow:
            each.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: ")

        assert gateway.get(f"{API}/agents").status == 200
        for each in slow:
            try:
                assert each.recv(1) == b""
            except ConnectionResetError:
                continue
    finally:
        for each in slow:
            each.close()


def ask_guard(kind: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what a client hears that is silent for longer than a body may take."""
    monkeypatch.setattr(guard, "BODY_TIME", 0.01)
    heard: list[str] = []

    async def application(_scope, receive, send) -> None:
        message = await receive()
        await send({"type": f"{kind}.heard", "what": message["type"]})

    async def receive() -> dict:
        await asyncio.sleep(0.1)
        return {"type": f"{kind}.said"}

    async def send(message: dict) -> None:
        heard.append(str(message.get("status", message.get("what", ""))))

    address = Address("localhost", 1, names=("localhost",))
    scope = {"type": kind, "method": "POST", "path": "/", "headers": [(b"host", b"localhost")]}
    asyncio.run(guard.Guard(application, address=address)(scope, receive, send))
    return heard


def test_a_slow_body_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends a body too slowly is refused, and whatever the operation made of it is not sent."""
    assert ask_guard("http", monkeypatch)[0] == "408"


def test_a_silent_websocket_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """A WebSocket may say nothing for as long as it likes."""
    assert ask_guard("websocket", monkeypatch) == ["websocket.said"]


def test_a_connection_goes_on_after_its_first_request(gateway: Gateway) -> None:
    """A connection is used for one request after another."""
    connection = http.client.HTTPConnection(gateway.place, timeout=30)
    used = set()
    for _ in range(3):
        connection.request("GET", f"{API}/agents", headers={"Authorization": gateway.bearer})
        answer = connection.getresponse()
        used.add((answer.status, answer.read(), connection.sock.getsockname()))
    connection.close()

    assert [status for status, _, _ in used] == [200]
