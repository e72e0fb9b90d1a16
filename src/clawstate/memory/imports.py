"""`Imports`: which records came from which source, so that an import can be repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from clawstate.memory.contract import Lend
from clawstate.memory.file_conflicts import FileConflicts
from clawstate.memory.ledger import Finished, Imported, ImportLedger
from clawstate.records.contract import Lease

_TTL = 600.0  # seconds that a batch of records takes at most; a holder that died is not waited for
_PATIENCE = 600.0  # seconds: a folder of many files takes minutes


@dataclass(frozen=True, slots=True)
class Before:
    """What earlier imports of a source left: `known` ids, and the `forgotten` among them."""

    known: frozenset[str]
    forgotten: frozenset[str]
    rows: Mapping[str, Imported] = field(default_factory=dict)


class Imports:
    """
    The notes of imports of one memory.

    A source is a file's path or another name. Its fingerprint is noted last, so a source without
    one was interrupted and is to be read again; what is kept already is found by its id.
    """

    def __init__(self, ledger: ImportLedger, lend: Lend, conflicts: FileConflicts) -> None:
        self._ledger = ledger
        self.conflicts = conflicts
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
        return self.begin_all([source], namespace=namespace)[source]

    def begin_all(self, sources: Sequence[str], *, namespace: str = "default") -> dict[str, Before]:
        """Note that *sources* are being imported, in one step; return what is known of each."""
        return _before(self._ledger.begin(namespace, sources))

    def look(self, sources: Sequence[str], *, namespace: str = "default") -> dict[str, Before]:
        """Return what `begin_all` would, and note nothing."""
        return _before(self._ledger.look(namespace, sources))

    def sources_of(
        self, passages: Sequence[bytes], *, namespace: str = "default"
    ) -> dict[str, int]:
        """Return the sources that gave passages of these digests, and how many of them."""
        return self._ledger.sources_of(namespace, passages)

    def note(self, source: str, ids: Sequence[str], *, namespace: str = "default") -> None:
        """Note that *ids* come from *source*; to be called before they are added."""
        self.note_all({source: [Imported(each) for each in ids]}, namespace=namespace)

    def note_all(
        self, given: Mapping[str, Sequence[Imported]], *, namespace: str = "default"
    ) -> None:
        """Note what comes from each source, in one step; before it is added, or to say more."""
        # Before, not after: a kill between the two then leaves a note without a record, which the
        # next import fills, and never a record that no import would ever take away again.
        self._ledger.note(namespace, given)

    def finish(
        self,
        source: str,
        *,
        fingerprint: str,
        vanished: Sequence[str] = (),
        namespace: str = "default",
    ) -> int:
        """Note that *source* is imported whole and forget the ids that *vanished*, in one step."""
        done = Finished(source, fingerprint, vanished)
        return self.finish_all([done], namespace=namespace)

    def finish_all(self, finished: Sequence[Finished], *, namespace: str = "default") -> int:
        """Note that sources are imported whole and forget what vanished from them, in one step."""
        return self._ledger.finish(namespace, finished)

    def forget(self, source: str, *, namespace: str = "default", left: Sequence[str] = ()) -> int:
        """Forget what came from *source* but *left*, in one step; return how many those were."""
        return self._ledger.forget(namespace, source, left)

    def rename(self, old: str, new: str, *, namespace: str = "default") -> None:
        """Note that what came from the source *old* comes from *new* now."""
        self._ledger.rename(namespace, old, new)

    def were_forgotten(
        self, given: Sequence[tuple[str, bytes]], *, namespace: str | None = "default"
    ) -> set[str]:
        """
        Return the ids of those of *given*, ids with hashes of texts, that were forgotten.

        *namespace* None means in any.
        """
        return self._ledger.were_forgotten(namespace, given) if given else set()


def _before(known: Mapping[str, Sequence[Imported]]) -> dict[str, Before]:
    return {
        source: Before(
            frozenset(each.id for each in rows),
            frozenset(each.id for each in rows if each.is_forgotten),
            {each.id: each for each in rows},
        )
        for source, rows in known.items()
    }
