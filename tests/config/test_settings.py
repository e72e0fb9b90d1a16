from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import clawstate
from clawstate.config.schema.auth import Auth
from clawstate.config.schema.memory import MemoryHistory, MemoryRetention, MemoryStore
from clawstate.config.schema.root import defaults
from clawstate.config.schema.session import SessionMaintenance
from clawstate.config.schema.storage import Caches, Locks, Pairing, StateSection
from clawstate.config.service import Config
from clawstate.config.settings import SETTINGS, Setting
from clawstate.doctor import examine
from clawstate.errors import ConfigError, InvalidError
from clawstate.files.paths import StatePaths
from clawstate.gateway.address import address_from
from clawstate.json5.parse import parse_json5
from clawstate.state.auth import auth_settings
from clawstate.state.dedupe import dedupe_settings
from clawstate.state.memory_place import memory_db
from clawstate.state.sessions import maintenance
from clawstate.stores.auth.credentials import ApiKey
from clawstate.stores.auth.settings import AuthSettings
from clawstate.stores.dedupe import DedupeSettings
from clawstate.stores.sessions.selection import MaintenanceSettings

OWN = {
    "state": StateSection,
    "pairing": Pairing,
    "caches": Caches,
    "locks": Locks,
    "memory.store": MemoryStore,
    "memory.history": MemoryHistory,
    "memory.retention": MemoryRetention,
    "session.maintenance": SessionMaintenance,
    "auth": Auth,
}
OTHERS = {"session.maintenance.rotateBytes"}  # what `find_unsupported` tells of
LYING = {"memory.store.path": "memory/memory.db", "session.store": "sessions/sessions.json"}
PLUGINS = {"enabled", "allow", "deny", "load.paths", "entries", "slots.memory"}
ALONE = {  # of sections that are OpenClaw's
    *(f"gateway.{each}" for each in ("mode", "port", "host", "bind", "customBindHost")),
    *(f"gateway.tls.{each}" for each in ("enabled", "certPath", "keyPath")),
    "gateway.controlUi.allowedOrigins",
    "session.store",
    "agents.defaults.workspace",
    *(f"plugins.{each}" for each in PLUGINS),
}


CUSTOM = """
{gateway: {bind: 'custom', customBindHost: '127.0.0.1',
 tls: {enabled: true, certPath: 'c', keyPath: 'k'}}}
"""


def leaves(model: Any, above: str) -> Iterator[str]:
    """Yield the key paths of all settings that *model* describes."""
    for name, each in model.model_fields.items():
        path = f"{above}.{each.alias or name}"
        kind = each.annotation
        if hasattr(kind, "model_fields") and not path.endswith("passphrase"):
            yield from leaves(kind, path)
        else:
            yield path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir(mode=0o700)
    return tmp_path / "state"


def written(root: Path, text: str) -> Path:
    (root / "openclaw.json").write_text(text)
    return root


def test_schema_and_table_know_the_same_settings() -> None:
    """Each setting of our own sections is in the table, and nothing else is."""
    known = {path for above, model in OWN.items() for path in leaves(model, above)}

    assert known - OTHERS == SETTINGS.keys() - ALONE


def test_every_setting_is_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state whose parts are all used asks for every setting of the table."""
    read: set[str] = set()
    of = Setting.of

    def noted(self: Setting[Any], view: Any) -> Any:
        read.add(self.path)
        return of(self, view)

    monkeypatch.setattr(Setting, "of", noted)

    with clawstate.open(root) as state:
        state.memory.add("tea")
        assert state.memory.retention_policy() is None
        state.pairing.request(user_id="ada", device_id="phone")
        state.dedupe.check_and_record("a")
        state.sessions.prune(dry_run=True)
        state.auth().order("openai")
        state.transcripts.append("s", {"role": "user", "content": "hello"})
        state.directories.put("a", 1)
        state.plugins.list()
        for number, text in enumerate(("{}", CUSTOM)):
            place = root.parent / str(number)
            place.mkdir()
            config = Config(StatePaths(written(place, text)), env={"HOME": "/h"}, cwd=root)
            address_from(config, place)
        assert not state.encryption.is_on
        state._context.key_store.source()
        assert state._context.backends._password() is None
        list(examine(state))
        with pytest.raises(clawstate.StateError):
            state.encryption.turn_on("passphrase")

    assert read == SETTINGS.keys()


@pytest.mark.parametrize("path", sorted(SETTINGS))
def test_default_is_what_get_answers(root: Path, path: str) -> None:
    """Without a word in the file, `get` and `require` answer the default of the schema."""
    config = Config(StatePaths(root), env={"HOME": "/h"}, cwd=root)
    default = SETTINGS[path].default

    if path in LYING:
        assert config.get(path) == str(root / LYING[path])
    else:
        assert config.get(path) == default
    if default is not None:
        assert config.require(path) == config.redacted(path) == default
        whole: Any = defaults()
        for step in path.split("."):
            whole = whole[step]
        assert whole == default


def test_part_of_a_section_keeps_the_other_defaults(root: Path) -> None:
    """A section that names one setting means the defaults for all others."""
    written(root, "{session: {maintenance: {mode: 'enforce'}}, locks: {stale: 5}}")
    config = Config(StatePaths(root), env={"HOME": "/h"}, cwd=root)

    assert config.get("session.maintenance.maxEntries") == 500
    assert config.get("session.maintenance")["mode"] == "enforce"
    assert config.get("locks.retries.retries") == 10
    assert config.get("caches.query")["ttl"] == "5m"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("pairing.ttl", "soon"),
        ("pairing.limit", "three"),
        ("caches.query.ttl", True),
        ("session.maintenance.pruneAfter", "30m1h"),
        ("memory.store.vector.enabled", "no"),
    ],
)
def test_setting_that_means_nothing_is_named(root: Path, path: str, value: object) -> None:
    """A value that no reader takes is an error with its key path."""
    config = Config(StatePaths(root), env={"HOME": "/h"}, cwd=root)
    tree: Any = value
    for step in reversed(path.split(".")):
        tree = {step: tree}
    (root / "openclaw.json").write_text(str(tree).replace("True", "true"))

    with pytest.raises(ConfigError) as caught:
        SETTINGS[path].of(config.view())

    assert caught.value.name == path


def test_durations_have_one_grammar(root: Path) -> None:
    """Weeks, and units after one another, mean in the configuration what they mean elsewhere."""
    written(root, "{session: {maintenance: {pruneAfter: '2w'}}, pairing: {ttl: '1h30m'}}")

    with clawstate.open(root) as state:
        assert maintenance(state.config.view()).prune_after == 14 * 86_400
        assert SETTINGS["pairing.ttl"].of(state.config.view()) == 5400
        assert not [each for each in state.config.issues() if each.severity == "error"]


def test_old_name_of_a_setting_counts_where_the_new_one_is_missing(root: Path) -> None:
    """`pruneDays` counts unless `pruneAfter` is written beside it."""
    written(root, "{session: {maintenance: {pruneDays: 7}}}")
    with clawstate.open(root) as state:
        assert maintenance(state.config.view()).prune_after == 7 * 86_400
        state.config.set("session.maintenance.pruneAfter", "1d")
        assert maintenance(state.config.view()).prune_after == 86_400


def test_locks_wait_as_they_are_told(root: Path) -> None:
    """`locks.*` sets the patience, unless whoever opened the state chose one."""
    written(root, "{locks: {retries: {retries: 1, minTimeout: 50, randomize: false}, stale: 7000}}")

    with clawstate.open(root) as state:
        assert (state._context.lock.patience(), state._context.lock.stale) == (0.05, 7.0)
    with clawstate.open(root, lock_timeout=3.0) as state:
        assert state._context.lock.patience() == 3.0


def test_caches_are_as_large_as_they_are_told(root: Path) -> None:
    """A cache of no entries keeps nothing."""
    written(root, "{caches: {directory: {maxEntries: 0}, query: {maxEntries: 0, ttl: 0}}}")

    with clawstate.open(root) as state:
        state.directories.put("a", 1)
        state.memory.add("tea with milk")

        assert state.directories.get("a") is None
        assert len(state.memory.search("tea")) == 1


def test_memory_lies_where_it_is_told(root: Path, tmp_path: Path) -> None:
    """`memory.store.path` names the database; records at the usual place are found and moved."""
    with clawstate.open(root) as state:
        state.memory.add("tea")
    state.config.set("memory.store.path", str(tmp_path / "far/mine.db"))

    with clawstate.open(root) as state:
        assert state.memory.search("tea") == []
        (found,) = [each for each in examine(state) if each.code == "memory-left-behind"]
        assert str(tmp_path / "far/mine.db") in found.message
    with clawstate.open(root) as state:
        list(examine(state, fix=True))
    with clawstate.open(root) as state:
        assert memory_db(state._context) == tmp_path / "far/mine.db"
        assert len(state.memory.search("tea")) == 1
        assert (tmp_path / "far/mine.db").stat().st_mode & 0o777 == 0o600
        assert [each for each in examine(state) if each.code == "memory-left-behind"] == []
    assert (root / "memory/memory.db.moved").exists()


def test_memory_by_words_only(root: Path) -> None:
    """Without search by meaning no text is embedded, and words are found."""
    written(root, "{memory: {store: {vector: {enabled: false}}}}")

    with clawstate.open(root) as state:
        state.memory.add("green tea")

        assert len(state.memory.search("tea")) == 1
        assert state.memory.stats()["cached_vectors"] == 0


NUMBERS = sorted(
    path
    for path, each in SETTINGS.items()
    if path.startswith(("caches.", "locks.", "pairing."))
    and each.kind.name not in {"switch", "maybe text"}
)


@pytest.mark.parametrize("path", NUMBERS)
@pytest.mark.parametrize("value", ["1e300", "-1", str(10**30), "1e999", "NaN", "'-5s'"])
def test_absurd_number_is_refused_by_its_key(root: Path, path: str, value: str) -> None:
    """What no clock and no memory can hold is an error that names the key, however it got there."""
    *above, last = path.split(".")
    head, tail = "".join(f"{{{each}: " for each in above), "}" * len(above)
    config = Config(StatePaths(root), env={"HOME": "/h"}, cwd=root)
    with pytest.raises(InvalidError):
        config.set(path, json5_value(value))
    assert not config.path.exists()

    written(root, f"{head}{{{last}: {value}}}{tail}")

    with pytest.raises(ConfigError) as caught:
        SETTINGS[path].of(config.view())
    assert caught.value.name == path
    assert [each for each in config.issues() if ".".join(map(str, each.path)) == path]


def json5_value(text: str) -> Any:
    """Return the value that *text* writes."""
    return parse_json5(text, path=Path("value"))


@pytest.mark.parametrize("part", ["caches", "locks", "pairing"])
def test_state_with_absurd_numbers_can_be_mended(root: Path, part: str) -> None:
    """Whatever number a section holds, the configuration is read, and changed to a sane one."""
    paths = [path for path in NUMBERS if path.startswith(f"{part}.")]
    tree: Any = {}
    for path in paths:
        inner = tree
        *above, last = path.split(".")
        for step in above:
            inner = inner.setdefault(step, {})
        inner[last] = 10**30
    (root / "openclaw.json").write_text(json.dumps(tree))

    with clawstate.open(root) as state:
        for path in paths:
            state.config.set(path, SETTINGS[path].default)

        assert state.dedupe.check_and_record("a")
        assert [each for each in state.config.issues() if each.severity == "error"] == []


def test_numbers_that_openclaw_takes_are_capped(root: Path) -> None:
    """OpenClaw takes any number in its sections: a huge one limits nothing, and stops nobody."""
    huge = "1e300"
    written(
        root,
        f"{{session: {{maintenance: {{maxEntries: {huge}}}}}, auth: {{cooldowns: {{"
        f"billingBackoffHours: {huge}, billingMaxHours: {huge}, failureWindowHours: {huge},"
        f" billingBackoffHoursByProvider: {{openai: {huge}}}}}}}}}",
    )

    with clawstate.open(root) as state:
        state.sessions.prune()
        auth = state.auth()
        auth.upsert("openai:a", ApiKey(provider="openai", key="k"))
        auth.mark_failure("openai:a", "billing")

        assert auth.usage("openai:a").disabled_until is not None


def test_defaults_of_the_parts_are_those_of_the_table(root: Path) -> None:
    """What a store assumes without a state is what an empty configuration says."""
    view = Config(StatePaths(root), env={"HOME": "/h"}, cwd=root).view()

    assert auth_settings(view) == AuthSettings()
    assert maintenance(view) == MaintenanceSettings()
    assert dedupe_settings(view) == DedupeSettings()


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("{auth: {order: 'openai:a'}}", "auth.order"),
        ("{auth: {order: {openai: [1]}}}", "auth.order"),
        ("{auth: {profiles: {'openai:a': {provider: 'openai'}}}}", "auth.profiles"),
        ("{auth: {profiles: ['openai:a']}}", "auth.profiles"),
        ("{auth: {cooldowns: {billingMaxHours: 'long'}}}", "auth.cooldowns.billingMaxHours"),
        ("{auth: {cooldowns: []}}", ""),
        ("{auth: 5}", ""),
    ],
)
def test_section_auth_that_means_nothing_is_named(root: Path, text: str, path: str) -> None:
    """A wrong form in `auth` is an error with its key path, never one of Python's."""
    written(root, text)
    config = Config(StatePaths(root), env={"HOME": "/h"}, cwd=root)

    if not path:
        assert auth_settings(config.view()) == AuthSettings()
        return
    with pytest.raises(ConfigError) as caught:
        auth_settings(config.view())
    assert caught.value.name == path
