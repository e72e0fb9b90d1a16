"""`Imports`: which records came from which source, so that an import can be repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clawstate.memory.contract import ImportLedger, Lend
from clawstate.records.contract import Lease

_TTL = 600.0  # seconds that a batch of records takes at most; a holder that died is not waited for
_PATIENCE = 600.0  # seconds: a folder of many files takes minutes


@dataclass(frozen=True, slots=True)
class Before:
    """What earlier imports of a source left: `known` ids, and the `forgotten` among them."""

    known: frozenset[str]
    forgotten: frozenset[str]


class Imports:
    """
    The notes of imports of one memory.

    A source is a file's path or another name. Its fingerprint is noted last, so a source without
    one was interrupted and is to be read again; what is kept already is found by its id.
    """

    def __init__(self, ledger: ImportLedger, lend: Lend) -> None:
        self._ledger = ledger
        self._lend = lend

    def alone(self, namespace: str = "default") -> Lease:
        """
        Return the lease on imports into *namespace*: two at once would forget what the other took.

        Raises `LockTimeoutError` when another import goes on for ten minutes more.
        """
        return self._lend(f"import:{namespace}", _TTL, _PATIENCE)

    def fingerprints(self, namespace: str = "default") -> dict[str, str]:
        """Return the sources that were imported whole, each with its fingerprint."""
        return self._ledger.marks(namespace)

    def sources(self, namespace: str = "default") -> set[str]:
        """Return all sources that are noted, also those whose import was cut off or failed."""
        return self._ledger.sources(namespace)

    def begin(self, source: str, *, namespace: str = "default") -> Before:
        """Note that *source* is being imported, and return what is known of it."""
        known, forgotten = self._ledger.begin(namespace, source)
        return Before(frozenset(known), frozenset(forgotten))

    def note(self, source: str, ids: Sequence[str], *, namespace: str = "default") -> None:
        """Note that *ids* come from *source*; to be called before they are added."""
        # Before, not after: a kill between the two then leaves a note without a record, which the
        # next import fills, and never a record that no import would ever take away again.
        self._ledger.note(namespace, source, ids)

    def finish(
        self,
        source: str,
        *,
        fingerprint: str,
        vanished: Sequence[str] = (),
        namespace: str = "default",
    ) -> int:
        """Note that *source* is imported whole and forget the ids that *vanished*, in one step."""
        return self._ledger.finish(namespace, source, fingerprint=fingerprint, vanished=vanished)

    def forget(self, source: str, *, namespace: str = "default") -> int:
        """Forget all that came from *source*, in one step; return how many records those were."""
        return self._ledger.forget(namespace, source)
