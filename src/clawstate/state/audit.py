"""`Audit`: whether memory and conversations are what was written, proven by a keyed chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

from clawstate.encryption.key_file import default_key_file
from clawstate.encryption.sources import new_source
from clawstate.errors import InvalidError, NotFoundError
from clawstate.sqlite.audit_chain import (
    Broken,
    Head,
    first_broken,
    is_audited,
    parse_head,
    read_head,
    source_of,
    turn_off,
    write_head,
)
from clawstate.sqlite.errors import sqlite_errors
from clawstate.state.memory_place import memory_db
from clawstate.state.watched_rows import chain_of_state, key_of_source

if TYPE_CHECKING:
    from clawstate.state.context import Context


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What `Audit.verify` found: *links* that were followed, and what is *broken*, if anything."""

    links: int
    broken: Broken | None

    @property
    def holds(self) -> bool:
        """Whether everything is what was written."""
        return self.broken is None


class Audit:
    """
    The chain over memory and transcripts of *context* (decision 067); off unless turned on.

    From then on whoever writes needs the key.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def path(self) -> Path:
        """The database that the chain is in."""
        return memory_db(self._context)

    def is_on(self) -> bool:
        """Tell whether changes are chained."""
        if not self.path.is_file():
            return False
        with sqlite_errors(self.path), closing(self._open()) as connection:
            return is_audited(connection)

    def turn_on(self, choice: str = "file", *, head: Path | None = None) -> Head:
        """
        Chain all changes from now on, beginning with what is there, and return the head.

        The key comes from *choice*, `file`, `file:/path`, `keyring` or `passphrase`; the head is
        told in the file *head*, which must lie outside of the state. A chain that is there is begun
        anew. Raises `InvalidError`, `NotFoundError` where nothing was ever kept.
        """
        if not self.path.is_file():
            raise NotFoundError("memory", str(self.path), "there is nothing to watch yet")
        root = self._context.paths.root
        name = f"audit-{root.name.strip('.') or 'state'}"
        place = head or default_key_file(name).with_suffix(".head")
        if place.resolve().is_relative_to(root.resolve()):
            raise InvalidError("head", "lies inside of the state", "name a file elsewhere")
        source, _ = new_source(choice, name, state=root, given=lambda: None)
        chain = chain_of_state()
        part = self._context.backends.database(self.path).part("audit-switch", ())
        with part.writing() as connection:
            found = chain.turn_on(connection, self.path, source.document, place.absolute())
        write_head(place, found)
        return found

    def turn_off(self) -> bool:
        """Chain nothing any more; False if nothing was."""
        if not self.is_on():
            return False
        part = self._context.backends.database(self.path).part("audit-switch", ())
        with part.writing() as connection:
            turn_off(connection)
        return True

    def head(self) -> Head:
        """Return the newest link; raises `NotFoundError` without a chain."""
        with sqlite_errors(self.path), closing(self._require()) as connection:
            number, code = connection.execute(
                "SELECT number, code FROM clawstate_audit ORDER BY number DESC LIMIT 1"
            ).get or (0, bytes(32))
        return int(number), bytes(code).hex()

    def verify(
        self,
        *,
        heads: Sequence[Head | str] = (),
        head: Path | None = None,
        source: Mapping[str, Any] | None = None,
    ) -> AuditReport:
        """
        Follow the chain, compare every row with it, and return what is broken.

        *heads* were printed or noted before; the one in the file *head*, by default where it is
        told, counts too. Raises `NotFoundError` without a chain, `UnavailableError` without key or
        head.
        """
        with sqlite_errors(self.path), closing(self._require()) as connection:
            connection.execute("BEGIN")
            told, place = source_of(connection)
            key = key_of_source(source or told)
            known = [each if isinstance(each, tuple) else parse_head(each) for each in heads]
            if head is not None or not known:
                known.append(read_head(head or place))
            chain = chain_of_state()
            broken = first_broken(connection, chain, key, known)
            links = int(connection.execute("SELECT count(*) FROM clawstate_audit").get)
        return AuditReport(links, broken)

    def _require(self) -> apsw.Connection:
        connection = self._open()
        if is_audited(connection):
            return connection
        connection.close()
        hint = "run 'clawstate audit enable'; if that was done, the chain was removed"
        raise NotFoundError("chain of changes", str(self.path), hint)

    def _open(self) -> apsw.Connection:
        if not self.path.is_file():
            raise NotFoundError("memory", str(self.path))
        connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READWRITE)
        connection.set_busy_timeout(10_000)
        connection.pragma("query_only", 1)
        return connection
