"""What sessions were at a moment."""

from __future__ import annotations

import random
from pathlib import Path, PurePosixPath

import pytest

from clawstate.errors import NotFoundError
from clawstate.records.inmemory import InMemoryBackend
from clawstate.records.json_files import JsonFilesBackend
from clawstate.records.sqlite import SqliteBackend
from clawstate.stores.sessions.service import Sessions, sessions_on
from manual_clock import ManualClock
from seeds import seed

INDEX = PurePosixPath("sessions/sessions.json")
DAY = 86_400.0


def open_sessions(backend, root: Path, clock, keep: float = 30 * DAY) -> Sessions:
    return sessions_on(backend, root, INDEX, clock=clock, keep_past=lambda: keep)


@pytest.fixture(params=["memory", "file", "sqlite"])
def backend(request, tmp_path):
    made = {
        "memory": InMemoryBackend,
        "file": lambda: JsonFilesBackend(tmp_path),
        "sqlite": lambda: SqliteBackend(tmp_path / "records.db"),
    }[request.param]()
    yield made
    made.close()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def sessions(backend, tmp_path, clock):
    return open_sessions(backend, tmp_path, clock)


def told(entries) -> dict[str, dict]:
    return {each.session_key: each.document() for each in entries}


def test_a_session_is_told_as_it_was(sessions, clock) -> None:
    """Made, changed, begun anew and deleted: each moment has the entry of then."""
    clock.advance(10)
    first = sessions.resolve("a")
    made = clock()
    clock.advance(10)
    sessions.update("a", {"label": "tea", "count": 1})
    changed = clock()
    clock.advance(10)
    again = sessions.reset("a")
    clock.advance(10)
    sessions.delete("a")
    clock.advance(10)

    (then,), (later,), (anew,) = map(sessions.as_of, (made, changed, changed + 10))

    assert sessions.as_of(made - 1) == ()
    assert (then.session_id, dict(then.fields)) == (first.session_id, {})
    assert dict(later.fields) == {"label": "tea", "count": 1}
    assert (anew.session_id, later.session_id) == (again.session_id, first.session_id)
    assert sessions.as_of(clock()) == ()


def test_changes_tell_what_happened_to_sessions(sessions, clock) -> None:
    """Last first, with the members that changed."""
    begun = clock()
    clock.advance(1)
    sessions.resolve("a")
    clock.advance(1)
    sessions.update("a", {"label": "tea"})
    clock.advance(1)
    sessions.delete("a")

    found = sessions.changes(begun, clock())

    assert [(each.at - begun, each.kind, each.changed) for each in found] == [
        (3, "ended", ()),
        (2, "updated", ("label",)),
        (1, "added", ()),
    ]
    assert sessions.changes(begun + 3, clock()) == ()


def test_a_session_is_made_what_it_was(sessions, clock) -> None:
    """With its id of then; and what it was before that can be brought back likewise."""
    clock.advance(1)
    first = sessions.resolve("a")
    sessions.update("a", {"label": "tea"})
    moment = clock()
    clock.advance(10)
    second = sessions.reset("a")
    sessions.update("a", {"label": "coffee"})
    later = clock()
    clock.advance(10)

    back = sessions.put_back("a", moment)

    assert (back.session_id, back.fields["label"]) == (first.session_id, "tea")
    clock.advance(10)
    assert sessions.put_back("a", later).session_id == second.session_id
    sessions.delete("a")
    clock.advance(10)
    assert sessions.put_back("a", moment).session_id == first.session_id
    with pytest.raises(NotFoundError):
        sessions.put_back("a", 1.0)


def test_what_is_gone_for_good_was_never(sessions, backend, tmp_path, clock) -> None:
    """Of a session that left the archive nothing is told, and no byte of it is in the files."""
    clock.advance(1)
    sessions.resolve("a")
    sessions.update("a", {"label": "xyzzy-secret"})
    moment = clock()
    clock.advance(10)
    sessions.delete("a")
    clock.advance(40 * DAY)

    sessions.prune(older_than=1.0)

    assert sessions.as_of(moment) == ()
    if isinstance(backend, JsonFilesBackend):
        held = [each for each in tmp_path.rglob("*.json") if b"xyzzy" in each.read_bytes()]
        assert held == []


def test_changes_of_others_are_noted_with_our_next(backend, tmp_path, clock) -> None:
    """What another program made of a session is known by its own time from then on."""
    sessions, silent = (open_sessions(backend, tmp_path, clock, keep) for keep in (30 * DAY, 0.0))
    clock.advance(1)
    sessions.resolve("a")
    clock.advance(10)
    silent.update("a", {"label": "theirs"})
    moment = clock()
    assert told(sessions.as_of(moment))["a"]["label"] == "theirs"
    clock.advance(10)

    sessions.update("a", {"label": "ours"})

    assert told(sessions.as_of(moment))["a"]["label"] == "theirs"
    assert "label" not in told(sessions.as_of(moment - 1))["a"]


def test_old_states_are_swept(backend, tmp_path, clock) -> None:
    """Behind the time that is kept only the state in which a session stood then is left."""
    sessions = open_sessions(backend, tmp_path, clock, 5 * DAY)
    sessions.resolve("a")
    for number in range(200):
        clock.advance(DAY / 4)
        sessions.update("a", {"number": number})

    sessions.prune(older_than=1000 * DAY)

    lives = sessions._routes.default()._past.lives()
    ((life),) = lives.values()
    assert len(life.states) <= 22 + 7
    assert told(sessions.as_of(clock() - 4 * DAY))["a"]["number"] == 183


@pytest.mark.parametrize("changes", [120, pytest.param(2000, marks=pytest.mark.slow)])
def test_random_moments_are_as_a_copy_of_then(backend, tmp_path, clock, changes) -> None:
    """After any changes each moment of the time that is kept has the entries of then."""
    chance = random.Random(seed())
    sessions = open_sessions(backend, tmp_path, clock)
    copies: list[tuple[float, dict]] = []
    keys = [f"k{number}" for number in range(6)]
    for _ in range(changes):
        clock.advance(0.01 + chance.choice([0.0, 60.0, 3600.0, 6 * 3600.0]) * 120 / changes)
        key = chance.choice(keys)
        match chance.randrange(8):
            case 0 if sessions.get(key):
                sessions.reset(key)
            case 1 if sessions.get(key):
                sessions.delete(key)
            case 2:
                sessions.update_store(
                    lambda entries: [each.update(seen=chance.random()) for each in entries.values()]
                )
            case _:
                sessions.resolve(key)
                sessions.update(
                    key, {chance.choice("abc"): chance.randrange(5), "n": [1, {"x": 2}]}
                )
        copies.append((clock(), told(sessions.entries())))

    for moment, kept in chance.choices(copies, k=40 if changes < 1000 else 1000):
        assert told(sessions.as_of(moment)) == kept
