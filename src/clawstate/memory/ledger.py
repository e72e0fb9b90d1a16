"""What `Imports` asks of an engine: the notes of what was imported from where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Imported:
    """
    A record that a source gave.

    `passage` is the digest of the text that it was there, `given` digests of all that the source
    said of it last; None where they are not known. `is_forgotten`: it is no longer kept, because
    somebody forgot it.
    """

    id: str
    passage: bytes | None = None
    given: bytes | None = None
    is_forgotten: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    """
    A source that was imported whole.

    `vanished` are ids that it gives no more, `left` those of them that stay because somebody
    changed them; `rows` are noted as by `ImportLedger.note`.
    """

    source: str
    fingerprint: str
    vanished: Sequence[str] = ()
    left: Sequence[str] = ()
    rows: Sequence[Imported] = ()


class ImportLedger(Protocol):
    """Which records came from which source. It forgets them in the step that notes it."""

    def marks(self, namespace: str) -> dict[str, str]:
        """Return the sources that were imported whole, each with its fingerprint."""

    def sources(self, namespace: str) -> set[str]:
        """Return all sources that are noted, also those that are not imported whole."""

    def look(self, namespace: str, sources: Sequence[str]) -> dict[str, list[Imported]]:
        """Return what `begin` would, and note nothing."""

    def sources_of(self, namespace: str, passages: Sequence[bytes]) -> dict[str, int]:
        """Return the sources that gave *passages*, with how many of them each gave."""

    # Of many at once: an import of thousands of small files would wait for the disk at each.
    def begin(self, namespace: str, sources: Sequence[str]) -> dict[str, list[Imported]]:
        """Note that *sources* are being imported, so not whole; return what each gave before."""

    def note(self, namespace: str, given: Mapping[str, Sequence[Imported]]) -> None:
        """
        Note what comes from each source, before it is kept; again, to add to what is noted.

        What was kept already, and came from no source, is not noted.
        """

    # One transaction with the records: noted alone, a kill would leave passages that nothing
    # removes.
    def finish(self, namespace: str, finished: Sequence[Finished]) -> int:
        """
        Note sources as imported whole and forget what vanished from them, in one step.

        What another source gives as well stays. Returns how many records were forgotten.
        """

    def forget(self, namespace: str, source: str, left: Sequence[str] = ()) -> int:
        """
        Take away the note of *source* and all that it alone gave but *left*, in one step.

        Returns how many records were forgotten.
        """

    def rename(self, namespace: str, old: str, new: str) -> None:
        """Note that what came from the source *old* comes from *new*, which is not noted yet."""

    def were_forgotten(self, namespace: str | None, given: Sequence[tuple[str, bytes]]) -> set[str]:
        """
        Return the ids of those of *given* that somebody forgot: by the id, or by the text.

        Each is an id and the content hash of a text. *namespace* None means any.
        """
