"""
Keys with a dot in their name, such as `llama.cpp` or `gpt-4.1`, in paths that were written plainly.

`models.providers.llama.cpp.baseUrl` reads as five steps. Where an object has the key `llama.cpp`,
that one is meant; where both readings fit, an edit is refused with the forms that tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clawstate.errors import InvalidError
from clawstate.json5.key_path import place_in
from clawstate.json5.path_grammar import KeyPath, WrittenPath, format_key_path

_SECTIONS = """
$schema meta auth gateway session state memory agents plugins secrets env commands messages
logging pairing caches locks acp approvals audio bindings broadcast browser canvasHost channels
cron diagnostics discovery hooks media models nodeHost skills talk tools ui update web wizard
"""
SECTIONS = frozenset(_SECTIONS.split())
"""The keys of the document: a path that begins with one of them means that section."""


def resolve_steps(value: Any, written: WrittenPath) -> KeyPath:
    """
    Return the steps by which *written* leads to something in *value*; as written, if none does.

    The plain reading comes first. Raises `InvalidError` if several others fit.
    """
    whole = len(written.steps)
    if not written.dotted:
        return written.steps
    found = [path for path, used in _readings(value, written) if used == whole]
    if written.steps in found or not found:
        return written.steps
    if written.steps[0] in SECTIONS:
        found = [path for path in found if path[0] == written.steps[0]] or [written.steps]
    if len(found) > 1:  # a guess could show, or change, what was not meant
        raise _ambiguous(found)
    return found[0]


def resolve_steps_for_edit(value: Any, written: WrittenPath, *, is_known: bool = False) -> KeyPath:
    """
    Return the steps of what *written* means for a change of *value*: those that lead the furthest.

    *is_known* tells that the plain reading is a setting by its name. Raises `InvalidError` where
    more than one key could be meant.
    """
    if not written.dotted:
        return written.steps
    furthest: dict[KeyPath, int] = dict(_readings(value, written))
    most = max(furthest.values())
    found = [path for path, used in furthest.items() if used == most]
    if is_known and written.steps not in found:
        found.append(written.steps)
    if len(found) > 1:
        raise _ambiguous(found)
    return found[0]


def _readings(
    value: Any, written: WrittenPath, start: int = 0, read: KeyPath = ()
) -> Iterator[tuple[KeyPath, int]]:
    """Yield each reading, and how many of the written steps lead somewhere by it."""
    steps = written.steps
    is_end = True
    for end in range(start + 1, len(steps) + 1):
        if end > start + 1 and (end - 1 not in written.dotted or not isinstance(value, dict)):
            break
        step = steps[start] if end == start + 1 else ".".join(map(str, steps[start:end]))
        place = place_in(value, step)
        if place is not None and _holds(value, place):
            is_end = False
            yield from _readings(value[place], written, end, (*read, step))
    if is_end:
        yield (*read, *steps[start:]), start


def _holds(value: Any, place: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(place, int) and place < len(value)
    return place in value


def _ambiguous(found: list[KeyPath]) -> InvalidError:
    forms = " or ".join(_form(path) for path in found)
    problem = "more than one key can be meant"
    return InvalidError(f"config path {format_key_path(found[0])}", problem, f"write {forms}")


def _form(path: KeyPath) -> str:
    """Return the text that means *path* and no key with a dot in its name."""
    first, *rest = path
    text = format_key_path((first,))
    for step in rest:
        shown = format_key_path((step,))
        text += shown if shown.startswith("[") else f'["{shown}"]'
    return text
