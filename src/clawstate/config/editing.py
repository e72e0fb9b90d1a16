"""Edits of one text of the configuration, whosever it is: of all agents, of OpenClaw's, of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clawstate.config.history import Change, History
from clawstate.config.loading import Loaded
from clawstate.config.made_objects import MadeObjects
from clawstate.config.planning import meant, plan_apart, plan_set, plan_texts, plan_unset
from clawstate.config.separating import Refused
from clawstate.config.texts import difference
from clawstate.config.view import written
from clawstate.config.writing import Planned
from clawstate.errors import ConflictError, NotFoundError

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
    refused: Refused | None
    write: Callable[..., Change | None]

    def set(self, path: str, value: Any, *, force: bool) -> Change | None:
        """Put *value* at *path*."""
        wanted = written(path)

        def plan(loaded: Loaded) -> Planned | None:
            return plan_set(loaded, meant(loaded, wanted), value, refused=self.refused)

        return self.write(plan, force=force, load=self.load)

    def unset(self, path: str, *, force: bool) -> Change | None:
        """Remove what is at *path*, and objects left empty that were only made to hold it."""
        wanted = written(path)
        made = MadeObjects(History(self.path))

        def plan(loaded: Loaded) -> Planned:
            return plan_unset(loaded, meant(loaded, wanted), made=made.holds)

        return self.write(plan, force=force, load=self.load)

    def text(self, file: Path) -> str:
        """Return the text of *file*, empty if there is none."""
        return _text_of(self.load(), file)

    def replace(self, text: str, *, file: Path, expected: str | None, force: bool) -> Change | None:
        """Make *text* the whole text of *file*, which is *expected* to hold another one."""

        def plan(loaded: Loaded) -> Planned | None:
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
            parts.append(difference(before, history.text(each.after), **names))
        return "".join(parts)

    def undo(self, *, number: int | None, force: bool) -> Change:
        """Put back the texts before change *number*, by default the last one that stands."""
        history = History(self.path)
        change = history.require(number) if number is not None else history.last_standing()
        texts = {
            Path(each.file): _NOTHING if each.before is None else history.text(each.before).decode()
            for each in reversed(change.files)
        }
        if not force:
            history.require_last(change)
        # Texts that belong together are put back as they were: somebody asked for just that.
        refused = None if force or change.also else self.refused

        def plan(loaded: Loaded) -> Planned | None:
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
