from __future__ import annotations

import io
import json
import stat

import pytest

import clawstate
from clawstate.errors import (
    ClosedError,
    ConflictError,
    InvalidError,
    NotFoundError,
)
from clawstate.records.contract import ABSENT


@pytest.fixture
def store(state):
    yield state.transcripts
    state.transcripts.close()


def said(role, text, **rest):
    return {"role": role, "content": text, **rest}


def texts(store, session="s", **page):
    return [message.text for message in store.messages(session, **page)]


def exported(store, session="s", **settings):
    out = io.BytesIO()
    store.export(session, out, **settings)
    return out.getvalue()


def test_reading_makes_nothing(store, state) -> None:
    """Until the first append every read finds nothing, and no file appears."""
    assert store.messages("s") == []
    assert store.search("lobster") == []
    assert store.sessions() == []
    assert store.count("s") == 0
    assert store.get("s", "x") is None
    assert not store.delete("s")
    assert store.append("s", []) == []
    assert not state.paths.root.exists()


def test_a_turn_is_kept_in_order(store) -> None:
    """The messages of a turn come back in their order, each following the one before."""
    first = store.append("s", [said("user", "a"), said("assistant", "b")])
    second = store.append("s", said("user", "c"))

    found = store.messages("s")

    assert [each.id for each in found] == [*first, *second]
    assert [each.parent for each in found] == [None, *first]
    assert [(each.role, each.content, each.text) for each in found] == [
        ("user", "a", "a"),
        ("assistant", "b", "b"),
        ("user", "c", "c"),
    ]
    assert all(len(each.id) == 8 and int(each.id, 16) >= 0 for each in found)


def test_a_turn_is_kept_whole_or_not_at_all(store) -> None:
    """A turn with one message that cannot be kept leaves nothing, not even a session."""
    with pytest.raises(InvalidError, match="message 2 of 2"):
        store.append("s", [said("user", "a"), {"role": "user"}])
    with pytest.raises(InvalidError, match="taken"):
        store.append(
            "s", [said("user", "a"), *({"type": "custom", "id": "x", "data": n} for n in (1, 2))]
        )

    assert (store.sessions(), store.search("a")) == ([], [])


def test_unknown_members_survive_in_order(store) -> None:
    """Whatever else a message carries comes back, in the order that it was given in."""
    message = {"role": "user", "z": 1, "content": [{"type": "image", "q": [], "a": None}], "b": {}}

    store.append("s", message)

    (found,) = store.messages("s")
    assert json.dumps(found.entry["message"]) == json.dumps(message)


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "model_change", "provider": "anthropic", "modelId": "x"},
        {"type": "thinking_level_change", "thinkingLevel": "high"},
        {"type": "compaction", "summary": "we spoke of crabs", "firstKeptEntryId": "1"},
        {"type": "branch_summary", "fromId": "1", "summary": "left"},
        {"type": "custom", "customType": "mine", "data": {"x": [1, {"y": 2}]}},
        {"type": "custom_message", "customType": "m", "content": "hi", "display": True},
        {"type": "label", "targetId": "1", "label": "here"},
        {"type": "session_info", "name": "n"},
        {"type": "from_the_future", "what": 1.5},
    ],
    ids=lambda entry: entry["type"],
)
def test_every_type_of_entry_is_kept(store, entry) -> None:
    """Entries that are no messages are kept with all members, known types or not."""
    (made,) = store.append("s", entry)

    (found,) = store.messages("s")
    assert (found.kind, found.role, found.id) == (entry["type"], "", made)
    assert {name: found.entry[name] for name in entry} == entry


def test_a_whole_entry_keeps_its_id_and_parent(store) -> None:
    """An entry of OpenClaw's own form keeps id, parent and time as given."""
    store.append("s", {"type": "custom", "id": "root"})
    entry = {
        "type": "message",
        "id": "8c5343b7",
        "parentId": "root",
        "timestamp": "2026-01-02T03:04:05.678Z",
        "message": {"role": "assistant", "content": [], "timestamp": 5},
    }

    assert store.append("s", entry) == ["8c5343b7"]

    found = store.messages("s")[-1]
    assert found.entry == entry
    assert found.timestamp == pytest.approx(1767323045.678)


def test_times_come_from_the_clock_and_order_nothing(store, clock) -> None:
    """A message has the present by the clock; one from before comes after all the same."""
    store.append("s", said("user", "now"))
    clock.advance(-3600)

    store.append("s", said("user", "an hour ago"))

    assert texts(store) == ["now", "an hour ago"]
    first, second = store.messages("s")
    assert first.timestamp - second.timestamp == 3600


@pytest.mark.parametrize(
    "given",
    [
        "text",
        7,
        [],
        {},
        {"content": "no role"},
        {"role": "", "content": "x"},
        {"role": 5, "content": "x"},
        {"role": "user", "content": 5},
        {"role": "user", "content": {"type": "text"}},
        {"role": "user", "content": {1, 2}},
        {"role": "user", "content": "x", 5: 1},
        {"type": "message"},
        {"type": "message", "message": {"content": "x"}},
        {"type": ""},
        {"type": 5},
        {"type": "session", "version": 3},
        {"type": "custom", "id": ""},
        {"type": "custom", "id": "a b"},
        {"type": "custom", "id": 7},
        {"type": "custom", "id": None},
        {"type": "custom", "id": "x" * 129},
        {"type": "custom", "parentId": 7},
    ],
    ids=repr,
)
def test_what_is_no_message_is_refused(store, given) -> None:
    """Anything but a message or an entry raises `InvalidError`, and nothing is made."""
    with pytest.raises(InvalidError):
        store.append("s", [given])

    assert store.sessions() == []


@pytest.mark.parametrize(
    "session",
    ["", ".", "..", "../x", "a/b", "a b", "-a", "_a", "a" * 129, "é", "a\n", "a\0", None, 5],
    ids=repr,
)
def test_what_is_no_session_id_is_refused(store, session) -> None:
    """A session id that OpenClaw would not take raises `InvalidError` for every verb."""
    for call in (
        lambda: store.append(session, said("user", "a")),
        lambda: store.messages(session),
        lambda: store.get(session, "x"),
        lambda: store.count(session),
        lambda: store.export(session, io.BytesIO()),
        lambda: store.import_lines(session, []),
        lambda: store.delete(session),
        lambda: store.fork(session, "x", "new"),
        lambda: store.fork("s", "x", session),
    ):
        with pytest.raises(InvalidError):
            call()


@pytest.mark.parametrize("session", ["A", "11111111-1111-4111-8111-111111111111", "a" * 128, "0._"])
def test_what_is_a_session_id_is_taken(store, session) -> None:
    """Letters, digits, dots, lines and dashes make a session id; case tells two apart."""
    store.append(session, said("user", "a"))

    assert store.count(session) == 1
    assert store.count(session.swapcase()) == (session == session.swapcase())


def test_pages_lead_through_a_session_both_ways(store) -> None:
    """Pages of any size, forwards and backwards, give each message once and in order."""
    ids = store.append("s", [said("user", str(number)) for number in range(25)])
    everything = [str(number) for number in range(25)]

    back, before = [], None
    while page := store.messages("s", limit=7, before=before):
        back = [each.text for each in page] + back
        before = page[0].id
    forth, after = [], ids[0]
    while page := store.messages("s", limit=7, after=after):
        forth += [each.text for each in page]
        after = page[-1].id

    assert back == everything
    assert forth == everything[1:]
    assert texts(store, limit=0) == []
    assert texts(store, limit=3) == ["22", "23", "24"]
    assert texts(store, after=ids[2], before=ids[6]) == ["3", "4", "5"]
    assert texts(store, after=ids[2], before=ids[6], limit=2) == ["3", "4"]


def test_a_page_of_a_wrong_cursor_is_refused(store) -> None:
    """A cursor that is no message of this session raises, and so does a limit below zero."""
    store.append("s", said("user", "a"))
    (other,) = store.append("t", said("user", "b"))

    with pytest.raises(NotFoundError, match="no message"):
        store.messages("s", before=other)
    with pytest.raises(NotFoundError):
        store.messages("s", after="nothing")
    with pytest.raises(InvalidError, match="limit"):
        store.messages("s", limit=-1)


def test_sessions_do_not_mix(store) -> None:
    """Two sessions that are appended to in turns keep their own messages and ids."""
    for number in range(5):
        store.append("s", {"type": "custom", "id": f"n{number}", "data": "s"})
        store.append("t", {"type": "custom", "id": f"n{number}", "data": "t"})

    assert {each.entry["data"] for each in store.messages("s")} == {"s"}
    assert [each.id for each in store.messages("t", limit=2)] == ["n3", "n4"]


def test_a_branch_follows_what_it_names(store) -> None:
    """A turn with a parent follows it; the next one follows the newest message again."""
    first, second = store.append("s", [said("user", "a"), said("assistant", "b")])

    (branch,) = store.append("s", said("assistant", "c"), parent=first)
    (last,) = store.append("s", said("user", "d"))

    parents = {each.id: each.parent for each in store.messages("s")}
    assert parents == {first: None, second: first, branch: first, last: branch}
    with pytest.raises(NotFoundError, match="nowhere"):
        store.append("s", said("user", "e"), parent="nowhere")
    with pytest.raises(NotFoundError, match="nowhere"):
        store.append("s", {"type": "custom", "parentId": "nowhere"})
    assert store.count("s") == 4


def test_an_append_that_expects_another_leaf_is_refused(store) -> None:
    """Of two turns on the same leaf the second raises `ConflictError` and leaves nothing."""
    store.append("s", said("user", "a"), expect_leaf=None)
    leaf = store.info("s").leaf
    store.append("s", said("assistant", "b"), expect_leaf=leaf)

    for expected in (leaf, None, ABSENT, "nothing"):
        with pytest.raises(ConflictError, match="append again"):
            store.append("s", said("assistant", "c"), expect_leaf=expected)

    assert texts(store) == ["a", "b"]
    with pytest.raises(ConflictError):
        store.append("t", said("user", "a"), expect_leaf=leaf)
    assert store.info("t") is None


def test_a_repeated_turn_is_kept_once(store, clock) -> None:
    """A turn of the same name gives the ids of the first time, whatever came between."""
    turn = [said("user", "a"), said("assistant", "b")]
    first = store.append("s", turn, turn="t1", expect_leaf=None)
    store.append("s", said("user", "c"))
    clock.advance(60)

    assert store.append("s", turn, turn="t1", expect_leaf=None) == first

    assert texts(store) == ["a", "b", "c"]
    assert store.append("other", turn, turn="t1") != first
    with pytest.raises(ConflictError, match="name"):
        store.append("s", said("user", "else"), turn="t1")
    with pytest.raises(InvalidError, match="name"):
        store.append("s", turn, turn="")


CALL = {"role": "assistant", "content": [{"type": "toolCall", "id": "c1", "name": "look"}]}
RESULT = {"role": "toolResult", "toolCallId": "c1", "content": [{"type": "text", "text": "ok"}]}
ANTHROPIC = [
    {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "look"}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "ok"}]},
]
OPENAI = [
    {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "id": "c1"}]},
    {"role": "tool", "tool_call_id": "c1", "content": "ok"},
]


@pytest.mark.parametrize("turn", [[CALL, RESULT], ANTHROPIC, OPENAI])
def test_a_strict_turn_has_calls_and_results(store, turn) -> None:
    """With *strict* a call and its result are kept together, in any of three spellings."""
    store.append("s", [said("user", "look"), *turn], strict=True)

    assert store.count("s") == 3
    assert store.check() == []
    for wrong in (turn[:1], turn[1:], [turn[1], turn[0]], [*turn, turn[1]]):
        with pytest.raises(InvalidError, match="call"):
            store.append("t", wrong, strict=True)
    assert store.count("t") == 0


def test_a_strict_result_may_answer_an_earlier_turn(store) -> None:
    """A result answers a call that was kept before, once."""
    store.append("s", CALL)

    store.append("s", RESULT, strict=True)

    with pytest.raises(InvalidError, match="second result"):
        store.append("s", RESULT, strict=True)


def test_orphans_are_kept_and_told(store) -> None:
    """Without *strict* an orphan result is kept as it came, and told afterwards."""
    (orphan,) = store.append("s", RESULT)

    (finding,) = store.check()
    assert orphan in finding.message
    assert (finding.code, finding.repair) == ("transcript-orphan", None)


def test_deleting_leaves_nothing(store) -> None:
    """A deleted session is gone from pages, searches, counts and exports; others stay."""
    store.append("s", said("user", "the red lobster " + "x" * 20_000), turn="t1")
    store.append("t", said("user", "the blue lobster"))

    assert store.delete("s")

    assert not store.delete("s")
    assert (store.messages("s"), store.info("s")) == ([], None)
    assert [each.message.session_id for each in store.search("lobster")] == ["t"]
    with pytest.raises(NotFoundError):
        store.export("s", io.BytesIO())
    assert (store.stats()["sessions"], store.stats()["blobs"], store.check()) == (1, 0, [])
    assert len(store.append("s", said("user", "anew"), turn="t1")) == 1


def test_deleted_text_is_not_in_the_file(store, state) -> None:
    """After deleting, merging and closing no byte of what was said is in the database."""
    store.append("kept", said("user", "something else"))
    store.append("s", [said("user", f"hunter2secret number {n}") for n in range(50)])

    store.delete("s")
    store.optimize()
    store.close()

    assert b"hunter2secret" not in state.paths.memory_db.read_bytes()


def test_a_fork_begins_with_what_led_to_it(store) -> None:
    """A fork holds the chain to its message with the same ids, and goes on by itself."""
    a, b = store.append("s", [said("user", "a lobster"), said("assistant", "b" * 20_000)])
    store.append("s", said("assistant", "not this"), parent=a)
    (c,) = store.append("s", said("user", "c"), parent=b)
    store.append("s", said("user", "nor this"))

    assert store.fork("s", c, "f") == 3

    assert [each.id for each in store.messages("f")] == [a, b, c]
    assert [each.entry for each in store.messages("f", limit=1)] == [store.get("s", c).entry]
    assert len(store.search("lobster", "f")) == 1
    store.append("f", said("assistant", "d"))
    store.delete("s")
    assert store.messages("f")[1].text == "b" * 20_000
    assert store.check() == []


def test_a_fork_needs_an_entry_and_a_free_name(store) -> None:
    """A fork of what is not there, or onto a session that is, raises and makes nothing."""
    (first,) = store.append("s", said("user", "a"))

    with pytest.raises(NotFoundError):
        store.fork("nothing", first, "f")
    with pytest.raises(NotFoundError):
        store.fork("s", "nothing", "f")
    with pytest.raises(InvalidError, match="already"):
        store.fork("s", first, "s")
    assert len(store.sessions()) == 1


def test_pruning_takes_whole_sessions_oldest_first(store, clock) -> None:
    """Sessions go by age, number and size, the longest unchanged first; kept ones stay."""
    for name in "abcde":
        store.append(name, said("user", name * 100))
        clock.advance(100)

    assert store.prune() == []
    assert store.prune(older_than=450, keep=["a"]) == []
    assert store.prune(older_than=350) == ["a", "b"]
    assert store.prune(most_sessions=2, keep=["c"]) == ["d"]
    size = store.info("e").size
    assert store.prune(most_bytes=size) == ["c"]
    assert [each.session_id for each in store.sessions()] == ["e"]


def test_sessions_tell_what_they_hold(store, clock) -> None:
    """Each session tells its count, size as exported, newest id and times; newest first."""
    start = clock()
    store.append("s", said("user", "a"))
    clock.advance(10)
    store.append("t", said("user", "a"))
    clock.advance(10)
    (leaf,) = store.append("s", said("user", "é" * 5000))

    first, second = store.sessions()

    assert (first.session_id, first.count, first.leaf) == ("s", 2, leaf)
    assert (first.created_at, first.updated_at) == (start, start + 20)
    assert second.session_id == "t"
    lines = exported(store).splitlines(keepends=True)
    assert first.size == sum(map(len, lines[1:]))


def test_a_message_tells_no_secret_in_its_repr(store) -> None:
    """What is known for a secret by its form does not stand in the repr of a message or a find."""
    store.append("s", said("user", "my key is sk-proj-0123456789abcdefghijklmnop"))

    told = repr(store.messages("s")) + repr(store.search("key"))

    assert "my key is" in told
    assert "0123456789" not in told


def test_an_export_into_a_file_is_private(store, tmp_path) -> None:
    """A file that is exported is 0600, replaces the old one as a whole, and leaves nothing else."""
    store.append("s", said("user", "a"))
    file = tmp_path / "out" / "s.jsonl"
    file.parent.mkdir()
    file.write_text("old")

    store.export("s", file)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_bytes() == exported(store)
    assert [each.name for each in file.parent.iterdir()] == ["s.jsonl"]
    with pytest.raises(NotFoundError):
        store.export("nothing", file)
    assert file.read_bytes() == exported(store)
    assert [each.name for each in file.parent.iterdir()] == ["s.jsonl"]


@pytest.mark.filterwarnings("ignore::clawstate.errors.CorruptWarning")
@pytest.mark.parametrize(
    ("text", "cwd"),
    [("{agents: {defaults: {workspace: '/work'}}}", "/work"), ("{}", None), ("{broken", None)],
)
def test_the_header_names_the_workspace(store, state, text, cwd) -> None:
    """A new transcript names the workspace; a configuration that is broken costs no message."""
    state.paths.root.mkdir()
    state.paths.config.write_text(text)

    store.append("s", said("user", "a"))

    header = json.loads(exported(store).splitlines()[0])
    assert header["cwd"] == (cwd or str(state.paths.root))


def test_closing_ends_it(tmp_path) -> None:
    """A closed store raises `ClosedError`."""
    state = clawstate.open(tmp_path / "state")
    store = state.transcripts
    store.append("s", said("user", "a"))
    store.close()

    with pytest.raises(ClosedError):
        store.messages("s")
    with pytest.raises(ClosedError):
        store.append("s", said("user", "a"))
    state.close()
