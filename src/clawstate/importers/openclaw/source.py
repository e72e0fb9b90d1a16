"""`Source`: the directory that is imported, which is only ever read."""

from __future__ import annotations

import os
import re
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from clawstate.errors import CorruptError, LimitError, NotFoundError, StateError, UnavailableError
from clawstate.files.json_text import parse_json_file
from clawstate.files.paths import normalise_agent_id
from clawstate.importers.lines import open_regular, unreadable
from clawstate.json5.parse import parse_json5

MOST_BYTES = 256 << 20
"""A document larger than this is reported instead of read."""

MOST_NAMES = 20_000
"""So many names are looked at below one top folder that is not known to hold what is imported."""

_LOOKS, _MOST_LOOKS = 2, 50  # what stays as it is for so many looks is broken
_PAUSE = 0.02  # seconds between them
_YOUNG = 0.25  # seconds for which the system may hold up a writer
_WALKED_WHOLE = frozenset({"agents", "sessions", "credentials", "devices", "identity"})
_NEVER_ENTERED = frozenset({"node_modules", ".git", "lancedb"})

_AGENT = r"agents/(?P<owner>[^/]+)/"
_PLUGIN = r"(?!workspace|extensions/|agents/|dedupe/)[^/.][^/]*/(?:[^/.][^/]*/)?"
_STAMP = r"\.(?:deleted|reset|bak)\.[^/]+"


@dataclass(frozen=True, slots=True)
class Entry:
    """A name below the source: its *path* with `/`, relative to the source, and what it is."""

    path: str
    is_folder: bool
    is_link: bool
    size: int


class Source:
    """
    The directory *root* of another program's state.

    Nothing in it is created, locked, changed or removed, and no link is followed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.documents: dict[str, Any] = {}
        """What rows of its databases say, by the places that messages name them by."""
        self._refused: dict[str, str] = {}

    @classmethod
    def at(cls, path: Path) -> Source:
        """
        Return the source at *path*, which may itself be a link.

        Raises `NotFoundError` when it is no directory, `UnavailableError` when it cannot be read.
        """
        # Once, for the root alone; below it no link is followed.
        root = Path(os.path.realpath(path))
        try:
            is_folder = stat.S_ISDIR(root.stat().st_mode)
        except FileNotFoundError:
            is_folder = False
        except OSError as error:
            raise unreadable(path, error) from error
        if not is_folder:
            raise NotFoundError("directory", str(path), "name the directory that OpenClaw uses")
        return cls(root)

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """All names below the root by path, folders before what is in them, sorted."""
        return {each.path: each for each in self._walk()}

    def closed_folders(self) -> dict[str, str]:
        """Return the folders that could not be looked into, with the reason."""
        _ = self.entries
        return self._refused

    def file(self, path: str) -> Path:
        """Return where the entry *path* lies."""
        return self.root / path

    def open(self, path: str) -> BinaryIO:
        """Return the file *path* opened for reading; raises `UnavailableError`, also for a link."""
        entry = self.entries.get(path)
        # A link in a copied state may lead to any file of whoever imports it.
        if entry is not None and entry.is_link:
            raise UnavailableError(path, "is a link, which is not followed", "put a copy there")
        return open_regular(self.file(path))

    def read(self, path: str) -> bytes:
        """Return what is in the file *path*; raises `UnavailableError`, `LimitError`."""
        with self.open(path) as stream:
            try:
                data = stream.read(MOST_BYTES + 1)
            except OSError as error:
                raise unreadable(Path(path), error) from error
        # Documents are read whole, so a bound; transcripts and databases are not, and have none.
        if len(data) > MOST_BYTES:
            raise LimitError(f"bytes in {path}", MOST_BYTES)
        return data

    def json(self, path: str) -> Any:
        """Return the JSON document *path*; raises `CorruptError`, `UnavailableError`."""
        if path in self.documents:
            return self.documents[path]
        return self._parse(path, lambda raw: parse_json_file(raw, path=Path(path)))

    def json5(self, path: str) -> Any:
        """Return the JSON5 document *path*; raises `CorruptError`, `UnavailableError`."""
        if path in self.documents:
            return self.documents[path]
        return self._parse(path, lambda raw: parse_json5(raw, path=Path(path)))

    def object(self, path: str, *, json5: bool = False) -> dict[str, Any]:
        """Return the object in *path*; raises `CorruptError`, `UnavailableError`."""
        value = self.json5(path) if json5 else self.json(path)
        if not isinstance(value, dict):
            raise CorruptError(path, "is no JSON object", "mend or remove it, then import again")
        return value

    def is_same_file(self, path: str, other: Path) -> bool:
        """Tell whether the entry *path* and *other* are one and the same file or folder."""
        try:
            return self.file(path).samefile(other)
        except OSError:
            return False

    def holds(self, path: Path) -> bool:
        """Tell whether *path*, its links followed, lies in the source."""
        return Path(os.path.realpath(path)).is_relative_to(self.root)

    def _parse(self, path: str, parse: Callable[[bytes], Any]) -> Any:
        # OpenClaw writes some of its files in place, so half of one may be there for a moment.
        before, same = self.read(path), 0
        for _ in range(_MOST_LOOKS):
            try:
                return parse(before)
            except CorruptError:
                # The same damaged bytes several times, and no writer at work: it is not half of a
                # write.
                if same >= _LOOKS and not self._is_young(path):
                    raise
            time.sleep(_PAUSE)
            raw = self.read(path)
            before, same = raw, same + 1 if raw == before else 0
        return parse(before)

    def _is_young(self, path: str) -> bool:
        """Tell whether it was written just now, so that its writer may only have been held up."""
        try:
            return abs(time.time() - self.file(path).stat().st_mtime) < _YOUNG
        except OSError:
            return False

    def _walk(self) -> Iterator[Entry]:
        waiting = [""]
        met: Counter[str] = Counter()
        while waiting:
            folder = waiting.pop()
            top = folder.partition("/")[0]
            # A repository in a workspace may have a million files, of which none is imported.
            if met[top] > MOST_NAMES and top not in _WALKED_WHOLE:
                continue
            children = list(self._children(folder))
            met[top] += len(children)
            yield from children
            waiting.extend(each.path for each in reversed(children) if _is_entered(each))

    def _children(self, folder: str) -> Iterator[Entry]:
        try:
            with os.scandir(self.root / folder) as found:
                for child in sorted(found, key=lambda each: each.name):
                    yield _entry(child, f"{folder}/{child.name}" if folder else child.name)
        except OSError as error:
            # The walk goes on; what could not be looked into is told as a failure in the end.
            self._refused[folder] = os.strerror(error.errno or 0)


def reason_of(error: StateError) -> str:
    """Return what *error* says without the path, which stands beside it."""
    problem = getattr(error, "problem", None)
    hint = getattr(error, "hint", "")
    if not isinstance(problem, str):
        return str(error)
    return f"{problem}; {hint}" if hint else problem


def _is_entered(entry: Entry) -> bool:
    return entry.is_folder and entry.path.rpartition("/")[2] not in _NEVER_ENTERED


def _entry(child: os.DirEntry[str], path: str) -> Entry:
    try:
        status = child.stat(follow_symlinks=False)
    except OSError:
        return Entry(path, is_folder=False, is_link=False, size=0)
    is_folder = stat.S_ISDIR(status.st_mode)
    is_link = stat.S_ISLNK(status.st_mode)
    return Entry(path, is_folder=is_folder, is_link=is_link, size=status.st_size)


class Role(Enum):
    """What a file is to the import."""

    CONFIG = "configuration"
    OLD_CONFIG = "configuration of an older name"
    ENVIRONMENT = "environment"
    AUTH = "credentials of an agent"
    AUTH_LEGACY = "credentials of an agent, by provider"
    OAUTH = "credentials of all agents, by provider"
    SESSIONS = "session index"
    SESSIONS_LEGACY = "session index of older releases"
    TRANSCRIPT = "transcript"
    ARCHIVE = "archived transcript"
    CHANNEL_PAIRING = "pairing requests of a channel"
    ALLOW_FROM = "allow list of a channel"
    IDENTITY = "identity of this device"
    DEVICE_AUTH = "tokens of this device"
    PAIRED = "paired devices"
    PENDING = "devices that wait to be paired"
    INDEX = "memory index"
    LANCEDB = "LanceDB table"
    DEDUPE = "marks of what was handled"
    DATABASE = "database of OpenClaw 2026.7 or later"
    OTHER = "something else"


@dataclass(frozen=True, slots=True)
class Found:
    """
    A file of the source, what it is, and the agent, channel or namespace that it is of.

    What is *in_database* is no file, but a document that the rows of a database make up.
    """

    entry: Entry
    role: Role
    owner: str = ""
    in_database: bool = False

    @property
    def path(self) -> str:
        """Where it lies, relative to the source."""
        return self.entry.path


# The first that fits counts. Paths are those of OpenClaw 2026.2.26, and of the releases before.
_PATTERNS = [
    (re.compile(pattern), role)
    for pattern, role in (
        (r"openclaw\.json", Role.CONFIG),
        (r"(?:clawdbot|moldbot|moltbot)\.json", Role.OLD_CONFIG),
        (r"\.env", Role.ENVIRONMENT),
        (_AGENT + r"agent/auth-profiles\.json", Role.AUTH),
        (r"agent/auth-profiles\.json", Role.AUTH),
        (_AGENT + r"agent/auth\.json", Role.AUTH_LEGACY),
        (r"agent/auth\.json", Role.AUTH_LEGACY),
        (r"credentials/oauth\.json", Role.OAUTH),
        (_AGENT + r"sessions/sessions\.json", Role.SESSIONS),
        (r"sessions/sessions\.json", Role.SESSIONS_LEGACY),
        (_AGENT + r"sessions/[^/]+\.jsonl", Role.TRANSCRIPT),
        (r"sessions/[^/]+\.jsonl", Role.TRANSCRIPT),
        (_AGENT + r"sessions/[^/]+\.jsonl" + _STAMP, Role.ARCHIVE),
        (r"sessions/[^/]+\.jsonl" + _STAMP, Role.ARCHIVE),
        (r"credentials/(?P<owner>[^/]+)-pairing\.json", Role.CHANNEL_PAIRING),
        (r"credentials/(?P<owner>[^/]+)-allowFrom\.json", Role.ALLOW_FROM),
        (r"identity/device\.json", Role.IDENTITY),
        (r"(?:state/)?identity/device-auth\.json", Role.DEVICE_AUTH),
        (r"devices/paired\.json", Role.PAIRED),
        (r"devices/pending\.json", Role.PENDING),
        (r"state/openclaw\.sqlite|agents/[^/]+/agent/openclaw-agent\.sqlite", Role.DATABASE),
        (r"memory/(?P<owner>[^/]+)\.sqlite", Role.INDEX),
        (r"memory/lancedb", Role.LANCEDB),
        (_PLUGIN + r"dedupe?/(?P<owner>[^/.][^/]*)\.json", Role.DEDUPE),
        (r"dedup/(?P<owner>[^/.][^/]*)\.json", Role.DEDUPE),
    )
]
OF_AGENTS = frozenset(
    {Role.AUTH, Role.AUTH_LEGACY, Role.SESSIONS, Role.SESSIONS_LEGACY}
    | {Role.TRANSCRIPT, Role.ARCHIVE, Role.INDEX}
)
"""What belongs to one agent."""

_FOLDERS = {Role.LANCEDB}


def discover(source: Source, *, default_agent: str = "main") -> Iterator[Found]:
    """
    Yield every file of *source*, sorted by path, with what it is.

    What older releases kept for their only agent belongs to the *default_agent*. A link has a
    role like a file; opening it is refused.
    """
    for path, entry in sorted(source.entries.items()):
        found = _find(path, entry, default_agent)
        if not entry.is_folder or found.role in _FOLDERS:
            yield found


def _find(path: str, entry: Entry, default_agent: str) -> Found:
    for pattern, role in _PATTERNS:
        match = pattern.fullmatch(path)
        if match is None or entry.is_folder != (role in _FOLDERS):
            continue
        owner = match.groupdict().get("owner") or ""
        if role in OF_AGENTS:
            owner = normalise_agent_id(owner) if owner else default_agent
        return Found(entry, role, owner)
    return Found(entry, Role.OTHER)
