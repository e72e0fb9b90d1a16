from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

import clawstate
from clawstate import Tool
from clawstate.errors import ConflictError, InvalidError, NotFoundError


@pytest.fixture
def tools(state):
    state.plugins.load("memory-core")
    return state.plugins.tools


def test_every_tool_has_a_valid_schema(tools) -> None:
    """Each tool tells its name, what it is for, and a JSON Schema of what it takes."""
    for each in tools.descriptions():
        Draft202012Validator.check_schema(each["inputSchema"])
        assert each["inputSchema"]["type"] == "object"
        assert len(each["description"]) > 20


def test_results_fit_the_schema_that_was_told(tools) -> None:
    """What a tool gives back is valid by its own output schema, found or not."""
    made = tools.call("memory_store", {"text": "Ada drinks green tea", "tags": ["habit"]})
    calls = [
        ("memory_search", {"query": "what does Ada drink"}),
        ("memory_search", {"query": "zebra", "minScore": 1}),
        ("memory_recall", {"query": "tea", "limit": 2}),
        ("memory_update", {"id": made["id"], "importance": 0.9}),
        ("memory_store", {"text": "Ada drinks green tea"}),
        ("memory_conflicts", {}),
        ("memory_forget", {"query": "the moon"}),
        ("memory_forget", {"id": made["id"]}),
    ]

    for name, arguments in calls:
        result = tools.result(name, arguments)
        schema = {each["name"]: each for each in tools.descriptions()}[name]["outputSchema"]
        assert result["isError"] is False
        Draft202012Validator(schema).validate(result["structuredContent"])
        fenced = result["content"][0]["text"].splitlines()
        assert (fenced[0], fenced[-1]) == ("<relevant-memories>", "</relevant-memories>")
        assert json.loads(fenced[-2]) == result["structuredContent"]


def test_what_is_found_has_an_id_to_go_on_with(tools, state) -> None:
    """A search gives ids by which a memory is read, changed and forgotten."""
    tools.call("memory_store", {"text": "The boiler valve turns left", "category": "fact"})

    found = tools.call("memory_search", {"query": "boiler valve", "maxResults": 1})["results"][0]
    changed = tools.call("memory_update", {"id": found["id"], "text": "The valve turns right"})
    read = tools.call("memory_get", {"id": found["id"]})
    gone = tools.call("memory_forget", {"id": found["id"]})

    assert changed["text"] == read["text"] == "The valve turns right"
    assert gone == {"forgotten": [found["id"]], "candidates": []}
    assert state.memory.get(found["id"]) is None


def test_the_same_is_not_remembered_twice(tools, state) -> None:
    """A text that is remembered already is kept as it is, and its id is given."""
    first = tools.call("memory_store", {"text": "The key is under the mat"})
    second = tools.call("memory_store", {"text": "The key is under  the mat"})

    assert (first["action"], second["action"]) == ("created", "kept")
    assert second["id"] == first["id"]
    assert len(state.memory.records()) == 1


def test_forgetting_by_a_question_asks_back_when_in_doubt(tools, state) -> None:
    """A query that may mean several memories forgets none, and lists them."""
    for text in ("Ada drinks green tea", "Ada drinks black tea"):
        tools.call("memory_store", {"text": text})

    found = tools.call("memory_forget", {"query": "Ada drinks tea"})

    assert found["forgotten"] == []
    assert len(found["candidates"]) == 2
    assert len(state.memory.records()) == 2


def test_lines_of_an_imported_file_are_read_from_memory(tools, state, tmp_path) -> None:
    """`memory_get` with a path gives what was imported from there, also when the file is gone."""
    state.memory.add_many(
        [
            {"text": f"line {number}", "source": "notes/a.md", "thread": "t", "position": number}
            for number in (2, 1, 3)
        ]
    )

    whole = tools.call("memory_get", {"path": "notes/a.md"})
    part = tools.call("memory_get", {"path": "notes/a.md", "from": 2, "lines": 1})

    assert whole["text"] == "line 1\nline 2\nline 3"
    assert (part["text"], part["totalLines"]) == ("line 2", 3)
    with pytest.raises(NotFoundError):
        tools.call("memory_get", {"path": "/etc/passwd"})


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("memory_search", {}, "add 'query'"),
        ("memory_search", {"query": 3}, "arguments.query"),
        ("memory_search", {"query": "a", "maxResults": 0}, "too small"),
        ("memory_search", {"query": "a", "nonsense": 1}, "is unknown"),
        ("memory_get", {}, "either id or path"),
        ("memory_get", {"id": "01a2-none"}, "clawstate memory list"),
        ("memory_update", {"id": "x"}, "give one of"),
        ("memory_forget", {"id": "a", "query": "b"}, "either id or query"),
        ("no_such_tool", {}, "memory_search"),
    ],
)
def test_a_failure_says_what_to_do(tools, name: str, arguments: dict, sentence: str) -> None:
    """What goes wrong is a tool error whose text says what to do next."""
    result = tools.result(name, arguments)

    assert result["isError"] is True
    assert sentence in result["content"][0]["text"]


def test_a_tool_of_the_program_stands_beside_those_of_plugins(tools) -> None:
    """A program registers tools of its own; a name that is taken is refused."""
    own = Tool("add", "Add.", {"type": "object"}, lambda told: sum(told["n"]))
    tools.register_tool(own)

    assert tools.call("add", {"n": [1, 2]}) == {"result": 3}
    assert own(n=[3, 4]) == 7
    with pytest.raises(ConflictError):
        tools.register_tool(own)
    with pytest.raises(InvalidError):
        tools.register_tool(Tool("a b", "", {"type": "object"}, lambda _: None))


def test_the_error_of_a_tool_keeps_what_it_holds(tools, caplog) -> None:
    """An error that is none of ours is told by its kind alone: its text may hold a key."""

    def fail(_):
        raise RuntimeError("sk-made-up-secret")

    tools.register_tool(Tool("fail", "Fail.", {"type": "object"}, fail))

    result = tools.result("fail")

    assert result["isError"] is True
    assert "RuntimeError" in result["content"][0]["text"]
    assert "sk-made-up" not in caplog.text + json.dumps(result)


def test_tools_can_be_made_for_a_memory(state) -> None:
    """The specified functions make tools over a memory or a state, without any plugin."""
    made = state.memory.add("The train leaves at nine")

    by_memory = clawstate.create_memory_search_tool(state.memory)(query="train")
    by_state = clawstate.create_memory_get_tool(state)(id=made)
    changed = clawstate.create_memory_update_tool(state)(id=made, tags=["trip"])

    assert by_memory["results"][0].record.id == made
    assert by_state.text == "The train leaves at nine"
    assert changed.tags == ("trip",)
    with pytest.raises(InvalidError, match=r"state\.memory"):
        clawstate.create_memory_get_tool("memory.db")


def test_an_argument_that_is_unknown_is_named(state) -> None:
    """A mistyped argument is named beside those that there are; other names for one are taken."""
    state.plugins.start()
    tools = state.plugins.tools
    key = state.memory.add("Ada drinks green tea")

    told = tools.result("memory_search", {"query": "tea", "maxResult": 1})["content"][0]["text"]
    both = tools.result("memory_search", {"query": "tea", "k": 1, "limit": 1})["content"][0]["text"]

    assert "arguments.maxResult: is unknown" in told
    assert "maxResults" in told
    assert "arguments.maxResults" in both
    for name in ("k", "limit", "maxResults"):
        for tool in ("memory_search", "memory_recall"):
            assert len(tools.call(tool, {"query": "tea", name: 1})["results"]) == 1
            assert "limit" not in tools.get(tool).input_schema["properties"]
    assert tools.call("memory_get", {"memoryId": key})["id"] == key
