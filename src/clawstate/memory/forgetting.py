"""What forgetting tells: which records went and from where, and what a compaction gave back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Forgotten:
    """
    A record that was forgotten.

    `digest` is the SHA-256 of its text (UTF-8), in hexadecimal digits: whoever knows the text can
    check that it was this one, and nobody reads it from there. `words`, `tags` and `sources` say
    how many terms of the word index, tags and notes of imports went with it, `vector` whether it
    had one; `versions` how many earlier versions, those of records whose place it took among them.
    """

    id: str
    digest: str
    words: int = 0
    tags: int = 0
    vector: bool = False
    sources: int = 0
    versions: int = 0


@dataclass(frozen=True, slots=True)
class Compaction:
    """
    What `Memory.compact` did.

    `changes` are the forgotten and changed records whose bytes were cleared, `before` and `after`
    the bytes of the database with its log. If it is not `complete`, `waits_for` says for what;
    what is left is cleared by the next.
    """

    changes: int = 0
    before: int = 0
    after: int = 0
    complete: bool = True
    waits_for: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """
    What `Memory.forget` did: the `records` that went, and the ids that were `missing`.

    `gone`: no byte of them is left below the state directory. Otherwise they are found no more, and
    their bytes wait for a compaction; `waits_for` says why.
    """

    records: tuple[Forgotten, ...] = ()
    missing: tuple[str, ...] = ()
    gone: bool = True
    waits_for: str | None = None

    @property
    def places(self) -> Mapping[str, int]:
        """How many rows went from each place."""
        return {
            "records": len(self.records),
            "words": sum(each.words for each in self.records),
            "tags": sum(each.tags for each in self.records),
            "vectors": sum(each.vector for each in self.records),
            "imports": sum(each.sources for each in self.records),
            "versions": sum(each.versions for each in self.records),
        }


def text_digest(text: str) -> str:
    """Return the digest of a text as a receipt tells it."""
    return hashlib.sha256(text.encode()).hexdigest()


def receipt_of(
    ids: Sequence[str], records: Sequence[Forgotten], done: Compaction | None, *, waiting: int
) -> Receipt:
    """Return the receipt for *records* of *ids*, after the compaction *done*, if there was one."""
    kept = {each.id for each in records}
    missing = tuple(each for each in dict.fromkeys(ids) if each not in kept)
    # What others forgot since may wait as well, so a compaction speaks for itself.
    gone = not waiting if done is None else done.complete
    reason = "a compaction" if done is None else done.waits_for
    return Receipt(tuple(records), missing, gone=gone, waits_for=None if gone else reason)
