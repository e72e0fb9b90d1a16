"""`AsyncTranscripts`: `Transcripts`, its verbs awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawstate.aio.part import Part
from clawstate.paging import PAGE
from clawstate.records.contract import ANY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from typing import Any, BinaryIO

    from clawstate.health import Finding
    from clawstate.paging import Page
    from clawstate.records.contract import Mark
    from clawstate.stores.transcripts.service import Moment, Transcripts
    from clawstate.stores.transcripts.values import Found, Held, Imported, Message

    _Part = Part[Transcripts]
else:
    _Part = Part


class AsyncTranscripts(_Part):
    """`Transcripts` in worker threads; each method is the one of that name."""

    async def append(
        self,
        session_id: str,
        messages: Iterable[Mapping[str, Any]] | Mapping[str, Any],
        *,
        parent: str | None = None,
        expect_leaf: str | Mark | None = ANY,
        turn: str | None = None,
        strict: bool = False,
    ) -> list[str]:
        """Add a turn of *messages* to the end of a session, all or none, and return their ids."""
        return await self._run(
            self._part().append,
            session_id,
            messages,
            parent=parent,
            expect_leaf=expect_leaf,
            turn=turn,
            strict=strict,
        )

    async def import_lines(self, session_id: str, lines: Iterable[str | bytes]) -> Imported:
        """Add the entries of a transcript's *lines* (version 1 to 4) that are not there yet."""
        return await self._run(self._part().import_lines, session_id, lines)

    async def fork(self, session_id: str, at: str, new_session_id: str) -> int:
        """Await `Transcripts.fork`."""
        return await self._run(self._part().fork, session_id, at, new_session_id)

    async def delete(self, session_id: str) -> bool:
        """Remove all of a session; false when it has no transcript."""
        return await self._run(self._part().delete, session_id)

    async def prune(
        self,
        *,
        older_than: float | None = None,
        most_sessions: int | None = None,
        most_bytes: int | None = None,
        keep: Iterable[str] = (),
    ) -> list[str]:
        """Remove whole sessions, the longest unchanged first, and return their ids."""
        return await self._run(
            self._part().prune,
            older_than=older_than,
            most_sessions=most_sessions,
            most_bytes=most_bytes,
            keep=keep,
        )

    async def optimize(self, *, rebuild: bool = False) -> None:
        """Await `Transcripts.optimize`."""
        return await self._run(self._part().optimize, rebuild=rebuild)

    async def messages(
        self,
        session_id: str,
        limit: int | None = None,
        before: str | None = None,
        after: str | None = None,
    ) -> list[Message]:
        """Return entries of a session in their order: all, or a page of at most *limit*."""
        return await self._run(self._part().messages, session_id, limit, before, after)

    async def get(self, session_id: str, message_id: str) -> Message | None:
        """Return the entry *message_id* of a session."""
        return await self._run(self._part().get, session_id, message_id)

    async def search(  # noqa: PLR0917 - the order is part of the contract
        self,
        text: str,
        session_id: str | None = None,
        limit: int = 20,
        role: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> list[Found]:
        """Return at most *limit* messages with words of *text*, the best first."""
        return await self._run(self._part().search, text, session_id, limit, role, since, until)

    async def sessions(self, limit: int | None = None, after: str | None = None) -> list[Held]:
        """Return what is held of each session, the last changed first."""
        return await self._run(self._part().sessions, limit, after)

    async def page(self, limit: int = PAGE, after: str | None = None) -> Page[Held]:
        """Return a page of what `sessions` gives: the *limit* last changed, or those behind."""
        return await self._run(self._part().page, limit, after)

    async def message_page(
        self, session_id: str, limit: int = PAGE, after: str | None = None
    ) -> Page[Message]:
        """Return a page of the messages of a session: the newest first, or those behind *after*."""
        return await self._run(self._part().message_page, session_id, limit, after)

    async def held(self, session_id: str) -> Held | None:
        """Return what is held of one session."""
        return await self._run(self._part().held, session_id)

    async def count(self, session_id: str) -> int:
        """Return how many entries a session has."""
        return await self._run(self._part().count, session_id)

    async def stats(self) -> dict[str, int]:
        """Return counts, and sizes in bytes."""
        return await self._run(self._part().stats)

    async def export(
        self, session_id: str, out: BinaryIO | Path | str, *, redact: bool = False
    ) -> int:
        """Await `Transcripts.export`."""
        return await self._run(self._part().export, session_id, out, redact=redact)

    async def check(self, *, deep: bool = True) -> list[Finding]:
        """Return what is damaged; *deep* reads every message."""
        return await self._run(self._part().check, deep=deep)
