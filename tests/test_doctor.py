from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path, PurePosixPath

import apsw
import numpy as np
import pytest

import clawstate
from clawstate.cli.main import run
from clawstate.doctor import Finding, examine, mend
from clawstate.memory.backends.sqlite import rows
from clawstate.memory.contract import EmbedderIdentity
from clawstate.memory.postings.store import Document, pack
from clawstate.records.contract import CollectionSpec
from clawstate.records.json_files import JsonFilesBackend
from clawstate.records.layouts import MapLayout


class LettersEmbedder:
    """Makes a vector of each text's letters."""

    identity = EmbedderIdentity("letters", 26)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.array(
            [[1 + text.count(chr(97 + n)) for n in range(26)] for text in texts], np.float32
        )
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


GHOST = pack([Document(99999, (1, 0, 0, 0), [])])
"""A document of the word index that no record belongs to."""


@pytest.fixture
def state(tmp_path: Path, clock):
    with clawstate.open(tmp_path / "state", embedder=LettersEmbedder(), clock=clock) as opened:
        yield opened


@pytest.fixture
def filled(state):
    state.memory.add_many({"text": f"note number {n} on tea"} for n in range(300))
    return state


@pytest.fixture
def indexed(filled, monkeypatch: pytest.MonkeyPatch):
    """Keep blocks of vectors, as larger memories have."""
    monkeypatch.setattr(rows, "VECTOR_BLOCK", 100)
    filled.memory.rebuild()
    return filled


def codes(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    return [(each.severity, each.code) for each in findings]


def changed(state, sql: str) -> None:
    """Change the database behind the state's back."""
    connection = apsw.Connection(str(state.paths.memory_db))
    connection.execute(sql)
    connection.close()


def files(folder: Path) -> set[Path]:
    return {each.relative_to(folder) for each in folder.rglob("*") if each.is_file()}


def doctor(folder: Path, *options: str) -> int:
    return run(["--state-dir", str(folder), "doctor", *options])


def test_an_empty_state_is_healthy(state) -> None:
    """A state that keeps nothing has no findings, and looking creates nothing."""
    state.paths.root.mkdir(0o700)

    assert examine(state) == []
    assert list(state.paths.root.iterdir()) == []


def test_a_filled_state_is_healthy(indexed) -> None:
    """A state with records and indexes has no findings, deep or quick, with or without fix."""
    for options in ({}, {"deep": False}, {"fix": True}):
        assert examine(indexed, **options) == []


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604])
def test_files_that_others_can_read_are_narrowed(filled, mode: int) -> None:
    """A file of the memory with too wide a mode is a warning, and fix takes the surplus away."""
    path = filled.paths.memory_db
    path.chmod(mode)

    found = examine(filled)
    untouched = stat.S_IMODE(path.stat().st_mode)
    mended = examine(filled, fix=True)

    assert codes(found) == codes(mended) == [("warning", "wide-mode")]
    assert found[0].path == str(path)
    assert f"{mode:04o}" in found[0].message
    assert untouched == mode
    assert stat.S_IMODE(path.stat().st_mode) == mode & 0o700
    assert examine(filled) == []


def test_a_wide_directory_is_narrowed(filled) -> None:
    """The memory's directory counts as well."""
    filled.paths.memory_dir.chmod(0o755)

    assert codes(examine(filled, fix=True)) == [("warning", "wide-mode")]
    assert stat.S_IMODE(filled.paths.memory_dir.stat().st_mode) == 0o700


def test_links_are_not_followed(filled, tmp_path: Path) -> None:
    """A link in the memory's directory does not make doctor change what it leads to."""
    outside = tmp_path / "outside"
    outside.write_text("mine")
    outside.chmod(0o644)
    (filled.paths.memory_dir / "link").symlink_to(outside)

    assert examine(filled, fix=True) == []
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM word_tail",
        f"INSERT INTO word_tail (kind, documents, data) VALUES (1, 1, X'{GHOST.hex()}')",
        "UPDATE word_tail SET data = zeroblob(7)",
    ],
    ids=["rows lost", "rows too many", "not to be read"],
)
def test_a_damaged_word_index_is_built_anew(filled, damage: str) -> None:
    """Rows missing from the word index, or too many in it, are found, and fix rebuilds it."""
    before = {each.id: each for each in filled.memory.records(limit=1000)}
    changed(filled, damage)

    found = examine(filled)
    mended = examine(filled, fix=True)

    assert codes(found) == codes(mended) == [("warning", "memory-index")]
    assert "the word index" in found[0].message
    assert examine(filled) == []
    assert {each.id: each for each in filled.memory.records(limit=1000)} == before
    assert len(filled.memory.search("tea", mode="words", k=1000)) == 300


def test_a_quick_look_leaves_the_words_alone(filled) -> None:
    """Without depth the word index is not compared row by row."""
    changed(filled, "DELETE FROM word_tail")

    assert examine(filled, deep=False) == []


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE vector_blocks SET data = CAST(substr(data, 2) AS BLOB) WHERE upto < 150",
        "UPDATE vector_blocks SET data = zeroblob(length(data)) WHERE upto > 150",
        "UPDATE vector_blocks SET checksum = x'01020304'",
        "UPDATE vector_blocks SET records = records - 1",
        "UPDATE vector_blocks SET upto = upto - 1",
        "UPDATE meta SET value = '{\"format\": 1}' WHERE key = 'vector_codes'",
        "DELETE FROM vector_blocks WHERE upto < 150",
    ],
)
def test_a_damaged_index_of_vectors_is_made_anew(indexed, damage: str) -> None:
    """Whatever is wrong with the blocks of vectors is found, harms no search, and is mended."""
    changed(indexed, damage)

    found = examine(indexed)
    with clawstate.open(indexed.paths.root, embedder=LettersEmbedder()) as other:
        hits = other.memory.search("tea", mode="vector", k=300)
    examine(indexed, fix=True)

    assert codes(found)[0] == ("warning", "memory-index")
    assert {each.severity for each in found if each.code != "memory-index"} <= {"info"}
    assert "the vector index" in found[0].message
    assert len(hits) == 300
    assert examine(indexed) == []
    assert len(indexed.memory.search("tea", mode="vector", k=10)) == 10


@pytest.mark.parametrize("vector", ["X'0102'", "CAST(X'00fc' || zeroblob(50) AS BLOB)", "X''"])
def test_damaged_vectors_are_found_and_made_anew(filled, vector: str) -> None:
    """A vector of another length, or one that holds no numbers, is found and made from the text."""
    changed(filled, f"UPDATE memories SET embedding = {vector} WHERE docno % 100 = 7")

    found = examine(filled)
    examine(filled, fix=True)

    assert codes(found)[0] == ("warning", "memory-index")
    assert "3 records have a damaged vector" in found[0].message
    assert examine(filled) == []
    assert len(filled.memory.search("tea", mode="vector", k=1000)) >= 297


def test_a_missing_index_of_vectors_only_costs_time(indexed) -> None:
    """Without blocks of vectors a large memory opens slowly: a remark and no warning."""
    changed(indexed, "DELETE FROM vector_blocks")

    found = examine(indexed)
    examine(indexed, fix=True)

    assert codes(found) == [("info", "memory-slow")]
    assert examine(indexed) == []


def test_records_without_vectors_are_a_remark(filled) -> None:
    """Records that wait for a vector are told, and fix embeds them."""
    changed(filled, "UPDATE memories SET embedding = NULL WHERE docno < 5")

    found = examine(filled)
    examine(filled, fix=True)

    assert codes(found) == [("info", "memory-waiting")]
    assert found[0].message.startswith("4 records")
    assert examine(filled) == []


WRONG = [
    "UPDATE memories SET embedding = X'0102' WHERE docno % 100 = 7",
    "UPDATE memories SET embedding = NULL WHERE docno < 5",
    "DELETE FROM vector_blocks",
    "UPDATE scopes SET removed = removed + 3",
    "UPDATE word_terms SET token = token || 'x'",
]


@pytest.mark.parametrize("count", [1, len(WRONG)])
def test_what_can_be_mended_is_mended_at_once(indexed, count: int) -> None:
    """However many faults there are, one look with fix leaves none that another would mend."""
    for faults in combinations(WRONG, count):
        for each in faults:
            changed(indexed, each)

        told, left = mend(indexed)

        assert told, faults
        assert left == [], faults
        assert examine(indexed) == [], faults


def test_a_repair_that_fails_is_tried_once_and_told_why(filled, monkeypatch) -> None:
    """What goes on waiting is told after the mends, with what was tried and why it failed."""
    changed(filled, "UPDATE memories SET embedding = NULL WHERE docno < 5")
    filled.paths.memory_db.chmod(0o644)
    tried = []

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        tried.append(len(texts))
        raise OSError("no")

    monkeypatch.setattr(LettersEmbedder, "embed", embed)
    told, left = mend(filled)

    assert codes(told) == [("warning", "wide-mode"), ("info", "memory-waiting")]
    assert codes(left) == [("info", "memory-waiting")]
    assert "it was tried: embedder: failed with OSError" in left[0].fix
    assert tried == [4]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("UPDATE scopes SET records = records + 1", "holds 300 records but notes 301"),
        ("INSERT INTO tags VALUES ('nobody', 'x')", "1 tag belongs to no record"),
    ],
    ids=["count", "tags"],
)
def test_damage_of_the_records_is_an_error(filled, damage: str, told: str) -> None:
    """What is not derived is never mended silently: it is an error, and what was there is kept."""
    changed(filled, damage)

    found = examine(filled)
    mended = examine(filled, fix=True)

    assert codes(found) == [("error", "memory-damage")]
    assert told in found[0].message
    assert codes(mended)[0] == codes(found)[0]
    assert mended[0].fix.startswith("saved 300 of 30")
    assert (filled.paths.memory_dir / ".quarantine" / "memory.db.1").exists()
    assert {each.severity for each in examine(filled)} <= {"info"}


def test_the_worst_stands_first(filled) -> None:
    """Findings are in the order error, warning, info."""
    filled.paths.memory_db.chmod(0o644)
    changed(filled, "UPDATE scopes SET records = records + 1")
    changed(filled, "UPDATE memories SET embedding = NULL WHERE docno < 5")

    assert [each.severity for each in examine(filled)] == ["error", "warning", "info"]


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Make a state with some hundred records, closed."""
    with clawstate.open(tmp_path / "state", embedder=LettersEmbedder()) as state:
        state.memory.add_many({"text": f"note number {n} on tea " * 20} for n in range(300))
    return tmp_path / "state"


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9])
@pytest.mark.parametrize("option", [[], ["--fix"], ["--quick"]], ids=["plain", "fix", "quick"])
def test_a_truncated_database_is_an_error(folder: Path, capsys, share: float, option) -> None:
    """A database cut short is an error; with fix what is left is saved, and nothing is deleted."""
    path = folder / "memory" / "memory.db"
    os.truncate(path, int(path.stat().st_size * share))
    data, before = path.read_bytes(), files(folder)

    code = doctor(folder, *option, "--json")

    out, err = capsys.readouterr()
    assert code == (0 if "saved" in out else 1)
    assert '"severity": "error"' in out
    assert err == ""
    assert before <= files(folder)
    kept = path if code else path.parent / ".quarantine" / "memory.db.1"
    assert data[8192 : len(data) // 4096 * 4096] in kept.read_bytes()
    assert (code == 0) == (option == ["--fix"] and share > 0.1)


def test_a_page_of_zeros_is_an_error(folder: Path, capsys) -> None:
    """Of overwritten pages the deep look tells; what is left is saved, what is lost is told."""
    path = folder / "memory" / "memory.db"
    data = bytearray(path.read_bytes())
    data[8192 : len(data) // 2] = bytes(len(data) // 2 - 8192)
    path.write_bytes(data)
    before = files(folder)

    found_first = doctor(folder, "--json")
    untouched = path.read_bytes()
    capsys.readouterr()
    code = doctor(folder, "--fix", "--json")

    found = json.loads(capsys.readouterr().out)["findings"]
    with clawstate.open(folder, embedder=LettersEmbedder()) as state:
        left = [each.text for each in state.memory.records(limit=1000)]
    (error,) = [each for each in found if each["severity"] == "error"]
    assert (found_first, code) == (1, 0)
    assert untouched == data
    assert error["code"] == "corrupt"
    assert 0 < len(left) < 300
    assert set(left) <= {f"note number {n} on tea " * 20 for n in range(300)}
    assert error["fix"].startswith(f"saved {len(left)} of ")
    assert "more may be lost than it tells" in error["fix"]
    assert before <= files(folder)
    kept = path.parent / ".quarantine" / "memory.db.1"
    assert str(kept) in error["fix"]
    assert kept.read_bytes()[4096:] == data[4096:]
    assert doctor(folder) == 0


def test_nothing_is_deleted(indexed) -> None:
    """Mending derived indexes loses no record and no file but those of the indexes."""
    before = {each.id: each for each in indexed.memory.records(limit=1000)}
    kept = files(indexed.paths.root)
    changed(indexed, "DELETE FROM word_blocks WHERE key % 3 = 0")

    examine(indexed, fix=True)

    assert {each.id: each for each in indexed.memory.records(limit=1000)} == before
    assert kept <= files(indexed.paths.root)


def test_exit_codes_tell_scripts(folder: Path, capsys) -> None:
    """Doctor ends with 0 when all is well or was mended, and with 1 while a warning is left."""
    path = folder / "memory" / "memory.db"
    healthy = doctor(folder)
    path.chmod(0o644)

    assert healthy == 0
    assert "all is well" in capsys.readouterr().out
    assert doctor(folder) == 1
    assert doctor(folder, "--fix") == 0
    assert doctor(folder) == 0


def test_a_broken_configuration_is_an_error(state) -> None:
    """A configuration that is not JSON5 is reported with its place, and left alone."""
    state.paths.root.mkdir(mode=0o700, parents=True)
    state.paths.config.write_text("{ gateway: ")

    (finding,) = [each for each in examine(state) if each.severity == "error"]

    assert "line 1" in finding.message
    assert state.paths.config.read_text() == "{ gateway: "


def test_a_readable_secret_in_the_configuration_is_made_private(state) -> None:
    """A literal secret in a file that others may read is a warning, and mended on demand."""
    state.paths.root.mkdir(mode=0o700, parents=True)
    state.paths.config.write_text('{ gateway: { auth: { token: "canary" } } }')
    state.paths.config.chmod(0o644)

    found = [each for each in examine(state, fix=True) if each.code == "wide-mode"]

    assert len(found) == 1
    assert "canary" not in str(found)
    assert state.paths.config.stat().st_mode & 0o777 == 0o600


def test_what_dead_writers_left_is_cleared_away(state) -> None:
    """The lock of a dead process and an old temporary file are reported, and removed on demand."""
    root = state.paths.root
    root.mkdir(mode=0o700, parents=True)
    (root / "a.json.lock").write_text('{"pid": 4194303, "createdAt": "2026-01-01T00:00:00.000Z"}')
    left = root / "b.json.0123456789abcdef.tmp"
    left.write_text("{")
    os.utime(left, (1, 1))

    codes = {each.code for each in examine(state, fix=True)}

    assert {"dead-lock", "leftover"} <= codes
    assert not (root / "a.json.lock").exists()
    assert not left.exists()


def test_a_damaged_document_is_restored_from_its_last_good_copy(state) -> None:
    """A document of ours that somebody damaged is an error; mending keeps the damaged bytes."""
    spec = CollectionSpec("notes", PurePosixPath("state/notes.json"), MapLayout())
    notes = JsonFilesBackend(state.paths.root).collection(spec)
    notes.put("a", 1)
    path = state.paths.root / spec.path
    path.write_text('{"a"')

    (found,) = [each for each in examine(state) if each.severity == "error"]
    assert (found.code, found.path) == ("corrupt", str(path))
    examine(state, fix=True)

    assert notes.get("a").value == 1
    (kept,) = (path.parent / ".quarantine").iterdir()
    assert kept.read_text() == '{"a"'
    assert examine(state) == []


@pytest.mark.parametrize("place", ["agents/main/agent/auth-profiles.json", "state/devices.json"])
def test_a_document_of_the_wrong_form_is_damaged(state: clawstate.State, place: str) -> None:
    """What no store could read is an error, also without a good copy; mending moves it aside."""
    path = state.paths.root / place
    path.parent.mkdir(mode=0o700, parents=True)
    path.write_text("[1]")

    (found,) = [each for each in examine(state) if each.severity == "error"]
    (mended,) = [each for each in examine(state, fix=True) if each.severity == "error"]

    assert found.path == mended.path == str(path)
    assert not path.exists()
    (aside,) = (path.parent / ".quarantine").iterdir()
    assert str(aside) in mended.fix
    assert aside.read_text() == "[1]"


def test_old_texts_beside_what_a_link_leads_to_are_told(state, tmp_path: Path) -> None:
    """A backup of the configuration in the directory that it is linked to is a finding."""
    target = tmp_path / "dotfiles/openclaw.json"
    target.parent.mkdir()
    target.write_text("{}")
    stray = target.with_name("openclaw.json.bak.1")
    stray.write_text("{env: {vars: {API_KEY: 'k'}}}")
    state.paths.root.mkdir(exist_ok=True)
    state.paths.config.symlink_to(target)

    found = [each for each in examine(state) if each.code == "stray-backup"]

    assert [each.path for each in found] == [str(stray)]
    stray.unlink()
    assert not [each for each in examine(state) if each.code == "stray-backup"]


def test_our_settings_in_openclaws_file_are_moved(state) -> None:
    """Settings that make a configuration invalid for its OpenClaw are told, and moved by a fix."""
    (state.paths.root / "devices").mkdir(parents=True)
    text = "{gateway: {port: 1}, state: {store: 'file'}} // mine"
    state.paths.config.write_text(text)

    found = [each for each in examine(state) if each.code == "own-settings"]
    assert [(each.severity, each.path) for each in found] == [("error", str(state.paths.config))]
    assert "state" in found[0].message
    assert state.paths.config.read_text() == text

    examine(state, fix=True)

    assert not [each for each in examine(state) if each.code == "own-settings"]
    assert state.config.get("state.store") == "file"
    assert "state" not in state.paths.config.read_text()
    state.config.undo()
    assert state.paths.config.read_text() == text


@pytest.mark.parametrize("text", ["{", "{gateway: {port: 'x'}}", "{state: {store: 'file'}}"])
def test_what_is_wrong_with_the_file_of_an_agent_is_told(state, text: str) -> None:
    """A broken or wrong file of an agent is an error with its own path."""
    own = state.paths.agent_config("ada")
    own.parent.mkdir(parents=True)
    own.write_text(text)

    found = [each for each in examine(state) if each.path == str(own)]

    assert [each.severity for each in found] == ["error"]


def test_a_database_without_a_byte_is_told(folder: Path, capsys) -> None:
    """What SQLite takes for a new database may have held records: doctor and status say so."""
    for each in (folder / "memory").glob("memory.db*"):
        each.unlink()
    (folder / "memory" / "memory.db").touch(0o600)

    code = doctor(folder)
    told = capsys.readouterr().out
    run(["--state-dir", str(folder), "status"])

    assert code == 1
    assert "memory.db" in told
    assert "is empty (0 bytes)" in told
    assert "(is empty; 'clawstate doctor' tells more)" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["directory", "pipe"])
def test_what_is_no_file_says_what_to_do(folder: Path, capsys, kind: str) -> None:
    """A directory or a pipe in the place of a database is named as what it is."""
    for each in (folder / "memory").glob("memory.db*"):
        each.unlink()
    place = folder / "memory" / "memory.db"
    if kind == "pipe":
        os.mkfifo(place, 0o600)
    else:
        place.mkdir(0o700)

    for verb in (["memory", "add", "x"], ["memory", "search", "x"], ["status"]):
        assert run(["--state-dir", str(folder), *verb]) != 0
        told = capsys.readouterr().err
        assert f"is a {kind}, not a database; move it away" in " ".join(told.split())
