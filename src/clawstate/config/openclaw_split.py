"""
What OpenClaw would refuse, kept apart from what it reads (decision 24).

It refuses its whole configuration for one key that it does not know, so what it does not accept
goes to the overlay: whole, or, of an object, the part that it does not accept. A list cannot be
parted.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from clawstate.config.draft import Draft
from clawstate.config.loading import Loaded
from clawstate.config.merging import override
from clawstate.config.own_settings import is_own
from clawstate.config.substitution import substitute
from clawstate.errors import ConfigError, InvalidError, NotFoundError
from clawstate.json5.key_path import KeyPath, format_key_path, get_at, set_at, unset_at
from clawstate.openclaw.accepted import Accepted, Problem, Refusal

_MOST_ROUNDS = 8  # outwards: without one part, what is around it may be refused in turn


@dataclass(frozen=True, slots=True)
class OpenClawRefusals:
    """What *accepted*, the settings of the OpenClaw of a directory, leaves out."""

    accepted: Accepted

    def of(self, loaded: Loaded, value: Any) -> frozenset[Refusal]:
        """Return what is refused of *value*, a tree as it is written."""
        return frozenset(self.accepted.refusals(substitute(value, loaded.variables).value))

    def new(self, loaded: Loaded, value: Any) -> tuple[KeyPath, ...]:
        """
        Return the paths in *value* that are refused, and were not before or are our own.

        Raises `ConfigError` if one is in a list, or something is missing.
        """
        before = self.of(loaded, loaded.config.value)
        found = []
        for refusal in sorted(self.of(loaded, value), key=str):
            if _is_apart(refusal) and (refusal not in before or _owns(value, refusal)):
                found.append(refusal.path)
            elif refusal not in before:
                raise self.error(refusal.path)
        return self._whole(loaded, value, found)

    def own(self, loaded: Loaded, value: Any) -> tuple[KeyPath, ...]:
        """Return the paths of our own settings in *value* that OpenClaw refuses."""
        found = [_whole_of(each) for each in sorted(self.of(loaded, value), key=str)]
        paths = [each.path for each in found if _is_apart(each) and _owns(value, each)]
        return self._whole(loaded, value, paths)

    def _whole(self, loaded: Loaded, value: Any, paths: list[KeyPath]) -> tuple[KeyPath, ...]:
        """Return *paths*, or what is around them where the rest would be refused without them."""
        before = self.of(loaded, value)
        for _ in range(_MOST_ROUNDS):
            rest = value
            for path in paths:
                with suppress(NotFoundError):  # it went with what is around it
                    rest = unset_at(rest, path)
            around = {each.path[:-1] for each in self.of(loaded, rest) - before}
            if not around - {()}:
                break
            widened = (
                next((each for each in sorted(around, key=len) if each == path[: len(each)]), path)
                for path in paths
            )
            paths = list(widened)
        whole = dict.fromkeys(paths)
        return tuple(
            each for each in whole if not any(each[:end] in whole for end in range(len(each)))
        )

    def error(self, path: KeyPath) -> ConfigError:
        """Return the error about what cannot be kept apart."""
        problem = f"would make the whole configuration invalid for OpenClaw {self.accepted.version}"
        hint = "use 'clawstate config edit --force' if your OpenClaw accepts it"
        return ConfigError(format_key_path(path), problem, hint)


@dataclass(frozen=True, slots=True)
class Split:
    """
    How the value at *path* is shared out: *theirs*, if anything, and *ours*.

    *in_place* says that it may also be changed where it is: no file gets worse by that.
    """

    path: KeyPath
    theirs: tuple[Any, ...]
    ours: tuple[tuple[KeyPath, Any], ...]
    in_place: Any = None
    is_in_place: bool = False

    def moves(self) -> list[Callable[[Draft, Draft], None]]:
        """Return how to do it, what leaves the other file alone first."""
        gentle = [self._apart(clears_main=False, clears_over=False)]
        if self.theirs:
            gentle.append(self._apart(clears_main=False, clears_over=True))
        else:
            gentle.insert(0, self._apart(clears_main=True, clears_over=False))
            gentle.append(self._apart(clears_main=True, clears_over=True))
        return [*gentle, *([self._change] if self.is_in_place else []), self._above]

    def _apart(self, *, clears_main: bool, clears_over: bool) -> Callable[[Draft, Draft], None]:
        def move(main: Draft, over: Draft) -> None:
            if clears_over and over.has(self.path):
                over.unset(self.path)
            for path, value in self.ours:
                over.set(path, value)
            for value in self.theirs:
                main.set(self.path, value)
            if clears_main:
                main.unset(self.path)

        return move

    def _change(self, main: Draft, over: Draft) -> None:  # noqa: ARG002 - of its kind
        main.set(self.path, self.in_place)

    def _above(self, main: Draft, over: Draft) -> None:  # noqa: ARG002 - of its kind
        if not over.has(self.path[:1]):
            raise NotFoundError("configuration value", format_key_path(self.path))
        over.set(self.path, self.in_place)


def split_value(
    loaded: Loaded, path: KeyPath, value: Any, refused: OpenClawRefusals | None
) -> Split:
    """Return how *value* at *path* is shared out between the two files."""
    theirs = Split(path, (value,), (), value)
    if refused is None:
        return theirs
    below = loaded.config.value
    before = refused.of(loaded, below)
    try:
        found = refused.of(loaded, set_at(below, path, value)) - before
    except InvalidError:
        return theirs
    standing = {each for each in before if each.problem is Problem.UNKNOWN}
    over = {each for each in standing if each.path == path[: len(each.path)]}
    if not found and not over:
        return theirs
    whole = Split(path, (), ((path, value),), value, is_in_place=not found)
    listed = sorted((each.path for each in found if _is_listed(each.path)), key=str)
    if listed:  # half of a list would be somebody else's list (decision 24)
        raise refused.error(listed[0])
    within = sorted(each.path for each in found if _is_below(each, path))
    if over or len(within) < len(found):
        return _complete(loaded, path, value, refused, found) or whole
    try:
        rest = value
        for each in within:
            rest = unset_at(rest, each[len(path) :])
    except NotFoundError:
        return whole
    if refused.of(loaded, set_at(below, path, rest)) - before:
        return whole
    ours = tuple((each, get_at(value, each[len(path) :])) for each in within)
    return Split(path, (rest,), ours, value)


def _complete(
    loaded: Loaded, path: KeyPath, value: Any, refused: OpenClawRefusals, found: frozenset[Refusal]
) -> Split | None:
    """Return an object as a whole if this part was the last that OpenClaw missed in it."""
    missed = [each.path for each in found if each.problem is Problem.MISSING]
    if not missed or not loaded.overlay.value:
        return None
    at = min(missed, key=len)[:-1]
    if at != path[: len(at)]:
        return None
    merged = set_at(override(loaded.config.value, loaded.overlay.value), path, value)
    whole = get_at(merged, at)
    below = loaded.config.value
    if refused.of(loaded, set_at(below, at, whole)) - refused.of(loaded, below):
        return None
    return Split(at, (whole,), (), whole)


def move_apart(main: Draft, over: Draft, paths: tuple[KeyPath, ...]) -> None:
    """Move what stands at *paths* from *main* to *over*, where what stands there already counts."""
    for path in paths:
        value = get_at(main.value, path)
        if not over.has(path):
            over.adopt(path, value, main.excerpt(path))
        elif isinstance(value, dict):
            over.set(path, override(value, get_at(over.value, path)))
        main.unset(path)


def _whole_of(refusal: Refusal) -> Refusal:
    """Return what lacks something as what is refused."""
    if refusal.problem is not Problem.MISSING:
        return refusal
    return Refusal(refusal.path[:-1], Problem.VALUE)


def _is_apart(refusal: Refusal) -> bool:
    is_whole = bool(refusal.path) and not _is_listed(refusal.path)
    return is_whole and refusal.problem is not Problem.MISSING


def _is_listed(path: KeyPath) -> bool:
    return any(isinstance(step, int) for step in path)


def _is_below(refusal: Refusal, path: KeyPath) -> bool:
    rest = refusal.path[len(path) :]
    return (
        bool(rest)
        and refusal.path[: len(path)] == path
        and _is_apart(Refusal(rest, refusal.problem))
    )


def _owns(value: Any, refusal: Refusal) -> bool:
    return is_own(refusal.path, get_at(value, refusal.path))
