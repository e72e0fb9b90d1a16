from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from clawstate.errors import InvalidError
from clawstate.importers import json_values
from clawstate.importers.chat_export import is_chat_export, read_chat_export
from clawstate.importers.json_values import array_elements
from clawstate.importers.passages import MAXIMUM_LENGTH, Passage, Problem


def node(name: str, parent: str | None, role: str, *parts: object, **more: object):
    message = {
        "id": f"m-{name}",
        "author": {"role": role},
        "create_time": 1772184600.25,
        "content": {"content_type": "text", "parts": list(parts)},
        "recipient": "all",
        "metadata": {},
    } | more
    return {"id": name, "message": message, "parent": parent, "children": []}


def chatgpt(*nodes: dict[str, object], **more: object) -> dict[str, object]:
    root = {"id": "root", "message": None, "parent": None, "children": []}
    mapping = {str(each["id"]): each for each in (root, *nodes)}
    return {
        "title": "Boiler",
        "create_time": 1772180000.0,
        "mapping": mapping,
        "conversation_id": "c-1",
        "current_node": nodes[-1]["id"] if nodes else "root",
    } | more


def claude(*messages: dict[str, object]) -> dict[str, object]:
    return {
        "uuid": "u-1",
        "name": "Garden",
        "created_at": "2026-02-27T09:00:00Z",
        "account": {"uuid": "a"},
        "chat_messages": list(messages),
    }


@pytest.fixture
def items(tmp_path: Path):
    def read(value: object):
        path = tmp_path / "conversations.json"
        path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
        return list(read_chat_export(path))

    return read


def test_chatgpt_messages_know_their_conversation(items) -> None:
    """A ChatGPT message comes with thread, order, time, role, title and model."""
    question, answer = items(
        [
            chatgpt(
                node("a", "root", "user", "When is the boiler serviced?"),
                node("b", "a", "assistant", "In October.", metadata={"model_slug": "gpt-x"}),
            )
        ]
    )

    assert question == Passage(
        "When is the boiler serviced?",
        title="Boiler",
        key="chatgpt\0c-1\0m-a\x000",
        names=("user",),
        thread="c-1",
        position=0,
        created_at=1772184600.25,
        metadata={"role": "user", "title": "Boiler", "messageId": "m-a"},
    )
    assert (answer.position, answer.metadata["model"]) == (1, "gpt-x")


def test_chatgpt_path_that_was_shown_is_followed(items) -> None:
    """Of several branches the one that ends in the current node is read."""
    nodes = (
        node("a", "root", "user", "first"),
        node("b", "a", "assistant", "dropped"),
        node("c", "b", "user", "dropped too"),
        node("d", "a", "assistant", "kept"),
    )

    assert [each.text for each in items([chatgpt(*nodes)])] == ["first", "kept"]


@pytest.mark.parametrize("current", [None, "gone", 5])
def test_chatgpt_longest_path_stands_in(items, current: object) -> None:
    """Without a usable current node the longest path is read, the latest among equals."""
    nodes = (
        node("a", "root", "user", "first"),
        node("b", "a", "assistant", "late", create_time=1772184700),
        node("c", "a", "assistant", "early"),
        node("d", "root", "user", "short", create_time=1772189999),
    )

    found = items([chatgpt(*nodes, current_node=current)])

    assert [each.text for each in found] == ["first", "late"]


def test_chatgpt_children_stand_in_for_parents(items) -> None:
    """A tree that names children only is followed too."""
    first, second = node("a", None, "user", "one"), node("b", None, "assistant", "two")
    first["children"] = ["b"]

    assert [each.text for each in items([chatgpt(first, second)])] == ["one", "two"]


@pytest.mark.parametrize("current", ["b", None])
def test_chatgpt_circle_ends(items, current: object) -> None:
    """A tree that bites its tail is read once around."""
    nodes = (node("a", "b", "user", "one"), node("b", "a", "assistant", "two"))

    found = items([chatgpt(*nodes, current_node=current)])

    assert sorted(each.text for each in found) == ["one", "two"]


def test_chatgpt_hidden_and_technical_messages_are_left_out(items) -> None:
    """Only what user and assistant showed each other is taken, voice included."""
    code = {"content_type": "code", "text": "print()"}
    voice = {
        "content_type": "multimodal_text",
        "parts": [
            {"content_type": "image_asset_pointer", "asset_pointer": "x"},
            {"content_type": "audio_transcription", "text": "spoken"},
            "typed",
        ],
    }
    nodes = [
        node("a", "root", "system", "sys"),
        node("b", "a", "user", "hidden", metadata={"is_visually_hidden_from_conversation": True}),
        node("c", "b", "assistant", "call", recipient="python"),
        node("d", "c", "tool", "result"),
        node("e", "d", "assistant", "", content=code),
        node("f", "e", "assistant", "replaced", weight=0),
        node("g", "f", "user", "", content=voice),
        node("h", "g", "assistant", " "),
    ]

    assert [each.text for each in items([chatgpt(*nodes)])] == ["spoken\ntyped"]


def test_claude_messages_know_their_conversation(items) -> None:
    """A Claude message comes with thread, order, time, role and title."""
    question, answer = items(
        [
            claude(
                {
                    "uuid": "1",
                    "sender": "human",
                    "text": "When do I sow peas?",
                    "created_at": "2026-02-27T09:30:00.5Z",
                },
                {
                    "uuid": "2",
                    "sender": "assistant",
                    "text": "In March. [placeholder]",
                    "content": [
                        {"type": "thinking", "thinking": "hmm"},
                        {"type": "text", "text": "In March."},
                        {"type": "tool_use", "input": {}},
                    ],
                },
                {
                    "uuid": "3",
                    "sender": "assistant",
                    "text": "x",
                    "content": [{"type": "tool_use"}],
                },
                {"uuid": "4", "sender": "narrator", "text": "no"},
            )
        ]
    )

    assert question == Passage(
        "When do I sow peas?",
        title="Garden",
        key="claude\0u-1\x001\x000",
        names=("user",),
        thread="u-1",
        position=0,
        created_at=1772184600.5,
        metadata={"role": "user", "title": "Garden", "messageId": "1"},
    )
    assert (answer.text, answer.metadata["role"]) == ("In March.", "assistant")
    assert answer.created_at == 1772182800


def test_each_conversation_counts_from_zero(items) -> None:
    """Positions order the messages of one thread; long messages take several."""
    long = chatgpt(node("a", "root", "user", "A rainy day. " * 400), node("b", "a", "user", "end"))

    found = items([long, chatgpt(node("a", "root", "user", "x"))])

    assert [each.position for each in found] == [*range(len(found) - 1), 0]
    assert all(len(each.text) <= MAXIMUM_LENGTH for each in found)
    assert found[0].metadata["part"] == 1


def test_bad_conversation_costs_only_itself(items) -> None:
    """A conversation that cannot be read is a problem with its number; the others go in."""
    good = json.dumps(chatgpt(node("a", "root", "user", "x")))
    bad = ['{"title": hunter2}', '{"title": "hunter2"}', "null", '"hunter2"', "[1]"]
    deep = '{"mapping": ' + "[" * 50_000 + "]" * 50_000 + "}"
    nul = json.dumps(chatgpt(node("a", "root", "user", "hunter2\0")))

    found = items(f"[{good}, {', '.join(bad)}, {good}, {deep}, {nul}]".encode())

    problems = [each for each in found if isinstance(each, Problem)]
    assert [each.text for each in found if isinstance(each, Passage)] == ["x", "x"]
    assert len(problems) >= 6
    assert problems[0].message.startswith("conversation 2 is not JSON")
    assert not any("hunter2" in each.message for each in problems)


@pytest.mark.parametrize("data", [b"", b"   ", b"[{", b'[{"a": "b', b"[", b"hello", b"[1, 2"])
def test_file_that_is_no_export_is_one_problem(items, data: bytes) -> None:
    """A file that is empty, torn or something else is a problem of the whole file."""
    assert [type(each) for each in items(data)] == [Problem]


def test_torn_export_keeps_its_first_conversations(items) -> None:
    """Conversations before the tear go in."""
    whole = json.dumps([chatgpt(node("a", "root", "user", "x"))] * 2).encode()

    passage, problem = items(whole[:-20])

    assert (passage.text, problem.line) == ("x", None)


def test_bytes_that_are_not_utf8_are_replaced_and_reported(items) -> None:
    """Damaged bytes in a conversation become U+FFFD, and that is said."""
    data = json.dumps([chatgpt(node("a", "root", "user", "caf@"))]).encode().replace(b"@", b"\xe9")

    problem, passage = items(data)

    assert problem.message.startswith("conversation 1 is not UTF-8")
    assert passage.text == "caf\ufffd"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_elements_do_not_depend_on_the_chunks(size: int) -> None:
    """However the bytes arrive, the elements are the same: brackets in strings mean nothing."""
    values = [{"a": '} ] { [ \\ " \\" \n é'}, {}, {"b": [{"c": [1, {}]}, "\\\\"]}, {"d": "x" * 50}]
    data = b"\xef\xbb\xbf " + json.dumps(values, ensure_ascii=False, indent=1).encode() + b"\n"

    found = [json.loads(each) for each in array_elements(Trickle(data, size))]

    assert found == values


def test_object_alone_is_one_element() -> None:
    """A file with one conversation instead of a list is read as that one."""
    assert list(array_elements(io.BytesIO(b' {"a": [1]} '))) == ['{"a": [1]}']


def test_endless_element_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An element above the bound ends the reading before memory does."""
    monkeypatch.setattr(json_values, "LONGEST_ELEMENT", 1024 * 1024)

    with pytest.raises(InvalidError, match="longer than 1 MiB"):
        list(array_elements(Trickle(b'[{"a": "' + b"x" * 3_000_000, 500_000)))


def archive(path: Path, members: dict[str, str], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as packed:
        for name, text in members.items():
            packed.writestr(name, text)
    return path


def test_archive_is_read_as_a_stream(tmp_path: Path) -> None:
    """The conversations within an archive go in, its other members are ignored."""
    one = json.dumps([chatgpt(node("a", "root", "user", "one"))])
    two = json.dumps([claude({"sender": "human", "text": "two"})])
    members = {
        "export/conversations-001.json": two,
        "export/conversations-000.json": one,
        "user.json": "{}",
        "../evil/conversations.json.txt": "x",
    }
    path = archive(tmp_path / "export.zip", members)

    assert [each.text for each in read_chat_export(path)] == ["one", "two"]
    assert is_chat_export(path)
    assert [each.name for each in tmp_path.iterdir()] == ["export.zip"]


def test_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """An archive that unpacks to far more than it holds is refused."""
    path = archive(tmp_path / "bomb.zip", {"conversations.json": "[" + " " * 20_000_000 + "]"})

    (problem,) = read_chat_export(path)

    assert "far more" in problem.message


def test_archive_without_conversations_is_a_problem(tmp_path: Path) -> None:
    """An archive of something else says so."""
    path = archive(tmp_path / "photos.zip", {"a.jpg": "x"})

    (problem,) = read_chat_export(path)

    assert "no conversations.json" in problem.message
    assert not is_chat_export(path)


def test_unusual_packing_is_refused(tmp_path: Path) -> None:
    """A method whose unpacking cannot be bounded is refused."""
    path = archive(tmp_path / "a.zip", {"conversations.json": "[]"}, zipfile.ZIP_LZMA)

    (problem,) = read_chat_export(path)

    assert "unusual" in problem.message


def test_damaged_archive_never_raises(tmp_path: Path) -> None:
    """Whichever byte of an archive is wrong, or missing, reading it yields items only."""
    text = json.dumps([chatgpt(node("a", "root", "user", "one"))])
    whole = archive(tmp_path / "a.zip", {"conversations.json": text}).read_bytes()
    path = tmp_path / "b.zip"

    for at in range(4, len(whole)):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            path.write_bytes(damaged)
            assert all(isinstance(each, Passage | Problem) for each in read_chat_export(path))
            is_chat_export(path)


class Trickle(io.BytesIO):
    def __init__(self, data: bytes, size: int) -> None:
        super().__init__(data)
        self._size = size

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(self._size, size or self._size))
