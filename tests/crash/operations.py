from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

from clawstate.errors import NotFoundError
from clawstate.files.atomic import write_json_file_atomically
from clawstate.files.lock import FileLock
from clawstate.files.lock_options import LockOptions
from clawstate.files.regular import read_regular
from clawstate.records.contract import CollectionSpec
from clawstate.records.json_files import JsonFilesBackend
from clawstate.records.layouts import MapLayout
from clawstate.records.sqlite import SqliteBackend

PATIENCE = LockOptions(timeout=10)  # far below the time after which a lock looks stale
SHAPE = CollectionSpec("things", PurePosixPath("state/things.json"), MapLayout("items", version=1))
FILE, DATABASE = "state/things.json", "state/things.db"
FIRST = {"k1": {"n": -1}, "k2": {"n": -2}, "k3": {"n": -3}, "kept": {"text": "é" * 300}}
ENGINES = ("json", "sqlite", "bare")


class BareFile:
    """One document that is written under a lock, without a collection."""

    def __init__(self, root):
        self._path = root / FILE

    def put(self, key, value):
        with FileLock(self._path, options=PATIENCE) as lock:
            found = {**self.records(), key: value}
            write_json_file_atomically(self._path, found, fence=lock.confirm)

    def hold(self):
        with FileLock(self._path, options=PATIENCE), FileLock(self._path):
            pass

    def records(self):
        try:
            return json.loads(read_regular(self._path, limit=1 << 20))
        except NotFoundError:
            return {}


class Things:
    """What the operations work on: the collection of an engine, or a bare file."""

    def __init__(self, engine, root):
        self._backend = None
        if engine == "bare":
            self._things = BareFile(root)
            return
        if engine == "json":
            self._backend = JsonFilesBackend(root, lock=PATIENCE)
        else:
            self._backend = SqliteBackend(root / DATABASE, lock_timeout=PATIENCE.timeout)
        self._things = self._backend.collection(SHAPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self._backend is not None:
            self._backend.close()

    def fill(self):
        """Put the first records."""
        for key, value in FIRST.items():
            self._things.put(key, value)

    def do(self, operation, number):
        """Do *operation* with the key of *number*."""
        key = f"k{number}"
        match operation:
            case "put":
                self._things.put(key, new(number))
            case "update":
                self._things.update(key, lambda _: new(number))
            case "change_all":
                self._things.change_all(lambda found: (changed(operation, found, number), None))
            case "delete":
                self._things.delete(key)
            case "repair":
                self._things.repair()
            case "hold":
                self._things.hold()

    def records(self):
        if self._backend is None:
            return self._things.records()
        return {each.key: each.value for each in self._things.scan()}


def new(number):
    return {"n": number, "text": f"{number} " * 100}


def changed(operation, records, number):
    """Return what *operation* makes of *records*."""
    key = f"k{number}"
    rest = {each: found for each, found in records.items() if each != key}
    match operation:
        case "put" | "update":
            return {**rest, key: new(number)}
        case "change_all":
            return {**rest, key: new(number), f"all{number}": new(number)}
        case "delete":
            return rest
    return dict(records)


def descriptors():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
