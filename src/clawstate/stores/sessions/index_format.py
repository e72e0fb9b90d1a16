"""The two forms of an index: the specification's, and the one that OpenClaw shares with us."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Protocol

from clawstate.arguments import require_text
from clawstate.files.safe_names import encode_name
from clawstate.stores.sessions.entry import Document, is_session_id
from clawstate.stores.sessions.openclaw_normalisation import normalise_entry

PROFILES = "profile"
"""The directory of the profiles, beside the index."""

_OF_NO_AGENT = frozenset({"global", "unknown"})
# Renamed by OpenClaw as it reads; both names in one entry would tell two things.
_OLD_NAMES = {"provider": "channel", "lastProvider": "lastChannel", "room": "groupChannel"}


class IndexFormat(Protocol):
    """How keys, files and members stand in an index."""

    folds_keys: bool
    """Whether keys that differ in case alone are one session."""

    def key(self, key: str) -> str:
        """Return *key* as the index spells it."""

    def session_file(self, key: str, document: Document) -> str:
        """Return the file of the entry; a path in *document* is only believed if it stays in."""

    def migrate(self, document: Document) -> Document:
        """Return *document* with the members of older releases under their names of today."""

    def add_identity(self, key: str, document: Document) -> Document:
        """Return *document* with the members that say whose it is."""


@dataclass(frozen=True, slots=True)
class SpecifiedFormat:
    """Keys are any text, files are `profile/<encoded key>.json`."""

    folds_keys = False

    def key(self, key: str) -> str:
        """Return *key* as it is."""
        return require_text("key", key)

    def session_file(self, key: str, document: Document) -> str:  # noqa: ARG002 - see `IndexFormat`
        """Return the file of the profile, whatever the document says."""
        return f"{PROFILES}/{encode_name(key)}.json"

    def migrate(self, document: Document) -> Document:
        """Return *document* as it is."""
        return document

    def add_identity(self, key: str, document: Document) -> Document:
        """Return *document* with id, key, file and time first."""
        own = {
            "sessionId": document["sessionId"],
            "sessionKey": key,
            "sessionFile": self.session_file(key, document),
        }
        return {**own, **document, **own}


@dataclass(frozen=True, slots=True)
class OpenClawFormat:
    """
    The index below `agents/<id>/sessions` that OpenClaw itself keeps.

    *folder* is the directory of the index: a `sessionFile` counts if it lies in there once all
    links are followed, and is written relative to it. A key names the *agent* that it is of, or
    OpenClaw's doctor takes it for one of an older release.
    """

    folder: Path
    agent: str
    folds_keys = True

    def key(self, key: str) -> str:
        """Return *key* in lower case as `agent:<id>:...`, but for keys that are of no agent."""
        name = require_text("key", key).strip().lower()
        if not name or name in _OF_NO_AGENT or name.startswith("agent:"):
            return name
        # Keys of WhatsApp groups had no channel in older releases of OpenClaw.
        is_group = name.startswith("group:") and name.endswith("@g.us")
        return f"agent:{self.agent}:{'whatsapp:' if is_group else ''}{name}"

    def session_file(self, key: str, document: Document) -> str:  # noqa: ARG002 - see `IndexFormat`
        """Return the transcript of the entry, `<sessionId>.jsonl` unless it names one in here."""
        found = document.get("sessionFile")
        inside = self._inside(found.strip()) if isinstance(found, str) else None
        if inside is not None:
            return inside
        session_id = document.get("sessionId")
        return f"{session_id}.jsonl" if is_session_id(session_id) else ""

    def migrate(self, document: Document) -> Document:
        """Return *document* with `channel` for `provider`, and the like."""
        if not _OLD_NAMES.keys() & document.keys():
            return document
        new = {name: value for name, value in document.items() if name not in _OLD_NAMES}
        for old, name in _OLD_NAMES.items():
            if old in document and not isinstance(new.get(name), str):
                new[name] = document[old]
        return new

    def add_identity(self, key: str, document: Document) -> Document:
        """Return *document* as OpenClaw saves it, with its file; the key stands outside of it."""
        return {**normalise_entry(document), "sessionFile": self.session_file(key, document)}

    def _inside(self, text: str) -> str | None:
        # Also what leads out on Windows: the directory may be carried there.
        if not text or "\0" in text or "\\" in text or PureWindowsPath(text).drive:
            return None
        if _is_plain_name(text):
            return text
        try:
            # Both sides with all links followed, or a link inside could lead out of the directory.
            folder = Path(os.path.realpath(self.folder))
            found = Path(os.path.realpath(folder / text))
            inside = found.relative_to(folder)
        except (OSError, ValueError):
            return None
        return inside.as_posix() if inside.name else None


def is_shared(path: Path) -> bool:
    """Tell whether *path* is where OpenClaw keeps the index of an agent."""
    parts = path.parts[-4:]
    # By the place alone: a state directory may be anywhere, and the file need not exist yet.
    return len(parts) == 4 and (parts[0], *parts[2:]) == ("agents", "sessions", "sessions.json")


def form_of(path: Path) -> IndexFormat:
    """Return the form of the index file *path*."""
    return OpenClawFormat(path.parent, path.parts[-3]) if is_shared(path) else SpecifiedFormat()


def _is_plain_name(text: str) -> bool:
    # One name that is no way up; whoever opens it follows no link.
    return "/" not in text and text not in {".", ".."} and PurePosixPath(text).name == text
