"""What an import of a transcript would do, found out without writing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator

from clawstate.files.json_text import dump_compact
from clawstate.records.contract import Json
from clawstate.stores.transcripts import Transcripts
from clawstate.stores.transcripts.importing import Reading
from clawstate.stores.transcripts.values import CONTRADICTION, Imported, Message

_PAGE = 1000


class Known:
    """The entries of the sessions that were tried: what several files hold is counted once."""

    def __init__(self) -> None:
        self._sessions: dict[str, dict[str, bytes]] = {}

    def tried(
        self,
        transcripts: Transcripts,
        session_id: str,
        lines: Iterable[str | bytes],
        *,
        now: float,
    ) -> Imported:
        """Return what `Transcripts.import_lines` would; holds an id and a digest of each entry."""
        known = self._sessions.get(session_id)
        if known is None:
            found = _messages(transcripts, session_id)
            known = self._sessions[session_id] = {each.id: _digest(each.entry) for each in found}
        reading = Reading(session_id, now)
        added = kept = 0
        for number, entry in reading.entries(lines):
            name, digest = str(entry.id), _digest(json.loads(entry.line))
            if name not in known:
                known[name] = digest
                added += 1
            elif known[name] == digest:
                kept += 1
            else:
                reading.problem(number, f"{CONTRADICTION} {name!r}")
        return Imported(added, kept, tuple(reading.problems))


def _messages(transcripts: Transcripts, session_id: str) -> Iterator[Message]:
    if not transcripts.path.exists():
        return
    page = transcripts.messages(session_id, limit=_PAGE)
    while page:
        yield from page
        page = transcripts.messages(session_id, limit=_PAGE, before=page[0].id)


def _digest(entry: Json) -> bytes:
    return hashlib.blake2b(dump_compact(entry).encode(errors="replace"), digest_size=16).digest()
