from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp_types import PromptReference, ResourceTemplateReference

import clawstate
from clawstate.mcp.server import create_server
from mcp_client import MODES

KEY = "sk-proj-0123456789abcdefghijABCDEFGHIJ0123456789abcdefgh"


def talk_to(state: clawstate.State, talk: Any, *, mode: str = "auto", **options: Any) -> None:
    """Let *talk* speak with a server over *state* by a client in this process."""

    async def main() -> None:
        async with Client(create_server(state, **options), mode=mode) as client:
            await talk(client)

    anyio.run(main)


def document(text: str) -> Any:
    """Return the document that stands in the fence of *text*."""
    lines = text.splitlines()
    assert (lines[0], lines[-1]) == ("<relevant-memories>", "</relevant-memories>")
    return json.loads(lines[-2])


@pytest.mark.parametrize("mode", MODES)
def test_every_memory_and_session_is_a_resource(state, mode: str) -> None:
    """All memories and sessions are listed page by page, each once, and can be read."""
    made = state.memory.add_many([{"text": f"note {each}"} for each in range(120)])
    keys = {f"telegram:{each}" for each in range(3)}
    for key in keys:
        state.sessions.resolve(key)

    async def talk(client: Client) -> None:
        found: list[Any] = []
        cursor = None
        while True:
            page = await client.list_resources(cursor=cursor)
            found += page.resources
            assert len(page.resources) <= 50
            if (cursor := page.next_cursor) is None:
                break
        uris = [each.uri for each in found]
        read = await client.read_resource(uris[0])
        conversation = await client.read_resource(uris[-1])

        assert len(uris) == len(set(uris)) == 123
        assert {each.name for each in found} == {*made, *keys}
        assert document(read.contents[0].text)["id"] == found[0].name
        assert document(conversation.contents[0].text)["session"]["key"] in keys

    talk_to(state, talk, mode=mode)


def test_messages_are_read_page_by_page_without_secrets(state) -> None:
    """A session gives its newest messages, each page the URI of the one before; keys are masked."""
    entry = state.sessions.resolve("agent:main:main")
    said = [f"message {each}" for each in range(70)] + [f"my key is {KEY}"]
    state.transcripts.append(entry.session_id, [{"role": "user", "content": each} for each in said])

    async def talk(client: Client) -> None:
        newest = document(
            (await client.read_resource("session://agent:main:main")).contents[0].text
        )
        earlier = document((await client.read_resource(newest["earlier"])).contents[0].text)

        assert KEY not in json.dumps(newest)
        assert "[redacted]" in json.dumps(newest["messages"][-1])
        assert len(newest["messages"]) + len(earlier["messages"]) == 71
        assert earlier["earlier"] is None

    talk_to(state, talk)


@pytest.mark.parametrize(
    "uri",
    ["memory://no-such", "session://nobody", "file:///etc/passwd", "memory://", "http://[", "x"],
)
def test_what_is_not_there_is_an_error_that_names_it(state, uri: str) -> None:
    """Reading what does not exist is an error with the URI, and leads to what does."""

    async def talk(client: Client) -> None:
        with pytest.raises(MCPError) as refused:
            await client.read_resource(uri)
        assert refused.value.error.code == -32602
        assert refused.value.error.data == {"uri": uri}
        assert len(refused.value.error.message) > 10

    talk_to(state, talk)


@pytest.mark.parametrize("cursor", ["nonsense", "memory:nonsense", "sessions:!", ":"])
def test_a_cursor_of_nobody_is_refused(state, cursor: str) -> None:
    """A cursor that no page gave is an error, not an empty list."""

    async def talk(client: Client) -> None:
        with pytest.raises(MCPError) as refused:
            await client.list_resources(cursor=cursor)
        assert refused.value.error.code == -32602

    talk_to(state, talk)


def test_recall_puts_memories_before_the_model(state) -> None:
    """The prompt `recall` gives what is remembered about its topic, fenced, or says so."""
    state.memory.add("Ada drinks green tea in the morning")

    async def talk(client: Client) -> None:
        names = {each.name for each in (await client.list_prompts()).prompts}
        found = await client.get_prompt("recall", {"topic": "what does Ada drink?"})
        none = await client.get_prompt("recall", {"topic": "tea", "namespace": "other"})
        shown = found.messages[0].content.text

        assert names == {"recall", "remember"}
        assert "green tea" in shown.partition("</relevant-memories>")[0]
        assert "Nothing is remembered" in none.messages[0].content.text
        for wrong in ({}, {"topic": " "}, {"topic": "tea", "tokens": "many"}):
            with pytest.raises(MCPError):
                await client.get_prompt("recall", wrong)
        with pytest.raises(MCPError, match="recall"):
            await client.get_prompt("nonsense", {})

    talk_to(state, talk)


def test_arguments_of_templates_are_completed(state) -> None:
    """Ids of memories, keys of sessions and ids of transcripts complete from what is kept."""
    made = state.memory.add("Ada drinks green tea")
    entry = state.sessions.resolve("telegram:42")
    state.transcripts.append(entry.session_id, [{"role": "user", "content": "Hello"}])
    asked = {
        ("memory://{id}", "id", made[:3]): [made],
        ("session://{key}", "key", "tele"): ["telegram:42"],
        ("session://{key}", "key", "x"): [],
        ("transcript://{sessionId}{?before}", "sessionId", ""): [entry.session_id],
        ("nonsense://{x}", "x", ""): [],
    }

    async def talk(client: Client) -> None:
        for (template, name, value), expected in asked.items():
            reference = ResourceTemplateReference(uri=template)
            found = await client.complete(reference, {"name": name, "value": value})
            assert found.completion.values == expected
        prompt = PromptReference(name="recall")
        found = await client.complete(prompt, {"name": "topic", "value": "t"})
        assert found.completion.values == []

    talk_to(state, talk)


def test_a_listener_hears_what_another_process_changes(tmp_path: Path) -> None:
    """A client of 2026-07-28 that listens is told of a memory that somebody else changed."""
    root = tmp_path / "state"
    with clawstate.open(root) as other, clawstate.open(root) as state:
        made = other.memory.add("Ada drinks green tea")

        async def talk(client: Client) -> None:
            async with client.listen(
                resources_list_changed=True, resource_subscriptions=[f"memory://{made}"]
            ) as events:
                await anyio.to_thread.run_sync(lambda: other.memory.update(made, text="Coffee"))
                told = set()
                with anyio.fail_after(120):
                    async for event in events:
                        told.add(type(event).__name__)
                        if told == {"ResourcesListChanged", "ResourceUpdated"}:
                            break

        talk_to(state, talk)


@pytest.mark.parametrize("mode", MODES)
def test_tools_of_a_plugin_come_and_go_with_the_settings(tmp_path: Path, mode: str) -> None:
    """A plugin that is enabled or disabled meanwhile changes the tools, and clients are told."""
    root = tmp_path / "state"
    told = anyio.Event

    async def talk() -> None:
        heard: list[str] = []
        arrived = [told()]

        async def hear(message: Any) -> None:
            if type(message).__name__ == "ToolListChangedNotification":
                heard.append(mode)
                arrived[0].set()

        with clawstate.open(root) as other, clawstate.open(root) as state:
            server = create_server(state)
            async with (
                Client(server, mode=mode, message_handler=hear) as client,
                anyio.create_task_group() as tasks,
            ):
                if mode == "auto":

                    async def listen() -> None:
                        async with client.listen(tools_list_changed=True) as events:
                            async for _ in events:
                                arrived[0].set()

                    tasks.start_soon(listen)
                before = {each.name for each in (await client.list_tools()).tools}
                await anyio.to_thread.run_sync(other.plugins.disable, "memory-core")
                with anyio.fail_after(120):
                    await arrived[0].wait()
                after = {each.name for each in (await client.list_tools()).tools}
                arrived[0] = told()
                await anyio.to_thread.run_sync(other.plugins.enable, "memory-core")
                with anyio.fail_after(120):
                    await arrived[0].wait()
                again = {each.name for each in (await client.list_tools()).tools}
                tasks.cancel_scope.cancel()

        assert (before, after) == (again, set())

    anyio.run(talk)
