"""What becomes of the messages of sessions that are gone for good (decision 7)."""

from __future__ import annotations

from collections.abc import Callable

from clawstate.state.context import Context
from clawstate.state.memory_place import memory_db

Named = Callable[[frozenset[str]], frozenset[str]]
"""Returns which of some sessions are named elsewhere."""


def removing_messages(
    context: Context, *, named: Named = lambda _ids: frozenset()
) -> Callable[[frozenset[str]], None]:
    """
    Return what removes the messages of the sessions that it is told, unless they are *named*.

    Messages of sessions that it was never told stay, such as those that were imported alone.
    """

    def gone(session_ids: frozenset[str]) -> None:
        if not session_ids or not memory_db(context).exists():
            return
        from clawstate.state.transcripts import open_transcripts  # noqa: PLC0415 - rarely needed

        transcripts = open_transcripts(context)
        try:
            for each in sorted(session_ids - named(session_ids)):
                transcripts.delete(each)
        finally:
            transcripts.close()

    return gone
