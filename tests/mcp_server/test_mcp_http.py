from __future__ import annotations

import json
import signal
import stat
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

import clawstate
from clawstate.mcp.access import CALLER, MAY_WRITE
from clawstate.mcp.http import create_app
from mcp_client import HELLO, MODES, READY, ask, started
from mcp_http import served, talking

JSON = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


def identified(app: Any) -> Any:
    """Do as a gateway: who asks, and whether that one may write, is told in the scope."""

    async def ask_app(scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers", ()))
        caller = headers.get(b"x-caller", b"owner").decode()
        told = {CALLER: caller, MAY_WRITE: caller != "reader"}
        await app({**scope, **told}, receive, send)

    return ask_app


@pytest.mark.parametrize("mode", MODES)
def test_it_serves_over_http(state, mode: str) -> None:
    """The tools work over streamable HTTP, in the present protocol and in older ones."""

    async def talk(url: str) -> None:
        async with talking(url, mode=mode) as client:
            made = await client.call_tool("memory_store", {"text": "Ada drinks green tea"})
            found = await client.call_tool("memory_search", {"query": "what does Ada drink?"})
            assert found.structured_content["results"][0]["id"] == made.structured_content["id"]

    with served(create_app(state)) as url:
        anyio.run(talk, url)


@pytest.mark.parametrize("mode", MODES)
def test_a_caller_who_may_only_read_changes_nothing(state, mode: str) -> None:
    """A token of the scope `read` is offered, and runs, only tools that read."""

    async def talk(url: str) -> None:
        async with talking(url, mode=mode, headers={"x-caller": "reader"}) as client:
            tools = (await client.list_tools()).tools
            refused = await client.call_tool("memory_store", {"text": "Ada drinks green tea"})

            assert tools
            assert all(each.annotations.read_only_hint for each in tools)
            assert refused.is_error
            assert "scope" in refused.content[0].text

    with served(identified(create_app(state))) as url:
        anyio.run(talk, url)
    assert state.memory.records() == []


def test_a_session_of_another_caller_is_not_found(state) -> None:
    """Whoever learns the id of a session of an older protocol cannot go on with it."""
    with (
        served(identified(create_app(state))) as url,
        httpx2.Client(headers=JSON, timeout=30) as http,
    ):
        begun = http.post(url, json=HELLO, headers={"x-caller": "ada"})
        session = {"mcp-session-id": begun.headers["mcp-session-id"]}
        http.post(url, json=READY, headers={"x-caller": "ada", **session})
        theirs = http.post(
            url, json=ask("memory_search", {"query": "a"}), headers={"x-caller": "eve", **session}
        )
        own = http.post(
            url, json=ask("memory_search", {"query": "a"}), headers={"x-caller": "ada", **session}
        )

    assert (theirs.status_code, own.status_code) == (404, 200)


def test_a_page_of_another_host_is_refused(state) -> None:
    """With names of hosts given, a request for another one, or from a page of one, is refused."""
    with (
        served(create_app(state, hosts=["127.0.0.1:*"])) as url,
        httpx2.Client(headers=JSON, timeout=30) as http,
    ):
        evil_host = http.post(url, json=HELLO, headers={"Host": "evil.example"})
        evil_page = http.post(url, json=HELLO, headers={"Origin": "http://evil.example"})
        own = http.post(url, json=HELLO)

    assert (evil_host.status_code, evil_page.status_code, own.status_code) == (421, 403, 200)


def test_a_body_that_is_too_large_is_refused(state) -> None:
    """A body of more than 4 MiB is refused before it is read as JSON, and the server lives on."""
    with served(create_app(state)) as url, httpx2.Client(headers=JSON, timeout=60) as http:
        refused = http.post(url, content=b'{"x": "' + b"a" * (5 << 20) + b'"}')
        own = http.post(url, json=HELLO)

    assert (refused.status_code, own.status_code) == (413, 200)


def test_it_serves_by_itself_behind_a_token(tmp_path) -> None:
    """`mcp serve --http` tells its address, lets in who has the token, and ends with a signal."""

    async def talk(url: str, token: str) -> None:
        async with talking(url, headers={"Authorization": f"Bearer {token}"}) as client:
            made = await client.call_tool("memory_store", {"text": "Ada drinks green tea"})
            assert not made.is_error

    with started(tmp_path, "--http", "--port", "0", "--json") as server:
        text = ""
        while not text.endswith("}\n"):
            text += server.stdout.readline().decode()
        told = json.loads(text)
        refused = httpx2.post(told["url"], json=HELLO, headers=JSON)
        wrong = httpx2.post(told["url"], json=HELLO, headers={**JSON, "Authorization": "Bearer x"})
        file = Path(told["tokenFile"])
        anyio.run(talk, told["url"], file.read_text().strip())
        server.send_signal(signal.SIGTERM)
        code = server.wait(30)

    assert (refused.status_code, wrong.status_code, code) == (401, 401, 0)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_it_ends_while_a_client_listens(tmp_path) -> None:
    """A server that shuts down does not wait for clients that listen for ever."""

    async def talk(url: str) -> None:
        async with talking(url) as client, client.listen(tools_list_changed=True):
            ended.append(url)

    ended: list[str] = []
    with clawstate.open(tmp_path) as state, served(create_app(state)) as url:
        anyio.run(talk, url)

    assert ended


def test_half_of_a_surrogate_pair_is_refused_by_its_id(state) -> None:
    """A request with a text that no text can be is refused under its own id, over HTTP as well."""
    half = b'{"jsonrpc": "2.0", "id": 7, "method": "ping", "params": {"x": "\\ud800"}}'
    with served(create_app(state)) as url:
        answer = httpx2.post(url, content=half, headers=JSON)

    assert answer.status_code == 400
    assert answer.json()["id"] == 7
    assert "surrogate" in answer.json()["error"]["message"]
