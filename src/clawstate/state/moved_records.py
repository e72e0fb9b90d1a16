"""How many records lie where, and what is kept of those that were moved."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clawstate.errors import StateError
from clawstate.files.atomic import write_atomic
from clawstate.files.os_errors import os_errors
from clawstate.openclaw.description import describe
from clawstate.openclaw.owner import Era
from clawstate.quantities import number_of
from clawstate.records.last_good import copy_path
from clawstate.state.left_behind import LeftBehind, count_records, find_left_behind
from clawstate.state.plaintext import vacuum_database
from clawstate.state.record_conflicts import scan_replaced
from clawstate.state.record_places import CREDENTIALS, credential_places, record_places

if TYPE_CHECKING:
    from clawstate.records.postgres import PostgresBackend
    from clawstate.state.context import Context

_PATIENCE = 5.0  # seconds
_STARTED = ".removing"


@dataclass(frozen=True, slots=True)
class Aside:
    """
    What is kept of records that lie elsewhere now: *places*, how many *files* in them, and *rows*.

    *problems* says what of it could not be removed for good.
    """

    places: tuple[Path, ...] = ()
    files: int = 0
    rows: int = 0
    problems: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """Return what is kept, and what removes it."""
        where = ", ".join(map(str, self.places))
        kept = [f"{number_of(self.files, 'file')} in {where}"] if self.files else []
        kept += [f"{number_of(self.rows, 'row')} of state/records.db"] if self.rows else []
        kept = kept or ["free pages of state/records.db, whose cleaning did not end"]
        told = "what records lay in before they were moved is kept, secrets included"
        return f"{told}: {' and '.join(kept)}; 'clawstate store clean' removes it"

    def __bool__(self) -> bool:
        """Tell whether there is anything."""
        return bool(self.places or self.rows)


def find_aside(context: Context) -> Aside:
    """Return what was set aside; only looks."""
    places = tuple(dict.fromkeys(_places(context)))
    rows = context.backends.rows().count_aside() if context.backends.has_rows else 0
    if (server := _server(context)) is not None:
        rows += server.count_aside()
    return Aside(places, sum(_files(each) for each in places), rows)


def remove_aside(context: Context) -> Aside:
    """
    Remove what was set aside, and return what that was.

    Rows of all tenants are deleted, and the database is rewritten without its free pages. Files
    are unlinked. Raises `UnavailableError` and `LockTimeoutError`; what is left then, and after a
    kill at any point, is found by the next call.
    """
    with context.backends.moving():
        found = find_aside(context)
        problems: tuple[str, ...] = ()
        if context.backends.has_rows:
            # Rows that are gone show nobody that free pages still hold them: this does.
            if not _folder(context).is_symlink():
                write_atomic(_folder(context) / _STARTED, b"")
            context.backends.rows().remove_aside()
            problems = tuple(vacuum_database(context.paths.records_db))
        if (server := _server(context)) is not None:
            server.remove_aside()
            if not server.clear_deleted(patience=_PATIENCE):
                problems += ("rows of the server were in use; 'clawstate store clean' again",)
        for each in dict.fromkeys((*found.places, _folder(context))):
            with os_errors(each, "was not removed"):
                if each.is_dir() and not each.is_symlink():
                    shutil.rmtree(each)
                else:
                    each.unlink(missing_ok=True)
    return Aside(found.places, found.files, found.rows, problems)


def _server(context: Context) -> PostgresBackend | None:
    """Return the PostgreSQL database that the state uses, or did before its records were moved."""
    backends = context.backends
    return backends.server(backends.choice) if backends.has_server else None


def _folder(context: Context) -> Path:
    return context.paths.root / "state" / "set-aside"


def _places(context: Context) -> Iterator[Path]:
    if os.path.lexists(_folder(context)):
        yield _folder(context)
    with suppress(StateError):  # told where the records are looked for
        for place in record_places(context):
            for file in (place.file, copy_path(place.file)):
                # What lies on another file system is renamed where it is.
                yield from sorted(file.parent.glob(f"{file.name}.moved-*"))


def _files(place: Path) -> int:
    if not place.is_dir() or place.is_symlink():
        return 1
    return sum(len({*names} - {_STARTED}) for _, _, names in os.walk(place))


@dataclass(frozen=True, slots=True)
class Summary:
    """
    The *counts* of records by store in the chosen *engine*, and what is *left* in the other.

    *aside* is what was kept when records were moved, and *replaced* the names of records in it that
    gave way to others. *owner* says in one line whose the directory is.
    """

    engine: str
    owner: str
    counts: Mapping[str, int]
    left: LeftBehind
    aside: Aside
    replaced: tuple[str, ...] = ()


def summarise(context: Context) -> Summary:
    """Return how many records lie where; only looks."""
    engine = context.backends.engine
    return Summary(
        engine.name,
        describe(context.owner).sentence,
        {**_credentials(context), **count_records(context, engine)},
        find_left_behind(context),
        find_aside(context),
        tuple(dict.fromkeys(each.name for each in scan_replaced(context))),
    )


def _credentials(context: Context) -> dict[str, int]:
    """Return how many there are where their files are OpenClaw's, which makes them no leftovers."""
    if context.owner.era is not Era.SQLITE or not context.backends.has_rows:
        return {}
    rows = context.backends.rows()
    count = sum(rows.collection(each.spec).count() for each in credential_places(context))
    return {CREDENTIALS: count} if count else {}
