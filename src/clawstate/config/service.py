"""`Config`: the configuration of one state, read when it is asked for and changed key by key."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clawstate.clock import Clock, system_clock
from clawstate.config.history import Change, History
from clawstate.config.key_path import get_at
from clawstate.config.loading import load
from clawstate.config.location import find_config
from clawstate.config.sensitive import redacted
from clawstate.config.texts import difference
from clawstate.config.unresolved import Waiting
from clawstate.config.view import View, copied, written
from clawstate.config.watching import Listener, Listeners, Watcher
from clawstate.errors import (
    ConfigError,
    ConflictError,
    CorruptError,
    CorruptWarning,
    NotFoundError,
    StateError,
)
from clawstate.files.lock_options import LockOptions

if TYPE_CHECKING:
    from clawstate.config.issues import Issue
    from clawstate.config.loading import Loaded
    from clawstate.config.writing import Planned
    from clawstate.files.paths import StatePaths


class Config:
    """
    The configuration of the state *paths* (specification section 1). Safe for threads.

    Values are read from memory; each look makes sure that no file changed since. A text that
    somebody broke leaves the last good configuration in force, with a `CorruptWarning` that names
    the place. Values are copies, with defaults and variables put in; what is written is never
    more than what was asked for.
    """

    def __init__(
        self,
        paths: StatePaths,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        clock: Clock = system_clock,
        lock: LockOptions | None = None,
    ) -> None:
        self._paths = paths
        self._env = env
        self._cwd = cwd
        self._clock = clock
        self._lock = lock or LockOptions()
        self._mutex = threading.RLock()
        self._writing = threading.RLock()  # never waits for the other one
        self._own: dict[int, Any] = {}  # what we are about to make of the templates
        self._view: View | None = None
        self._agents: dict[str, View] = {}
        self._broken: tuple[object, ...] | None = None
        self._waiting = Waiting()
        self._outside = False
        self._listeners = Listeners()

    @property
    def path(self) -> Path:
        """The file in use, which need not exist."""
        return find_config(self._paths, self._env)

    def get(self, path: str, default: Any = None) -> Any:
        """Return the value at *path*, such as `gateway.port` or `agents.list[0]`, or *default*."""
        return self.view().get(path, default)

    def require(self, path: str, *, agent_id: str | None = None) -> Any:
        """Return the value at *path*; raises `NotFoundError`, which names near ones."""
        return self._seen_by(agent_id).require(path)

    def resolve(self, agent_id: str = "main") -> dict[str, Any]:
        """
        Return the whole configuration as the agent *agent_id* has it.

        A value that waits for a variable is its `${NAME}`.
        """
        value: dict[str, Any] = copied(self._seen_by(agent_id).loaded.value)
        return value

    def redacted(self, path: str | None = None, *, agent_id: str | None = None) -> Any:
        """
        Return the value at *path*, by default everything, with its secrets replaced.

        Raises what `require` does.
        """
        view = self._seen_by(agent_id)
        loaded, steps = view.loaded, () if path is None else view.steps(path)
        found = get_at(redacted(loaded.value), steps)
        loaded.unresolved.require(steps)
        return copied(found)

    def secret(self, path: str) -> Any:
        """
        Return the value at *path* with its secret references resolved, for use, not for keeping.

        References are asked from their source (environment, file, program, keyring) each time.
        Raises `NotFoundError`, `ConfigError`, `UnavailableError`, `MissingExtraError`; no error
        holds a secret.
        """
        from clawstate.config.secret_refs import SecretResolver  # noqa: PLC0415 - rarely needed

        view = self.view()
        loaded, found = view.loaded, view.require(path)
        loaded.unresolved.require_below(view.steps(path))
        resolver = SecretResolver(
            loaded.value,
            env=loaded.variables,
            state_dir=self._paths.root,
            require=loaded.require_provider,
        )
        return resolver.resolve_all(found)

    def view(self) -> View:
        """
        Return the configuration as it is now, for many quick looks at one state of it.

        Values that wait for a variable are told of once, with an `UnresolvedWarning`; asking for
        one raises `ConfigError`, and nothing else does. Raises `ConfigError`, `CorruptError`,
        `UnavailableError` if it never could be read.
        """
        view = self._view
        if view is None or not view.is_current():
            with self._mutex:
                view = self._read_again()
        self._waiting.tell()
        return view

    def invalidate(self) -> None:
        """Forget what was read."""
        with self._mutex:
            self._view = None
            self._agents.clear()
            self._broken = None
            self._waiting = Waiting()

    def changed(self) -> bool:
        """Return True once after somebody else changed a file of the configuration."""
        self.view()
        with self._mutex:
            outside, self._outside = self._outside, False
            return outside

    def on_change(self, path: str, listener: Listener) -> Callable[[], None]:
        """
        Call *listener* with the old and new value at *path* when it changes, until the answer is.

        Changes are noticed by whatever reads the configuration next, such as a `watch`.
        """
        written(path)
        self.view()
        return self._listeners.add(path, listener)

    def watch(self, *, interval: float = 0.5) -> Watcher:
        """Look for changes every *interval* seconds, from a thread, until the answer is closed."""
        return Watcher(self.view, interval=interval)

    def issues(self) -> tuple[Issue, ...]:
        """
        Return what is wrong with the configuration, errors and warnings, with their places.

        Raises `CorruptError` and `ConfigError` for what cannot be read at all.
        """
        from clawstate.config.judging import judged  # noqa: PLC0415 - loads the schema

        return judged(self._load())

    def set(self, path: str, value: Any, *, force: bool = False) -> Change | None:
        """
        Put *value* at *path* and return the change; `None` if it was there already.

        Comments, order and everything else in the text stay. Raises `InvalidError` for a path or
        value that cannot be, `ConfigError` for what would be invalid, is put together from several
        files, or, unless *force*, looks like an accident; `CorruptError`, `LockTimeoutError`,
        `UnavailableError`. Then nothing was written.
        """
        from clawstate.config.planning import meant, plan_set  # noqa: PLC0415 - only for writers

        wanted = written(path)
        return self._write(
            lambda loaded: plan_set(loaded, meant(loaded, wanted), value), force=force
        )

    def unset(self, path: str, *, force: bool = False) -> Change | None:
        """Remove what is at *path*; raises `NotFoundError`, and what `set` raises."""
        from clawstate.config.planning import meant, plan_unset  # noqa: PLC0415 - only for writers

        wanted = written(path)
        return self._write(lambda loaded: plan_unset(loaded, meant(loaded, wanted)), force=force)

    def text(self) -> str:
        """Return the text of the file, empty if there is none; raises `CorruptError`."""
        source = self._load().config.source
        return "" if source is None else source.text

    def replace(
        self, text: str, *, expected: str | None = None, force: bool = False
    ) -> Change | None:
        """
        Make *text* the whole text of the file; raises what `set` raises.

        `ConflictError` if the text is not the *expected* one any longer.
        """
        from clawstate.config.planning import plan_replace  # noqa: PLC0415 - only for writers

        def plan(loaded: Loaded) -> Planned | None:
            source = loaded.config.source
            if expected is not None and expected != ("" if source is None else source.text):
                raise ConflictError("configuration", str(loaded.path))
            return plan_replace(loaded, text)

        return self._write(plan, force=force, load=self._load_whatever)

    def history(self) -> tuple[Change, ...]:
        """Return the changes that were made here, the oldest first."""
        return History(self.path).changes()

    def diff(self, number: int | None = None) -> str:
        """Return change *number*, by default the last one, as a unified diff without secrets."""
        history = History(self.path)
        change = history.require(number)
        parts = []
        for each in change.files:
            before = None if each.before is None else history.text(each.before)
            names = {"old": f"{each.file} before {change.number}", "new": f"{each.file} after"}
            parts.append(difference(before, history.text(each.after), **names))
        return "".join(parts)

    def undo(self, *, number: int | None = None, force: bool = False) -> Change:
        """
        Put back the text before change *number*, by default the last one that stands.

        Raises `NotFoundError` if there is none, and `ConflictError` if the file was changed since,
        unless *force*; that is a change of its own.
        """
        from clawstate.config.planning import plan_texts  # noqa: PLC0415 - only for writers

        history = History(self.path)
        change = history.require(number) if number is not None else history.last_standing()
        texts = {
            Path(each.file): "{}\n" if each.before is None else history.text(each.before).decode()
            for each in reversed(change.files)
        }
        if not force:
            history.require_last(change)

        def plan(loaded: Loaded) -> Planned | None:
            return plan_texts(loaded, texts, undoes=change.number)

        undone = self._write(plan, force=True, load=self._load_whatever)
        if undone is None:
            raise NotFoundError("change", str(change.number), "it is undone already")
        return undone

    def _write(
        self,
        plan: Callable[[Loaded], Planned | None],
        *,
        force: bool,
        load: Callable[[], Loaded] | None = None,
    ) -> Change | None:
        from clawstate.config.writing import Writer  # noqa: PLC0415 - loads the schema

        writer = Writer(
            path=self.path,
            load=load or self._load,
            logs=self._paths.logs_dir,
            clock=self._clock,
            lock=self._lock,
        )
        mine: list[Any] = []

        def noted(loaded: Loaded) -> Planned | None:
            known = self._view
            if known is not None and self._is_foreign(known, loaded):
                self._outside = True  # by the time of the next look it is mixed with ours
            planned = plan(loaded)
            if planned is not None:
                mine.append(planned.templates)
                self._own[id(planned.templates)] = planned.templates
            return planned

        try:
            with self._writing:
                change = writer.write(noted, force=force)
            with self._mutex:
                self._read_back()
        finally:
            for templates in mine:
                self._own.pop(id(templates), None)
        return change

    def _seen_by(self, agent_id: str | None) -> View:
        if agent_id is None:
            return self.view()
        with self._mutex:
            known = self._agents.get(agent_id)
            if known is None or not known.is_current():
                known = self._agents[agent_id] = self._loaded_view(known, agent=agent_id)
        self._waiting.tell()
        return known

    def _read_back(self) -> None:
        try:
            self._read_again()
        except StateError:
            self._view = None  # the change is made; whoever reads next is told what is wrong

    def _read_again(self) -> View:
        before = self._view
        view = self._loaded_view(before)
        if view is before:
            return view
        self._broken = None
        self._view = view
        if before is not None and before.loaded.value != view.loaded.value:
            self._outside = self._outside or self._is_foreign(before, view.loaded)
            self._listeners.tell(before, view)
        return view

    def _is_foreign(self, known: View, loaded: Loaded) -> bool:
        return known.loaded.value != loaded.value and loaded.templates not in list(
            self._own.values()
        )

    def _loaded_view(self, before: View | None, *, agent: str | None = None) -> View:
        try:
            loaded = self._load(agent=agent)
        except (ConfigError, CorruptError) as error:
            if before is None:
                raise
            self._warn(error)
            return before
        self._waiting.note(loaded.missing, of_all=agent is None)
        return View(loaded)

    def _warn(self, error: ConfigError | CorruptError) -> None:
        seen = (type(error), str(error))
        if seen != self._broken:
            self._broken = seen
            message = f"{error}; the configuration that was read before stays in force"
            warnings.warn(CorruptWarning(message), stacklevel=6)

    def _load_whatever(self) -> Loaded:
        """Return the configuration, or an empty one over a text that cannot be read."""
        from clawstate.config.mending import load_broken  # noqa: PLC0415 - rarely needed

        try:
            return self._load()
        except (CorruptError, ConfigError):
            return load_broken(self.path, paths=self._paths, env=self._env, cwd=self._cwd)

    def _load(self, *, agent: str | None = None) -> Loaded:
        return load(
            self.path,
            paths=self._paths,
            env=self._env,
            agent=agent,
            cwd=self._cwd,
            strict=False,
        )
