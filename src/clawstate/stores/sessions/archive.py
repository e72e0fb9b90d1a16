"""The archive: what was deleted, reset or pruned, for as long as that can be undone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from clawstate.clock import Clock, from_ms, to_ms
from clawstate.errors import InvalidError, NotFoundError
from clawstate.files.json_text import dump_compact
from clawstate.paging import Position
from clawstate.records.contract import Collection
from clawstate.records.listing import latest
from clawstate.stores.sessions.entry import Document, is_session_id, moment_ms, updated_ms

Reason = Literal["deleted", "reset", "pruned", "replaced"]

_REASONS: dict[str, Reason] = {each: each for each in get_args(Reason)}
_FEW = 4  # records that are rather put one by one than with all others


@dataclass(frozen=True, slots=True)
class Archived:
    """A session that was taken out of the index: *archive* is its name, *at* is in seconds."""

    archive: str
    session_key: str
    session_id: str
    reason: Reason
    at: float
    entry: Mapping[str, Any] = field(repr=False)
    profile: Mapping[str, Any] = field(repr=False)
    """Members that only the profile had."""
    size: int = field(compare=False)
    """Bytes of its JSON text."""


class Archive:
    """
    The archived sessions in *collection*.

    A session is archived before it leaves the index, so that a kill between the two loses nothing;
    until then its record here means nothing.
    """

    def __init__(self, collection: Collection, *, clock: Clock) -> None:
        self._collection = collection
        self._clock = clock

    @property
    def path(self) -> str:
        """Where it lies, for people to read."""
        return str(self._collection.spec.path)

    def keep(
        self, entries: Mapping[str, Any], extra: Mapping[str, Mapping[str, Any]], reason: Reason
    ) -> None:
        """Keep *entries* by session key, each with the *extra* members of its profile."""
        made = {
            archive_name(key, entry): self._record(key, entry, extra.get(key, {}), reason)
            for key, entry in entries.items()
        }
        # On files each `put` rewrites the document; on rows `change_all` reads all of them. From a
        # handful of records on, one change is the cheaper.
        if len(made) <= _FEW:
            for name, record in made.items():
                self._collection.put(name, record)
        else:
            self._collection.change_all(lambda found: ({**found, **made}, None))

    def preview(self, key: str, entry: Document) -> Archived:
        """Return what pruning *entry* would keep, without its profile."""
        record = self._record(key, entry, {}, "pruned")
        name, session_id = archive_name(key, entry), str(entry.get("sessionId"))
        size = len(dump_compact(record))
        return Archived(name, key, session_id, "pruned", self._clock(), entry, {}, size)

    def holds(self, key: str, entry: Any) -> bool:
        """Tell whether the session of *entry* under *key* was archived, and not changed since."""
        found = self._collection.get(archive_name(key, entry))
        if found is None or not isinstance(found.value, dict):
            return False
        # A session that was used again after it was archived is alive: an old record of it proves
        # nothing.
        return updated_ms(entry) <= updated_ms(found.value.get("entry"))

    def records(self) -> Iterator[Archived]:
        """Give all that is archived."""
        for each in self._collection.scan():
            if (record := _decode(each.key, each.value)) is not None:
                yield record

    def latest(self, after: Position | None, *, first: int) -> Iterator[tuple[Position, Archived]]:
        """Give what is archived behind *after*, the newest first."""
        for position, each in latest(self._collection, after, first=first):
            if (record := _decode(each.key, each.value)) is not None:
                yield position, record

    def find(self, name: str) -> Archived | None:
        """Return the record called *name*, or else the newest of the session key *name*."""
        found = self._collection.get(name)
        if found is not None:
            return _decode(name, found.value)
        # A key may have been deleted and begun anew several times; people mean the last one.
        of_key = [each for each in self.records() if each.session_key == name]
        return max(of_key, key=lambda each: each.at, default=None)

    def require(self, *names: str) -> Archived:
        """Return what `find` gives for the first of *names* that is known, to be restored."""
        archived = next(filter(None, map(self.find, names)), None)
        if archived is None:
            hint = "'clawstate sessions list --archived' shows what can be restored"
            raise NotFoundError("archived session", names[0], hint)
        if not is_session_id(archived.session_id):
            problem = "holds no usable sessionId"
            raise InvalidError(f"archive {archived.archive!r}", problem, "read it by hand")
        return archived

    def drop(self, names: list[str]) -> int:
        """Remove the records called *names* for good, and return how many there were."""
        if len(names) <= _FEW:
            return sum(self._collection.delete(name) for name in names)
        gone = set(names)

        def change(found: dict[str, Any]) -> tuple[dict[str, Any], int]:
            left = {name: value for name, value in found.items() if name not in gone}
            return left, len(found) - len(left)

        return self._collection.change_all(change)

    def expire(self, spent: Iterable[Archived]) -> None:
        """
        Make sure that none of *spent* can be restored any more; `ended_ids` gives them from now on.

        What was archived anew meanwhile stays.
        """
        moments = {each.archive: each.at for each in spent}

        def change(found: dict[str, Any]) -> tuple[dict[str, Any], None]:
            for name, at in moments.items():
                archived = _decode(name, found.get(name))
                # Archived once more since it was judged: that record has its own time to live.
                if archived is not None and archived.at == at:
                    # A note stays until the messages of the session are gone as well, so a kill in
                    # between leaves work that the next call finds, and not messages that nothing
                    # names any more.
                    found[name] = {"ended": archived.session_id}
            return found, None

        if moments:
            self._collection.change_all(change)

    def ended_ids(self) -> dict[str, str]:
        """Return the ids of sessions that are gone for good, by the names of their archives."""
        found = ((each.key, _ended_id(each.value)) for each in self._collection.scan())
        return {name: session_id for name, session_id in found if session_id is not None}

    def forget(self, names: Iterable[str]) -> None:
        """Forget those of *names* that ended: nothing of them is left."""
        gone = set(names)

        def change(found: dict[str, Any]) -> tuple[dict[str, Any], None]:
            left = {
                name: value
                for name, value in found.items()
                if name not in gone or _ended_id(value) is None
            }
            return left, None

        if gone:
            self._collection.change_all(change)

    def _record(
        self, key: str, entry: Any, extra: Mapping[str, Any], reason: Reason
    ) -> dict[str, Any]:
        return {
            "archivedAt": to_ms(self._clock()),
            "reason": reason,
            "sessionKey": key,
            "entry": entry,
            "profile": dict(extra),
        }


def archive_name(key: str, entry: Any) -> str:
    """Return the name of the archive of *entry*: one for each session of each key."""
    session_id = entry.get("sessionId") if isinstance(entry, dict) else None
    readable = session_id if is_session_id(session_id) else ""
    # Key and id, since two keys may name one session; the digest, since a key may hold any sign.
    text = dump_compact([key, session_id])
    return f"{readable}~{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def _ended_id(record: Any) -> str | None:
    found = record.get("ended") if isinstance(record, dict) else None
    return found if isinstance(found, str) else None


def _decode(name: str, record: Any) -> Archived | None:
    # What somebody else put here is not ours to judge; it is never taken for a session.
    if not isinstance(record, dict):
        return None
    key, entry, profile = (record.get(each) for each in ("sessionKey", "entry", "profile"))
    at, reason = moment_ms(record.get("archivedAt")), _REASONS.get(str(record.get("reason")))
    if not isinstance(key, str) or at is None or reason is None:
        return None
    entry = entry if isinstance(entry, dict) else {}
    session_id = entry.get("sessionId")
    return Archived(
        archive=name,
        session_key=key,
        session_id=session_id if isinstance(session_id, str) else "",
        reason=reason,
        at=from_ms(at),
        entry=entry,
        profile=profile if isinstance(profile, dict) else {},
        size=len(dump_compact(record)),
    )
