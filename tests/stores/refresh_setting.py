"""What the tests of refreshes stand on: one profile in a collection of either engine."""

from __future__ import annotations

import os
import select
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from clawstate.clock import to_ms
from clawstate.files.lock_options import LockOptions
from clawstate.records.contract import CollectionSpec
from clawstate.records.json_files import JsonFilesBackend
from clawstate.records.sqlite import SqliteBackend
from clawstate.stores.auth.codec import CredentialCodec
from clawstate.stores.auth.profile_store import LAYOUT
from clawstate.stores.auth.refresh import Refresher
from faults.victim import Victim, interpreter_environment
from manual_clock import ManualClock

ID = "google:me"
KEY = f"profile/{ID}"
ENGINES = ("file", "sqlite")
HERE = Path(__file__).parent
SHAPE = CollectionSpec("auth:main", PurePosixPath("agent/auth-profiles.json"), LAYOUT)
LOCKS = Path("agent/.refresh")
PATIENCE = 60.0  # seconds until a test that waits has failed


@contextmanager
def collection_in(root, engine):
    if engine == "file":
        backend = JsonFilesBackend(root, lock=LockOptions(timeout=20.0))
    else:
        backend = SqliteBackend(root / "records.db", lock_timeout=20.0)
    try:
        yield backend.collection(SHAPE)
    finally:
        backend.close()


def profile_of(pair, *, expires=None):
    """Return the record of a profile with the tokens *pair*, by default one that has expired."""
    return {
        "type": "oauth",
        "provider": "google",
        "access": pair["access_token"],
        "refresh": pair["refresh_token"],
        "expires": to_ms(ManualClock()() - 10 if expires is None else expires),
        "email": "ada@example.org",
        "vendorField": {"kept": [1, 2]},
    }


@dataclass(frozen=True)
class Place:
    """A state in the directory *root*, whose records are kept by *engine*."""

    root: Path
    engine: str

    @property
    def locks(self):
        return self.root / LOCKS

    @contextmanager
    def collection(self):
        if self.engine == "file":
            backend = JsonFilesBackend(self.root, lock=LockOptions(timeout=20.0))
        else:
            backend = SqliteBackend(self.root / "records.db", lock_timeout=20.0)
        try:
            yield backend.collection(SHAPE)
        finally:
            backend.close()

    @contextmanager
    def opened(self, *, clock=None, codec=None, **settings):
        """Give a refresher of its own."""
        codec, clock = codec or CredentialCodec("main"), clock or ManualClock()
        with self.collection() as collection:
            yield Refresher(collection, codec, locks=self.locks, clock=clock, **settings)

    def fill(self, pair, **settings):
        """Put the profile with the tokens *pair*."""
        self.put(profile_of(pair, **settings))
        return self

    def put(self, record):
        with self.collection() as collection:
            collection.put(KEY, record)

    def update(self, members):
        """Change members of the profile, and leave the others, as OpenClaw does."""
        with self.collection() as collection:
            collection.update(KEY, lambda old: {**old, **members})

    def remove(self):
        with self.collection() as collection:
            collection.delete(KEY)

    def record(self):
        with self.collection() as collection:
            found = collection.get(KEY)
            return None if found is None else found.value

    def answers(self):
        """Return the files of answers that are not empty."""
        return [path for path in self.locks.glob("*/*.answer") if path.stat().st_size]


def place_of(access):
    """Return the place of an access token among those of its login, which is no secret."""
    return int(access.split("-")[1])


def refreshing_victim():
    """Return the program that refreshes, as a `Victim`."""
    paths = [interpreter_environment()["PYTHONPATH"], str(HERE.parent)]
    environment = {"PYTHONPATH": os.pathsep.join(paths)}
    return Victim(HERE / "refresh_victim.py", environment=environment, timeout=PATIENCE)


@contextmanager
def crowd(victim, count, *arguments):
    """Give *count* started runs of *victim*."""
    with ExitStack() as stack:
        runs = [stack.enter_context(victim.fork(*arguments)) for _ in range(count)]
        for run in runs:
            run.go()
        yield runs


def ended(run):
    """Wait for the end of *run* and return the line of its result."""
    with suppress(ProcessLookupError):
        watched = os.pidfd_open(run.pid)
        try:
            assert select.select([watched], [], [], PATIENCE)[0], "it does not end"
        finally:
            os.close(watched)
    outcome = run.outcome(None)
    assert not outcome.complaint, outcome.complaint
    return outcome.lines
