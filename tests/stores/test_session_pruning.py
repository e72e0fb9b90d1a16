from __future__ import annotations

import json
from pathlib import PurePosixPath

import pytest

import clawstate
from clawstate.errors import InvalidError
from clawstate.records.contract import CollectionSpec, FileForm
from clawstate.records.layouts import MapLayout

DAY = 86_400.0
SHAPE = CollectionSpec(
    "sessions", PurePosixPath("sessions/sessions.json"), MapLayout(), file=FileForm(newline=False)
)


@pytest.fixture(params=("file", "sqlite"))
def state(request, tmp_path, clock):
    with clawstate.open(tmp_path / "state", store=request.param, clock=clock) as opened:
        yield opened


@pytest.fixture
def ten(state, clock):
    """Return the sessions with ten entries, k0 the oldest, a day between each two."""
    for number in range(10):
        state.sessions.resolve(f"k{number}")
        state.sessions.update(f"k{number}", {"text": "x" * 1000})
        clock.advance(DAY)
    return state.sessions


def keys(entries):
    return [each.session_key for each in entries]


def configure(state, **maintenance):
    state.config.set("session.maintenance", maintenance)


def test_pruning_by_age_takes_what_is_too_old(ten) -> None:
    """Sessions that were not updated for so long go, the oldest first; the others stay."""
    pruned = ten.prune(older_than=7.5 * DAY)

    assert keys(pruned.by_age) == keys(pruned.removed) == ["k0", "k1", "k2"]
    assert pruned.kept == 7
    assert keys(ten.entries()) == [f"k{n}" for n in range(9, 2, -1)]
    assert ten.check() == ()


def test_pruning_by_number_keeps_the_newest(ten) -> None:
    """As many sessions stay as were asked for, those updated last."""
    pruned = ten.prune(max_entries=4)

    assert keys(pruned.by_count) == [f"k{n}" for n in range(6)]
    assert keys(ten.entries()) == ["k9", "k8", "k7", "k6"]


def test_pruning_by_size_goes_down_to_the_high_water_mark(ten) -> None:
    """When the budget is exceeded, the oldest go until four fifths of it are left, at most."""
    size = ten.prune(dry_run=True).bytes_before
    budget = size // 2

    pruned = ten.prune(max_disk_bytes=budget)

    assert pruned.bytes_before == size
    assert 0 < pruned.bytes_after <= budget
    assert keys(pruned.by_size) == [f"k{n}" for n in range(len(pruned.by_size))]
    assert 3 <= pruned.kept <= 4
    again = ten.prune(max_disk_bytes=budget)
    assert (again.removed, again.bytes_before) == ((), pruned.bytes_after)


def test_what_was_pruned_can_be_restored(ten) -> None:
    """A pruned session comes back with all its members, as one that was updated now."""
    ten.prune(max_entries=1)

    back = ten.restore("k3")

    assert back.fields == {"text": "x" * 1000}
    assert keys(ten.entries()) == ["k3", "k9"]
    assert [each.reason for each in ten.archived()] == ["pruned"] * 8


def test_a_spared_session_stays(ten) -> None:
    """A session that is in use is never pruned, however old."""
    pruned = ten.prune(older_than=0, max_entries=0, max_disk_bytes=0, spare=["k0"])

    assert keys(ten.entries()) == ["k0"]
    assert len(pruned.removed) == 9


def test_a_dry_run_tells_and_does_nothing(ten) -> None:
    """What a dry run tells is what the same pruning then does."""
    told = ten.prune(max_entries=3, dry_run=True)
    assert len(ten.entries()) == 10
    assert ten.archived() == ()

    done = ten.prune(max_entries=3)

    assert told.dry_run
    assert keys(told.removed) == keys(done.removed)
    assert (told.kept, told.bytes_before) == (done.kept, done.bytes_before)


def test_the_configured_mode_decides_without_limits(ten, state) -> None:
    """In the mode `warn` nothing goes; in the mode `enforce`, or when told so, it does."""
    configure(state, maxEntries=8, pruneAfter="2d")
    assert keys(ten.prune().removed) == [f"k{n}" for n in range(8)]
    assert len(ten.entries()) == 10

    configure(state, maxEntries=8, pruneAfter="100d")
    assert keys(ten.prune(enforce=True).removed) == ["k0", "k1"]

    configure(state, mode="enforce", maxEntries=5, pruneAfter="100d")
    assert keys(ten.prune().removed) == ["k2", "k3", "k4"]
    assert len(ten.entries()) == 5


def test_new_sessions_prune_old_ones_when_that_is_enforced(state, clock) -> None:
    """In the mode `enforce` the number of sessions stays near its bound by itself."""
    configure(state, mode="enforce", maxEntries=5)
    for number in range(130):
        state.sessions.resolve(f"k{number}")
        clock.advance(1)

    found = keys(state.sessions.entries())

    assert 5 <= len(found) <= 5 + 64
    assert found[0] == "k129"
    assert len(found) + len(state.sessions.archived()) == 130


def test_nothing_is_removed_by_itself_unless_enforced(state, clock) -> None:
    """In the mode `warn` no session ever leaves the index by itself."""
    configure(state, maxEntries=1, pruneAfter="1s")
    for number in range(130):
        state.sessions.resolve(f"k{number}")
        clock.advance(10)

    assert len(state.sessions.entries()) == 130
    assert state.sessions.archived() == ()


def test_a_broken_setting_does_not_fail_a_write(state) -> None:
    """MaintenanceSettings that cannot be read is no reason to refuse a session."""
    (state.paths.root).mkdir(exist_ok=True)
    state.config.path.write_text(json.dumps({"session": {"maintenance": {"pruneAfter": "x"}}}))

    assert state.sessions.resolve("k").session_key == "k"


def test_archives_go_when_their_time_is_over(ten, state, clock) -> None:
    """Deleted sessions can be restored for `pruneAfter`, reset ones for a time of their own."""
    configure(state, pruneAfter="10d", resetArchiveRetention="2d", maxEntries=100)
    ten.delete("k0")
    ten.reset("k1")
    clock.advance(3 * DAY)
    assert len(ten.archived()) == 2

    assert ten.prune(max_entries=100).expired == 1
    assert [each.reason for each in ten.archived()] == ["deleted"]
    clock.advance(10 * DAY)
    ten.prune(max_entries=100)

    assert ten.archived() == ()
    assert len(ten.entries()) == 9


def test_archives_of_resets_can_be_kept_for_ever(ten, state, clock) -> None:
    """With `resetArchiveRetention: false` a reset can be undone at any time."""
    configure(state, pruneAfter="1d", resetArchiveRetention=False)
    ten.reset("k1")
    clock.advance(10_000 * DAY)

    ten.prune(max_entries=100)

    assert [each.session_key for each in ten.archived()] == ["k1"]


def test_an_entry_without_a_time_is_not_too_old(state) -> None:
    """What does not tell when it was updated is kept by age, and goes first by number."""
    state.sessions.resolve("timed")
    state.sessions.change_all(lambda old: ({**old, "b": {"sessionId": "b"}}, None))
    index = state._context.backends.records().collection(SHAPE)
    index.update("b", lambda old: {key: value for key, value in old.items() if key != "updatedAt"})

    assert state.sessions.require("b").updated_at == 0
    assert state.sessions.prune(older_than=10).removed == ()
    assert keys(state.sessions.prune(max_entries=1).removed) == ["b"]


@pytest.mark.parametrize("name", ["older_than", "max_entries", "max_disk_bytes"])
def test_a_negative_limit_is_refused(state, name) -> None:
    """A limit below zero is a mistake, not a wish."""
    with pytest.raises(InvalidError, match=name):
        state.sessions.prune(**{name: -1})
