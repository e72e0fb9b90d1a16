"""`Config`: the configuration of one state, read when it is asked for and changed key by key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from clawstate.arguments import require_callable, require_whole_text
from clawstate.clock import Clock, system_clock
from clawstate.config.history_verbs import HistoryVerbs
from clawstate.config.loading import Loader, overlay_of
from clawstate.config.view import View, comparison, copy_value, parse_path
from clawstate.config.views import Views
from clawstate.config.watching import Listener, Watcher
from clawstate.errors import NotFoundError
from clawstate.files.lock_options import LockOptions
from clawstate.files.paths import normalise_agent_id, require_agent_id
from clawstate.interrupts import Mutex, load_modules
from clawstate.json5.key_path import format_key_path
from clawstate.openclaw.owner import Owner, find_owner

if TYPE_CHECKING:
    from clawstate.config.editing import Editor
    from clawstate.config.history import Change
    from clawstate.config.issues import Issue
    from clawstate.config.loading import Loaded
    from clawstate.config.openclaw_split import OpenClawRefusals
    from clawstate.config.rewrite import EditPlan
    from clawstate.config.written import WrittenSetting
    from clawstate.files.paths import StatePaths
    from clawstate.moments import Moment
    from clawstate.openclaw.accepted import Accepted


WriteCheck: TypeAlias = Callable[[Any, Any, bool], object]
"""Is given a configuration before and after a change, variables as written, and whether to force
it."""


Witness: TypeAlias = Callable[[Path, str, Mapping[int, str], Sequence[int]], object]
"""Is given the file of a history, and what `history.Noted` is given."""


class Config(HistoryVerbs):
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
        lock: LockOptions | Callable[[], LockOptions] | None = None,
        present: Callable[[], object] = lambda: None,
        witness: Witness = lambda *_: None,
    ) -> None:
        self._paths = paths
        self._loader = Loader(paths, env, cwd, present)
        self._clock = clock
        self._lock = lock or LockOptions()
        self._writing = Mutex()
        self._views = Views(self._loader.load, self.agents)
        self._checks: list[WriteCheck] = []
        self._witness = witness

    def __repr__(self) -> str:
        return f"Config({str(self._paths.config)!r})"

    @property
    def path(self) -> Path:
        """The file in use, which need not exist."""
        return self._loader.path

    @property
    def overlay_path(self) -> Path:
        """The file beside it for settings that OpenClaw does not know (decision 24)."""
        return overlay_of(self.path)

    @property
    def owner(self) -> Owner:
        """To whom the directory of the configuration belongs, such as an OpenClaw."""
        owner = find_owner(self._paths.root)
        return owner if owner.is_openclaw else find_owner(self.path.parent)

    def get(self, path: str, default: Any = None) -> Any:
        """Return the value at *path*, such as `gateway.port` or `agents.list[0]`, or *default*."""
        return self._views.of(None).get(path, default)

    def require(self, path: str, *, agent_id: str | None = None) -> Any:
        """Return the value at *path*; raises `NotFoundError`, which names near ones."""
        return self._views.of(_key(agent_id)).require(path)

    def resolve(self, agent_id: str = "main") -> dict[str, Any]:
        """
        Return the whole configuration as the agent *agent_id* has it.

        A value that waits for a variable is its `${NAME}`.
        """
        value: dict[str, Any] = copy_value(self._views.of(_key(agent_id)).loaded.value)
        return value

    def redacted(self, path: str | None = None, *, agent_id: str | None = None) -> Any:
        """
        Return the value at *path*, by default everything, with its secrets replaced.

        Raises what `require` does.
        """
        view = self._views.of(_key(agent_id))
        steps = () if path is None else view.steps(path)
        is_account = any("serviceaccount" in str(step).lower() for step in steps)
        if not is_account and view.at(steps).__class__ in {bool, int, float}:
            return view.at(steps)  # no secret; the patterns of secrets take long to load
        load_modules("clawstate.secrets.redaction")
        from clawstate.secrets.redaction import redact  # noqa: PLC0415 - rarely needed

        return copy_value(view.at(steps, of=redact(view.loaded.value)))

    def secret(self, path: str) -> Any:
        """
        Return the value at *path* with its secret references resolved, for use, not for keeping.

        References are asked from their source (environment, file, program, keyring) each time.
        Raises `NotFoundError`, `ConfigError`, `UnavailableError`, `MissingExtraError`; no error
        holds a secret.
        """
        from clawstate.secrets.references import SecretResolver  # noqa: PLC0415 - rarely needed

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
        return self._views.of(None)

    def agent_view(self, agent_id: str) -> View:
        """Return the configuration as the agent *agent_id* has it now; raises as `view`."""
        return self._views.of(_key(agent_id))

    def invalidate(self) -> None:
        """Forget what was read."""
        self._views.forget()

    def changed(self) -> bool:
        """Return True once after somebody else changed the configuration, or an agent's file."""
        self._look()
        return self._views.take_outside()

    def on_change(
        self, path: str, listener: Listener, *, agent_id: str | None = None
    ) -> Callable[[], None]:
        """
        Call *listener* with the old and new value at *path* when it changes, until the answer is.

        Changes are noticed by whatever reads the configuration next, such as a `watch`. With
        *agent_id* it is the value that this agent sees.
        """
        parse_path(path)
        return self._views.listen(_key(agent_id), path, listener)

    def watch(self, *, interval: float = 0.5) -> Watcher:
        """Look for changes every *interval* seconds, from a thread, until the answer is closed."""
        return Watcher(self._look, interval=interval)

    def issues(self, *, agent_id: str | None = None) -> tuple[Issue, ...]:
        """
        Return what is wrong with the configuration, errors and warnings, with file and place.

        That is the configuration of all agents, and the file of each; with *agent_id* only of that
        one. Raises `CorruptError` and `ConfigError` for what all agents share and cannot be read.
        """
        load_modules("clawstate.config.diagnostics", "clawstate.config.schema.root")
        from clawstate.config.diagnostics import diagnose, diagnose_agent  # noqa: PLC0415 - the schema

        agents = self.agents() if agent_id is None else (normalise_agent_id(agent_id),)
        accepted = self._find_accepted()
        own = (diagnose_agent(partial(self._loader.load_agent, each), accepted) for each in agents)
        return (
            *diagnose(self._loader.load(), accepted),
            *(issue for found in own for issue in found),
        )

    def written(self) -> tuple[WrittenSetting, ...]:
        """Return each setting of all agents that a file has, secrets left out; raises as `view`."""
        load_modules("clawstate.config.written")
        from clawstate.config.written import settings_of  # noqa: PLC0415 - rarely needed

        return settings_of(self.view().loaded)

    def agents(self) -> tuple[str, ...]:
        """Return the agents that have a file of their own."""
        return self._loader.agents()

    def set(
        self,
        path: str,
        value: Any,
        *,
        expect: View | None = None,
        force: bool = False,
        agent_id: str | None = None,
    ) -> Change | None:
        """
        Put *value* at *path* and return the change; `None` if it was there already.

        With *agent_id* in the file of that agent. Comments, order and everything else in the text
        stay. In a directory of OpenClaw, what that does not accept goes to `overlay_path`; the
        change tells its file. Raises `InvalidError` for a path or value that cannot be,
        `ConfigError` for what would be invalid, is put together from several files, or, unless
        *force*, looks like an accident; `ConflictError` if what stands there is not what it is in
        *expect*, of `view` or `agent_view`; `CorruptError`, `LockTimeoutError`,
        `UnavailableError`. Then nothing was written.
        """
        same = self._comparison(path, expect, agent_id)
        return self._editor(agent_id).set(path, value, same=same, force=force)

    def unset(
        self,
        path: str,
        *,
        expect: View | None = None,
        force: bool = False,
        agent_id: str | None = None,
    ) -> Change | None:
        """
        Remove what is at *path*; raises `NotFoundError`, and what `set` raises.

        Objects that are empty then go too if `set` had made them, unless they hold a comment.
        """
        same = self._comparison(path, expect, agent_id)
        return self._editor(agent_id).unset(path, same=same, force=force)

    def text(
        self, *, agent_id: str | None = None, own: bool = False, as_of: Moment | None = None
    ) -> str:
        """
        Return the text of `path`, of the file of an agent, or, with *own*, of `overlay_path`.

        Empty if there is none; *as_of* a moment, of a day its end. Raises `CorruptError`.
        """
        editor = self._editor(agent_id)
        file = self.overlay_path if own else editor.path
        return editor.text(file) if as_of is None else editor.text_at(file, as_of)

    def value_at(self, path: str, as_of: Moment, *, agent_id: str | None = None) -> Any:
        """Return what was written at *path* at *as_of*, as written; raises `NotFoundError`."""
        above = [] if agent_id is not None else [self.overlay_path]
        return self._editor(agent_id).value_at(path, above, as_of)

    def put_back(
        self, path: str, as_of: Moment, *, force: bool = False, agent_id: str | None = None
    ) -> Change | None:
        """Make *path* what it was at *as_of*, by `set` or `unset`; `None` if it is that already."""
        try:
            value = self.value_at(path, as_of, agent_id=agent_id)
        except NotFoundError:
            return self.unset(path, force=force, agent_id=agent_id)
        return self.set(path, value, force=force, agent_id=agent_id)

    def replace(
        self,
        text: str,
        *,
        expected: str | None = None,
        force: bool = False,
        agent_id: str | None = None,
        own: bool = False,
    ) -> Change | None:
        """
        Make *text* the whole text of the file that `text` tells of; raises what `set` raises.

        `ConflictError` if the text is not the *expected* one any longer.
        """
        require_whole_text("configuration text", text)
        editor = self._editor(agent_id)
        file = self.overlay_path if own else editor.path
        return editor.replace(text, file=file, expected=expected, force=force)

    def misplaced(self) -> tuple[str, ...]:
        """Return the paths of our own settings that make the configuration of OpenClaw invalid."""
        refused = self._refusals()
        if refused is None:
            return ()
        loaded = self._loader.load()
        found = refused.own(loaded, loaded.config.value)
        return tuple(format_key_path(each) for each in found)

    def set_apart(self) -> Change | None:
        """Move what `misplaced` names to `overlay_path`, in one change; raises what `set` does."""
        return self._editor(None).set_apart()

    def _comparison(
        self, path: str, expect: View | None, agent_id: str | None
    ) -> Callable[[Loaded], object]:
        """Return what raises `ConflictError` unless *path* says what it says in *expect*."""
        # What an agent sees is put together from more than its own file, which is changed.
        return comparison(
            path,
            expect,
            lambda loaded: loaded if agent_id is None else self.agent_view(agent_id).loaded,
        )

    def _look(self) -> None:
        self.view()
        self._views.look()

    def _refusals(self) -> OpenClawRefusals | None:
        load_modules("clawstate.config.openclaw_split")
        from clawstate.config.openclaw_split import OpenClawRefusals  # noqa: PLC0415 - only for writers

        accepted = self._find_accepted()
        return None if accepted is None else OpenClawRefusals(accepted)

    def _find_accepted(self) -> Accepted | None:
        load_modules("clawstate.openclaw.accepted")
        from clawstate.openclaw.accepted import find_accepted  # noqa: PLC0415 - not for readers

        return find_accepted(self.owner)

    def _editor(self, agent_id: str | None) -> Editor:
        load_modules("clawstate.config.editing")
        from clawstate.config.editing import Editor  # noqa: PLC0415 - only for writers

        loader = self._loader
        path = loader.path_of(agent_id)
        write = partial(self._write, path, agent_id)
        if agent_id is None:
            return Editor(path, loader.load, loader.load_or_recover, self._refusals(), write)
        load = partial(loader.load_agent, agent_id)
        return Editor(path, load, partial(load, is_recovery=True), None, write)

    def guard(self, check: WriteCheck) -> None:
        """Let *check* refuse changes made here, whoever asks for them: it raises a `StateError`."""
        self._checks.append(require_callable("check", check))

    def _write(
        self,
        path: Path,
        agent_id: str | None,
        plan: Callable[[Loaded], EditPlan | None],
        *,
        force: bool,
        load: Callable[[], Loaded],
        sure: bool | None = None,
    ) -> Change | None:
        self._loader.require_place()
        if agent_id is not None:
            require_agent_id(agent_id)
        load_modules("clawstate.config.writing", "clawstate.config.schema.root")
        from clawstate.config.writing import Writer, trail_in  # noqa: PLC0415 - loads the schema

        writer = Writer(
            path=path,
            load=load,
            trail=trail_in(self._paths.logs_dir, beside_openclaw=self.owner.is_openclaw),
            clock=self._clock,
            lock=self._lock if isinstance(self._lock, LockOptions) else self._lock(),
            agent=agent_id,
            accepted=self._find_accepted(),
            note=partial(self._witness, path),
        )
        with self._views.writing(_key(agent_id)) as note, self._writing:

            def make_plan(loaded: Loaded) -> EditPlan | None:
                planned = plan(loaded)
                if planned is not None and agent_id is None:
                    for check in self._checks:
                        check(loaded.templates, planned.templates, force if sure is None else sure)
                note(loaded, None if planned is None else planned.templates)
                return planned

            return writer.write(make_plan, force=force)


def _key(agent_id: str | None) -> str | None:
    return None if agent_id is None else normalise_agent_id(agent_id)
