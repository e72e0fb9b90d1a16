"""`Job`: one import, as the functions see it that each take one kind of things."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clawstate.errors import StateError
from clawstate.files.atomic import make_private_dir, write_atomic
from clawstate.importers.lines import open_regular
from clawstate.importers.openclaw.databases import Databases
from clawstate.importers.openclaw.report import Report
from clawstate.importers.openclaw.source import OF_AGENTS, Found, Role, Source, reason_of
from clawstate.state.opened import State

_OTHER = "there is another file of this name here, which is kept"

Progress = Callable[[int, int, str], None]
"""Is told how many bytes of how many are done, and the file at hand."""

# They tell themselves, as they go.
_METERED = frozenset({Role.TRANSCRIPT, Role.ARCHIVE, Role.SESSIONS, Role.SESSIONS_LEGACY})


@dataclass(frozen=True, slots=True)
class Settings:
    """
    What an import shall do.

    With *dry_run* nothing is written. *agents* are those whose things are taken, all if there are
    none. With *replace* sessions, credentials, devices and tokens here give way to those there;
    with *archives* transcripts of sessions that were reset or deleted are taken, too, and with
    *secrets* those of OpenClaw's store.
    """

    dry_run: bool = False
    agents: frozenset[str] = frozenset()
    replace: bool = False
    archives: bool = False
    secrets: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """The *files* of *source* on their way into *state*; what became of them is in *report*."""

    source: Source
    state: State
    files: tuple[Found, ...]
    report: Report
    settings: Settings
    default_agent: str = "main"
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The source's configuration."""
    databases: Databases = field(default_factory=Databases, repr=False)
    """What OpenClaw keeps in databases; their documents are among the *files*, before them."""
    media: set[str] = field(default_factory=set)
    """The files, relative to the source, that the messages taken so far name."""
    advance: Callable[[int, str], None] = lambda _size, _path: None
    """Is told of bytes that are done, and where."""

    @property
    def dry_run(self) -> bool:
        """Whether nothing may be written."""
        return self.settings.dry_run

    def of(self, *roles: Role) -> Iterator[Found]:
        """Yield the files of *roles*, in the order of the roles, and tell that each was done."""
        for role in roles:
            for found in self.files:
                if found.role is role and self._is_wanted(found):
                    yield found
                    # After the caller is done with it, since a generator goes on only then.
                    if role not in _METERED:
                        self.advance(found.entry.size, found.path)

    @contextmanager
    def count_failures(self, kind: str, path: str) -> Iterator[None]:
        """Count an error about the file *path* as a failure, with a remark, and go on."""
        try:
            yield
        except StateError as error:
            self.report.fail(kind, path, reason_of(error))

    def copy_file(self, kind: str, path: str, target: Path) -> None:
        """
        Copy the file *path* of the source to *target*, unless there is one, and count it.

        It is private from the instant that it exists, and never replaces another.
        """
        if self.source.is_same_file(path, target):
            self.report.count(kind).add(unchanged=1)
            return
        data = self.source.read(path)
        if not os.path.lexists(target):
            if not self.dry_run:
                # Whatever the mode of the source: what is copied may hold secrets.
                make_private_dir(target.parent)
                write_atomic(target, data)
            self.report.count(kind).add(new=1)
            return
        with open_regular(target) as stream:
            # One byte more than it has, so that a longer file with the same beginning differs.
            is_equal = stream.read(len(data) + 1) == data
        if is_equal:
            self.report.count(kind).add(unchanged=1)
        else:
            self.report.skip(kind, path, _OTHER)

    def in_database(self, found: Found) -> list[Any]:
        """
        Return what rows say of what the file *found* says: they count, however new the file is.

        OpenClaw itself does not read that file any more, or takes it in wrongly (decision 028).
        """
        if found.in_database:
            return []
        return [
            self.source.documents[each.path]
            for each in self.files
            if each.in_database and each.role is found.role and each.owner == found.owner
        ]

    def wants_agent(self, agent: str) -> bool:
        """Tell whether what belongs to *agent* is taken."""
        return not self.settings.agents or agent in self.settings.agents

    def is_here(self, found: Found, target: Path) -> bool:
        """Tell whether the records of *found* are those of the state: the same file, in use."""
        return self.keeps_files() and self.source.is_same_file(found.path, target)

    def is_home(self) -> bool:
        """Tell whether the source is the directory of the state itself."""
        return self.source.is_same_file("", self.state.paths.root)

    def keeps_files(self) -> bool:
        """Tell whether the records of the state lie in files, not in a database."""
        return self.state.records.keeps_files() is True

    def _is_wanted(self, found: Found) -> bool:
        return found.role not in OF_AGENTS or self.wants_agent(found.owner)
