"""What OpenClaw makes of each entry when it saves: where answers go, and which model ran."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from clawstate.stores.sessions.entry import Document

_LAST: Final = {
    "channel": "lastChannel",
    "to": "lastTo",
    "accountId": "lastAccountId",
    "threadId": "lastThreadId",
}
_ALIASES: Final = {
    "gchat": "googlechat",
    "google-chat": "googlechat",
    "imsg": "imessage",
    "internet-relay-chat": "irc",
}
# What JavaScript trims; Python's `strip` takes other characters.
_BLANKS: Final = "\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII | re.IGNORECASE)
_NOT_IN_ACCOUNT = re.compile(r"[^a-z0-9_-]+")
_REFUSED = frozenset({"__proto__", "prototype", "constructor"})
_EXACT = 1 << 53  # from here on JavaScript has no whole numbers


def normalise_entry(document: Document) -> Document:
    """
    Return *document* as OpenClaw 2026.2.26 would save it.

    `model` and `modelProvider` are trimmed, and a provider without a model goes. `deliveryContext`
    and the `last...` members are made to say the same; the latter count where both say something.
    What OpenClaw itself could not save stays as it is.
    """
    return _with_delivery(_with_model(document))


def _with_model(document: Document) -> Document:
    given = {name: document.get(name) for name in ("model", "modelProvider")}
    # OpenClaw would fail on other types; nobody knows what it meant, so it stays.
    if not all(each is None or isinstance(each, str) for each in given.values()):
        return document
    trimmed = {name: _trim(each) for name, each in given.items()}
    if trimmed["model"] is None:
        trimmed["modelProvider"] = None
    return _replace(document, trimmed)


def _with_delivery(document: Document) -> Document:
    old = _object(document.get("deliveryContext"))
    threads = (document.get("lastThreadId"), old.get("threadId"))
    last = {
        "channel": _first(document.get("lastChannel"), document.get("channel")),
        "to": document.get("lastTo"),
        "accountId": document.get("lastAccountId"),
        "threadId": _first(*threads, _object(document.get("origin")).get("threadId")),
    }
    accounts = (last["accountId"], old.get("accountId"))
    if not all(each is None or isinstance(each, str) for each in accounts):
        return document
    above, beneath = _context(last), _context(old)
    merged = {name: _first(above[name], beneath[name]) for name in _LAST}
    is_same = all(
        _equal(old.get(name), each)
        and _equal(document.get(other), each, is_there=other in document)
        for (name, other), each in zip(_LAST.items(), merged.values(), strict=True)
    )
    # Nothing to change: members keep their order, and the entry is written as it came.
    if is_same:
        return document
    context = {name: each for name, each in merged.items() if each is not None}
    members = {_LAST[name]: each for name, each in merged.items()}
    return _replace(document, {"deliveryContext": context or None, **members})


def _context(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "channel": _channel(given.get("channel")),
        "to": _trim(given.get("to")),
        "accountId": _account(given.get("accountId")),
        "threadId": _thread(given.get("threadId")),
    }


def _channel(value: object) -> str | None:
    text = (_trim(value) or "").lower()
    return _ALIASES.get(text, text) or None


def _account(value: object) -> str | None:
    text = _trim(value) or ""
    plain = text.lower()
    if not _ACCOUNT.fullmatch(text):
        plain = _NOT_IN_ACCOUNT.sub("-", plain).strip("-")[:64]
    # In JavaScript such names of members reach into every object.
    return None if plain in _REFUSED else plain or None


def _thread(value: object) -> str | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _trim(value)
    if isinstance(value, int) or not math.isfinite(value):
        return value if isinstance(value, int) else None
    whole = math.trunc(value)
    return whole if abs(whole) < _EXACT else value


def _trim(value: object) -> str | None:
    return (value.strip(_BLANKS) or None) if isinstance(value, str) else None


def _equal(old: object, new: object, *, is_there: bool = False) -> bool:
    if old is None:
        return new is None and not is_there
    return old == new and isinstance(old, bool) == isinstance(new, bool)


def _replace(document: Document, members: Mapping[str, Any]) -> Document:
    found = {**document, **members}
    gone = {name for name, each in members.items() if each is None}
    return {name: each for name, each in found.items() if name not in gone}


def _first(*values: Any) -> Any:
    return next((each for each in values if each is not None), None)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
