"""What every store does on ground that is damaged, foreign, of a later release, or closed."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import clawstate
from clawstate import State
from clawstate.errors import (
    ClosedError,
    CorruptError,
    CorruptWarning,
    StateError,
    UnavailableError,
    VersionError,
)

CANARY = "sk-canary-5f1c0b7a92d84e63"
NOBODY = 65534
ENGINES = ["file", "sqlite"]
MESSAGE = {"role": "user", "content": CANARY}
SESSION = "s-1"


@dataclass(frozen=True)
class Store:
    """How one store is read and written, and which document it has; *is_file* in any engine."""

    document: str
    write: Callable[[State, str], Any]
    read: Callable[[State], Any]
    is_file: bool = False
    has_version: bool = True

    def place(self, engine: str) -> str:
        return self.document if self.is_file or engine == "file" else "state/records.db"


def add_key(state: State, name: str) -> None:
    profile = {"type": "api_key", "provider": "openai", "key": CANARY}
    state.auth().upsert(f"openai:{name}", profile)


STORES = {
    "auth": Store(
        "agents/main/agent/auth-profiles.json",
        add_key,
        lambda state: [each.id for each in state.auth().profiles()],
    ),
    "sessions": Store(
        "sessions/sessions.json",
        lambda state, name: state.sessions.resolve(name),
        lambda state: sorted(each.session_key for each in state.sessions.entries()),
        has_version=False,  # the index is a plain map, as OpenClaw's
    ),
    "pairing": Store(
        "state/pairing.json",
        lambda state, name: state.pairing.request(user_id="ada", device_id=name),
        lambda state: [each.device_id for each in state.pairing.pending()],
    ),
    "devices": Store(
        "state/devices.json",
        lambda state, name: state.devices.issue(device_id=name, user_id="ada"),
        lambda state: [each.device_id for each in state.devices.paired()],
    ),
    "device_auth": Store(
        "state/identity/device-auth.json",
        lambda state, name: state.device_auth.set(name, CANARY),
        lambda state: sorted(state.device_auth.tokens()),
        is_file=True,
    ),
    "dedupe": Store(
        "dedupe/telegram.json",
        lambda state, name: state.dedupe.check_and_record(name, namespace="telegram"),
        lambda state: [state.dedupe.seen(name, "telegram") for name in ("first", "second")],
        has_version=False,  # a plain map, as OpenClaw's
    ),
    "transcripts": Store(
        "memory/memory.db",
        lambda state, name: state.transcripts.append(SESSION, MESSAGE, turn=name),
        lambda state: [each.text for each in state.transcripts.messages(SESSION)],
        is_file=True,
    ),
}

CASES = [(name, engine) for name in STORES for engine in ENGINES]
IN_FILES = [case for case in CASES if STORES[case[0]].place(case[1]).endswith(".json")]
VERSIONED = [case for case in CASES if case not in IN_FILES or STORES[case[0]].has_version]


@pytest.fixture
def ground() -> Iterator[Path]:
    """Have a directory that every user can reach, which `tmp_path` is not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder / "state"
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(folder)


@pytest.fixture(params=CASES, ids="-".join)
def filled(request: pytest.FixtureRequest, ground: Path) -> tuple[Path, Store, str]:
    """Have a state in which one store holds one thing."""
    name, engine = request.param
    with clawstate.open(ground, store=engine) as state:
        STORES[name].write(state, "first")
    return ground, STORES[name], engine


def refusal(root: Path, engine: str, call: Callable[[State], Any]) -> StateError | None:
    """Return the error of *call* on the state in *root*; no error and no warning has a secret."""
    with warnings.catch_warnings(record=True) as heard, clawstate.open(root, store=engine) as state:
        warnings.simplefilter("always")
        found = None
        try:
            call(state)
        except StateError as error:
            found = error
    told = [str(each.message) for each in heard]
    assert CANARY not in f"{found} {found!r} {told}"
    assert all(issubclass(each.category, CorruptWarning) for each in heard)
    return found


def kept(root: Path) -> dict[Path, bytes]:
    """Return all documents below *root*."""
    found = (path for path in root.rglob("*") if path.suffix in {".json", ".db"})
    return {path: path.read_bytes() for path in found if ".locks" not in path.parts}


def make_newer(path: Path) -> None:
    if path.suffix == ".json":
        document = json.loads(path.read_bytes())
        path.write_text(json.dumps({**document, "version": 99}))
        return
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA user_version = 99")
        parts = "SELECT count(*) FROM sqlite_master WHERE name = 'clawstate_parts'"
        if database.execute(parts).fetchone()[0]:
            database.execute("UPDATE clawstate_parts SET format = 99")


@contextmanager
def somebody_else() -> Iterator[None]:
    """Be a user who owns nothing here, which for all but root the modes alone bring about."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_closed_state_says_so(filled) -> None:
    """After `close` reading and writing raise `ClosedError`, also on a store that was in use."""
    root, store, engine = filled
    state = clawstate.open(root, store=engine)
    store.read(state)

    state.close()

    with pytest.raises(ClosedError):
        store.write(state, "second")
    with pytest.raises(ClosedError):
        store.read(state)


@pytest.mark.parametrize("filled", VERSIONED, indirect=True, ids="-".join)
def test_a_newer_document_is_left_alone(filled) -> None:
    """What a later release wrote is neither read nor written: `VersionError`."""
    root, store, engine = filled
    path = root / store.place(engine)
    make_newer(path)
    before = kept(root)

    reading = refusal(root, engine, store.read)
    writing = refusal(root, engine, lambda state: store.write(state, "second"))

    assert isinstance(reading, VersionError)
    assert isinstance(writing, VersionError)
    assert path.name in str(writing)
    assert kept(root) == before


@pytest.mark.parametrize("damage", [b'{"%s": [' % CANARY.encode(), b"\xff\x00" * 4096])
def test_a_damaged_document_is_left_alone(filled, damage) -> None:
    """A change to what cannot be read raises `CorruptError` with the file; its bytes stay."""
    root, store, engine = filled
    path = root / store.place(engine)
    if path.suffix == ".db":
        with path.open("r+b") as file:  # the header, without which it is no database
            file.write(damage.ljust(4096, b"x"))
    else:
        path.write_bytes(damage)
    before = kept(root)

    reading = refusal(root, engine, store.read)
    writing = refusal(root, engine, lambda state: store.write(state, "second"))

    assert reading is None or isinstance(reading, CorruptError)
    assert isinstance(writing, CorruptError)
    assert path.name in str(writing)
    assert "clawstate doctor" in str(writing)
    assert kept(root) == before


@pytest.mark.parametrize("filled", IN_FILES, indirect=True, ids="-".join)
def test_a_damaged_document_is_read_from_its_last_good_copy(filled) -> None:
    """Reading goes on with what was there before the damage."""
    root, store, engine = filled
    path = root / store.place(engine)
    with clawstate.open(root, store=engine) as state:
        before = store.read(state)
    path.write_bytes(path.read_bytes()[:-9])

    with clawstate.open(root, store=engine) as state, pytest.warns(CorruptWarning):
        assert store.read(state) == before


def test_a_directory_out_of_reach_is_unavailable(filled) -> None:
    """Another user's directory raises `UnavailableError` that names it; nothing seems empty."""
    root, store, engine = filled
    before = kept(root)
    root.chmod(0)

    with somebody_else():
        reading = refusal(root, engine, store.read)
        writing = refusal(root, engine, lambda state: store.write(state, "second"))

    root.chmod(0o700)
    assert isinstance(reading, UnavailableError)
    assert isinstance(writing, UnavailableError)
    assert str(root) in str(reading)
    assert str(root) in str(writing)
    assert kept(root) == before


def test_a_directory_that_is_not_writable_is_unavailable(filled) -> None:
    """Who may read and not write gets `UnavailableError` for a change, and nothing is lost."""
    root, store, engine = filled
    before = kept(root)
    for path in (root, *root.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)

    with somebody_else():
        writing = refusal(root, engine, lambda state: store.write(state, "second"))

    assert isinstance(writing, UnavailableError)
    assert str(root) in str(writing)
    assert kept(root) == before


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", STORES)
def test_a_file_in_place_of_the_state_is_refused(name, engine, tmp_path) -> None:
    """Where a file lies instead of the state directory, each call says so, and it stays."""
    root = tmp_path / "state"
    root.write_text("not mine")

    reading = refusal(root, engine, STORES[name].read)
    writing = refusal(root, engine, lambda state: STORES[name].write(state, "first"))

    assert reading is not None
    assert writing is not None
    assert str(root) in str(writing)
    assert root.read_text() == "not mine"


def test_the_key_pair_of_the_device_is_left_alone(ground) -> None:
    """A key pair that is damaged, newer or out of reach is an error, never another key pair."""
    with clawstate.open(ground) as state:
        first = state.identity.device_id
    path = ground / "identity" / "device.json"
    raw = path.read_bytes()

    for damage in (b"", raw[:-30], json.dumps({**json.loads(raw), "version": 99}).encode()):
        path.write_bytes(damage)
        error = refusal(ground, "file", lambda state: state.identity.sign(b"x"))
        assert error is None or isinstance(error, CorruptError)
        assert path.read_bytes() == damage
    path.write_bytes(raw)
    ground.chmod(0)
    with somebody_else():
        error = refusal(ground, "file", lambda state: state.identity.device_id)
    ground.chmod(0o700)

    assert isinstance(error, UnavailableError)
    with clawstate.open(ground) as state:
        assert state.identity.device_id == first
