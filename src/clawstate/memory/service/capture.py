"""`CaptureVerbs`: what conversations say is kept, put before a person, and recalled as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clawstate.arguments import describe, require_count, require_text, require_texts
from clawstate.errors import InvalidError
from clawstate.interrupts import load_modules
from clawstate.memory.service.records import RecordVerbs
from clawstate.memory.service.searching import SearchVerbs
from clawstate.memory.validation import check_name
from clawstate.paging import PAGE, Page

if TYPE_CHECKING:
    from clawstate.memory.capture.values import Captured, InboxItem, Origin, Recall

# What captures and recalls is imported by who does: its rules take longer to load than a search.

LONGEST = 500
"""Characters of a text that is captured as a whole, if nothing else is said (specification)."""

BUDGET = 1_000
"""Tokens of a recall, if nothing else is said."""

_LEAST_SCORE = 0.3  # OpenClaw's: what scores less has little to do with the question
_MOST_HITS = 50


class CaptureVerbs(RecordVerbs, SearchVerbs):
    """Captures, shows what waits for a person, and recalls (decisions 33 and 050)."""

    def capture(
        self,
        messages: Iterable[Any],
        *,
        session: str = "",
        who: str = "owner",
        origin: Origin | None = None,
        namespace: str = "default",
        max_chars: int = LONGEST,
    ) -> Captured:
        """
        Keep what *messages* say that is worth it, and return what became of each text.

        A message is a mapping with `role` and `content`, and if there are `id`, `sender`, `origin`.
        What looks like an instruction, or comes from neither the owner nor the agent, waits in the
        inbox. Nothing is kept twice, nothing that was forgotten or rejected, nothing that was
        recalled, and no secret. *max_chars*, 100 to 10,000: longer texts are taken by sentences.
        Raises `InvalidError`.
        """
        load_modules("clawstate.memory.capture.intake")
        from clawstate.memory.capture.intake import judge_all, says_the_same  # noqa: PLC0415
        from clawstate.memory.capture.messages import said_in  # noqa: PLC0415
        from clawstate.memory.capture.values import ORIGINS, Captured  # noqa: PLC0415

        if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Iterable):
            raise InvalidError("messages", f"{describe(messages)} is no list of messages")
        require_text("session", session)
        check_name("who", who)
        check_name("namespace", namespace)
        if origin is not None and origin not in ORIGINS:
            raise InvalidError("origin", "is none", f"use one of {', '.join(ORIGINS)}")
        if not 100 <= require_count("max_chars", max_chars) <= 10_000:
            raise InvalidError("max_chars", "is out of bounds", "take 100 to 10,000")
        unsaid = Counter[str]()
        said = said_in(
            messages, who=who, session=session, origin=origin, longest=max_chars, skipped=unsaid
        )
        now = self._clock()
        intake = judge_all(said, namespace=namespace, now=now, longest=max_chars)
        intake.skipped.update(unsaid)
        given = intake.given()
        known = self.get_many([each for each, _ in given]).keys()
        intake.leave_out(set(known), "known")
        intake.leave_out(self.imports.were_forgotten(given, namespace=namespace), "known")
        intake.leave_out(self._inbox.were_rejected([each for each, _ in given]), "known")
        # One by one: the next may say what this one said.
        for each in intake.records:
            if says_the_same(each.text, self._alike(each.text, namespace)):
                intake.leave_out({each.id}, "duplicate")
            else:
                self.add_many([each])
        kept, had_room = self._inbox.put(intake.items)
        left = {each.id for each in intake.items} - kept
        intake.leave_out(left, "known" if had_room else "inbox-full")
        skipped = {reason: count for reason, count in sorted(intake.skipped.items()) if count}
        records = tuple(each.id for each in intake.records)
        return Captured(records, tuple(each.id for each in intake.items), skipped)

    def recall(
        self,
        query: str,
        *,
        budget_tokens: int = BUDGET,
        namespace: str | None = "default",
        tags: Iterable[str] | None = None,
        min_score: float = _LEAST_SCORE,
    ) -> Recall:
        """
        Return what is remembered about *query* as a block of text for the context of a model.

        It is escaped, and fenced as data that is no instruction. As many of the best go in as fit
        into *budget_tokens*, by an estimate that is seldom too low. Raises `InvalidError`.
        """
        load_modules("clawstate.memory.capture.recall")
        from clawstate.memory.capture.recall import recall_block  # noqa: PLC0415

        require_count("budget_tokens", budget_tokens, least=1)
        hits = self.search(query, k=_MOST_HITS, namespace=namespace, tags=tags, min_score=min_score)
        return recall_block(hits, budget=budget_tokens)

    def inbox(self, limit: int = PAGE, after: str | None = None) -> Page[InboxItem]:
        """Return a page of what waits for a person, the newest first; raises `InvalidError`."""
        return self._inbox.page(limit, after)

    def accept(self, item_id: str, *, text: str | None = None) -> str:
        """
        Keep an item of the inbox, as it is or as *text*, and return the id of the record.

        Raises `NotFoundError`, `InvalidError`.
        """
        item = self._inbox.require(require_text("id", item_id))
        record = {
            "id": item.id,
            "text": item.text if text is None else text,
            "category": item.category,
            "importance": item.importance,
            "namespace": item.namespace,
            "metadata": item.provenance.metadata(),
        }
        # The record first: cut off between the two, the item is accepted once more, to the same.
        self.add_many([record])
        self._inbox.remove(item.id)
        return item.id

    def reject(self, item_ids: Sequence[str]) -> int:
        """Forget items of the inbox, and never take them again; return how many waited."""
        return self._inbox.reject(require_texts("ids", item_ids))

    def _alike(self, text: str, namespace: str) -> list[tuple[str, float]]:
        hits = self.search(text, k=3, namespace=namespace)
        return [(hit.record.text, hit.vector_score or 0.0) for hit in hits]
