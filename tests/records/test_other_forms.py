"""Documents as editors and other programs save them: nothing newer gives way to what is older."""

from __future__ import annotations

import codecs
import json
from pathlib import PurePosixPath

import pytest

import clawstate
from clawstate.doctor import examine
from clawstate.errors import CorruptError
from clawstate.files.json_text import parse_json_file
from clawstate.records.contract import CollectionSpec
from clawstate.records.json_files import JsonFilesBackend
from clawstate.records.layouts import MapLayout

NOTES = CollectionSpec("notes", PurePosixPath("state/notes.json"), MapLayout())
KEY = {"type": "api_key", "provider": "openai", "key": "sk-new"}
NEWER = {"version": 1, "profiles": {"openai:new": KEY}}
WIDE = {
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16-be": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "utf-16-le without mark": lambda text: text.encode("utf-16-le"),
    "utf-16-be without mark": lambda text: text.encode("utf-16-be"),
    "utf-32": lambda text: text.encode("utf-32"),
}
JSON5 = {
    "comment": lambda text: f"// mine\n{text}".encode(),
    "trailing comma": lambda text: (text[:-1] + ",}").encode(),
    "single quotes": lambda text: text.replace('"', "'").encode(),
    "mark and comment": lambda text: codecs.BOM_UTF8 + f"/* x */ {text}".encode(),
}


@pytest.fixture
def root(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def notes(root):
    made = JsonFilesBackend(root).collection(NOTES)
    made.put("a", "older")
    return made


def fresh(root):
    return JsonFilesBackend(root).collection(NOTES)


def test_a_byte_order_mark_is_passed_over(root, notes):
    """A document that an editor saved with a mark is read, changed and written without it."""
    path = root / NOTES.path
    path.write_bytes(codecs.BOM_UTF8 + b'{"a": "newer", "b": 2}')

    assert [each.value for each in fresh(root).scan()] == ["newer", 2]
    assert notes.repair() is None
    notes.put("c", 3)

    assert json.loads(path.read_bytes()) == {"a": "newer", "b": 2, "c": 3}


@pytest.mark.parametrize("written", WIDE.values(), ids=WIDE.keys())
def test_other_encodings_are_named(root, written):
    """A document in UTF-16 or UTF-32 is told as that, with what to do."""
    with pytest.raises(CorruptError, match=r"is UTF-(16|32); save it as UTF-8"):
        parse_json_file(written('{"a": 1}'), path=root / "x.json")


@pytest.mark.parametrize("written", [*WIDE.values(), *JSON5.values()], ids=[*WIDE, *JSON5])
def test_a_whole_document_in_another_form_is_written_again(root, notes, written):
    """A repair makes JSON of what is whole, and never puts an older copy in its place."""
    path = root / NOTES.path
    raw = written('{"a": "newer", "b": 2}')
    path.write_bytes(raw)
    with pytest.raises(CorruptError):
        fresh(root).put("c", 3)
    assert path.read_bytes() == raw

    aside = fresh(root).repair()

    assert aside.read_bytes() == raw
    assert json.loads(path.read_bytes()) == {"a": "newer", "b": 2}
    assert [each.value for each in fresh(root).scan()] == ["newer", 2]


@pytest.mark.parametrize("raw", [b'{"a": "newer", "b"', b"\xff\xfe{\0", b"\0" * 9, b"[1,]"])
def test_only_what_nobody_can_read_gives_way_to_the_copy(root, notes, raw):
    """What cannot be read at all is kept in quarantine, and the last good state comes back."""
    path = root / NOTES.path
    path.write_bytes(raw)

    aside = fresh(root).repair()

    assert aside.read_bytes() == raw
    assert fresh(root).get("a").value == "older"


@pytest.mark.parametrize("written", [WIDE["utf-16"], JSON5["comment"]], ids=["utf-16", "json5"])
def test_the_doctor_keeps_the_newer_credentials(root, written):
    """`doctor --fix` makes an edited file readable, and says where the file as it was lies."""
    with clawstate.open(root, store="file") as state:
        state.auth().upsert("openai:old", KEY)
        path = root / "agents/main/agent/auth-profiles.json"
        path.write_bytes(written(json.dumps(NEWER)))

        told = [each.fix for each in examine(state, fix=True) if each.code == "corrupt"]

        assert any("written again as JSON in UTF-8" in each for each in told)
        assert state.auth().secret("openai:new") == "sk-new"
        assert not any(each.code == "corrupt" for each in examine(state))


def test_every_document_of_a_state_may_have_a_mark(root):
    """Whatever file of a state an editor saved with a mark, it is read."""
    with clawstate.open(root, store="file") as state:
        state.auth().upsert("openai:old", KEY)
        state.sessions.resolve("agent:main:main")
        state.encryption.turn_on("file")
        state.pairing.request(user_id="ada", device_id="phone")
    marked = [
        each for each in root.rglob("*.json") if each.is_file() and ".lastgood" not in each.parts
    ]
    assert len(marked) > 3
    for each in marked:
        each.write_bytes(codecs.BOM_UTF8 + each.read_bytes())

    with clawstate.open(root, store="file") as state:
        assert state.auth().secret("openai:old") == "sk-new"
        assert state.sessions.get("agent:main:main") is not None
        assert len(state.pairing.pending()) == 1
        codes = {each.code for each in examine(state, fix=True)}

    assert "corrupt" not in codes
    assert list(root.rglob(".quarantine")) == []
