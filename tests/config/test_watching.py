from __future__ import annotations

import threading
import warnings
from contextlib import suppress
from pathlib import Path

import pytest

from clawstate.config.service import Config
from clawstate.errors import ConfigError, CorruptWarning, InvalidError
from clawstate.files.paths import StatePaths
from clawstate.files.unchanged import is_settled, numbers_of

PATIENCE = 60.0  # seconds until a thread that should have told counts as dead


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    (tmp_path / "state").mkdir(mode=0o700)
    return StatePaths(tmp_path / "state")


def opened(paths: StatePaths, text: str | None = None) -> Config:
    if text is not None:
        paths.config.write_text(text)
    return Config(paths, env={"HOME": "/h"}, cwd=paths.root)


def write(paths: StatePaths, port: object) -> None:
    paths.config.write_text(f"{{gateway: {{port: {port}}}}}")


def test_changed_tells_each_outside_change_once(paths: StatePaths) -> None:
    """A change that somebody else made is told once."""
    config = opened(paths, "{}")
    config.view()

    told = [config.changed()]
    for port in (1, 2):
        write(paths, port)
        told += [config.changed(), config.changed()]

    assert told == [False, True, False, True, False]


def test_a_change_of_the_type_alone_is_a_change(paths: StatePaths) -> None:
    """`true` that becomes 1 is told, though Python calls the two equal."""
    config = opened(paths, "{x: {y: [true]}}")
    config.view()
    told: list[str] = []
    config.on_change("x", lambda old, new: told.append(f"{old} {new}"))

    paths.config.write_text("{x:    {y: [1]}}")

    assert config.changed()
    assert told == ["{'y': [True]} {'y': [1]}"]


def test_changed_stays_true_until_it_is_asked(paths: StatePaths) -> None:
    """A look at a value does not use up the news."""
    config = opened(paths, "{}")
    config.view()
    write(paths, 1)
    config.get("gateway.port")
    config.set("gateway.mode", "local")

    assert config.changed()
    assert not config.changed()


def test_own_changes_are_no_news(paths: StatePaths) -> None:
    """What was written through the object itself is never told of."""
    config = opened(paths, "{}")
    config.view()

    told = []
    for change in (
        lambda: config.set("gateway.port", 1),
        lambda: config.set("env.vars.A", "x"),
        lambda: config.unset("env.vars"),
        lambda: config.replace("{gateway: {port: 5, mode: 'local'}}"),
        config.undo,
        config.undo,
    ):
        change()
        told.append(config.changed())

    assert told == [False] * 6


def test_outside_change_under_an_own_one_is_told(paths: StatePaths) -> None:
    """What somebody else wrote is told even if our own write was what found it."""
    config = opened(paths, "{}")
    config.view()
    write(paths, 1)

    config.set("gateway.mode", "local")

    assert config.changed()
    assert not config.changed()
    assert (config.get("gateway.port"), config.get("gateway.mode")) == (1, "local")


def test_refused_write_hides_no_news(paths: StatePaths) -> None:
    """A write that was refused neither makes news nor hides what somebody else then does."""
    config = opened(paths, "{env: {vars: {A: 'x'}}}")
    config.view()

    with pytest.raises(ConfigError):
        config.set("env.vars.A", "${NOT_SET}")
    before = config.changed()
    paths.config.write_text("{env: {vars: {A: 'y'}}}")

    assert not before
    assert config.changed()


def test_two_objects_tell_each_other(paths: StatePaths) -> None:
    """What one object writes is news for another one of the same state."""
    first, second = opened(paths, "{}"), opened(paths)
    second.view()

    first.set("gateway.port", 1)

    assert (first.changed(), second.changed()) == (False, True)


@pytest.mark.parametrize("text", ["{/* new */}", "{}\n"])
def test_text_that_means_the_same_is_no_news(paths: StatePaths, text: str) -> None:
    """Comments and blanks change nothing."""
    config = opened(paths, "{}")
    config.view()

    paths.config.write_text(text)

    assert not config.changed()


def test_change_of_a_variable_file_is_news(paths: StatePaths) -> None:
    """A `.env` whose variable counts is a part of the configuration."""
    (paths.root / ".env").write_text("A=1")
    config = opened(paths, "{env: {vars: {B: '${A}'}}}")
    first = config.get("env.vars.B")

    (paths.root / ".env").write_text("A=22")

    assert (first, config.get("env.vars.B")) == ("1", "22")
    assert config.changed()


def test_callbacks_get_the_old_and_the_new_value(paths: StatePaths) -> None:
    """Own and outside changes are told alike, with both values, only where the value moved."""
    config = opened(paths, "{gateway: {port: 1}}")
    told: list[tuple[object, ...]] = []
    config.on_change("gateway.port", lambda old, new: told.append((old, new)))
    config.on_change("logging", lambda old, new: told.append(("logging", old, new)))

    config.set("gateway.port", 2)
    config.set("gateway.mode", "local")
    write(paths, 3)
    config.view()
    write(paths, "3, mode: 'local'")
    config.view()
    paths.config.write_text("{gateway: {port: 3}, logging: {level: 'info'}}")
    config.view()

    assert told[:2] == [(1, 2), (2, 3)]
    assert [each[:2] for each in told[2:]] == [("logging", None)]


def test_callback_ends(paths: StatePaths) -> None:
    """After the answer of `on_change` was called, nothing is told any longer."""
    config = opened(paths, "{gateway: {port: 1}}")
    told: list[object] = []
    end = config.on_change("gateway.port", lambda *both: told.append(both))

    end()
    end()
    config.set("gateway.port", 2)

    assert told == []


def test_callback_of_what_is_no_path_is_refused(paths: StatePaths) -> None:
    """A listener for a path that cannot be would never be called, and is an error."""
    with pytest.raises(InvalidError):
        opened(paths, "{}").on_change("agents.list[x", print)


def test_callback_gets_copies(paths: StatePaths) -> None:
    """A listener that changes what it was given changes nothing of the configuration."""
    config = opened(paths, "{gateway: {port: 1}}")
    config.on_change("gateway", lambda old, new: (old.clear(), new.clear()))

    config.set("gateway.port", 2)

    assert config.get("gateway.port") == 2


def test_callback_may_read_and_write(paths: StatePaths) -> None:
    """A listener sees the new configuration and may change it."""
    config = opened(paths, "{gateway: {port: 1}}")
    seen = []

    def follow(_: object, new: object) -> None:
        seen.append(config.get("gateway.port"))
        config.set("env.vars.PORT", str(new))

    config.on_change("gateway.port", follow)
    config.set("gateway.port", 2)

    assert seen == [2]
    assert config.get("env.vars.PORT") == "2"
    assert not config.changed()


def test_raising_callback_leaves_the_new_value_in_force(paths: StatePaths) -> None:
    """What a listener raises reaches whoever looked, once; the new value is there all the same."""
    config = opened(paths, "{gateway: {port: 1}}")

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    end = config.on_change("gateway.port", fail)
    write(paths, 2)

    with pytest.raises(ZeroDivisionError):
        config.get("gateway.port")
    assert config.get("gateway.port") == 2
    assert config.changed()
    with pytest.raises(ZeroDivisionError):
        config.set("gateway.port", 3)
    end()
    assert config.get("gateway.port") == 3
    assert not config.changed()


@pytest.mark.filterwarnings("ignore::clawstate.errors.UnresolvedWarning")
@pytest.mark.parametrize("name", [".env", "clawstate.json", "openclaw.json"])
@pytest.mark.parametrize("linked", [False, True])
def test_a_file_that_appears_is_read_at_once(paths: StatePaths, tmp_path, name, linked) -> None:
    """A file that was absent counts from the moment it is there, also behind a link."""
    place = target = paths.root / name
    config = opened(paths, None if name == "openclaw.json" else '{gateway: {port: "${P}"}}')
    if linked:
        target = tmp_path / "target"
        place.symlink_to(target)
    while not is_settled(numbers_of(str(paths.root))):
        pass
    for _ in range(3):  # until its absence is beyond doubt
        with suppress(ConfigError):  # a variable is missing, or the link leads to nothing
            config.get("gateway.port")

    target.write_text("P=8" if name == ".env" else "{gateway: {port: 8}}")

    assert int(config.get("gateway.port")) == 8


def test_watcher_sees_a_change_and_ends(paths: StatePaths) -> None:
    """A watch tells the listeners of a change that nobody looked for, until it is closed."""
    config = opened(paths, "{gateway: {port: 1}}")
    told = threading.Event()
    config.on_change("gateway.port", lambda *_: told.set())
    before = threading.active_count()

    with config.watch(interval=0.005) as watcher:
        write(paths, 2)
        seen = told.wait(PATIENCE)

    assert seen
    assert threading.active_count() == before
    watcher.close()


def test_watcher_may_be_closed_by_a_listener(paths: StatePaths) -> None:
    """A listener can end the watch that called it."""
    config = opened(paths, "{gateway: {port: 1}}")
    closed = threading.Event()
    watcher = config.watch(interval=0.005)

    def close(*_: object) -> None:
        watcher.close()
        closed.set()

    config.on_change("gateway.port", close)
    write(paths, 2)

    assert closed.wait(PATIENCE)
    watcher._thread.join(PATIENCE)
    assert not watcher._thread.is_alive()


def test_watcher_outlives_a_broken_text(paths: StatePaths) -> None:
    """A watch of what cannot be read yet goes on, and sees the mended text."""
    config = opened(paths, "{gateway: {port: 1}}")
    told = threading.Event()
    config.on_change("gateway.port", lambda *_: told.set())
    paths.config.write_text("{")
    config.invalidate()
    looked = threading.Event()
    look = config.view

    def watched() -> object:
        try:
            return look()
        finally:
            looked.set()

    config.view = watched
    with config.watch(interval=0.005) as watcher:
        assert looked.wait(PATIENCE)
        write(paths, 2)
        looked.clear()
        assert looked.wait(PATIENCE)
        alive = watcher._thread.is_alive()

    assert alive
    assert look().get("gateway.port") == 2


def test_own_write_is_no_news_for_a_watch(paths: StatePaths) -> None:
    """A watch that looks while we write takes none of it for another one's change."""
    config = opened(paths, "{gateway: {port: 1}}")
    config.view()

    told = []
    with config.watch(interval=0.0005):
        for port in range(2, 22):
            config.set("gateway.port", port)
            told.append(config.changed())

    assert told == [False] * 20


def test_broken_text_is_told_once_to_a_watcher(paths: StatePaths) -> None:
    """However often a broken text is looked at, it is told of once, and nothing else changes."""
    config = opened(paths, "{gateway: {port: 1}}")
    told: list[object] = []
    config.on_change("gateway.port", lambda *both: told.append(both))
    paths.config.write_text("{")

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for _ in range(20):
            config.view()

    assert [each.category for each in warned] == [CorruptWarning]
    assert told == []
    write(paths, 2)
    config.view()
    assert told == [(1, 2)]
