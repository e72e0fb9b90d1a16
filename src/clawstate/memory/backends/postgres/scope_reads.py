"""`ScopeReads`: the namespaces of one snapshot, and what is counted in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from clawstate.memory.backends.postgres import statements
from clawstate.memory.backends.postgres.word_state import ScopeCounts

if TYPE_CHECKING:
    from clawstate.memory.backends.postgres.caches import Caches
    from clawstate.memory.backends.postgres.script import Script
    from clawstate.memory.backends.postgres.word_reads import WordReads


class Scope(NamedTuple):
    """A namespace, or all of them: then `number` is None."""

    number: int | None
    records: int
    subwords: int
    is_shared: bool  # others than this one have records: only then it must be asked for
    has_threads: bool


class ScopeReads:
    """The namespaces as *reads* see them; their numbers stay in *caches*."""

    def __init__(self, reads: WordReads, caches: Caches) -> None:
        self._reads = reads
        self._caches = caches
        self._known: dict[str | None, Scope | None] = {}

    def number(self, namespace: str | None) -> int | None:
        """Return the number of *namespace* as it was last."""
        return self._caches.scopes.get((self._reads.head.database_id, namespace))

    def knows(self, namespace: str | None) -> bool:
        """Tell whether *namespace* was looked for."""
        return namespace in self._known

    def get(self, namespace: str | None) -> Scope | None:
        """Return *namespace*, which was looked for; None where nothing was ever kept."""
        return self._known[namespace]

    def ask(self, script: Script, namespace: str | None) -> int:
        """Ask for *namespace*."""
        return script.ask(statements.SCOPES, namespace=namespace)

    def take(self, namespace: str | None, rows: Sequence[tuple[Any, ...]]) -> None:
        """Take the answer to `ask`."""
        deltas = self._reads.state.scopes
        every = {
            scope: (records + more.records, subwords + more.subwords)
            for scope, records, subwords, _, _ in rows
            for more in (deltas.get(scope, ScopeCounts()),)
        }
        found: Scope | None = None
        if namespace is None:
            totals = [sum(each) for each in zip(*every.values(), strict=True)] or [0, 0]
            threads = any(row[4] for row in rows)
            found = Scope(None, totals[0], totals[1], False, threads)
        else:
            for scope, _, _, name, threads in rows:
                if name == namespace:
                    shared = any(n for key, (n, _) in every.items() if key != scope)
                    found = Scope(scope, *every[scope], shared, threads)
                    self._caches.scopes[self._reads.head.database_id, namespace] = scope
        self._known[namespace] = found

    def occurrences(
        self, rows: Iterable[tuple[Any, ...]], scope: Scope, wanted: Sequence[int]
    ) -> dict[int, int]:
        """Return how often subwords occur in *scope*: by *rows*, and since the last fold."""
        found: dict[int, int] = {number: int(count) for number, count in rows}
        counted = self._reads.state.counted
        for number, counts in counted.items():
            if scope.number in {None, number}:
                for each in wanted:
                    if more := counts.get(each):
                        found[each] = found.get(each, 0) + more
        return found
