"""`Caches`: what the searches of one process share; all of it may be lost at any time."""

from __future__ import annotations

from clawstate.interrupts import Mutex
from clawstate.memory.backends.postgres.compared import ComparedVectors
from clawstate.memory.backends.postgres.selections import Selections
from clawstate.memory.backends.postgres.word_state import WordState


class Caches:
    """The newest state of the words, the numbers of namespaces, and what filters let through."""

    def __init__(self) -> None:
        self.selections = Selections()
        self.scopes: dict[tuple[str, str | None], int] = {}
        """A number stays with its namespace, until that is veiled; who reads looks again."""
        self.has_table: dict[int, bool] = {}
        """Whether vectors of so many dimensions have a table; by that of the database."""
        self.vectors: ComparedVectors | None = None
        """The vectors as they are compared in this process, where the database does not."""
        self._mutex = Mutex()
        self._state: WordState | None = None

    @property
    def state(self) -> WordState | None:
        """The newest state that a search saw."""
        return self._state

    def keep(self, state: WordState) -> None:
        """Remember *state*, unless another search saw a newer one."""
        with self._mutex:
            known = self._state
            is_other = known is None or known.database_id != state.database_id
            if is_other or known is None or known.newer <= state.newer:
                self._state = state
