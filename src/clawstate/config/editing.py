"""Edits of one text of the configuration, whosever it is: of all agents, of OpenClaw's, of one."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clawstate.config.edit_plan import plan_apart, plan_set, plan_texts, plan_unset, resolve_target
from clawstate.config.history import Change, FileChange, History, diff_texts
from clawstate.config.loading import Loaded
from clawstate.config.openclaw_split import OpenClawRefusals
from clawstate.config.rewrite import EditPlan
from clawstate.config.view import parse_path
from clawstate.errors import ConflictError, NotFoundError, StateError
from clawstate.json5.parse import parse_json5
from clawstate.json5.path_grammar import KeyPath, parse_key_path

_NOTHING = "{}\n"


@dataclass(frozen=True, slots=True)
class Editor:
    """
    Changes the configuration *path*, which has one history for all files that belong to it.

    *load* reads it, *mend* also one that is broken; *write* carries a plan out. *refused* is what
    the OpenClaw of the directory does not accept, where there is one.
    """

    path: Path
    load: Callable[[], Loaded]
    mend: Callable[[], Loaded]
    refused: OpenClawRefusals | None
    write: Callable[..., Change | None]

    def set(self, path: str, value: Any, *, force: bool) -> Change | None:
        """Put *value* at *path*."""
        wanted = parse_path(path)

        def plan(loaded: Loaded) -> EditPlan | None:
            return plan_set(loaded, resolve_target(loaded, wanted), value, refused=self.refused)

        return self.write(plan, force=force, load=self.load)

    def unset(self, path: str, *, force: bool) -> Change | None:
        """Remove what is at *path*, and objects left empty that were only made to hold it."""
        wanted = parse_path(path)
        # An empty object may mean something where a person wrote it, so only those go with the key
        # that an earlier change made for one (decision 11).
        made = MadeObjects(History(self.path))

        def plan(loaded: Loaded) -> EditPlan:
            return plan_unset(loaded, resolve_target(loaded, wanted), made=made.holds)

        return self.write(plan, force=force, load=self.load)

    def text(self, file: Path) -> str:
        """Return the text of *file*, empty if there is none."""
        return _text_of(self.load(), file)

    def replace(self, text: str, *, file: Path, expected: str | None, force: bool) -> Change | None:
        """Make *text* the whole text of *file*, which is *expected* to hold another one."""

        def plan(loaded: Loaded) -> EditPlan | None:
            if expected is not None and expected != _text_of(loaded, file):
                raise ConflictError("configuration", str(file))
            return plan_texts(loaded, {file: text}, refused=None if force else self.refused)

        return self.write(plan, force=force, load=self.mend)

    def diff(self, number: int | None) -> str:
        """Return change *number*, by default the last one, as a unified diff without secrets."""
        history = History(self.path)
        change = history.require(number)
        parts = []
        for each in change.files:
            before = None if each.before is None else history.text(each.before)
            name = history.name_of(each.file)
            names = {"old": f"{name} before {change.number}", "new": f"{name} after"}
            parts.append(diff_texts(before, history.text(each.after), **names))
        return "".join(parts)

    def undo(self, *, number: int | None, force: bool) -> Change:
        """Put back the texts before change *number*, by default the last one that stands."""
        history = History(self.path)
        change = history.require(number) if number is not None else history.last_standing()
        texts = {
            Path(each.file): _NOTHING if each.before is None else history.text(each.before).decode()
            for each in reversed(change.files)
        }
        # A text is put back as a whole, so what others changed in it since would be lost unseen.
        if not force:
            history.require_last(change)
        # Texts that belong together are put back as they were: somebody asked for just that.
        refused = None if force or change.also else self.refused

        def plan(loaded: Loaded) -> EditPlan | None:
            return plan_texts(loaded, texts, refused=refused, undoes=change.number)

        # What was written here is no accident, but what it would hide or break may be.
        undone = self.write(plan, force=True, load=self.mend, sure=force)
        if undone is None:
            raise NotFoundError("change", str(change.number), "it is undone already")
        return undone

    def set_apart(self) -> Change | None:
        """Move our own settings out of the configuration of an OpenClaw."""
        refused = self.refused
        if refused is None:
            return None
        return self.write(lambda loaded: plan_apart(loaded, refused), force=True, load=self.load)


def _text_of(loaded: Loaded, file: Path) -> str:
    layers = (layer for layer in loaded.layers if layer.path == file)
    source = next((layer.source for layer in layers), None)
    return "" if source is None else source.text


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
        for change in reversed(self._history_changes()):
            if change.undoes is not None or not _is_below(change, path):
                continue
            for each in change.files:
                if each.file == name and self._appeared(each, local):
                    return True
        return False

    def _history_changes(self) -> tuple[Change, ...]:
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
