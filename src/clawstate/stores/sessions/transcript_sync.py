"""`TranscriptSync`: sessions in OpenClaw's own index have a transcript file, as its own have."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from clawstate.clock import Clock, system_clock, to_iso
from clawstate.errors import FallbackWarning, warn
from clawstate.files.descriptors import Descriptor
from clawstate.files.json_text import dump_compact
from clawstate.stores.sessions.entry import NOTHING, Document
from clawstate.stores.sessions.file_sync import NoFileSync
from clawstate.stores.sessions.index import Index, is_usable

_HEADER_AT_MOST = 4096  # bytes of a file that can be a header alone
_VERSION = 3  # of the transcripts of the file era


class TranscriptSync(NoFileSync):
    """
    The transcripts below *folder*, of which only the header is written here, and only a new one.

    OpenClaw's doctor takes an entry without one for a lost conversation, and its `sessions cleanup
    --fix-missing` drops it; so a new session gets a file with a header, as its own have before the
    first answer. A file that is still no more than that goes with its session, or the doctor would
    call it an orphan.
    """

    def __init__(self, folder: Path, index: Index, *, clock: Clock = system_clock) -> None:
        self._folder = folder
        self._index = index
        self._clock = clock
        self._leaving: dict[str, Path] = {}

    def peek(self, keys: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """Return nothing; these may be about to leave the index, so their files are noted."""
        for key in keys:
            found = self._index.find(key)
            if found is not None and is_usable(found):
                self._leaving[key] = self._path(key, found.document)
        return {}

    def sync(self, keys: Iterable[str], extra: Mapping[str, Any] = NOTHING) -> None:  # noqa: ARG002
        """Write the files that are missing, and remove those that were left with a header alone."""
        for key in keys:
            found = self._index.find(key)
            path = None
            try:
                if found is not None and is_usable(found):
                    path = self._path(key, found.document)
                    self._begin(path, found.document)
                left = self._leaving.pop(key, path)
                if left is not None and left != path:
                    _discard(left)
            except OSError as error:
                warn(FallbackWarning(f"{path}: {error.strerror}"), stacklevel=4)

    def _path(self, key: str, document: Document) -> Path:
        return self._folder / self._index.form.session_file(key, document)

    def _begin(self, path: Path, document: Document) -> None:
        # Whatever is there, a link or a directory too, is OpenClaw's or a person's.
        if path.parent != self._folder or os.path.lexists(path):
            return
        header = {
            "type": "session",
            "version": _VERSION,
            "id": document["sessionId"],
            "timestamp": to_iso(self._clock()),
            "cwd": str(Path.home()),
        }
        with contextlib.suppress(FileExistsError):
            descriptor = Descriptor()
            # Of two programs that begin one session the first makes the file, and the other leaves
            # it.
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor.open(path, flags, 0o600)
            with descriptor as number, os.fdopen(number, "wb", closefd=False) as stream:
                stream.write(f"{dump_compact(header)}\n".encode())


def _discard(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError, ValueError):
        # A cheap look first: a conversation may have megabytes.
        if path.stat().st_size > _HEADER_AT_MOST:
            return
        lines = path.read_bytes().splitlines()
        if len(lines) == 1 and json.loads(lines[0]).get("type") == "session":
            path.unlink()
