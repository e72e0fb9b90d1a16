"""Which objects of a configuration stand there only because an earlier change set a key in them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from clawstate.config.history import Change, FileChange, History
from clawstate.errors import StateError
from clawstate.json5.parse import parse_json5
from clawstate.json5.path_grammar import KeyPath, parse_key_path


class MadeObjects:
    """Knows from *history* which objects came into being as the parents of a key that was set."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._changes: tuple[Change, ...] | None = None

    def holds(self, file: Path, local: KeyPath, path: KeyPath) -> bool:
        """
        Tell whether the object at *local* in *file* was made by a change of a key below *path*.

        *path* is what the whole configuration calls it. An object that was there before every
        change that is remembered, that was written by hand, or that was itself set, was not.
        """
        name = os.path.normpath(file.absolute())
        for change in reversed(self._known()):
            if change.undoes is not None or not _is_below(change, path):
                continue
            for each in change.files:
                if each.file == name and self._appeared(each, local):
                    return True
        return False

    def _known(self) -> tuple[Change, ...]:
        if self._changes is None:
            try:
                self._changes = self._history.changes()
            except StateError:
                self._changes = ()  # whoever made it is not known, so it stays
        return self._changes

    def _appeared(self, change: FileChange, local: KeyPath) -> bool:
        try:
            before = {} if change.before is None else self._value(change.before)
            after = self._value(change.after)
        except StateError:
            return False
        return not _has(before, local) and _has(after, local)

    def _value(self, name: str) -> Any:
        text = self._history.text(name)
        return parse_json5(text, path=Path(name)) if text.strip() else {}


def _is_below(change: Change, path: KeyPath) -> bool:
    for name in change.paths:
        try:
            changed = parse_key_path(name)
        except StateError:  # the name of a file
            continue
        if len(changed) > len(path) and changed[: len(path)] == path:
            return True
    return False


def _has(value: Any, path: KeyPath) -> bool:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True
