"""
The `${VAR}` of a configuration: replaced on reading, remembered for writing and for redaction.

The rules are OpenClaw's: names of capitals, digits and underscores, anywhere in a value, never in a
key; `$${VAR}` means the text `${VAR}`; anything else that looks like it stays as it is. A variable
may be known to the service only, and its operator must still be able to read, list and write
everything else: so who asks for a value that waits for a variable is told, and nobody else is kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clawstate.config.provenance import Origin, Traces
from clawstate.errors import ConfigError, UnresolvedWarning, warn
from clawstate.json5.key_path import place_in
from clawstate.json5.path_grammar import KeyPath, format_key_path

_REFERENCE = re.compile(r"\$(?P<escape>\$?)\{(?P<name>[A-Z_][A-Z0-9_]*)\}")

_MADE = (str, dict, list)


@dataclass(frozen=True, slots=True)
class Substitution:
    """
    A value that was made from a *template*, and the variables in it.

    Without *names* it only held escapes, and is no secret of the environment.
    """

    path: KeyPath
    template: str = field(repr=False)
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """A variable that is not set, or empty, and the value that needs it."""

    name: str
    path: KeyPath
    origin: Origin | None = field(default=None, compare=False)

    def __str__(self) -> str:
        where = format_key_path(self.path) or "the document"
        place = "" if self.origin is None else f" ({self.origin})"
        return f"missing environment variable {self.name}, referenced at {where}{place}"


@dataclass(frozen=True, slots=True, repr=False)
class Substituted:
    """
    A value with its references replaced; those that are *missing* kept their template.

    It shares what did not change with the value it was made from: change nothing in it.
    """

    value: Any
    substitutions: tuple[Substitution, ...]
    missing: tuple[Missing, ...]


def substitute(
    value: Any, env: Mapping[str, str], *, provenance: Traces | None = None
) -> Substituted:
    """
    Return *value* with every reference replaced by its variable in *env*.

    With the *provenance* of *value*, what is missing knows its file and place.
    """
    # Looked for as a text first: most of a large tree holds no reference, and walking it is slow.
    if "${" not in json.dumps(value):
        return Substituted(value, (), ())
    replacing = _Replacing(env, provenance)
    result = replacing.of(value, ())
    return Substituted(result, tuple(replacing.substitutions), tuple(replacing.missing))


def substitute_text(
    text: str, env: Mapping[str, str]
) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """
    Return *text* with its references replaced, the names in it, and those without a value.

    A variable that is empty has no value; its reference stays.
    """
    names = references(text)
    # Empty counts as missing, as in OpenClaw: an empty token fails later, and tells nobody why.
    missing = tuple(name for name in names if not env.get(name))

    def replacement_of(match: re.Match[str]) -> str:
        if match["escape"]:
            return match[0][1:]
        return env.get(match["name"]) or match[0]

    return _REFERENCE.sub(replacement_of, text), names, missing


def references(text: str) -> tuple[str, ...]:
    """Return the variables that *text* refers to, each once."""
    found = (match["name"] for match in _REFERENCE.finditer(text) if not match["escape"])
    return tuple(dict.fromkeys(found))


class _Replacing:
    def __init__(self, env: Mapping[str, str], provenance: Traces | None) -> None:
        self._env = env
        self._provenance = provenance
        self.substitutions: list[Substitution] = []
        self.missing: list[Missing] = []

    def of(self, value: Any, path: KeyPath) -> Any:
        if isinstance(value, str):
            return self._text(value, path) if "${" in value else value
        if isinstance(value, dict):
            keyed = {
                key: self.of(each, (*path, key)) if isinstance(each, _MADE) else each
                for key, each in value.items()
            }
            return keyed if _differ(keyed.values(), value.values()) else value
        if isinstance(value, list):
            listed = [
                self.of(each, (*path, index)) if isinstance(each, _MADE) else each
                for index, each in enumerate(value)
            ]
            return listed if _differ(listed, value) else value
        return value

    def _text(self, template: str, path: KeyPath) -> str:
        text, names, missing = substitute_text(template, self._env)
        if missing:
            self.missing += [Missing(name, path, self._origin(path)) for name in missing]
            return template
        if names or text != template:
            self.substitutions.append(Substitution(path, template, names))
        return text

    def _origin(self, path: KeyPath) -> Origin | None:
        trace = None if self._provenance is None else self._provenance.at(path)
        return None if trace is None else trace.origins[0]


def _differ(new: Iterable[Any], old: Iterable[Any]) -> bool:
    return any(one is not other for one, other in zip(new, old, strict=True))


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
        if self._missing and (found := self._missing.get(_locate(self._value, path))):
            raise _error(found)

    def require_below(self, path: KeyPath) -> None:
        """Raise `ConfigError` if the value at *path*, or anything in it, waits for a variable."""
        if not self._missing:
            return
        start = _locate(self._value, path)
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
            warn(UnresolvedWarning(_sentence(still)), stacklevel=4)


def _sentence(listed: Sequence[Missing]) -> str:
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


def _locate(value: Any, path: KeyPath) -> KeyPath:
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
