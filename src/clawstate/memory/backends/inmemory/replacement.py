"""`InMemoryReplacement`: the vectors of another embedder, in one process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from clawstate.interrupts import Mutex
from clawstate.memory import rules
from clawstate.memory.backends.inmemory.reading import Row, as_kept
from clawstate.memory.contract import EmbedderIdentity, KnownVector
from clawstate.memory.replacement import Begun, Text, Workload

Rows = Mapping[str, Row]


class InMemoryReplacement:
    """
    The `VectorReplacement` of a process.

    *switched* is called with the rows after a switch, and whose vectors they have; it and *rows*
    are the engine's, as is *mutex*.
    """

    def __init__(
        self,
        rows: Callable[[], Rows],
        switched: Callable[[Rows, EmbedderIdentity], None],
        mutex: Mutex,
    ) -> None:
        self._rows = rows
        self._switched = switched
        self._mutex = mutex
        self._embedder: EmbedderIdentity | None = None
        self._made: dict[int, KnownVector] = {}

    def begun(self) -> Begun | None:
        """Return what is under way."""
        self._rows()
        embedder = self._embedder
        return None if embedder is None else Begun(embedder, len(self._made))

    def begin(self, embedder: EmbedderIdentity) -> None:
        """Begin, or go on."""
        with self._mutex:
            self._rows()
            if self._embedder is not None:
                rules.require_same_replacement(self._embedder, embedder)
            self._embedder = embedder

    def workload(self) -> Workload:
        """Return what is to be done."""
        with self._mutex:
            rows = self._rows().values()
            done = {row.digest for row in rows if row.key in self._made}
            left = {row.digest: row.record.text for row in rows if row.digest not in done}
            return Workload(len(rows), len(left), sum(map(len, left.values())))

    def texts(self, count: int, characters: int) -> list[Text]:
        """Return texts without a new vector, oldest first."""
        found: list[Text] = []
        with self._mutex:
            rows = [row for row in self._rows().values() if row.key not in self._made]
        for row in sorted(rows, key=lambda row: row.key)[:count]:
            found.append(Text(row.key, row.digest, row.record.text))
            characters -= len(row.record.text)
            if characters <= 0:
                break
        return found

    def find(self, digests: Sequence[bytes]) -> dict[bytes, KnownVector]:
        """Return new vectors of the same texts."""
        wanted = set(digests)
        with self._mutex:
            return {
                row.digest: self._made[row.key]
                for row in self._rows().values()
                if row.key in self._made and row.digest in wanted
            }

    def put(self, made: Mapping[int, KnownVector], embedder: EmbedderIdentity) -> None:
        """Keep new vectors of texts that are still there."""
        with self._mutex:
            keys = {row.key for row in self._rows().values()}
            rules.require_same_replacement(self._embedder, embedder)
            rules.require_lengths((vector for vector, _ in made.values()), embedder)
            fresh = {
                key: (as_kept(vector), subwords)
                for key, (vector, subwords) in made.items()
                if key in keys
            }
            self._made = {**self._made, **fresh}

    def switch(self, embedder: EmbedderIdentity, *, waiting: int) -> bool:
        """Put the new vectors in the place of those kept."""
        with self._mutex:
            rows = self._rows()
            rules.require_same_replacement(self._embedder, embedder)
            if len(rows) - len(self._made) > waiting:
                return False
            nothing: tuple[None, None] = (None, None)
            changed: dict[str, Row] = {}
            for record_id, row in rows.items():
                vector, subwords = self._made.get(row.key, nothing)
                changed[record_id] = replace(row, vector=vector, subwords=subwords)
            self._switched(changed, embedder)
            self._end()
            return True

    def discard(self) -> bool:
        """Forget what was begun."""
        with self._mutex:
            self._rows()
            was_begun = self._embedder is not None
            self._end()
            return was_begun

    def forget_all_but(self, rows: Rows) -> None:
        """Forget the new vectors of what is not among *rows*; the caller has the mutex."""
        if self._made:
            keys = {row.key for row in rows.values()}
            self._made = {key: made for key, made in self._made.items() if key in keys}

    def _end(self) -> None:
        self._embedder, self._made = None, {}
