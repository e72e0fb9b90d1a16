"""Wiring of the marks of what was handled: engine, settings, and which namespaces there are."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

from clawstate.clock import from_ms
from clawstate.config.settings import DEDUPE_FILE, DEDUPE_MEMORY, DEDUPE_TTL
from clawstate.config.view import Decoded, View
from clawstate.errors import InvalidError
from clawstate.files.lock_options import DEDUPE, LockOptions
from clawstate.files.safe_names import decode_name, encode_name
from clawstate.openclaw.owner import Era
from clawstate.records.contract import Backend, Collection, CollectionSpec
from clawstate.records.layouts import MapLayout
from clawstate.state.context import Context
from clawstate.state.engines import shown_choice
from clawstate.state.left_behind import LeftBehind
from clawstate.stores.dedupe import (
    DedupeSettings,
    EarlierMarks,
    PersistentDedupe,
    RecordedNames,
    marks_spec,
)

_SUFFIX = ".json"
_KIND = "dedupe:"
_PAUSE = 1e-4  # seconds between two looks at the files of the configuration
_FOLDER = PurePosixPath("dedupe")
# No namespace has this file: their names start with no dot.
_NAMES = CollectionSpec("dedupe-namespaces", _FOLDER / f".namespaces{_SUFFIX}", MapLayout())


def open_dedupe(context: Context) -> PersistentDedupe:
    """Return the marks of the state on *context*, in the engine that keeps its records."""
    if context.owner.era is Era.SQLITE:
        from clawstate.state.record_moves import bring_marks  # noqa: PLC0415 - rarely needed

        bring_marks(context)
    backend = _backend(context)
    settings = _Settings(context, backend)

    def spec(namespace: str) -> CollectionSpec:
        path = _FOLDER / context.paths.dedupe(namespace).name
        return marks_spec(namespace, path, lambda: settings().policy(context.clock()))

    def collection(namespace: str) -> Collection:
        return backend().collection(spec(namespace))

    names = RecordedNames(backend().collection(_NAMES))
    in_files = context.backends.engine.in_files
    index = _FileNames(context.paths.root / _FOLDER, names) if in_files else names
    earlier = _earlier(context, spec)
    return PersistentDedupe(
        collection, settings=settings, clock=context.clock, index=index, earlier=earlier
    )


def _earlier(context: Context, spec: Callable[[str], CollectionSpec]) -> EarlierMarks | None:
    """Return the marks in an engine that is not the chosen one; `None` if there is no sign."""
    backends = context.backends
    for engine in backends.others(backends.engine):
        backend = backends.records(engine.name)
        if engine.in_files:
            has_marks = any((context.paths.root / _FOLDER).glob(f"*{_SUFFIX}"))
        else:
            has_marks = bool(backends.kinds(_KIND, engine=engine))
        if has_marks:
            is_shared = engine.in_files and context.owner.era is Era.FILES
            chosen = shown_choice(backends.choice)
            left = LeftBehind(engine.name, chosen, is_shared=is_shared)
            return EarlierMarks(partial(_collection_of, backend, spec), engine.words, left.command)
    return None


def _collection_of(
    backend: Backend, spec: Callable[[str], CollectionSpec], namespace: str
) -> Collection:
    return backend.collection(spec(namespace))


def _backend(context: Context) -> Callable[[], Backend]:
    engine, root, lock = context.backends.engine, context.paths.root, _lock(context.lock)
    if not engine.in_files:
        return lambda: engine.open(context.backends, root, None)
    return lambda: context.backends.files(root, lock=lock, chosen=True)


def _lock(own: LockOptions) -> LockOptions:
    # OpenClaw gives up within a quarter of a second and takes the key for new; we wait instead.
    return replace(DEDUPE, timeout=own.patience(), stale=own.stale)


class _Settings:
    """
    The settings that count now: another configuration counts at once.

    Raises `ConfigError` for what a person wrote wrongly into the file.
    """

    def __init__(self, context: Context, backend: Callable[[], Backend]) -> None:
        self._config = context.config
        self._require_open = context.backends.require_open
        self._backend = backend
        self._known = DedupeSettings()
        self._decoded = Decoded(self._config.view, dedupe_settings)
        self._until = -math.inf
        self._config.on_change("caches.dedupe", self._forget)

    def __call__(self) -> DedupeSettings:
        self._require_open()  # where memory alone would answer
        moment = time.monotonic()
        if moment >= self._until:
            # A look at the files costs more than all else of a check that memory answers.
            self._backend()
            self._known = self._decoded()
            self._until = moment + _PAUSE
        return self._known

    def _forget(self, *_: object) -> None:
        self._until = -math.inf


def dedupe_settings(view: View) -> DedupeSettings:
    """Return what *view* says about marks; raises `ConfigError` for what it cannot mean."""
    return DedupeSettings(
        ttl=from_ms(DEDUPE_TTL.of(view)),
        memory_max_size=DEDUPE_MEMORY.of(view),
        file_max_entries=DEDUPE_FILE.of(view),
    )


class _FileNames:
    """The namespaces of the files in *folder*; a name that its file does not tell is recorded."""

    def __init__(self, folder: Path, long_names: RecordedNames) -> None:
        self._folder = folder
        self._long = long_names

    def note(self, namespace: str) -> None:
        """Record *namespace* if the name of its file is a digest."""
        if decode_name(encode_name(namespace)) is None:
            self._long.note(namespace)

    def names(self, after: str = "") -> list[str]:
        """Return the namespaces that have a file, by its name; raises what reading raises."""
        found = {*self._long.names()}
        with suppress(FileNotFoundError):
            for path in self._folder.iterdir():
                with suppress(InvalidError):
                    name = decode_name(path.stem) if path.suffix == _SUFFIX else None
                    found.update(() if name is None else (name,))
        return sorted((each for each in found if encode_name(each) > after), key=encode_name)
