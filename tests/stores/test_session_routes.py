from __future__ import annotations

import json

import pytest

import clawstate
from clawstate.errors import InvalidError

ID = "11111111-1111-4111-8111-111111111111"
DAY = 86_400.0


@pytest.fixture
def root(tmp_path):
    found = tmp_path / "state"
    found.mkdir(mode=0o700)
    agents = {"list": [{"id": "ops", "default": True}, {"id": "ada"}]}
    settings = {"session": {"store": "agents/{agentId}/sessions/sessions.json"}, "agents": agents}
    (found / "openclaw.json").write_text(json.dumps(settings))
    return found


@pytest.fixture
def sessions(root, clock):
    with clawstate.open(root, store="file", clock=clock) as state:
        yield state.sessions


def index_of(root, agent):
    path = root / f"agents/{agent}/sessions/sessions.json"
    return set(json.loads(path.read_text())) if path.exists() else set()


def test_a_key_is_in_the_index_of_the_agent_that_it_names(sessions, root) -> None:
    """`agent:<id>:...` names its agent, whatever the case; any other key is of the default one."""
    for key in ("agent:ada:main", " Agent:ADA:x", "agent:new:direct:1", "global", "agent:ada"):
        made = sessions.resolve(key)
        assert sessions.require(key).session_id == made.session_id

    assert index_of(root, "ada") == {"agent:ada:main", "agent:ada:x"}
    assert index_of(root, "new") == {"agent:new:direct:1"}
    assert index_of(root, "ops") == {"global", "agent:ada"}
    assert len(sessions.entries()) == 5


def test_all_verbs_find_the_session_of_each_agent(sessions, root, clock) -> None:
    """What is changed, reset, deleted and restored is so in the index of its agent alone."""
    first = sessions.resolve("agent:ada:main")
    sessions.resolve("agent:ops:main")
    before = (root / "agents/ops/sessions/sessions.json").read_bytes()

    sessions.update("agent:ada:main", {"label": "Ada"})
    clock.advance(1)
    second = sessions.reset("agent:ada:main")
    clock.advance(1)
    assert sessions.delete("agent:ada:main") is True
    assert index_of(root, "ada") == set()
    archives = {each.session_id: each.archive for each in sessions.archived()}
    assert sessions.restore("agent:ada:main").session_id in archives
    assert sessions.restore(archives[first.session_id]).fields["label"] == "Ada"

    assert archives.keys() == {first.session_id, second.session_id}
    assert (root / "agents/ops/sessions/sessions.json").read_bytes() == before
    assert sessions.check() == sessions.repair() == ()


def test_pruning_holds_for_each_agent(sessions, clock) -> None:
    """Limits count within an index, and what went is told of all."""
    for agent in ("ada", "ops"):
        for number in range(3):
            sessions.resolve(f"agent:{agent}:{number}")
            clock.advance(1)

    pruned = sessions.prune(max_entries=1)

    assert {each.session_key for each in pruned.removed} == {
        f"agent:{agent}:{number}" for agent in ("ada", "ops") for number in range(2)
    }
    assert (pruned.kept, pruned.dry_run) == (2, False)


def test_entries_are_taken_over_by_their_agents(sessions, root) -> None:
    """Each entry of another index comes to the agent that its key names."""
    entry = {"sessionId": ID, "updatedAt": 1}

    answer = sessions.merge({"agent:ada:main": entry, "agent:bob:main": entry, "x": 7})

    assert set(answer.new) == {"agent:ada:main", "agent:bob:main"}
    assert set(answer.refused) == {"agent:ops:x"}
    assert (index_of(root, "ada"), index_of(root, "bob")) == (
        {"agent:ada:main"},
        {"agent:bob:main"},
    )


def test_messages_stay_while_another_agent_names_their_session(root, clock) -> None:
    """Two agents may share one session: its messages go with the last of both."""
    with clawstate.open(root, store="file", clock=clock) as state:
        entry = {"sessionId": ID, "updatedAt": int(clock() * 1000)}
        state.sessions.merge({"agent:ada:main": entry, "agent:bob:main": entry})
        state.transcripts.append(ID, {"role": "user", "content": "hello"})

        state.sessions.delete("agent:ada:main")
        clock.advance(31 * DAY)
        state.sessions.prune(older_than=1000 * DAY)
        assert state.transcripts.count(ID) == 1
        state.sessions.delete("agent:bob:main")
        clock.advance(31 * DAY)
        state.sessions.prune(older_than=1000 * DAY)

        assert state.transcripts.count(ID) == 0


def test_no_step_changes_several_files_at_once(sessions) -> None:
    """A change of all entries is refused, since it could not be one step."""
    sessions.resolve("agent:ada:main")
    sessions.resolve("agent:ops:main")

    with pytest.raises(InvalidError, match="file of its own"):
        sessions.update_store(lambda entries: entries.clear())


def test_a_page_is_of_all_agents(sessions, clock) -> None:
    """Pages give the sessions of all agents by their time, each once."""
    keys = [f"agent:{agent}:{number}" for number in range(4) for agent in ("ada", "new", "ops")]
    for key in keys:
        sessions.resolve(key)
        clock.advance(1)

    seen, after = [], None
    while True:
        page = sessions.page(5, after)
        seen += [each.session_key for each in page]
        if (after := page.after) is None:
            break

    assert seen == [each.session_key for each in sessions.entries()] == keys[::-1]


def test_a_page_of_the_archive_is_of_all_agents(sessions, clock) -> None:
    """Pages give what can be restored of all agents, the newest first."""
    for key in ("agent:ada:1", "agent:ops:1", "agent:ada:2"):
        sessions.resolve(key)
        sessions.delete(key)
        clock.advance(1)

    first = sessions.archive_page(2)
    rest = sessions.archive_page(2, first.after)

    assert (*first, *rest) == sessions.archived()
    assert (len(first), len(rest), rest.after) == (2, 1, None)


def test_a_merge_tells_true_from_one(state) -> None:
    """An entry that says `1` where ours says `true` is another one, and no `same`."""
    entry = {"sessionId": "a", "updatedAt": 5, "note": {"on": True}}
    state.sessions.merge({"k": entry})

    found = state.sessions.merge({"k": {**entry, "note": {"on": 1}}}, replace=True)

    assert (found.same, found.changed) == ((), ("k",))
    assert state.sessions.get("k").fields["note"] == {"on": 1}
    assert state.sessions.get("k").fields["note"]["on"] is not True
