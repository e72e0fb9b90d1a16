"""Questions whose answers a backup must give again: searches by words for what is remembered."""

from __future__ import annotations

import re
from collections.abc import Mapping

from clawstate.backup.manifest import DatabaseFacts, Question
from clawstate.state import State

_MOST = 50
_WORD = re.compile(r"\w{3,}")
_WORDS = 6
_ANSWERS = 5


def ask_memory(state: State, facts: Mapping[str, DatabaseFacts]) -> tuple[Question, ...]:
    """Return searches for records that were sampled, with what *state* answers."""
    if not any("memories" in each.rows for each in facts.values()):
        return ()
    found: list[tuple[str, str]] = []
    after = None
    total = max(each.rows.get("memories", 0) for each in facts.values())
    step = max(1, total // _MOST)
    # By ids in their order, evenly: each page begins behind the last one.
    while len(found) < _MOST:
        page = state.memory.records(namespace=None, after=after, limit=step)
        if not page:
            break
        record, after = page[-1], page[-1].id
        words = _WORD.findall(record.text)[:_WORDS]
        if words:
            found.append((" ".join(words), record.namespace))
    return tuple(
        Question("memory", query, namespace, answer_of(state, query, namespace))
        for query, namespace in found
    )


def answer_of(state: State, query: str, namespace: str) -> tuple[str, ...]:
    """Return the ids that a search by words finds, the best first."""
    hits = state.memory.search(query, k=_ANSWERS, mode="words", namespace=namespace, fresh=True)
    return tuple(hit.record.id for hit in hits)
