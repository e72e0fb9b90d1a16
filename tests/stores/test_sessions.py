from __future__ import annotations

import json
import uuid
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

import clawstate
from clawstate.errors import ConflictError, InvalidError, NotFoundError
from clawstate.files.safe_names import encode_name
from clawstate.records.inmemory import InMemoryBackend
from clawstate.stores.sessions import SessionEntry
from clawstate.stores.sessions.service import sessions_on

ENGINES = ("file", "sqlite")


@pytest.fixture(params=ENGINES)
def state(request, tmp_path, clock):
    with clawstate.open(tmp_path / "state", store=request.param, clock=clock) as opened:
        yield opened


@pytest.fixture
def sessions(state):
    return state.sessions


@pytest.fixture
def again(state, clock):
    """Return the sessions as another program opens them."""
    with clawstate.open(
        state.paths.root, store=state._context.backends.store, clock=clock
    ) as opened:
        yield opened.sessions


def test_a_new_session_is_there_for_others_before_it_is_returned(sessions, again) -> None:
    """Resolving a new key makes a session with an id of its own, on disk at once."""
    made = sessions.resolve("telegram:42")

    assert uuid.UUID(made.session_id).version == 4
    assert again.get("telegram:42") == made
    assert made.session_file == f"profile/{encode_name('telegram:42')}.json"


def test_resolving_again_changes_nothing(sessions, clock) -> None:
    """Resolving a key that is there returns the same entry and does not touch its time."""
    made = sessions.resolve("k")

    clock.advance(60)

    assert sessions.resolve("k") == made
    assert made.updated_at == clock.now - 60


def test_what_is_not_there_is_none_or_an_error(sessions) -> None:
    """A key without a session gives None, or NotFoundError when it is required or changed."""
    assert sessions.get("k") is None
    with pytest.raises(NotFoundError, match="resolve"):
        sessions.update("k", {"n": 1})
    assert sessions.delete("k") is False
    with pytest.raises(NotFoundError, match="sessions list"):
        sessions.require("k")
    with pytest.raises(NotFoundError):
        sessions.reset("k")
    with pytest.raises(NotFoundError):
        sessions.restore("k")
    assert sessions.get("k") is None


def test_a_patch_replaces_only_its_members(sessions, again, clock) -> None:
    """A patch leaves the id and all other members, and moves the time on."""
    made = sessions.resolve("k")
    sessions.update("k", {"label": "Ada", "origin": {"from": "1"}})
    clock.advance(5)

    changed = sessions.update("k", {"label": "Bob"})

    assert changed.session_id == made.session_id
    assert changed.fields == {"label": "Bob", "origin": {"from": "1"}}
    assert changed.updated_at == clock.now
    assert again.get("k") == changed


def test_a_function_replaces_the_whole_entry(sessions) -> None:
    """A function returns all members; what it leaves out goes, the id stays."""
    made = sessions.resolve("k")
    sessions.update("k", {"label": "Ada", "n": 1})

    changed = sessions.update("k", lambda old: {"n": old["n"] + 1})

    assert changed.fields == {"n": 2}
    assert (changed.session_id, changed.session_key) == (made.session_id, "k")
    assert sessions.get("k") == changed


def test_a_function_that_returns_nothing_writes_nothing(sessions, clock) -> None:
    """A change that answers None leaves the entry and its time as they are."""
    sessions.resolve("k")
    made = sessions.update("k", {"deep": {"n": 1}})
    clock.advance(5)

    assert sessions.update("k", lambda old: old.clear()) == made
    assert sessions.update("k", lambda old: old["deep"].clear()).fields == made.fields
    assert sessions.get("k") == made


def test_time_never_runs_backwards(sessions, clock) -> None:
    """The time of an entry is the newest of the old one, the patch and now."""
    sessions.resolve("k")
    later = sessions.update("k", {"updatedAt": round((clock.now + 100) * 1000)})
    clock.advance(-1000)

    changed = sessions.update("k", {"n": 1, "updatedAt": 5})

    assert changed.updated_at == later.updated_at == clock.now + 1100


@pytest.mark.parametrize(
    ("change", "provider"),
    [
        ({"model": "new"}, None),
        ({"model": "new", "modelProvider": "p"}, "p"),
        ({"model": "old"}, "p"),
        ({"label": "x"}, "p"),
        (lambda old: {**old, "model": "new"}, None),
        (lambda old: {**old, "model": "new", "modelProvider": "q"}, "q"),
        (lambda _: {"modelProvider": "p"}, None),
    ],
)
def test_a_model_that_changes_alone_takes_its_provider_along(sessions, change, provider) -> None:
    """A provider never stays behind with a model that it was not given for."""
    sessions.resolve("k")
    sessions.update("k", {"model": " old ", "modelProvider": "p"})

    assert sessions.update("k", change).fields.get("modelProvider") == provider


@pytest.mark.parametrize(
    "patch",
    [
        {"sessionId": "../../etc/passwd"},
        {"sessionId": ""},
        {"sessionId": 5},
        {"sessionId": "a" * 129},
        {"text": "x" * (1 << 20)},
        {"bad": {1, 2}},
    ],
    ids=["traversal", "empty", "number", "long", "large", "no JSON"],
)
def test_what_cannot_be_kept_is_refused_whole(sessions, patch) -> None:
    """An update with an unusable id or too large an entry is refused, and nothing changes."""
    made = sessions.resolve("k")

    with pytest.raises(InvalidError):
        sessions.update("k", patch)

    assert sessions.get("k") == made


def test_the_largest_member_is_named(sessions) -> None:
    """An entry that is too large says which member makes it so, and does not repeat it."""
    sessions.resolve("k")

    with pytest.raises(InvalidError, match="'skillsSnapshot'") as caught:
        sessions.update("k", {"n": 1, "skillsSnapshot": "x" * (1 << 20)})

    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("change", [5, None, "text"])
def test_a_change_that_is_none_is_refused(sessions, change) -> None:
    """Only a mapping or a function is a change."""
    sessions.resolve("k")

    with pytest.raises(InvalidError):
        sessions.update("k", change)
    with pytest.raises(InvalidError):
        sessions.update("k", lambda _: 5)


def test_entries_are_newest_first(sessions, clock) -> None:
    """Entries come by their time, and those of the last seconds alone on request."""
    for key in ("a", "b", "c"):
        sessions.resolve(key)
        clock.advance(10)
    sessions.update("a", {"n": 1})

    assert [each.session_key for each in sessions.entries()] == ["a", "c", "b"]
    assert [each.session_key for each in sessions.entries(active_within=15)] == ["a", "c"]


def test_a_reset_keeps_settings_and_archives_the_old_session(sessions, clock) -> None:
    """After a reset there is a new id with the settings; the old session can be restored."""
    old = sessions.resolve("k")
    sessions.update("k", {"model": "m", "totalTokens": 9, "thinkingLevel": "high"})
    clock.advance(1)

    new = sessions.reset("k")

    assert new.session_id != old.session_id
    assert new.fields == {"model": "m", "thinkingLevel": "high"}
    assert sessions.get("k") == new
    assert [(each.session_id, each.reason) for each in sessions.archived()] == [
        (old.session_id, "reset")
    ]


def test_a_session_that_changed_meanwhile_is_not_deleted(sessions, again) -> None:
    """Who names the session as it was seen deletes that one alone."""
    seen = sessions.resolve("k")
    again.update("k", {"label": "Ada"})
    with pytest.raises(ConflictError):
        sessions.delete("k", expect=seen)
    assert sessions.get("k").fields == {"label": "Ada"}

    renewed = sessions.get("k")
    again.reset("k")
    with pytest.raises(ConflictError):
        sessions.delete("k", expect=renewed)
    assert sessions.delete("k", expect=sessions.get("k")) is True
    with pytest.raises(ConflictError):
        sessions.delete("k", expect=renewed)


def test_a_deleted_session_can_be_restored_with_all_it_had(sessions, again, clock) -> None:
    """A delete moves a session into the archive; a restore brings every member back."""
    made = sessions.resolve("k")
    sessions.update("k", {"label": "Ada", "deep": {"list": [1, {"a": None}]}})

    assert sessions.delete("k") is True
    assert sessions.get("k") is None
    assert sessions.entries() == ()
    clock.advance(7)
    back = again.restore("k")

    assert back.session_id == made.session_id
    assert back.fields == {"label": "Ada", "deep": {"list": [1, {"a": None}]}}
    assert sessions.get("k") == back
    assert sessions.archived() == ()


def test_a_restore_archives_what_has_the_key_by_now(sessions) -> None:
    """Restoring over a living session loses neither."""
    first = sessions.resolve("k")
    second = sessions.reset("k")

    back = sessions.restore("k")

    assert back.session_id == first.session_id
    assert [each.session_id for each in sessions.archived()] == [second.session_id]
    assert sessions.restore(sessions.archived()[0].archive).session_id == second.session_id


def test_a_session_id_that_is_replaced_is_archived(sessions) -> None:
    """An update to another session id archives the session that it replaces."""
    old = sessions.resolve("k")

    new = sessions.update("k", {"sessionId": "my-own.id_2"})

    assert new.session_id == "my-own.id_2"
    assert [each.session_id for each in sessions.archived()] == [old.session_id]


def test_the_whole_store_changes_in_one_step(sessions, again, clock) -> None:
    """A mutator may add, alter and remove entries; what it removes is archived."""
    for key in ("a", "b", "c"):
        sessions.resolve(key)
    gone, clock.now = sessions.require("b"), clock.now + 9

    def mutate(store):
        store["a"]["label"] = "changed"
        del store["b"]
        store["d"] = {"sessionId": "given", "n": 1}
        store["e"] = {}
        return len(store)

    assert again.update_store(mutate) == 4
    found = {each.session_key: each for each in sessions.entries()}
    assert found.keys() == {"a", "c", "d", "e"}
    assert found["a"].fields == {"label": "changed"}
    assert found["a"].updated_at == clock.now
    assert found["c"].updated_at == clock.now - 9
    assert found["d"].session_id == "given"
    assert [each.session_id for each in sessions.archived()] == [gone.session_id]
    assert sessions.check() == ()


def test_a_whole_change_that_fails_leaves_all_as_it_was(sessions) -> None:
    """What a mutator raises, or an entry that cannot be kept, changes nothing."""
    made = sessions.resolve("a")

    with pytest.raises(ZeroDivisionError):
        sessions.update_store(lambda store: (store.clear(), 1 // 0))
    with pytest.raises(InvalidError):
        sessions.change_all(lambda old: ({**old, "b": {"sessionId": "../x"}}, None))
    with pytest.raises(InvalidError):
        sessions.change_all(lambda _: (None, None))
    with pytest.raises(InvalidError):
        sessions.change_all(lambda old: ({**old, "b": 5}, None))

    assert sessions.entries() == (made,)


def test_what_callers_do_to_an_entry_reaches_nobody(sessions) -> None:
    """An entry is a value: altering its members alters nothing that is kept."""
    sessions.resolve("k")
    sessions.update("k", {"deep": {"n": 1}})

    sessions.get("k").fields["deep"]["n"] = 2
    sessions.entries()[0].fields["deep"]["n"] = 3

    assert sessions.get("k").fields == {"deep": {"n": 1}}


def test_an_entry_is_a_plain_document(sessions) -> None:
    """The document of an entry is JSON with camelCase names and milliseconds."""
    made = sessions.resolve("k")

    document = json.loads(json.dumps(made.document()))

    assert document == {
        "sessionId": made.session_id,
        "sessionKey": "k",
        "sessionFile": "profile/k.json",
        "updatedAt": 1_800_000_000_000,
    }


@given(
    st.lists(
        st.text(
            st.characters(exclude_categories=["Cs"]) | st.sampled_from("./\\%AaÄä\0:~"),
            min_size=1,
            max_size=40,
        ),
        min_size=2,
        max_size=4,
        unique=True,
    )
)
def test_no_two_keys_meet(keys) -> None:
    """Whatever their text, different keys have different sessions and different files."""
    sessions = sessions_on(InMemoryBackend(), PurePosixPath(), PurePosixPath("sessions.json"))

    made = [sessions.resolve(key) for key in keys]

    assert len({each.session_id for each in made}) == len(keys)
    names = {each.session_file.casefold() for each in made}
    assert len(names) == len(keys)
    assert all(PurePosixPath(each).parent == PurePosixPath("profile") for each in names)
    assert {each.session_key for each in sessions.entries()} == set(keys)
    assert [sessions.get(key) for key in keys] == made


@pytest.mark.parametrize("key", ["", "x" * 1025, "\ud800", 5, None])
def test_what_is_no_key_is_refused(sessions, key) -> None:
    """An empty, overlong or unholdable key has no session, and can have none."""
    assert sessions.get(key) is None
    with pytest.raises(InvalidError):
        sessions.resolve(key)


@pytest.mark.parametrize(
    "key", ["x" * 1024, "../../../etc/passwd", "CON", "a/b", "ключ", "e\u0301"]
)
def test_any_text_is_a_key(sessions, again, key) -> None:
    """Long keys, paths, device names and other scripts are keys like any other."""
    made = sessions.resolve(key)
    sessions.update(key, {"n": 1})

    assert again.get(key).session_id == made.session_id
    assert sessions.delete(key)
    assert again.restore(key).fields == {"n": 1}


def test_what_moved_to_another_engine_is_the_same(tmp_path, clock) -> None:
    """An entry has the same document on every engine."""
    documents = []
    for store in ENGINES:
        with clawstate.open(tmp_path / store, store=store, clock=clock) as state:
            state.sessions.resolve("k")
            state.sessions.update("k", {"sessionId": "same", "n": 1})
            documents.append(state.sessions.require("k").document())

    assert documents[0] == documents[1]


def test_an_entry_has_a_name_for_people() -> None:
    """The repr of an entry tells whose it is, and none of its members."""
    entry = SessionEntry("k", "i", "profile/k.json", 0.0, {"secret": "s3cret"})

    assert "s3cret" not in repr(entry)
    assert hash(entry) == hash(SessionEntry("k", "i", "profile/k.json", 0.0))


@pytest.mark.parametrize("deep", [{"n": 2}, {"n": True}, {}, [1]], ids=repr)
def test_a_nested_change_in_place_is_a_change(sessions, clock, deep) -> None:
    """A member below a member that a mutator alters counts: the time moves, the rules hold."""
    sessions.resolve("a")
    sessions.update("a", {"note": {"deep": {"n": 1}, "list": [{}]}})
    sessions.resolve("b")
    before, clock.now = sessions.require("b"), clock.now + 9

    def replace(entries):
        entries["a"]["note"]["deep"] = deep

    def grow(entries):
        entries["a"]["note"]["list"][0]["text"] = "x" * (2 << 20)

    sessions.update_store(replace)
    found = sessions.require("a")

    assert found.fields["note"]["deep"] == deep
    assert found.updated_at == clock.now
    assert sessions.require("b") == before
    assert sessions.check() == ()
    with pytest.raises(InvalidError, match="the most is in 'note'"):
        sessions.update_store(grow)
    with pytest.raises(InvalidError, match="the most is in 'note'"):
        sessions.change_all(lambda entries: (entries, grow(entries)))
    assert sessions.require("a") == found
