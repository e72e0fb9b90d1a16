"""Marks that lie where this state kept them before: asked, and never changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from clawstate.errors import UnavailableError
from clawstate.records.contract import Collection
from clawstate.stores.dedupe.marks import Marks
from clawstate.stores.dedupe.recent import Place
from clawstate.stores.dedupe.rules import Rules


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

    def holds(self, place: Place, rules: Callable[[], Rules]) -> bool:
        """Tell whether there is a mark that holds; raises what reading raises."""
        namespace, key = place
        if namespace not in self._opened:
            self._opened[namespace] = self.collections(namespace)
        return Marks(self._opened[namespace], rules).holds(key)

    def require_none(self, place: Place, rules: Callable[[], Rules]) -> None:
        """Raise `UnavailableError` for a mark that holds: it would count on."""
        if self.holds(place, rules):
            problem = f"lies in {self.where} as well, where nothing is changed"
            hint = f"'{self.command}' moves it; then forget it"
            raise UnavailableError(f"mark of {place[1]!r} in {place[0]!r}", problem, hint)
