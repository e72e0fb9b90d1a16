"""`ForgetVerbs`: records are forgotten, by id or by where they came from."""

from __future__ import annotations

from collections.abc import Sequence

from clawstate.arguments import require_text, require_texts
from clawstate.memory import writes
from clawstate.memory.filters import filter_from
from clawstate.memory.forgetting import Receipt, receipt_of
from clawstate.memory.service.upkeep import UpkeepVerbs


class ForgetVerbs(UpkeepVerbs):
    """Forgets records, which a compaction then clears from the file."""

    def delete(self, record_id: str) -> bool:
        """Forget the record; return whether it was kept."""
        return bool(self.delete_many([require_text("id", record_id)]))

    def delete_many(self, record_ids: Sequence[str]) -> int:
        """Forget the records, in one step; return how many were kept."""
        gone = self._engine.delete(ids := [*require_texts("ids", record_ids)])
        if self._has_map:
            self._map.forget(ids)
        return gone

    def forget(self, record_ids: Sequence[str], *, compact: bool = True) -> Receipt:
        """Forget the records, return what went, and *compact*, in seconds for 100 MB."""
        records = self._engine.forget(ids := require_texts("ids", record_ids))
        if self._has_map:
            self._map.forget(ids)
        done = self.compact(keep_updates=True) if compact else None
        return receipt_of(ids, records, done, waiting=self._engine.uncompacted())

    def forget_source(self, source: str, *, namespace: str = "default") -> int:
        """
        Forget what was imported from *source*, and what else names it; return how many.

        *source* may be a folder, or a pattern with `*` and `?`, as in `search`.
        """
        chosen = filter_from(namespace=namespace, source=source)
        gone = writes.forget_source(self._engine, self.imports, chosen, namespace=namespace)
        if self._has_map:
            self._map.forget_missing()
        return gone
