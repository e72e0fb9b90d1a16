from __future__ import annotations

import json
import random

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawstate.errors import CorruptError, InvalidError
from clawstate.stores.transcripts.external_values import LONG, PIECE, cut, join

IMAGE = random.Random(5).randbytes(600_000).hex()


@pytest.fixture
def store(state):
    yield state.transcripts
    state.transcripts.close()


def picture(data):
    return {"role": "user", "content": [{"type": "image", "data": data, "mimeType": "image/png"}]}


def execute(state, sql, *values):
    """Run *sql* around the store."""
    connection = apsw.Connection(str(state.paths.memory_db))
    try:
        return list(connection.execute(sql, values))
    finally:
        connection.close()


def test_a_long_value_is_kept_once(store, state) -> None:
    """A picture that is sent many times, in many sessions, takes its room once."""
    for session in "abc":
        for _ in range(3):
            store.append(session, picture(IMAGE))
    size = state.paths.memory_db.stat().st_size

    store.append("d", [picture(IMAGE)] * 50)

    grown = state.paths.memory_db.stat().st_size - size
    assert {each.content[0]["data"] for each in store.messages("d")} == {IMAGE}
    assert store.stats()["bytes_in_blobs"] == 59 * len(f'"{IMAGE}"')
    assert store.stats()["blob_bytes"] <= len(IMAGE) + 2
    assert grown < len(IMAGE) / 2


def test_a_snapshot_in_every_entry_is_kept_once(store) -> None:
    """A large object of many small members is kept once, not once an entry."""
    snapshot = {f"skill-{n}": {"path": f"/skills/{n}", "on": True} for n in range(1_000)}

    for number in range(20):
        store.append("s", {"type": "custom", "data": {"n": number, "snapshot": snapshot}})

    stats = store.stats()
    assert stats["blobs"] == 1
    assert store.messages("s")[-1].entry["data"] == {"n": 19, "snapshot": snapshot}


@pytest.mark.parametrize(
    "value",
    [
        "x" * 5_000_000,
        ["x" * 100] * 5_000,
        {str(n): n for n in range(20_000)},
        [[n, {"a": "b" * 4_000}] for n in range(100)],
        {"a" * 20_000: "b" * 20_000},
        list(range(30_000)),
    ],
    ids=["text", "texts", "members", "nested", "name", "numbers"],
)
def test_no_row_is_long(store, state, value) -> None:
    """Whatever a message holds, its row and each blob stay below their bounds."""
    store.append("s", {"role": "user", "content": "hi", "details": value})

    (longest,) = execute(state, "SELECT max(length(entry)) FROM messages")[0]
    (largest,) = execute(state, "SELECT max(length(data)) FROM message_blobs")[0]
    assert longest <= LONG
    assert largest <= 4 * PIECE
    assert store.messages("s")[0].entry["message"]["details"] == value
    assert execute(state, "SELECT min(json_valid(entry)) FROM messages") == [(1,)]


def test_a_blob_goes_with_its_last_message(store) -> None:
    """Deleting a session removes the blobs that no other session holds, and only those."""
    store.append("a", [picture(IMAGE), picture(IMAGE[::-1])])
    store.append("b", picture(IMAGE))

    store.delete("a")

    assert store.messages("b")[0].content[0]["data"] == IMAGE
    kept = store.stats()["blobs"]
    store.delete("b")
    assert kept > 0
    assert (store.stats()["blobs"], store.check()) == (0, [])


def test_what_packs_well_is_packed(store) -> None:
    """Text that repeats itself takes a small part of its length, and comes back whole."""
    text = "a tool that prints the same line\n" * 20_000

    store.append("s", {"role": "toolResult", "toolCallId": "c", "content": text})

    assert store.stats()["blob_bytes"] < len(text) / 20
    assert store.messages("s")[0].text == text


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE message_blobs SET data = zeroblob(10)",
        "UPDATE message_blobs SET data = substr(data, 1, 50)",
        "UPDATE message_blobs SET packed = 1 - packed",
        "DELETE FROM message_blobs",
        "DELETE FROM message_pieces",
        "UPDATE messages SET entry = 'not json'",
        "UPDATE messages SET entry = '[]', pieces = 0",
    ],
)
def test_damage_is_told(store, state, harm) -> None:
    """A row that nobody of ours could have written raises `CorruptError`, and is found."""
    store.append("s", picture(IMAGE))
    execute(state, harm)

    with pytest.raises(CorruptError):
        store.messages("s")

    if "[]" not in harm:
        assert store.check()


def test_nesting_is_bounded(store) -> None:
    """A message nested beyond 256 levels raises `InvalidError`; one below comes back."""
    for levels, is_fine in ((200, True), (300, False), (100_000, False)):
        deep = 1
        for _ in range(levels):
            deep = [deep]
        message = {"role": "user", "content": "x", "deep": deep}
        if is_fine:
            store.append("s", message)
            continue
        with pytest.raises(InvalidError, match="nested"):
            store.append("s", message)

    assert store.count("s") == 1


texts = st.text(max_size=20) | st.sampled_from(
    ["x" * LONG, "\\" * LONG, '"' * 17_000, "[" * 19_000]
)
documents = st.recursive(
    st.none() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=20,
)


@given(value=documents, ascii_only=st.booleans(), gap=st.sampled_from([",", ", ", " ,\t"]))
def test_what_is_cut_is_joined_again(value, ascii_only, gap) -> None:
    """However JSON is laid out, cut and joined it is the same text, and what stays is JSON."""
    line = json.dumps(value, ensure_ascii=ascii_only, separators=(gap, ":"))

    kept, pieces = cut(line)

    json.loads(kept)
    assert join(kept, pieces) == line
    assert len(kept) <= LONG
    assert all(len(text) <= PIECE for _, text in pieces)
