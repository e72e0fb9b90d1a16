"""What exports of chats hold beside what was said: documents, projects, memories."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import clawstate
from clawstate.importers.chat_export import is_chat_export
from clawstate.importers.discover import Kind, read_passages
from clawstate.importers.passages import Passage, Problem
from clawstate.importers.sync import import_paths


@pytest.fixture
def items(tmp_path: Path):
    def read(value: object, name: str = "conversations.json"):
        path = tmp_path / name
        path.write_text(json.dumps(value))
        return list(read_passages(path))

    return read


def texts(found) -> list[str]:
    return [each.text for each in found if isinstance(each, Passage)]


def chatgpt(*messages: dict) -> list[dict]:
    mapping = {}
    for at, each in enumerate(messages):
        parent = str(at - 1) if at else None
        message = {"id": f"m{at}", "metadata": {}} | each
        mapping[str(at)] = {"id": str(at), "parent": parent, "children": [], "message": message}
    return [{
        "title": "Letter", "create_time": 1772184600.0, "conversation_id": "c",
        "current_node": str(len(messages) - 1), "mapping": mapping,
    }]  # fmt: skip


def said(role: str, text: str, **more: object) -> dict:
    content = {"content_type": "text", "parts": [text]}
    return {"author": {"role": role}, "recipient": "all", "content": content} | more


def call(function: str, value: object, *, as_code: bool = True) -> dict:
    text = value if isinstance(value, str) else json.dumps(value)
    content = {"content_type": "code", "language": "json", "text": text}
    if not as_code:
        content = {"content_type": "text", "parts": [text]}
    return {"author": {"role": "assistant"}, "recipient": f"canmore.{function}", "content": content}


def answer(document: str, **more: object) -> dict:
    metadata = {"canvas": {"textdoc_id": document, "textdoc_type": "document"} | more}
    return said("tool", "Successfully done", metadata=metadata)


@pytest.mark.parametrize("as_code", [True, False])
def test_a_canvas_comes_as_it_was_last(items, as_code) -> None:
    """A document beside a conversation stands where it was begun, with all its changes."""
    begin = {"name": "Letter", "type": "document", "content": "Dear Ada,\nsee you (soon)."}
    change = {"updates": [{"pattern": "see you \\(soon\\)", "multiple": False,
                           "replacement": "see you on Friday"}]}  # fmt: skip
    found = items(
        chatgpt(
            said("user", "write a letter"),
            call("create_textdoc", begin, as_code=as_code),
            answer("d1"),
            call("create_textdoc", {"name": "Other", "content": "first"}, as_code=as_code),
            answer("d2"),
            call("update_textdoc", change, as_code=as_code),
            answer("d1"),
            call("update_textdoc", {"updates": [{"pattern": ".*", "replacement": "second"}]}),
            answer("d2"),
            call("update_textdoc", {"updates": [{"pattern": ".*", "replacement": "never"}]}),
            answer("d2", is_failure=True),
            said("assistant", "Here it is."),
        )
    )

    letter, other = "Letter\nDear Ada,\nsee you on Friday.", "Other\nsecond"
    assert texts(found) == ["write a letter", letter, other, "Here it is."]
    assert found[1].key == "chatgpt\0c\0m1\x000"


@pytest.mark.parametrize("pattern", ["(a+)+$", "Dear (\\w+)", "not there", "[", "(?P<"])
def test_patterns_are_not_run(items, pattern: str) -> None:
    """A pattern of a model costs no time, and what it was to bring is kept behind the document."""
    begin = {"name": "Letter", "content": "Dear Ada " + "a" * 5000 + "!"}
    change = {"updates": [{"pattern": pattern, "replacement": "a new line"}, {"pattern": 5}, "x"]}

    found = items(chatgpt(call("create_textdoc", begin), call("update_textdoc", change)))

    assert "\n".join(texts(found)).endswith("!\na new line")


def test_a_canvas_that_is_no_json_is_passed_over(items) -> None:
    """A call that cannot be read gives nothing, and the conversation goes on."""
    found = items(
        chatgpt(call("create_textdoc", "{"), call("update_textdoc", "[]"), said("user", "x"))
    )

    assert texts(found) == ["x"]


def test_a_report_of_a_research_is_taken(items) -> None:
    """What a research came to stands within the answer of a tool, and is what was said."""
    report = {"content": {"content_type": "text", "parts": ["# Report\nIt is so."]}}
    state = json.dumps({"status": "completed", "report_message": report})
    tool = said("tool", "", metadata={"chatgpt_sdk": {"widget_state": state}})

    assert texts(items(chatgpt(said("user", "why?"), tool))) == ["why?", "# Report\nIt is so."]


def test_custom_instructions_come_once(items) -> None:
    """What the user told of themselves, hidden in every conversation, is one record."""
    content = {"content_type": "user_editable_context", "user_profile": "I live in Porto.",
               "user_instructions": "Be brief."}  # fmt: skip
    hidden = {"is_visually_hidden_from_conversation": True}
    about = {"author": {"role": "user"}, "content": content, "metadata": hidden}
    one, other = chatgpt(about, said("user", "one")), chatgpt(about, said("user", "two"))

    found = items([*one, other[0] | {"conversation_id": "d"}])

    assert texts(found) == ["I live in Porto.\n\nBe brief.", "one", "two"]


@pytest.mark.parametrize(
    "content",
    [
        {"content_type": "thoughts", "thoughts": [{"summary": "s", "content": "never"}]},
        {"content_type": "reasoning_recap", "content": "never"},
        {"content_type": "code", "language": "python", "text": "never"},
        {"content_type": "execution_output", "text": "never"},
        {"content_type": "tether_quote", "text": "never", "title": "never"},
        {"content_type": "tether_browsing_display", "result": "never"},
        {"content_type": "system_error", "text": "never"},
        {"content_type": "model_editable_context", "model_set_context": "never"},
        {"content_type": "multimodal_text", "parts": [{"content_type": "image_asset_pointer"}]},
    ],
)
def test_what_was_not_said_is_left_out(items, content: dict) -> None:
    """Thoughts, calls of tools and what they gave are no part of the conversation."""
    found = items(chatgpt(said("user", "said"), said("assistant", "", content=content)))

    assert texts(found) == ["said"]


def claude(*blocks: dict) -> list[dict]:
    message = {"uuid": "m", "sender": "assistant", "text": "", "content": list(blocks)}
    return [{"uuid": "c", "name": "Boiler", "chat_messages": [message]}]


def tool(name: str, **given: object) -> dict:
    return {"type": "tool_use", "name": name, "input": given}


def test_an_artefact_comes_as_it_was_last(items) -> None:
    """A document of Claude's stands where it was begun, with all its changes."""
    found = items(
        claude(
            {"type": "text", "text": "Here:"},
            tool("artifacts", command="create", id="plan", title="Plan", content="Day one: tram."),
            tool("artifacts", command="update", id="plan", old_str="tram", new_str="boat"),
            tool("create_file", path="/mnt/user-data/outputs/notes.md", file_text="first"),
            tool("create_file", path="/home/claude/work.py", file_text="never"),
            tool("artifacts", command="rewrite", id="other", title="New", content="whole"),
            tool("str_replace", path="/mnt/user-data/outputs/notes.md", old_str="x", new_str="y"),
        )
    )

    assert texts(found) == ["Here:\nPlan\nDay one: boat.\nnotes.md\nfirst\ny\nNew\nwhole"]


PROJECT = {
    "uuid": "p1", "name": "Garden", "description": "All about the garden",
    "is_private": True, "is_starter_project": False, "prompt_template": "Answer like a gardener.",
    "created_at": "2026-02-27T09:00:00Z", "updated_at": "2026-02-27T09:00:00Z",
    "creator": {"uuid": "a", "full_name": "Ada"},
    "docs": [{"uuid": "d1", "filename": "plants.md", "created_at": "2026-02-28T09:00:00Z",
              "content": "# Roses\n\nWater them.\n\n# Tulips\n\nPlant in autumn."}],
}  # fmt: skip
MEMORIES = {
    "account_uuid": "a", "conversations_memory": "**Work context**\n\nAda runs a nursery.",
    "project_memories": {"p1": "The roses are red."},
    "memory_files": [{"path": "/notes/tools.md", "content": "The spade is new."}, None],
}  # fmt: skip
DESIGN = {
    "uuid": "x1", "title": "Poster",
    "messages": [
        None,
        {"uuid": "1", "role": "user", "content": {"content": "make a poster", "attachments": [
            {"name": "brief.txt", "content": "in blue"}]}},
        {"uuid": "2", "role": "assistant", "content": {"contentBlocks": [
            {"type": "thinking", "text": "never"}, {"type": "text", "text": "done"}]}},
    ],
}  # fmt: skip


def test_projects_of_claude_are_taken(items) -> None:
    """Description, instructions and documents of a project are found by its name and theirs."""
    for value in ([PROJECT], PROJECT):
        found = items(value, "p1.json")

        assert texts(found) == [
            "All about the garden",
            "Answer like a gardener.",
            "# Roses\n\nWater them.",
            "# Tulips\n\nPlant in autumn.",
        ]
        roses = found[2]
        assert (roses.title, roses.names, roses.headings) == ("plants.md", ("Garden",), ("Roses",))
        assert roses.metadata == {"project": "Garden", "projectId": "p1", "file": "plants.md"}
        assert roses.created_at == 1772269200.0


def test_memories_of_claude_are_taken(items) -> None:
    """What Claude remembered, of everything, of a project and in files, is remembered here."""
    found = items([MEMORIES], "memories.json")

    assert texts(found) == [
        "**Work context**\n\nAda runs a nursery.",
        "The roses are red.",
        "The spade is new.",
    ]
    assert [each.title for each in found] == ["Claude's memory", "Claude's memory", "tools.md"]


@pytest.mark.parametrize(
    "names",
    [
        ("conversations.json", "projects.json", "memories.json"),
        ("x/conversations-000.json", "x/projects/p1.json", "x/memories/a.json"),
        ("conversations.json", "projects/p1.json", "memories.json"),
    ],
)
def test_an_archive_gives_all_that_it_holds(tmp_path: Path, names: tuple[str, ...]) -> None:
    """One archive holds conversations, projects, memories and designs, in one file or many."""
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in zip(names, (claude({"type": "text", "text": "said"}), PROJECT, MEMORIES),
                               strict=True):  # fmt: skip
            archive.writestr(name, json.dumps(value if "/" in name else [value]
                                              if isinstance(value, dict) else value))  # fmt: skip
        archive.writestr("design_chats/x1.json", json.dumps(DESIGN))
        archive.writestr("users.json", json.dumps([{"email_address": "never"}]))

    found = list(read_passages(path))

    assert [each for each in found if isinstance(each, Problem)] == []
    assert {"said", "Water them.", "make a poster\nbrief.txt:\nin blue", "done"} <= {
        each.removeprefix("# Roses\n\n") for each in texts(found)
    }
    memory = next(each for each in found if each.text == "The roses are red.")
    assert (memory.title, memory.names) == ("Claude's memory: Garden", ("Garden",))


def test_archives_of_one_kind_are_known(tmp_path: Path) -> None:
    """An archive of projects or of memories alone is an export; one of another program is not."""
    for name, value in (("projects/p.json", PROJECT), ("memories/a.json", MEMORIES),
                        ("projects/q.json", {"name": "of another program"})):  # fmt: skip
        with zipfile.ZipFile(tmp_path / f"{name[-6]}.zip", "w") as archive:
            archive.writestr(name, json.dumps(value))
    with clawstate.open(tmp_path / "state") as state:
        report = import_paths(state.memory, [tmp_path])

    assert (report.files, report.passed_over[".zip"]) == (2, 1)


def export_twice(place: Path) -> None:
    """Write an export into the folder `old`, and one with another document into `new`."""
    newer = PROJECT | {"docs": [PROJECT["docs"][0] | {"content": "# Roses\n\nWater them daily."}]}
    for name, project in (("old", PROJECT), ("new", newer)):
        (place / name).mkdir()
        (place / name / "projects.json").write_text(json.dumps([project]))


def test_a_newer_export_changes_what_it_changes(tmp_path: Path) -> None:
    """A document or memory of a newer export takes the place of the one before it."""
    export_twice(tmp_path)
    with clawstate.open(tmp_path / "state") as state:
        import_paths(state.memory, [tmp_path / "old"])
        report = import_paths(state.memory, [tmp_path / "new"])

        found = [each.text for each in state.memory.records() if "Roses" in each.text]

    assert found == ["# Roses\n\nWater them daily."]
    assert (report.added, report.updated, report.left) == (0, 3, 0)


def test_what_somebody_changed_stays_beside_a_newer_export(tmp_path: Path) -> None:
    """If a person and a newer export changed a document, both are there."""
    export_twice(tmp_path)
    with clawstate.open(tmp_path / "state") as state:
        import_paths(state.memory, [tmp_path / "old"])
        (roses,) = [each for each in state.memory.records() if "Roses" in each.text]
        state.memory.update(roses.id, text="# Roses: mine")
        for _ in range(2):
            import_paths(state.memory, [tmp_path / "new"])

        found = {each.text for each in state.memory.records() if "Roses" in each.text}

    assert found == {"# Roses: mine", "# Roses\n\nWater them daily."}


def test_an_export_that_was_imported_before_is_read_once_more(tmp_path: Path) -> None:
    """What earlier releases left of an export comes with the next import of the same file."""
    path = tmp_path / "conversations.json"
    path.write_text(json.dumps(claude({"type": "text", "text": "said"})))
    with clawstate.open(tmp_path / "state") as state:
        imports = state.memory.imports
        import_paths(state.memory, [path])
        reader, *rest = json.loads(imports.fingerprints()[str(path)])
        imports.finish(str(path), fingerprint=json.dumps(["2", *rest]))

        reports = [import_paths(state.memory, [path]) for _ in range(2)]

    assert reader != "2"
    assert [each.skipped for each in reports] == [0, 1]
    assert [(each.added, each.removed) for each in reports] == [(0, 0), (0, 0)]


def test_other_json_is_no_export(tmp_path: Path) -> None:
    """Lists and objects of other programs are not taken for exports."""
    values = (
        {"mapping": {"a": 1}},
        {"projects": []},
        [{"uuid": "x", "name": "y"}],
        [],
        {"docs": []},
    )
    for at, value in enumerate(values):
        (tmp_path / f"{at}.json").write_text(json.dumps(value))

    assert [is_chat_export(tmp_path / f"{at}.json") for at in range(5)] == [False] * 5


NAMES = st.sampled_from(
    [*("uuid", "content", "text", "type", "input", "docs", "name", "updates", "pattern", "parts"),
     *("recipient", "metadata", "canvas", "author", "role", "messages", "content_type")]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=6) | st.sampled_from(["user", "text", "tool_use"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.sampled_from(["chat_messages", "docs", "memory_files", "project_memories",
                                "messages", "mapping", "conversations_memory"]))  # fmt: skip
def test_no_entry_is_fatal(tmp_path_factory, value: object, member: str) -> None:
    """Whatever stands where something is looked for, nothing is raised."""
    path = tmp_path_factory.getbasetemp() / "noise.json"
    mapping = {"a": {"message": value}, "b": value, "c": {"message": value, "parent": "a"}}
    given_value = mapping if member == "mapping" else value
    path.write_text(
        json.dumps([{member: given_value, "uuid": "x"}, {member: [value], "uuid": "y"}])
    )

    found = list(read_passages(path, kind=Kind.CHAT_EXPORT))

    assert all(each.text.strip() for each in found if isinstance(each, Passage))
