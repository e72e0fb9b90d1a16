"""
The members of JSON forms: how they are named, and `Members`, which reads those that somebody sent.

Names are in camelCase. A time has a name that ends in `Ms`, in milliseconds since the epoch; the
names beside it are those of the store's own file (ISO text or milliseconds), and stay for those who
read them already.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from clawstate.clock import from_ms, to_ms
from clawstate.errors import InvalidError

# The years 1 to 9999 in milliseconds: of others there is no ISO text.
_FIRST, _LAST = -62_135_596_800_000, 253_402_300_799_999
_OTHERS = "others"


def beside(own: Mapping[str, Any], foreign: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the members of a form, *own* and *foreign* ones.

    Own ones count: a foreign one of such a name stands below `others`, where `Members.foreign`
    finds it.
    """
    clashing = {name: each for name, each in foreign.items() if name in own or name == _OTHERS}
    rest = {name: each for name, each in foreign.items() if name not in clashing}
    return {**own, **rest, **({_OTHERS: clashing} if clashing else {})}


class Members:
    """The members of *document*, the form of a *what*; raises `InvalidError` if it is no object."""

    def __init__(self, document: Any, what: str) -> None:
        if not isinstance(document, Mapping):
            raise InvalidError(what, f"is {type(document).__name__}, not an object")
        self._document, self._what = document, what

    def text(self, name: str) -> str:
        """Return the text *name*."""
        return str(self._member(name, str))

    def maybe_text(self, name: str) -> str | None:
        """Return the text *name*, or `None` if it is null or left out."""
        return None if self._document.get(name) is None else self.text(name)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the list of texts *name*; empty if it is left out."""
        found = self._document.get(name, [])
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise self._wrong(name, "a list of texts")
        return tuple(found)

    def number(self, name: str) -> float:
        """Return the finite number *name*."""
        found = self._member(name, (int, float))
        # Python's `bool` is an `int`, and its JSON reader takes NaN, Infinity and integers that are
        # greater than any float; NaN compares with nothing.
        if isinstance(found, bool) or not abs(found) <= sys.float_info.max:
            raise self._wrong(name, "a number")
        return float(found)

    def maybe_number(self, name: str) -> float | None:
        """Return the number *name*, or `None` if it is null or left out."""
        return None if self._document.get(name) is None else self.number(name)

    def integer(self, name: str) -> int:
        """Return the whole number *name*."""
        found = self._member(name, int)
        if isinstance(found, bool):
            raise self._wrong(name, "a whole number")
        return int(found)

    def maybe_integer(self, name: str) -> int | None:
        """Return the whole number *name*, or `None` if it is null or left out."""
        return None if self._document.get(name) is None else self.integer(name)

    def moment(self, name: str) -> float:
        """Return the time *name*Ms in seconds since the epoch."""
        found = self.number(f"{name}Ms")
        if not _FIRST <= found <= _LAST:
            raise self._wrong(f"{name}Ms", "a time in milliseconds")
        return from_ms(found)

    def maybe_moment(self, name: str) -> float | None:
        """Return the time *name*Ms, or `None` if it is null or left out."""
        return None if self._document.get(f"{name}Ms") is None else self.moment(name)

    def truth(self, name: str) -> bool:
        """Return the boolean *name*."""
        found: bool = self._member(name, bool)
        return found

    def maybe_truth(self, name: str) -> bool | None:
        """Return the boolean *name*, or `None` if it is null or left out."""
        return None if self._document.get(name) is None else self.truth(name)

    def mapping(self, name: str) -> dict[str, Any]:
        """Return the object *name*; empty if it is left out."""
        return {} if name not in self._document else dict(self._member(name, Mapping))

    def maybe_mapping(self, name: str) -> dict[str, Any] | None:
        """Return the object *name*, or `None` if it is null or left out."""
        return None if self._document.get(name) is None else self.mapping(name)

    def items(self, name: str) -> list[Any]:
        """Return the list *name*; empty if it is left out."""
        return [] if name not in self._document else list(self._member(name, list))

    def others(self, *known: str) -> dict[str, Any]:
        """Return all members but the *known* ones."""
        # Unknown members come back as they were: a newer program may have written them.
        return {name: value for name, value in self._document.items() if name not in known}

    def foreign(self, *own: str) -> dict[str, Any]:
        """Return all members but the form's *own* ones, as they were before `beside`."""
        return {**self.others(*own, _OTHERS), **self.mapping(_OTHERS)}

    def _member(self, name: str, kind: type | tuple[type, ...]) -> Any:
        if name not in self._document:
            raise InvalidError(self._what, f"has no {name!r}")
        found = self._document[name]
        if not isinstance(found, kind):
            wanted = "an object" if kind is Mapping else "a " + getattr(kind, "__name__", "number")
            raise self._wrong(name, wanted)
        return found

    def _wrong(self, name: str, wanted: str) -> InvalidError:
        return InvalidError(f"{self._what}.{name}", f"is not {wanted}")


def times(**moments: float | None) -> dict[str, int | None]:
    """Return *moments*, seconds since the epoch, under the names `<name>Ms`."""
    return {
        f"{name}Ms": None if moment is None else to_ms(moment) for name, moment in moments.items()
    }


def dialect(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return *document* with its names in camelCase, beside those with underscores."""
    # Both, as the names with underscores were printed before, and scripts read them.
    return {**document, **{camel(name): value for name, value in document.items()}}


def without_old_names(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return *document*, also in its members, without names that stand in camelCase beside."""
    return {
        name: without_old_names(value) if isinstance(value, Mapping) else value
        for name, value in document.items()
        if camel(name) == name or camel(name) not in document
    }


def camel(name: str) -> str:
    """Return *name*, words with underscores or blanks between them, in camelCase."""
    first, *rest = name.replace(" ", "_").split("_")
    return first + "".join(each[:1].upper() + each[1:] for each in rest)
