from __future__ import annotations

import json

import pytest

import clawstate
from clawstate.errors import InvalidError

KEY = {"type": "api_key", "provider": "openai", "key": "sk-main"}
OWN = {**KEY, "key": "sk-work"}
NAME = "openai:default"


@pytest.fixture(params=["file", "sqlite"])
def state(request, tmp_path, clock):
    with clawstate.open(tmp_path, store=request.param, clock=clock) as opened:
        yield opened


@pytest.fixture
def main(state):
    return state.auth()


@pytest.fixture
def work(state):
    return state.auth("work")


def test_an_agent_sees_what_the_main_one_has(main, work) -> None:
    """Credentials, orders, the last good one and usage of the main agent are those of all."""
    main.upsert(NAME, KEY)
    main.upsert("openai:b", KEY)
    main.set_order("openai", ["openai:b", NAME])
    main.mark_good("openai:b")
    main.mark_failure("openai:b", "timeout")

    assert work.get(NAME) == main.get(NAME)
    assert [each.origin for each in work.profiles()] == ["inherited", "inherited"]
    assert work.order("openai") == main.order("openai") == (NAME, "openai:b")
    assert work.stored_order("openai") == ("openai:b", NAME)
    assert work.last_good("openai") == "openai:b"
    assert work.usage("openai:b") == main.usage("openai:b")
    assert work.document("merged") == main.document()
    assert work.document() == {"version": 1, "profiles": {}}


def test_an_own_entry_hides_the_inherited_one(main, work) -> None:
    """What an agent has itself counts before what it inherits, and the main one sees none of it."""
    main.upsert(NAME, KEY)
    main.upsert("openai:b", KEY)
    main.set_order("openai", [NAME])

    work.upsert(NAME, OWN)
    work.set_order("openai", ["openai:b"])

    assert (main.secret(NAME), work.secret(NAME)) == ("sk-main", "sk-work")
    assert [each.origin for each in work.profiles()] == ["inherited", "own"]
    assert (main.order("openai"), work.order("openai")) == ((NAME,), ("openai:b",))
    assert work.document("merged")["profiles"] == {NAME: OWN, "openai:b": KEY}


def test_a_change_writes_what_is_own_alone(main, work) -> None:
    """No credential of the main agent is ever copied to another."""
    main.upsert(NAME, KEY)

    work.upsert("xai:b", {**KEY, "provider": "xai"})
    work.mark_good(NAME)
    work.set_order("openai", [NAME])

    assert work.document() == {
        "version": 1,
        "profiles": {"xai:b": {**KEY, "provider": "xai"}},
        "order": {"openai": [NAME]},
        "lastGood": {"openai": NAME},
    }


def test_usage_lies_with_the_credential(state, main, work) -> None:
    """A limit that one agent met is known to all that share the credential."""
    main.upsert(NAME, KEY)

    work.mark_failure(NAME, "rate_limit")

    assert main.rests_until(NAME) is not None
    assert state.auth("third").rests_until(NAME) == main.rests_until(NAME)
    assert "usageStats" not in work.document()
    work.upsert(NAME, OWN)
    assert main.usage(NAME).error_count == 1
    work.mark_failure(NAME, "timeout")
    assert main.usage(NAME).failure_counts == {"rate_limit": 1}


def test_usage_that_was_copied_is_carried_on(state, main, work) -> None:
    """Where an agent has a note of its own on an inherited credential, that one is carried on."""
    main.upsert(NAME, KEY)
    work._own.collection.put(f"usage/{NAME}", {"errorCount": 2})

    work.mark_failure(NAME, "timeout")

    assert work.usage(NAME).error_count == 3
    assert main.usage(NAME).error_count == 0


def test_an_inherited_profile_is_removed_where_it_lies(main, work) -> None:
    """Removing hits the own profile first; an inherited one is refused, not ignored."""
    main.upsert(NAME, KEY)
    work.upsert(NAME, OWN)

    assert work.remove(NAME)
    assert work.secret(NAME) == "sk-main"
    with pytest.raises(InvalidError, match="belongs to the agent 'main'; remove it there"):
        work.remove(NAME)
    assert main.remove(NAME)
    assert not work.remove(NAME)


def test_names_of_agents_are_those_of_paths(state, main) -> None:
    """Whatever an agent is called, its credentials lie below the state."""
    main.upsert(NAME, KEY)

    assert state.auth(" MAIN ") is main
    assert state.auth("../../etc").get(NAME) == main.get(NAME)
    with pytest.raises(InvalidError, match="would be the agent 'etc'"):
        state.auth("../../etc").upsert("a:b", OWN)

    assert {each.name for each in (state.paths.root / "agents").glob("*")} <= {"main"}


def test_reload_reaches_what_is_inherited(main, work) -> None:
    """After a reload an inherited value is read again."""
    main.upsert(NAME, KEY)
    before = work.get(NAME)
    assert work.get(NAME) is before

    work.reload()

    assert work.get(NAME) is not before


def test_sections_that_are_none_merge_by_the_later_one(tmp_path) -> None:
    """A section that is no object is hidden by, or hides, the other one as a whole."""
    with clawstate.open(tmp_path, store="file") as state:
        for name, stats in (("main", {NAME: {"lastUsed": 1}}), ("work", [7])):
            path = state.paths.auth_profiles(name)
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps({"profiles": {NAME: KEY}, "usageStats": stats}))

        assert state.auth("work").document("merged")["usageStats"] == [7]
        state.paths.auth_profiles("main").write_text('{"profiles": {}, "usageStats": [7]}')
        state.paths.auth_profiles("work").write_text('{"profiles": {}, "usageStats": {"a:b": {}}}')
        assert state.auth("work").document("merged")["usageStats"] == {"a:b": {}}
