"""
What moved in a state, in which part, by any process.

Writers send no notification: a write costs one row at most, and readers poll. Files are looked
at by a `stat`, and read where that shows a change; a cursor holds the digest of each. Databases
number their changes. So a cursor is good in another process, and after a restart.
"""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from clawstate.arguments import require_text
from clawstate.config.watching import Watcher, report_error
from clawstate.errors import StateError, StateWarning, silent
from clawstate.interrupts import load_modules
from clawstate.sqlite import Part, change_log
from clawstate.state.feed_files import Tokens, WatchedFiles, Whose
from clawstate.state.memory_place import memory_db, memory_place

if TYPE_CHECKING:
    from clawstate.config.view import View
    from clawstate.postgres.part import Part as ServerPart
from clawstate.state.catalogue import PAST_KIND
from clawstate.state.context import Context

INTERVAL = 0.1
"""How often a subscription looks, in seconds."""

_VERSION = "1."
_LOGS = "log", "memory"  # of the transcripts, and of a memory that lies elsewhere
_SERVER_LOG = "server_log"  # of memory and transcripts there
_NO_SERVER = ""  # the cursor of a state that had no server: whatever is there may be new
_MOST_BYTES = 16 << 20  # of the text of a cursor, which may come from anybody
_MOST_KEYS = 10_000  # of one part; of more it is told that anything may have moved


@dataclass(frozen=True, slots=True)
class PartChange:
    """
    A part of a state that moved, such as `config`, `sessions`, `auth:main` or `memory`.

    *keys* are the records put, replaced or deleted, the last one last as far as that is known;
    `None` where it is not known which, and where a key is a secret, as those of `pairing` are.
    """

    part: str
    keys: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """
    What moved since a cursor, and a *cursor* of now.

    With *complete* false the cursor was too old, or of another state: anything may have moved.
    """

    cursor: str
    items: tuple[PartChange, ...] = ()
    complete: bool = True


class Feed:
    """What moved in the state on *context*. Safe for threads."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._files = WatchedFiles(context)
        self._subscriptions: dict[Subscription, None] = {}
        self._known_logs: dict[Path, Part] = {}
        self._server_log: ServerPart | None = None
        self._places: tuple[View | None, tuple[Path, ...]] | None = None

    def changes(self, since: str | None = None) -> Changes:
        """Return what moved after the cursor *since*; see `State.changes`."""
        self._context.backends.require_open()
        self._context.backends.require_place()
        before = None if since is None else _parse_cursor(require_text("since", since))
        found = _Found(before)
        with silent(StateWarning):  # whoever reads is told
            found.files(self._files)
            self._rows(found)
            self._server(found)
            self._log(found)
        return found.changes(is_known=since is None or before is not None)

    def subscribe(
        self, callback: Callable[[Changes], object], *, since: str | None, interval: float
    ) -> Subscription:
        """Call *callback* with each change; see `State.subscribe`."""
        # Before the thread begins: what moves from here on is told, however late that one is
        # scheduled.
        cursor = self.changes().cursor if since is None else require_text("since", since)
        made = Subscription(self, callback, cursor, interval=interval)
        self._subscriptions[made] = None
        return made

    def forget(self, subscription: Subscription) -> None:
        """Drop *subscription*, which is closed."""
        self._subscriptions.pop(subscription, None)

    def hear(self, wake: Callable[[], object]) -> Callable[[], None]:
        """Call *wake* when the server of the state gives notice; the answer ends that."""
        backends = self._context.backends
        with suppress(StateError):  # who looks is told
            if backends.has_server:
                database = backends.server_database(backends.choice)
                load_modules("clawstate.postgres.names")
                from clawstate.postgres.names import encode_name  # noqa: PLC0415 - see `_server`

                return database.notices.add(encode_name("tenant", backends.tenant), wake)
        return lambda: None

    def close(self) -> None:
        """Close all subscriptions."""
        for each in list(self._subscriptions):
            each.close()

    def _server(self, found: _Found) -> None:
        backends = self._context.backends
        if not backends.has_server:
            return
        server = backends.chosen_server()
        found.cursors["server"], moved = server.changes(found.since("server", _NO_SERVER))
        found.complete = found.complete and moved is not None
        self._add_rows(found, moved, server.has_secret_keys)
        from clawstate.postgres import change_log as server_log  # noqa: PLC0415 - few have a server
        from clawstate.postgres.part import Part as ServerPart  # noqa: PLC0415 - see above

        if self._server_log is None:
            database = backends.server_database(backends.choice)
            parts = server_log.PART, server_log.MIGRATIONS
            self._server_log = ServerPart(database, *parts, tenant=backends.tenant)
        logged = server_log.read_changes(self._server_log, found.since(_SERVER_LOG, _NO_SERVER))
        found.cursors[_SERVER_LOG] = logged.cursor
        found.complete = found.complete and logged.complete
        for part, keys in logged.moved.items():
            found.add(part, keys)

    def _rows(self, found: _Found) -> None:
        backends, since = self._context.backends, found.since("rows", ".0")
        if not backends.has_rows:
            # Gone, with all that was in it.
            found.complete = found.complete and since in {None, ".0"}
            return
        rows = backends.rows()
        found.cursors["rows"], moved = rows.changes(since)
        found.complete = found.complete and moved is not None
        self._add_rows(found, moved, rows.has_secret_keys)

    @staticmethod
    def _add_rows(
        found: _Found, moved: list[tuple[str, str]] | None, is_secret: Callable[[str], bool]
    ) -> None:
        by_kind: dict[str, dict[str, None]] = {}
        for kind, key in moved or ():
            if kind.startswith(PAST_KIND):  # it moves with the sessions, which are told
                continue
            by_kind.setdefault(kind, {})[key] = None
        for kind, keys in by_kind.items():
            found.add(kind, None if is_secret(kind) else keys)

    def _log(self, found: _Found) -> None:
        for name, path in zip(_LOGS, self._databases(), strict=False):
            since = found.since(name, "0.0")
            log = self._log_part(path)
            if log is None:
                found.complete = found.complete and since in {None, "0.0"}
                continue
            logged = change_log.read_changes(log, since)
            found.cursors[name] = logged.cursor
            found.complete = found.complete and logged.complete
            for part, keys in logged.moved.items():
                found.add(part, keys)

    def _log_part(self, path: Path) -> Part | None:
        """Return the log of the database *path*; `None` if that is not there."""
        if not os.path.exists(path):  # noqa: PTH110 - ten times a second
            return None
        if path not in self._known_logs:
            database = self._context.backends.database(path)
            self._known_logs[path] = database.part(change_log.PART, change_log.MIGRATIONS)
        return self._known_logs[path]

    def _databases(self) -> tuple[Path, ...]:
        """Return the database of memory and transcripts, and that of the memory if it has one."""
        view = None
        with suppress(StateError):  # then the usual place counts, until it is mended
            view = self._context.config.view()
        known = self._places
        if known is None or known[0] is not view:
            both = memory_db(self._context), memory_place(self._context).database
            known = self._places = view, tuple(dict.fromkeys(both))
        return known[1]


class Subscription:
    """
    Calls a function with what moved, from a thread of its own, until `close`.

    `cursor` is that of the last change that was told, for a later subscription to go on with.
    """

    def __init__(
        self, feed: Feed, callback: Callable[[Changes], object], cursor: str, *, interval: float
    ) -> None:
        self.cursor = cursor
        self._feed = feed
        self._callback = callback
        self._watcher = Watcher(self._tell, interval=interval, name="clawstate feed")
        self._end_notices = feed.hear(self._watcher.wake)

    def close(self) -> None:
        """Call the function no more; waits for a call that runs, unless it is made from there."""
        self._end_notices()
        self._watcher.close()
        self._feed.forget(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tell(self) -> None:
        found = self._feed.changes(self.cursor)
        if found.items or not found.complete:
            try:
                self._callback(found)
            except Exception as error:  # noqa: BLE001 - whoever is told must not end the telling
                report_error(error)
        # Behind the call: whoever goes on at this cursor was told all before it.
        self.cursor = found.cursor


class _Found:
    """What is found since the cursor *before*, as it was parsed; `None` if there is none."""

    def __init__(self, before: Mapping[str, Any] | None) -> None:
        self.complete = True
        self.cursors: dict[str, str] = {}
        self._before = before
        self._tokens: Tokens = {}
        self._moved: dict[str, dict[str, None] | None] = {}

    def since(self, name: str, first: str) -> str | None:
        """Return where the database *name* was, *first* if it was not there."""
        return None if self._before is None else self._before.get(name, first)

    def files(self, files: WatchedFiles) -> None:
        """Compare *files* with what they were."""
        self._tokens = files.tokens()
        if self._before is None:
            return
        before: Tokens = self._before["files"]
        for part in sorted({*before, *self._tokens}):
            old, new = dict(before.get(part, {})), self._tokens.get(part, {})
            for name in old.keys() - new.keys():
                whose = files.whose(part, name)
                if whose is Whose.OTHERS:
                    # Not read: a cursor is text from outside, and must not choose what is. Kept
                    # for whoever knows the collection.
                    new = self._tokens.setdefault(part, {})
                    new[name] = old[name]
                elif whose is Whose.NOBODYS:
                    self.complete = False
                    del old[name]
            for name in sorted({*old, *new}):
                if old.get(name) != new.get(name):
                    keys = files.keys(name, old.get(name))
                    self.add(part, None if keys is None else dict.fromkeys(keys))

    def add(self, part: str, keys: dict[str, None] | None) -> None:
        """Note that *keys* of *part* moved, `None` if it is not known which."""
        known = self._moved.setdefault(part, {})
        if keys is None or known is None:
            self._moved[part] = None
            return
        for key in keys:
            known.pop(key, None)
            known[key] = None
        if len(known) > _MOST_KEYS:
            self._moved[part] = None

    def changes(self, *, is_known: bool) -> Changes:
        """Return all that was found."""
        cursor = _cursor({"files": self._tokens, **self.cursors})
        items = tuple(
            PartChange(part, None if keys is None else tuple(keys))
            for part, keys in self._moved.items()
        )
        return Changes(cursor, items, self.complete and is_known)


def _cursor(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, separators=(",", ":"), sort_keys=True)
    return _VERSION + base64.urlsafe_b64encode(zlib.compress(text.encode())).decode()


def _parse_cursor(cursor: str) -> Mapping[str, Any] | None:
    """Return what *cursor* holds, or `None` if it is none of this version."""
    if not cursor.startswith(_VERSION):
        return None
    try:
        packed = base64.b64decode(cursor.removeprefix(_VERSION), b"-_", validate=True)
        found = json.loads(zlib.decompressobj().decompress(packed, _MOST_BYTES))
    except (ValueError, RecursionError, zlib.error):
        return None
    if not isinstance(found, dict) or not _are_tokens(found.get("files")):
        return None
    are_texts = all(
        isinstance(found.get(each, ""), str) for each in ("rows", "server", _SERVER_LOG, *_LOGS)
    )
    return found if are_texts else None


def _are_tokens(value: object) -> bool:
    parts = value.values() if isinstance(value, dict) else [None]
    return all(
        isinstance(part, dict) and all(isinstance(each, str) for each in part.values())
        for part in parts
    )
