"""The text of a configuration as it is for a directory of ours, with the keys that are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from clawstate.config.agents import agent_entries
from clawstate.errors import NotFoundError, StateError
from clawstate.json5.key_path import KeyPath, get_at
from clawstate.json5.parse import parse_json5
from clawstate.json5.patch import set_text, unset_text

_SEARCH, _OLD_SEARCH = ("memory", "search"), ("agents", "defaults", "memorySearch")
_ENTRIES, _LIST = ("agents", "entries"), ("agents", "list")
# By these OpenClaw signs what it wrote: they make a directory OpenClaw's.
_SIGNATURES: tuple[KeyPath, ...] = (
    ("meta", "lastTouchedVersion"),
    ("meta", "lastTouchedAt"),
    ("wizard", "lastRunVersion"),
)
_PROVIDERS = ("secrets", "providers")
_STORE = "store"
PROVIDER = "openclaw"
"""The provider of secrets that references to OpenClaw's store become references to."""


def adapted(text: str, *, file: Path, secrets: Path) -> str:
    """
    Return *text*, read from *file*, for a directory of which no OpenClaw is the owner.

    Keys that OpenClaw moved in 2026.7 stand where the specification has them, what OpenClaw signs
    with is gone, and references to its store of secrets lead to the file *secrets* instead.
    Comments and all else stay. What an included file says is not changed.
    """
    found = text
    for path in _SIGNATURES:
        with suppress(StateError):  # not there
            found = unset_text(found, path, file=file).text
    return _referring(old_fashioned(found, file=file), file, secrets)


def modern(text: str, *, file: Path) -> str:
    """Return *text*, read from *file*, for a directory of an OpenClaw of 2026.7 or later."""
    found = text
    for change in (_with_new_search, _with_entries):
        with suppress(StateError):  # an included file says it
            found = change(found, file)
    return found


def old_fashioned(text: str, *, file: Path) -> str:
    """Return *text*, read from *file*, for a directory of an OpenClaw before 2026.7."""
    found = text
    for change in (_with_old_search, _with_list):
        with suppress(StateError):  # an included file says it
            found = change(found, file)
    return found


def of_store(document: Mapping[str, Any]) -> frozenset[KeyPath]:
    """Return where *document* declares OpenClaw's store of secrets, and refers to it."""
    return _declared(document).union(_references(document))


def _declared(document: Mapping[str, Any]) -> frozenset[KeyPath]:
    declared = _at(document, _PROVIDERS)
    return frozenset(
        (*_PROVIDERS, alias)
        for alias, each in (declared.items() if isinstance(declared, dict) else ())
        if isinstance(each, dict) and each.get("source") == _STORE
    )


def _with_old_search(text: str, file: Path) -> str:
    document = parse_json5(text, path=file)
    value = _at(document, _SEARCH)
    if not isinstance(value, dict) or _at(document, _OLD_SEARCH) is not None:
        return text
    return set_text(unset_text(text, _SEARCH, file=file).text, _OLD_SEARCH, value, file=file)


def _with_list(text: str, file: Path) -> str:
    document = parse_json5(text, path=file)
    if not isinstance(_at(document, _ENTRIES), dict):
        return text
    found = [each.members for each in agent_entries(document)]
    entries = [{"id": each["id"], **each} for each in found]
    return set_text(unset_text(text, _ENTRIES, file=file).text, _LIST, entries, file=file)


def _with_new_search(text: str, file: Path) -> str:
    document = parse_json5(text, path=file)
    value = _at(document, _OLD_SEARCH)
    if not isinstance(value, dict):
        return text
    found = unset_text(text, _OLD_SEARCH, file=file).text
    if _at(document, _SEARCH) is not None:
        return found  # OpenClaw would refuse the old one, and takes the new one
    return set_text(found, _SEARCH, value, file=file)


def _with_entries(text: str, file: Path) -> str:
    document = parse_json5(text, path=file)
    if not isinstance(_at(document, _LIST), list):
        return text
    entries: dict[str, Any] = {}
    for each in reversed(agent_entries(document)):  # the first of an id counts
        if each.name is not None:
            members = dict(each.members)
            entries[members.pop("id")] = members
    found = unset_text(text, _LIST, file=file).text
    return set_text(found, _ENTRIES, dict(reversed(entries.items())), file=file)


def _referring(text: str, file: Path, secrets: Path) -> str:
    document = parse_json5(text, path=file)
    aliases = {str(path[-1]) for path in _declared(document)}
    found = text
    for path in list(_references(document)):
        alias = _at(document, (*path, "provider"))
        used = alias if isinstance(alias, str) and alias in aliases else PROVIDER
        aliases.add(used)
        name = _at(document, (*path, "id"))
        reference = {"source": "file", "provider": used, "id": f"/{name}"}
        found = set_text(found, path, reference, file=file)
    for alias in sorted(aliases):
        provider = {"source": "file", "path": str(secrets), "mode": "json"}
        found = set_text(found, (*_PROVIDERS, alias), provider, file=file)
    return found


def _references(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    if isinstance(value, dict):
        if value.get("source") == _STORE and isinstance(value.get("id"), str):
            yield path
        for key, each in value.items():
            yield from _references(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _references(each, (*path, index))


def _at(document: Any, path: KeyPath) -> Any:
    with suppress(NotFoundError):
        return get_at(document, path)
    return None
