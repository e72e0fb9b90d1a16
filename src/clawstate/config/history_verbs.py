"""`HistoryVerbs`: the changes that were made of a configuration, told and taken back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from clawstate.arguments import require_count
from clawstate.config.loading import Loader
from clawstate.interrupts import load_modules

if TYPE_CHECKING:
    from clawstate.config.editing import Editor
    from clawstate.config.history import Change


class HistoryVerbs(ABC):
    """Tells and undoes changes of the files that the loader and the editor of a subclass know."""

    _loader: Loader

    @abstractmethod
    def _editor(self, agent_id: str | None) -> Editor:
        """Return what edits the file of an agent, or the one of all."""

    def history(self, *, agent_id: str | None = None) -> tuple[Change, ...]:
        """Return the changes that were made here, the oldest first."""
        load_modules("clawstate.config.history")
        from clawstate.config.history import History  # noqa: PLC0415 - rarely needed

        return History(self._loader.path_of(agent_id)).changes()

    def diff(self, number: int | None = None, *, agent_id: str | None = None) -> str:
        """Return change *number*, by default the last one, as a unified diff without secrets."""
        return self._editor(agent_id).diff(_number(number))

    def undo(
        self, *, number: int | None = None, force: bool = False, agent_id: str | None = None
    ) -> Change:
        """
        Put back the text before change *number*, by default the last one that stands.

        Raises `NotFoundError` if there is none, and `ConflictError` if the file was changed since,
        unless *force*; that is a change of its own.
        """
        return self._editor(agent_id).undo(number=_number(number), force=force)


def _number(number: int | None) -> int | None:
    return None if number is None else require_count("number", number)
