from __future__ import annotations

import json

import pytest

import clawstate
from clawstate.errors import InvalidError, StateError
from clawstate.state.sessions import maintenance
from clawstate.stores.sessions import MaintenanceSettings


@pytest.fixture
def root(tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    return tmp_path / "state"


@pytest.fixture
def opened(root, monkeypatch, tmp_path):
    """Return a state with these settings, as a context manager."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def opened(**settings):
        (root / "openclaw.json").write_text(json.dumps({"session": settings}))
        return clawstate.open(root)

    return opened


@pytest.mark.parametrize(
    ("store", "place"),
    [
        (None, "state/sessions/sessions.json"),
        ("file", "state/sessions/sessions.json"),
        ("my/index.json", "state/my/index.json"),
        ("../beside/index.json", "beside/index.json"),
        ("~/s/index.json", "home/s/index.json"),
        ("~/{agentId}.json", "home/main.json"),
        ("my-{agentId}/x.json", "state/my-main/x.json"),
    ],
)
def test_the_setting_says_where_the_index_is(opened, tmp_path, store, place) -> None:
    """A path may be relative, begin with ~ and hold {agentId}, inside of the state or not."""
    with opened(**({} if store is None else {"store": store})) as state:
        made = state.sessions.resolve("k")

    path = tmp_path / place
    assert json.loads(path.read_text())["k"]["sessionId"] == made.session_id
    assert (path.parent / "profile/k.json").exists()


def test_an_absolute_path_is_taken_as_it_is(opened, tmp_path) -> None:
    """An index may lie anywhere."""
    with opened(store=str(tmp_path / "x/y.json")) as state:
        state.sessions.resolve("k")

    assert (tmp_path / "x/y.json").exists()


@pytest.mark.parametrize("how", ["session.store", "state.store", "open"])
def test_sqlite_keeps_sessions_in_the_database_of_the_records(opened, root, how) -> None:
    """The engine is chosen by `session.store`, else by the state; no file is made then."""
    state = opened(**({"store": "sqlite"} if how == "session.store" else {}))
    if how == "state.store":
        state.config.set("state.store", "sqlite")
    if how == "open":
        state = clawstate.open(root, store="sqlite")

    with state:
        state.sessions.resolve("k")

    assert (root / "state/records.db").exists()
    assert not (root / "sessions").exists()


@pytest.mark.parametrize("store", [" ", "a\0b", "postgresql://user:s3cret@host/db", "redis://h"])
def test_what_is_no_place_is_refused_without_its_secret(opened, store) -> None:
    """An engine that does not exist, or no path at all, is an error that repeats no password."""
    with opened(store=store) as state, pytest.raises(StateError) as caught:
        state.sessions.resolve("k")

    assert "s3cret" not in str(caught.value)


def test_maintenance_is_what_the_settings_say_now(opened) -> None:
    """Durations count days and sizes bytes unless they say otherwise; a change counts at once."""
    with opened() as state:
        assert maintenance(state.config.view()) == MaintenanceSettings()
        state.config.set(
            "session.maintenance",
            {
                "mode": "enforce",
                "pruneAfter": 2,
                "maxEntries": 7,
                "maxDiskBytes": "1kb",
                "highWaterBytes": 100,
                "resetArchiveRetention": "12h",
            },
        )
        assert maintenance(state.config.view()) == MaintenanceSettings(
            enforce=True,
            prune_after=2 * 86_400.0,
            max_entries=7,
            reset_retention=43_200.0,
            max_disk_bytes=1024,
            high_water_bytes=100,
        )
        state.config.set("session.maintenance", {"pruneDays": 3, "resetArchiveRetention": False})
        found = maintenance(state.config.view())
        assert (found.prune_after, found.reset_retention) == (3 * 86_400.0, None)


def test_a_closed_state_refuses(opened) -> None:
    """After the state was closed every call says so."""
    with opened() as state:
        sessions = state.sessions

    with pytest.raises(StateError, match="closed"):
        sessions.resolve("k")


def test_opening_makes_nothing(opened, root) -> None:
    """Looking at sessions that do not exist leaves no trace."""
    with opened() as state:
        assert state.sessions.entries() == ()
        assert state.sessions.get("k") is None
        assert state.sessions.check() == ()
        assert state.sessions.archived() == ()
        assert state.sessions.repair() == ()
        with pytest.raises(InvalidError):
            state.sessions.update("k", 5)

    assert [each.name for each in root.iterdir()] == ["openclaw.json"]
