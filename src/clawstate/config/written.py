"""What is written in the files of a configuration: each setting, and where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clawstate.json5.path_grammar import KeyPath
from clawstate.secrets.redaction import SENTINEL, is_secret_reference, redact

if TYPE_CHECKING:
    from clawstate.config.loading import Loaded


@dataclass(frozen=True)
class WrittenSetting:
    """
    One value that is written: text, a number, a list of such, or an object without members.

    *value* is what it means, variables put in; `None` for a secret, which *is_secret* tells.
    *template* is its text where variables stand in it, else `None`. *file* is where it stands: the
    configuration, a file that it includes, or the overlay beside it; *line* and *column* count from
    1. A reference to a secret is one value, and no secret.
    """

    path: KeyPath
    value: Any = field(repr=False)
    template: str | None
    is_secret: bool
    file: Path
    line: int
    column: int


def settings_of(loaded: Loaded) -> tuple[WrittenSetting, ...]:
    """Return each setting of *loaded* that is written, in the order of the merged files."""
    provenance = loaded.provenance
    resolved = redact(loaded.resolved)
    found: list[WrittenSetting] = []
    for path, shown in _leaves((), redact(loaded.templates)):
        trace = provenance.at(path)
        if trace is None:  # made by no file
            continue
        value, written = _at(resolved, path), _at(loaded.templates, path)
        is_secret = SENTINEL in (shown, value)
        is_made = isinstance(shown, str) and shown == written and written != value
        origin = trace.origins[0]
        found.append(
            WrittenSetting(
                path,
                None if is_secret else value,
                shown if is_made else None,
                is_secret,
                origin.source.path,
                origin.place.line,
                origin.place.column,
            )
        )
    return tuple(found)


def _leaves(path: KeyPath, value: Any) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, dict) and value and not is_secret_reference(value):
        members: Iterator[tuple[str | int, Any]] = iter(value.items())
    elif isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        members = iter(enumerate(value))
    else:
        if path:
            yield path, value
        return
    for step, each in members:
        yield from _leaves((*path, step), each)


def _at(tree: Any, path: KeyPath) -> Any:
    for step in path:
        # Where a whole object is a secret, none of what it holds is shown.
        if not isinstance(tree, dict | list):
            return tree
        tree = tree[step]  # type: ignore[index]
    return tree
