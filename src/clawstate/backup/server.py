"""What lies on a server, in a backup: files of SQLite, as on a state that has no server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from clawstate.backup.content import Found
from clawstate.backup.databases import OwnSnapshot, facts_of_copy
from clawstate.backup.manifest import DatabaseFacts
from clawstate.backup.secret_rows import drop_secret_rows
from clawstate.errors import StateWarning, silent
from clawstate.sqlite.merged import merge_log
from clawstate.state import open_state
from clawstate.state.server_copies import ServerCopy

STORE: Final = "state.store"
"""The setting that the restored state does without: its records lie in a file."""


def stage_server(
    copy: ServerCopy,
    work: Path,
    *,
    samples: int,
    secrets: bool,
    tell: Callable[[str], object],
) -> tuple[list[Found], Mapping[str, DatabaseFacts]]:
    """
    Write what *copy* holds into *work*, and return what that is, and the facts of each file.

    Rows of memory and transcripts are compared with those of the server.
    """
    found: list[Found] = []
    facts: dict[str, DatabaseFacts] = {}

    def note(_done: int, _total: int, what: str) -> None:
        tell(what)

    for path in copy.write(work, note):
        merge_log(path)
        place = path.relative_to(work).as_posix()
        if secrets:
            with closing(OwnSnapshot(path, foreign=False)) as snapshot:
                facts[place] = snapshot.facts(samples)
        else:
            drop_secret_rows(path)
            facts[place] = facts_of_copy(path, ())
        found.append(Found(path, place, path.stat(), "clawstate", is_database=True))
    return found, facts


def forget_server(work: Path) -> None:
    """Let the copy in *work* keep its records in rows of its own."""
    with silent(StateWarning), open_state(work) as copied:
        copied.records.leave_server()
