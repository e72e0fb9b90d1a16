from __future__ import annotations

import pytest

import clawstate
from clawstate.errors import FallbackWarning
from clawstate.health import repair_all

DAY = 86_400.0


@pytest.fixture(params=("file", "sqlite"))
def state(request, tmp_path, clock):
    with clawstate.open(tmp_path / "state", store=request.param, clock=clock) as opened:
        yield opened


def spoken(state, key):
    """Return the id of a new session with a message."""
    session_id = state.sessions.resolve(key).session_id
    state.transcripts.append(session_id, {"role": "user", "content": f"hello from {key}"})
    return session_id


def prune(state):
    return state.sessions.prune(older_than=1000 * DAY)


def found(state, *, fix=False):
    every = list(state.health.check("transcripts"))
    return [each.code for each in (repair_all(every) if fix else every)]


def test_messages_stay_for_as_long_as_a_delete_can_be_undone(state, clock) -> None:
    """A session that is deleted and restored has all its messages again."""
    session_id = spoken(state, "k")
    before = state.transcripts.messages(session_id)

    state.sessions.delete("k")
    clock.advance(29 * DAY)
    prune(state)
    restored = state.sessions.restore("k")

    assert restored.session_id == session_id
    assert state.transcripts.messages(session_id) == before


def test_messages_go_with_a_session_that_is_gone_for_good(state, clock) -> None:
    """When it can no longer be restored, a pruning removes what was said in it, and only that."""
    gone, reset, alive = (spoken(state, key) for key in ("gone", "reset", "alive"))
    state.transcripts.append("imported-alone", {"role": "user", "content": "from elsewhere"})
    state.sessions.delete("gone")
    state.sessions.reset("reset")
    clock.advance(31 * DAY)

    assert prune(state).expired == 2

    left = {each.session_id for each in state.transcripts.sessions()}
    assert left == {alive, "imported-alone"}
    assert not {gone, reset} & left
    assert (state.sessions.ended_ids(), state.sessions.archived(), found(state)) == (
        frozenset(),
        (),
        [],
    )


def test_messages_go_by_themselves_with_new_sessions(state, clock) -> None:
    """The maintenance that goes along with new sessions removes them, too."""
    session_id = spoken(state, "old")
    state.sessions.delete("old")
    clock.advance(31 * DAY)

    for number in range(64):
        state.sessions.resolve(f"k{number}")

    assert state.transcripts.info(session_id) is None


def test_a_session_that_another_key_names_keeps_its_messages(state, clock) -> None:
    """What an entry or another archive still names is not gone."""
    session_id = spoken(state, "k")
    state.sessions.resolve("other")
    state.sessions.update("other", {"sessionId": session_id})
    state.sessions.delete("k")
    clock.advance(20 * DAY)
    state.sessions.delete("other")
    clock.advance(11 * DAY)

    assert prune(state).expired == 2  # that of `k`, and what `other` was before
    assert state.transcripts.count(session_id) == 1
    clock.advance(20 * DAY)
    prune(state)

    assert state.transcripts.count(session_id) == 0


def test_what_could_not_be_removed_goes_later(state, clock) -> None:
    """Where the messages cannot be removed now, the doctor tells, and it or a pruning does it."""
    session_id = spoken(state, "k")
    state.sessions.delete("k")
    clock.advance(31 * DAY)
    saved = state.paths.memory_db.read_bytes()
    state.close()
    state.paths.memory_db.with_name("memory.db-wal").unlink(missing_ok=True)
    whole = state.paths.memory_db.read_bytes()
    state.paths.memory_db.write_bytes(b"broken" * 1000)

    with clawstate.open(
        state.paths.root, store=state._context.backends.choice, clock=clock
    ) as again:
        with pytest.warns(FallbackWarning, match="go with the next pruning"):
            again.sessions.prune(older_than=1000 * DAY)
        assert again.sessions.ended_ids() == {session_id}
        assert again.sessions.archived() == ()
    state.paths.memory_db.write_bytes(whole or saved)

    with clawstate.open(
        state.paths.root, store=state._context.backends.choice, clock=clock
    ) as again:
        assert found(again) == ["transcript-without-session"]
        assert found(again, fix=True) == ["transcript-without-session"]
        assert found(again) == []
        assert again.transcripts.info(session_id) is None


def test_a_session_that_came_back_is_not_gone(state, clock) -> None:
    """One that was taken over again after its archive expired keeps its messages."""
    session_id = spoken(state, "k")
    document = state.sessions.get("k").document()
    state.sessions.delete("k")
    clock.advance(31 * DAY)
    prune(state)

    state.sessions.merge({"k": {**document, "updatedAt": int(clock() * 1000)}})
    state.transcripts.append(session_id, {"role": "user", "content": "again"})
    prune(state)

    assert state.transcripts.count(session_id) == 1
