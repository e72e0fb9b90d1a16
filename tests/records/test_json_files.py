from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path, PurePosixPath

import pytest

from clawstate.errors import CorruptError, CorruptWarning, InvalidError, VersionError
from clawstate.files.file_version import FILE_CLOCK
from clawstate.records.contract import CollectionSpec, FileForm
from clawstate.records.json_files import JsonFilesBackend
from clawstate.records.last_good import copy_path
from clawstate.records.layouts import MapLayout, SectionsLayout
from clawstate.testing.collection_machine import collection_machine
from clawstate.testing.collection_suite import ITEMS, NOTES, OTHERS, CollectionSuite

AUTH = CollectionSpec(
    "auth",
    PurePosixPath("agents/main/agent/auth-profiles.json"),
    SectionsLayout({"profile": "profiles", "usage": "usageStats"}, version=1),
)


class TestJsonFiles(CollectionSuite):
    """Records in JSON files keep every law."""

    def make(self, tmp_path: Path) -> JsonFilesBackend:
        return JsonFilesBackend(tmp_path, catalogue=lambda: (NOTES, OTHERS, ITEMS))

    def raw_read(self, tmp_path, spec):
        try:
            document = json.loads((tmp_path / spec.path).read_text())
        except FileNotFoundError:
            document = None
        return spec.layout.decode(document)

    def raw_text(self, tmp_path, spec):
        return (tmp_path / spec.path).read_text()

    def raw_damage(self, tmp_path, spec, key):
        path = tmp_path / spec.path
        path.write_text(path.read_text().replace(f'"{key}"', f'"{key}'))

    def raw_write(self, tmp_path, spec, text):
        path = tmp_path / spec.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


class TestJsonFilesMachine(collection_machine(JsonFilesBackend).TestCase):
    """Records in JSON files answer every call as a dict would."""


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def notes(root):
    return JsonFilesBackend(root).collection(NOTES)


def settle(path: Path) -> None:
    """Wait until a write would show in the times of *path*."""
    changed = path.stat().st_ctime_ns
    while time.clock_gettime_ns(FILE_CLOCK) - changed < 30_000_000:
        os.sched_yield()


def test_the_file_has_the_shape_of_the_specification(root) -> None:
    """Two sections and a version lie in one pretty document that ends with a line end."""
    auth = JsonFilesBackend(root).collection(AUTH)

    auth.put("profile/openai:default", {"type": "api_key", "key": "k"})
    auth.put("usage/openai:default", {"lastUsed": 1})

    text = (root / AUTH.path).read_text()
    assert text == (
        '{\n  "version": 1,\n  "profiles": {\n    "openai:default": {\n      "type": "api_key",\n'
        '      "key": "k"\n    }\n  },\n  "usageStats": {\n    "openai:default": {\n'
        '      "lastUsed": 1\n    }\n  }\n}\n'
    )


def test_what_is_not_ours_in_a_document_survives(root) -> None:
    """Members that no layout knows, and the order of all members, survive every change."""
    path = root / AUTH.path
    path.parent.mkdir(parents=True)
    before = {
        "future": [1, {"a": None}],
        "profiles": {"b": {"type": "odd", "x": 1}, "a": {}},
        "version": 1,
        "lastGood": {"openai": "b"},
    }
    path.write_text(json.dumps(before))
    auth = JsonFilesBackend(root).collection(AUTH)

    auth.update("profile/b", lambda value: {**value, "y": 2})
    auth.delete("profile/a")

    after = json.loads(path.read_text())
    assert list(after.items()) == [
        ("future", [1, {"a": None}]),
        ("profiles", {"b": {"type": "odd", "x": 1, "y": 2}}),
        ("version", 1),
        ("lastGood", {"openai": "b"}),
    ]


def test_records_with_unusable_keys_survive(root) -> None:
    """Members whose names cannot be keys are not seen, and not lost."""
    path = root / NOTES.path
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"": 1, "a": 2, "x" * 2000: 3}))
    notes = JsonFilesBackend(root).collection(NOTES)

    notes.put("b", 4)
    notes.change_all(lambda records: ({**records, "c": 5}, None))

    assert [record.key for record in notes.scan()] == ["a", "b", "c"]
    assert json.loads(path.read_text()) == {"": 1, "a": 2, "x" * 2000: 3, "b": 4, "c": 5}


def test_an_outside_change_is_seen_at_once(root, notes) -> None:
    """However fast others write, in place or by renaming, the next read gives what they wrote."""
    path = root / NOTES.path
    for number in range(200):
        if number % 2:
            path.write_text(json.dumps({"a": number + 1000}))  # the same size, maybe the same tick
        else:
            notes.put("a", number + 1000)

        assert notes.get("a").value == number + 1000


def test_a_settled_file_is_read_once(root, notes, monkeypatch) -> None:
    """What did not change is not read again."""
    notes.put("a", 1)
    settle(root / NOTES.path)
    assert notes.get("a").value == 1
    monkeypatch.setattr(os, "open", lambda *_args, **_more: pytest.fail("was opened"))

    assert notes.get("a").value == 1


def test_an_equal_change_writes_nothing(root, notes) -> None:
    """Changes that change nothing leave the file alone, whatever its layout of blanks."""
    path = root / NOTES.path
    path.parent.mkdir(parents=True)
    path.write_text('{"a":{"b":1}}')
    inode = path.stat().st_ino

    notes.put("a", {"b": 1})
    notes.update("a", lambda value: value)
    notes.change_all(lambda records: (records, None))
    notes.delete("x")

    assert (path.stat().st_ino, path.read_text()) == (inode, '{"a":{"b":1}}')


@pytest.mark.parametrize("text", ["", "{", '{"a":1}{"a":2}', "null", "[]", "\ufeff{", "\0" * 50])
def test_damage_is_read_around_and_never_overwritten(root, notes, text) -> None:
    """A damaged file gives the last good state with a warning, and refuses every change."""
    path = root / NOTES.path
    notes.put("a", 1)
    path.write_text(text)

    for collection in (notes, JsonFilesBackend(root).collection(NOTES)):
        with pytest.warns(CorruptWarning, match=r"notes\.json"):
            assert collection.get("a").value == 1
        with pytest.raises(CorruptError, match=r"notes\.json"):
            collection.put("a", 2)
    assert path.read_text() == text


def test_every_truncation_and_changed_byte_is_survived(root) -> None:
    """Whatever byte is lost or changed, nothing but a known error comes out, or good records."""
    notes = JsonFilesBackend(root).collection(NOTES)
    notes.put("a", {"deep": [1, "two", None, True, 2.5]})
    path = root / NOTES.path
    whole = path.read_bytes()
    damaged = [whole[:size] for size in range(len(whole))]
    damaged += [
        whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] for at in range(len(whole))
    ]
    for raw in damaged:
        path.write_bytes(raw)
        os.utime(path, (1, 1))  # long ago: nobody is writing it just now
        fresh = JsonFilesBackend(root).collection(NOTES)
        try:
            fresh.update("b", lambda _value: 1)
        except CorruptError:
            assert path.read_bytes() == raw
        else:
            assert json.loads(path.read_text())["b"] == 1


def test_repair_moves_damage_aside_and_restores(root, notes) -> None:
    """A repair keeps the damaged bytes, privately, and brings the last good state back."""
    path = root / NOTES.path
    notes.put("a", {"secret": 1})
    path.write_text('{"a": {"secr')

    aside = JsonFilesBackend(root).collection(NOTES).repair()

    assert aside.read_text() == '{"a": {"secr'
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    assert stat.S_IMODE(aside.parent.stat().st_mode) == 0o700
    assert notes.get("a").value == {"secret": 1}
    assert notes.repair() is None


def test_a_repair_without_a_good_copy_starts_afresh(root, notes) -> None:
    """Where nothing good is known the damaged file is kept aside and the collection is empty."""
    path = root / NOTES.path
    path.parent.mkdir(parents=True)
    path.write_text("{")

    aside = notes.repair()

    assert (aside.read_text(), notes.count(), path.exists()) == ("{", 0, False)
    notes.put("a", 1)
    assert notes.get("a").value == 1


def test_a_damaged_copy_is_not_believed(root, notes) -> None:
    """A last good copy that is not whole restores nothing."""
    notes.put("a", 1)
    copy = copy_path(root / NOTES.path)
    copy.write_bytes(copy.read_bytes().replace(b"1", b"2"))
    (root / NOTES.path).write_text("{")

    with pytest.warns(CorruptWarning, match="nothing"):
        assert JsonFilesBackend(root).collection(NOTES).get("a") is None


def test_what_was_deleted_is_not_kept_in_a_copy(root, notes) -> None:
    """The last good copy holds nothing that a later change removed."""
    notes.put("a", "very secret")
    notes.delete("a")

    left = [path for path in root.rglob("*") if path.is_file() and b"secret" in path.read_bytes()]
    assert left == []


def test_a_newer_format_is_neither_read_nor_written(root) -> None:
    """A document of a newer version raises `VersionError` and stays."""
    path = root / AUTH.path
    path.parent.mkdir(parents=True)
    path.write_text('{"version": 2, "profiles": {}}')
    auth = JsonFilesBackend(root).collection(AUTH)

    with pytest.raises(VersionError, match=r"auth-profiles\.json"):
        auth.get("profile/a")
    with pytest.raises(VersionError):
        auth.put("profile/a", {})
    assert auth.repair() is None
    assert path.read_text() == '{"version": 2, "profiles": {}}'


def test_everything_is_private(root) -> None:
    """Files have mode 0600 and directories 0700, also where OpenClaw had left a wider mode."""
    path = root / AUTH.path
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_text("{}")
    path.chmod(0o644)
    before = os.umask(0)
    try:
        JsonFilesBackend(root).collection(AUTH).put("profile/a", {"key": "k"})
        JsonFilesBackend(root).collection(NOTES).put("a", 1)
    finally:
        os.umask(before)

    modes = {
        str(each.relative_to(root)): stat.S_IMODE(each.stat().st_mode) for each in root.rglob("*")
    }
    wide = {name: oct(mode) for name, mode in modes.items() if mode & 0o077}
    assert wide.keys() <= {"agents", "agents/main"}  # made above, by others


@pytest.mark.parametrize("path", ["/etc/x.json", "../x.json", "a/../../x.json", ""])
def test_no_path_leads_out_of_the_state(root, path) -> None:
    """A collection lies below the state directory."""
    with pytest.raises(InvalidError):
        JsonFilesBackend(root).collection(CollectionSpec("x", PurePosixPath(path), MapLayout()))


def test_a_linked_directory_below_the_state_is_refused(root, tmp_path) -> None:
    """A link in the place of a directory of the state is not followed; the state may be one."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "real").mkdir()
    root.symlink_to(tmp_path / "real")
    notes = JsonFilesBackend(root).collection(NOTES)
    notes.put("a", 1)
    (root / "linked").symlink_to(outside)
    linked = CollectionSpec("linked", PurePosixPath("linked/notes.json"), MapLayout())

    with pytest.raises(InvalidError, match="linked"):
        JsonFilesBackend(root).collection(linked).put("a", 1)

    assert list(outside.iterdir()) == []


def test_a_file_that_grows_beyond_its_bound_is_refused(root) -> None:
    """What would make a file larger than its spec allows is refused, and nothing is written."""
    small = CollectionSpec(
        "small", PurePosixPath("small.json"), MapLayout(), file=FileForm(max_bytes=100)
    )
    collection = JsonFilesBackend(root).collection(small)
    collection.put("a", "x" * 50)

    with pytest.raises(InvalidError, match=r"small\.json"):
        collection.put("b", "y" * 80)

    assert [record.key for record in collection.scan()] == ["a"]


def test_what_others_wrote_since_counts_after_damage(tmp_path) -> None:
    """A damaged file is read as it was last acknowledged, by whomever, not as it was last seen."""
    notes = JsonFilesBackend(tmp_path).collection(NOTES)
    notes.put("a", 1)
    assert notes.get("a").value == 1
    JsonFilesBackend(tmp_path).collection(NOTES).delete("a")
    path = tmp_path / NOTES.path
    path.write_text("{")
    os.utime(path, (0, 0))

    with pytest.warns(CorruptWarning, match="last good copy"):
        assert notes.get("a") is None


@pytest.mark.parametrize("kind", ["link", "hard link", "wide", "pipe", "folder", "linked folder"])
def test_the_last_good_copy_goes_nowhere_else(tmp_path, kind) -> None:
    """What is planted in the place of the copy gets no record, and keeps no writer."""
    notes = JsonFilesBackend(tmp_path / "state").collection(NOTES)
    notes.put("a", "first")
    copy = copy_path(tmp_path / "state" / NOTES.path)
    other = tmp_path / "other"
    copy.unlink()
    if kind == "linked folder":
        copy.parent.rmdir()
        other.mkdir()
        copy.parent.symlink_to(other)
    elif kind == "pipe":
        os.mkfifo(copy)
    elif kind == "folder":
        copy.mkdir()
    else:
        other.write_text("other")
        other.chmod(0o644)
        plant = {"link": copy.symlink_to, "hard link": copy.hardlink_to, "wide": other.rename}
        plant[kind](copy if kind == "wide" else other)

    notes.put("a", "second")

    assert notes.get("a").value == "second"
    if kind == "linked folder":
        assert list(other.iterdir()) == []
    elif other.exists():
        assert other.read_text() == "other"
    assert not (copy.is_file() and copy.stat().st_mode & 0o077 and "second" in copy.read_text())
