"""Namespaces: what they are called, which there are, and the collections of those in use."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from clawstate.errors import InvalidError, UnavailableError
from clawstate.files.safe_names import encode_name
from clawstate.interrupts import Mutex
from clawstate.records.contract import Collection
from clawstate.records.rules import is_key, require_key
from clawstate.stores.dedupe.expiry import ExpiryPolicy
from clawstate.stores.dedupe.marks import Marks
from clawstate.stores.dedupe.seen_cache import Place
from clawstate.stores.dedupe.statistics import Counters

DEFAULT = "global"
# Namespaces may come from outside, such as one for each chat: without a bound they would fill the
# memory of a long-lived process.
MOST_OPEN = 64
"""The namespaces whose collections are kept open; others are opened again when they are used."""

_PAGE = 100  # names that are fetched at once
_WHITESPACE = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""What JavaScript trims (ECMA-262, WhiteSpace and LineTerminator); Python would trim other text."""


class NamespaceIndex(Protocol):
    """Knows which namespaces there are."""

    def note(self, namespace: str) -> None:
        """Make sure that *namespace* is known; its first mark follows."""

    def names(self, after: str = "") -> Iterable[str]:
        """
        Return all namespaces, in any order.

        With *after* those whose encoded names come behind it, in the order of these names.
        """


class RecordedNames:
    """A `NamespaceIndex` that keeps the names in a collection of its own."""

    def __init__(self, names: Collection) -> None:
        self._names = names

    def note(self, namespace: str) -> None:
        """Record *namespace* if it is new."""
        # A read for each namespace and process; the write happens once in its life.
        key = encode_name(namespace)
        if self._names.get(key) is None:
            self._names.put(key, {"namespace": namespace})

    def names(self, after: str = "") -> Iterator[str]:
        """Give the names that were recorded, fetched in pages, in the order of their keys."""
        while page := list(self._names.scan(after=after or None, limit=_PAGE)):
            for each in page:
                after = each.key
                if isinstance(each.value, dict) and is_key(each.value.get("namespace")):
                    yield each.value["namespace"]


@dataclass(slots=True)
class OpenNamespace:
    """A namespace in use: its marks, and what became of the calls."""

    marks: Marks
    counters: Counters = field(default_factory=Counters)
    noted: bool = False


class OpenNamespaces:
    """An LRU cache of at most `MOST_OPEN` open namespaces."""

    def __init__(self, marks: Callable[[str], Marks]) -> None:
        self._marks = marks
        self._opened: OrderedDict[str, OpenNamespace] = OrderedDict()
        self._gone = Counters()
        self._lock = Mutex()

    def get(self, namespace: str) -> OpenNamespace:
        """Return *namespace*, opened; raises what its collection raises."""
        with self._lock:
            found = self._opened.get(namespace)
            if found is None:
                found = self._opened[namespace] = OpenNamespace(self._marks(namespace))
                if len(self._opened) > MOST_OPEN:
                    # The counts of a namespace that leaves are kept, so the totals never shrink.
                    self._gone.add(self._opened.popitem(last=False)[1].counters)
            self._opened.move_to_end(namespace)
            return found

    def names(self) -> list[str]:
        """Return the namespaces at hand, in order."""
        with self._lock:
            return sorted(self._opened)

    def count_error(self, namespace: str) -> None:
        """Count an error of *namespace*, whether it could be opened or not."""
        with self._lock:
            found = self._opened.get(namespace)
            # It may be the opening itself that failed.
            counters = self._gone if found is None else found.counters
            counters.errors += 1

    def total(self) -> Counters:
        """Return the counts of all namespaces, those that left included."""
        total = Counters()
        with self._lock:
            for each in (self._gone, *(opened.counters for opened in self._opened.values())):
                total.add(each)
        return total

    def items(self) -> list[tuple[str, OpenNamespace]]:
        """Return those at hand by name."""
        with self._lock:
            return sorted(self._opened.items())


def place_of(key: str, namespace: str) -> Place:
    """Return where the mark of *key* lies; raises `InvalidError` where none can lie."""
    text, space = _trim("key", key), require_namespace(namespace)
    if not text:
        hint = "give what tells one message from another, such as its id"
        raise InvalidError("key", "is empty", hint)
    require_key(text)
    return space, text


def require_namespace(namespace: str) -> str:
    """
    Return *namespace* without space around it; an empty one is `global`, as for OpenClaw.

    Raises `InvalidError` for what is no text of at most 1,024 characters that UTF-8 can hold.
    """
    space = _trim("namespace", namespace) or DEFAULT
    if not is_key(space):
        problem = "is not 1 to 1,024 characters of text"
        raise InvalidError("namespace", problem, "choose another name")
    return space


def _trim(name: str, text: object) -> str:
    if isinstance(text, str):
        return text.strip(_WHITESPACE)
    raise InvalidError(name, f"is text, not {type(text).__name__}", "give text")


@dataclass(frozen=True, slots=True)
class EarlierMarks:
    """
    The marks in *collections*, of which there is one for each namespace.

    *where* they lie, and the *command* that moves them, are for messages.
    """

    collections: Callable[[str], Collection]
    where: str
    command: str
    _opened: dict[str, Collection] = field(default_factory=dict)

    def holds(self, place: Place, policy: Callable[[], ExpiryPolicy]) -> bool:
        """Tell whether there is a mark that holds; raises what reading raises."""
        namespace, key = place
        if namespace not in self._opened:
            self._opened[namespace] = self.collections(namespace)
        # Only asked (decision 27): a message that was handled before the engine changed must not be
        # handled twice, and moving records is what `store migrate` does under its own lock.
        return Marks(self._opened[namespace], policy).holds(key)

    def require_none(self, place: Place, policy: Callable[[], ExpiryPolicy]) -> None:
        """Raise `UnavailableError` for a mark that holds: it would count on."""
        if self.holds(place, policy):
            problem = f"lies in {self.where} as well, where nothing is changed"
            hint = f"'{self.command}' moves it; then forget it"
            raise UnavailableError(f"mark of {place[1]!r} in {place[0]!r}", problem, hint)
