from __future__ import annotations

import apsw
import pytest

from clawstate.health import repair_all


@pytest.fixture
def store(state):
    yield state.transcripts
    state.transcripts.close()


def execute(state, sql):
    connection = apsw.Connection(str(state.paths.memory_db))
    try:
        connection.execute(sql)
    finally:
        connection.close()


def codes(state, **settings):
    return [finding.code for finding in state.health.check("transcripts", **settings)]


def test_a_sound_state_has_no_findings(state, store) -> None:
    """Nothing is found in no transcripts, nor in sound ones, and nothing is made by looking."""
    assert codes(state) == []
    assert not state.paths.root.exists()
    store.append("s", [{"role": "user", "content": f"hello {n}"} for n in range(20)])
    store.append("s", {"role": "user", "content": "x" * 20_000})

    assert codes(state) == codes(state, deep=False) == []


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE transcripts SET messages = 1",
        "UPDATE transcripts SET bytes = 1",
        "DELETE FROM messages WHERE position = 2",
        "DELETE FROM transcripts",
        "DELETE FROM message_pieces",
        "DELETE FROM message_blobs",
        "INSERT INTO message_blobs VALUES (99, x'00', 1, 0, x'00')",
    ],
)
def test_what_does_not_fit_together_is_an_error(state, store, harm) -> None:
    """Rows that are missing, surplus or wrongly counted are told as damage."""
    store.append("s", [{"role": "user", "content": "x" * 20_000} for _ in range(3)])
    execute(state, harm)

    found = list(state.health.check("transcripts"))

    assert ("transcript-damage", "error") in {(each.code, each.severity) for each in found}


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM message_words WHERE rowid = 2",
        "INSERT INTO message_words (rowid, scope, role, content) VALUES (99, 's1', 'ruser', 'x')",
        "INSERT INTO message_words (message_words) VALUES ('delete-all')",
    ],
)
def test_the_word_index_is_built_anew(state, store, harm) -> None:
    """A word index that lacks or adds messages is told, and mended with *fix*."""
    store.append("s", [{"role": "user", "content": f"lobster {n}"} for n in range(3)])
    execute(state, harm)

    first = repair_all(state.health.check("transcripts"))

    assert {(each.code, each.fix) for each in first} == {("transcript-index", "built anew")}
    assert codes(state) == []
    assert len(store.search("lobster")) == 3


def test_orphans_are_told_and_left(state, store) -> None:
    """Results without calls and broken chains are told, also with *fix*, and stay as they are."""
    store.append("s", {"role": "toolResult", "toolCallId": "c", "content": "x"})
    line = '{"type":"custom","id":"a","parentId":"nowhere","timestamp":"x"}'
    store.import_lines("s", [line])
    before = store.messages("s")

    found = repair_all(state.health.check("transcripts"))

    assert [each.code for each in found] == ["transcript-orphan"] * 2
    assert store.messages("s") == before


def test_a_damaged_file_is_an_error(state, store) -> None:
    """A file that is no database is told, and left as it is."""
    state.paths.memory_dir.mkdir(parents=True)
    state.paths.memory_db.write_bytes(b"nonsense" * 1_000)

    (found,) = repair_all(state.health.check("transcripts"))

    assert (found.code, found.severity) == ("corrupt", "error")
    assert state.paths.memory_db.read_bytes() == b"nonsense" * 1_000
