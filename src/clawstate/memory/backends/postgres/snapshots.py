"""`Snapshots`: a `with` block over one snapshot, which a search reads."""

from __future__ import annotations

from types import TracebackType

from clawstate.interrupts import Use
from clawstate.memory.backends.postgres.caches import Caches
from clawstate.memory.backends.postgres.reading import PostgresReading
from clawstate.postgres.part import Part


class Snapshots:
    """The reading of *part* at *now_ms*; its first statements begin the transaction."""

    def __init__(self, part: Part, caches: Caches, now_ms: int) -> None:
        self._part = part
        self._caches = caches
        self._now_ms = now_ms
        self._block = part.reading(begins=False)

    def __enter__(self) -> PostgresReading:
        connection = self._block.enter(Use())
        return PostgresReading(
            connection, self._part.tenant, caches=self._caches, now_ms=self._now_ms
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._block.__exit__(kind, error, trace)
