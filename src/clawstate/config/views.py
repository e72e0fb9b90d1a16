"""What was read last, of all agents and of each: read again when a file has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from clawstate.arguments import require_callable
from clawstate.config.loading import Loaded
from clawstate.config.substitution import Waiting
from clawstate.config.view import View
from clawstate.config.watching import Listener, Listeners
from clawstate.errors import ConfigError, CorruptError, CorruptWarning, StateError, warn
from clawstate.interrupts import Mutex
from clawstate.json5.plain_value import is_same


class Views:
    """
    The views of a configuration: one of what all agents share, and one of each agent.

    *load* reads one of them, *agents* tells which agents have a file of their own. A text that
    somebody broke leaves the last good view in force, with a `CorruptWarning`. Safe for threads.
    """

    def __init__(
        self, load: Callable[[str | None], Loaded], agents: Callable[[], tuple[str, ...]]
    ) -> None:
        self._load = load
        self._listed = agents
        self._mutex = Mutex()
        self._own: dict[int, Any] = {}  # what we are about to make of the templates
        self._shared: View | None = None
        self._agents: dict[str, View] = {}
        self._broken: tuple[object, ...] | None = None
        self._fallen: set[str] = set()
        self._waiting = Waiting()
        self._outside = False
        self._is_looked_at = False
        self._listeners: dict[str | None, Listeners] = {}

    def of(self, agent: str | None) -> View:
        """Return what all agents share, or what *agent* sees."""
        view = self._shared if agent is None else self._agents.get(agent)
        if view is None or not view.is_current():
            with self._mutex:
                view = self._read_again(agent)
        if self._waiting.untold:
            self._waiting.tell()
        return view

    def forget(self) -> None:
        """Forget what was read."""
        with self._mutex:
            self._shared = None
            self._agents.clear()
            self._broken = None
            self._fallen.clear()
            self._waiting = Waiting()
            self._is_looked_at = False

    def look(self) -> None:
        """Look whether anything changed, also in the file of an agent that nobody asked for yet."""
        self.of(None)
        with self._mutex:
            for agent in {*self._agents, *self._listed()}:
                is_new = agent not in self._agents
                self.of(agent)
                self._outside = self._outside or (is_new and self._is_looked_at)
            self._is_looked_at = True

    def take_outside(self) -> bool:
        """Tell once whether somebody else changed what was read."""
        with self._mutex:
            outside, self._outside = self._outside, False
            return outside

    def listen(self, agent: str | None, path: str, listener: Listener) -> Callable[[], None]:
        """Call *listener* when the value at *path* changes for *agent*; the answer ends that."""
        require_callable("listener", listener)
        self.of(agent)
        with self._mutex:
            return self._listeners.setdefault(agent, Listeners()).add(path, listener)

    @contextmanager
    def writing(self, agent: str | None) -> Iterator[Callable[[Loaded, Any], None]]:
        """
        Give a function to call with what was read before a change, and what the change makes.

        Whatever else is read later counts as a change by another program.
        """
        mine: list[Any] = []

        def note(loaded: Loaded, templates: Any) -> None:
            known = self._shared if agent is None else self._agents.get(agent)
            if known is not None and self._is_foreign(known, loaded):
                self._outside = True  # by the time of the next look it is mixed with ours
            if templates is not None:
                mine.append(templates)
                self._own[id(templates)] = templates

        try:
            yield note
            with self._mutex:
                self._read_back(agent)
        finally:
            for templates in mine:
                self._own.pop(id(templates), None)

    def _read_back(self, agent: str | None) -> None:
        try:
            self._read_again(None)
            if agent is not None:
                self._read_again(agent)
        except StateError:
            self._shared = None  # the change is made; whoever reads next is told what is wrong

    def _read_again(self, agent: str | None) -> View:
        before = self._shared if agent is None else self._agents.get(agent)
        if agent is not None and before is not None and before.is_current():
            return before
        view = self._loaded_view(before, agent)
        if view is before:
            return view
        if agent is None:
            self._broken = None
            self._shared = view
        else:
            self._agents[agent] = view
        if before is not None and not is_same(
            before.loaded.value, view.loaded.value, ordered=False
        ):
            self._outside = self._outside or self._is_foreign(before, view.loaded)
            if agent in self._listeners:
                self._listeners[agent].tell(before, view)
        return view

    def _is_foreign(self, known: View, loaded: Loaded) -> bool:
        """Tell whether *loaded* says something else than *known* that nobody here has written."""
        before, own = known.loaded.own, loaded.own
        if before is None:
            said, says = is_same(known.loaded.value, loaded.value, ordered=False), loaded.templates
        else:  # what all agents share is looked at by itself
            says = loaded.templates if own is None else own.value
            said = is_same(before.value, says, ordered=False)
        return not said and not any(
            is_same(says, each, ordered=False) for each in list(self._own.values())
        )

    def _loaded_view(self, before: View | None, agent: str | None) -> View:
        # Somebody may be in the middle of typing: what was in force stays, and nothing is restored
        # over the half of a text that they have in their editor (decision 11).
        try:
            loaded = self._load(agent)
        except (ConfigError, CorruptError) as error:
            if before is None:
                raise
            self._warn(error)
            return before
        if loaded.fallen and loaded.fallen not in self._fallen:
            self._fallen.add(loaded.fallen)
            warn(CorruptWarning(loaded.fallen), stacklevel=7)
        self._waiting.note(loaded.missing, of_all=agent is None)
        return View(loaded)

    def _warn(self, error: ConfigError | CorruptError) -> None:
        seen = (type(error), str(error))
        if seen != self._broken:
            self._broken = seen
            message = f"{error}; the configuration that was read before stays in force"
            warn(CorruptWarning(message), stacklevel=7)
