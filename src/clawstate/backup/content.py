"""What of a state directory goes into a backup, whose it is, and what is left out."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from clawstate.backup.databases import SIDECARS, is_database
from clawstate.backup.manifest import Whose
from clawstate.doctor.audit.tree import Entry, walk, walk_agent
from clawstate.files.atomic import is_temporary
from clawstate.state import State

WORK: Final = "locks/backup.work"
"""Where a backup is put together, below the state directory: nothing of it leaves the disk."""

TABLE: Final = re.compile(r"memory/lancedb/[^/]+\.lance/(?P<inner>.+)")
"""A file of a LanceDB table: it is written once, and never changed."""

VERSION: Final = re.compile(r"_versions/[^/]+\.manifest")
"""The file that makes a version of such a table."""

_OURS = re.compile(
    r"clawstate\.json|openclaw\.json|\.config-history/.*|sessions/.*|dedupe/.*|memory/.*|matrix/.*"
    r"|locks/.*|logs/(clawstate-)?config-audit\.jsonl|secrets/.*|set-aside/.*"
    r"|agents/[^/]+/agent/(\.config-history/.*|(\.lastgood/)?(config|auth-profiles)\.json)"
    r"|agents/[^/]+/sessions/(\.lastgood/)?sessions\.json"
    r"|state/(records\.db|keys\.json|backups\.json|imports\.json|migration\.json|set-aside/.*"
    r"|gateway-token|(\.lastgood/)?(pairing|pairing-attempts|pairing-invitations|devices|inbox)"
    r"\.json|identity/.*|\.lastgood/.*)"
    r"|identity/(\.lastgood/)?device\.json|credentials/matrix/.*"
)
_LEFT_OUT = {
    "node_modules": "programs that can be installed again",
    ".quarantine": "damaged copies that doctor kept aside",
    ".before-upgrade": "copies from before upgrades",
    ".locks": "queues of locks",
}
_LOCKS = re.compile(r".*\.(lock|gate|turn|later)|locks/gateway/.*")
_PLAIN = re.compile(
    r"memory(/.*)?|sessions(/.*)?|dedupe(/.*)?|workspace[^/]*(/.*)?|media(/.*)?"
    r"|agents(/[^/]+(/sessions(/.*)?)?)?|agents/[^/]+/agent|state(/(records\.db|backups\.json))?"
)
_SETTINGS = re.compile(r"(openclaw|clawstate)\.json|agents/[^/]+/agent/config\.json")
_DOTENV = re.compile(r"(.*/)?\.env(\..*)?")


@dataclass(frozen=True, slots=True)
class Found:
    """Something to back up: where it lies, and its *place* below the restored state directory."""

    path: Path
    place: str
    status: os.stat_result
    whose: Whose
    is_database: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.status.st_mode)

    @property
    def is_settings(self) -> bool:
        """Whether it is a configuration, in which secrets may stand in the clear."""
        return bool(_SETTINGS.fullmatch(self.place))


@dataclass(slots=True)
class Content:
    """What was found, what is left out and why, and the settings whose place lies outside."""

    found: list[Found] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    moved: list[str] = field(default_factory=list)


def find_content(state: State, *, secrets: bool, exclude: Sequence[str]) -> Content:
    """Return what a backup of *state* holds; paths that match one of *exclude* are left out."""
    content = Content()

    def note(error: OSError, path: Path) -> None:
        content.left_out[str(path)] = f"cannot be read ({error.strerror})"

    root = state.paths.root
    rest: Whose = "openclaw" if state.owner.is_openclaw else "other"
    entries = list(_without_hidden(walk(root, on_error=note), content, exclude))
    entries += _outside(state, content)
    bases = {each.place for each in entries}
    for entry in entries:
        place = entry.place
        if not place:
            continue
        why = _reason(entry, bases, secrets=secrets)
        if why is not None:
            if why:
                content.left_out[place] = why
            continue
        whose: Whose = "clawstate" if _OURS.fullmatch(place) else rest
        if entry.is_link and _SETTINGS.fullmatch(place):
            # What a link of the configuration leads to may be a repository elsewhere.
            entry = Entry(entry.path, place, entry.path.stat())  # noqa: PLW2901
        found = entry.is_file and not TABLE.fullmatch(place) and is_database(entry.path)
        content.found.append(Found(entry.path, place, entry.status, whose, found))
    return content


def _without_hidden(
    entries: Iterator[Entry], content: Content, exclude: Sequence[str]
) -> Iterator[Entry]:
    """Yield *entries* but those within directories that are left out whole."""
    hidden: tuple[str, ...] = ()
    for entry in entries:
        if entry.place.startswith(hidden):
            continue
        name = entry.place.rpartition("/")[2]
        why = _LEFT_OUT.get(name) if entry.is_folder else None
        if any(fnmatch(entry.place, each) for each in exclude):
            why = "as asked for"
        if entry.place == WORK:
            why = "it is being made"
        if why is not None:
            if why != _LEFT_OUT[".locks"]:
                content.left_out[entry.place] = why
            if entry.is_folder:
                hidden = (*hidden, f"{entry.place}/")
            continue
        yield entry


def _reason(entry: Entry, bases: set[str], *, secrets: bool) -> str | None:
    """Return why *entry* is left out, empty if nobody has to be told, `None` if it is not."""
    place = entry.place
    if not (entry.is_file or entry.is_folder or entry.is_link):
        return "is no file, directory or link"
    if entry.is_file and (_LOCKS.fullmatch(place) or is_temporary(entry.path)):
        return ""
    base = next((place.removesuffix(each) for each in SIDECARS if place.endswith(each)), None)
    if entry.is_file and base in bases:
        return ""  # in the copy of its database
    if secrets:
        return None
    if _DOTENV.fullmatch(place):
        return "holds secrets"
    if _PLAIN.fullmatch(place) or _SETTINGS.fullmatch(place):
        return None
    return "" if entry.is_folder else "holds secrets, or may"


def _outside(state: State, content: Content) -> Iterator[Entry]:
    """Yield what settings put outside of the state directory, at its usual place."""
    root, paths, places = state.paths.root, state.paths, state.places

    def ignore(error: OSError, path: Path) -> None:
        content.left_out[str(path)] = f"cannot be read ({error.strerror})"

    memory = places.memory()
    if not memory.is_relative_to(root) and memory.exists():
        content.moved.append("memory.store.path")
        if memory.is_dir():
            for entry in walk(memory, on_error=ignore):
                inner = f"memory/lancedb/{entry.place}".rstrip("/")
                yield Entry(entry.path, inner, entry.status)
        else:
            yield Entry(memory, paths.memory_db.relative_to(root).as_posix(), memory.stat())
    for agent, folder in places.agent_dirs().items():
        if not folder.is_relative_to(root) and folder.is_dir():
            content.moved.append(f"the directory of the agent {agent}")
            yield from walk_agent(folder, agent, on_error=ignore)
