"""
Values that wait for a variable which is not set: whoever asks for one is told, nobody else is kept.

A variable may be known to the service only, and its operator must still be able to read, list and
write everything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from clawstate.config.substitution import Missing
from clawstate.errors import ConfigError, UnresolvedWarning, warn
from clawstate.json5.key_path import place_in
from clawstate.json5.path_grammar import KeyPath, format_key_path

_MOST_NAMED = 5  # in one sentence; the place of each costs a look at the text


class Unresolved:
    """The *missing* variables of a configuration, by the key paths in its *value*."""

    def __init__(self, value: Any, missing: Iterable[Missing]) -> None:
        self._value = value
        self._missing: dict[KeyPath, list[Missing]] = {}
        for each in missing:
            self._missing.setdefault(each.path, []).append(each)

    def __bool__(self) -> bool:
        return bool(self._missing)

    def paths(self) -> frozenset[KeyPath]:
        """Return the key paths of the values that wait."""
        return frozenset(self._missing)

    def require(self, path: KeyPath) -> None:
        """Raise `ConfigError` if the very value at *path* waits for a variable."""
        if self._missing and (found := self._missing.get(_located(self._value, path))):
            raise _error(found)

    def require_below(self, path: KeyPath) -> None:
        """Raise `ConfigError` if the value at *path*, or anything in it, waits for a variable."""
        if not self._missing:
            return
        start = _located(self._value, path)
        below = [each for each in self._missing if each[: len(start)] == start]
        if below:
            raise _error([missing for each in below for missing in self._missing[each]])


class Waiting:
    """Warns of the values that wait for variables, of each once."""

    def __init__(self) -> None:
        self._known: frozenset[Missing] = frozenset()
        self.untold: tuple[Missing, ...] = ()

    def note(self, missing: Iterable[Missing], *, of_all: bool) -> None:
        """Take in what is *missing* now: *of_all* of the configuration, or of one agent too."""
        found = tuple(missing)
        self.untold += tuple(each for each in found if each not in self._known)
        self._known = frozenset(found) | (frozenset() if of_all else self._known)

    def tell(self) -> None:
        """Warn of what nobody was warned of; costs nothing if there is nothing."""
        if not self.untold:
            return
        untold, self.untold = self.untold, ()
        still = [each for each in dict.fromkeys(untold) if each in self._known]
        if still:
            warn(UnresolvedWarning(_told(still)), stacklevel=4)


def _told(listed: Sequence[Missing]) -> str:
    named = [
        f"{format_key_path(each.path)} needs the variable {each.name}, which is not set"
        for each in listed[:_MOST_NAMED]
    ]
    more = len(listed) - _MOST_NAMED
    named += [f"and {more} more do"] if more > 0 else []
    return f"{'; '.join(named)}; everything else is read"


def _error(missing: list[Missing]) -> ConfigError:
    names = " and ".join(dict.fromkeys(each.name for each in missing[:_MOST_NAMED]))
    path, origin = missing[0].path, missing[0].origin
    place = "" if origin is None else f" ({origin})"
    problem = f"needs the variable {names}, which is not set{place}"
    hint = "set it in the environment, or in the .env of the state directory"
    return ConfigError(format_key_path(path) or "the document", problem, hint)


def _located(value: Any, path: KeyPath) -> KeyPath:
    """Return *path* with the keys and indexes that its steps mean in *value*."""
    located: list[str | int] = []
    for step in path:
        place = place_in(value, step)
        if place is None:
            return path
        located.append(place)
        try:
            value = value[place]
        except (LookupError, TypeError):
            return path
    return tuple(located)
