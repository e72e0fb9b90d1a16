"""What becomes of the messages of sessions that are gone for good (decision 7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clawstate.state.ground import Ground

Named = Callable[[frozenset[str]], frozenset[str]]
"""Returns which of some sessions are named elsewhere."""


def removing_messages(
    ground: Ground, *, named: Named = lambda _ids: frozenset()
) -> Callable[[frozenset[str]], None]:
    """
    Return what removes the messages of the sessions that it is told, unless they are *named*.

    Messages of sessions that it was never told stay, such as those that were imported alone.
    """

    def gone(session_ids: frozenset[str]) -> None:
        if not session_ids or not ground.paths.memory_db.exists():
            return
        from clawstate.state.transcripts import open_transcripts  # noqa: PLC0415 - rarely needed

        transcripts = open_transcripts(ground)
        try:
            for each in sorted(session_ids - named(session_ids)):
                transcripts.delete(each)
        finally:
            transcripts.close()

    return gone
