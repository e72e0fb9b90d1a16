"""`Assets`: the files of the web UI in memory, packed, under a version made of their contents."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

FOLDER: Final = Path(__file__).parent / "static"

_MEDIA: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
_ENTRY = "main.js"
_STYLE = "style/"
_IMPORT = re.compile(r"\b(?:import|export)\b[^;'\"()]*?['\"](\.{1,2}/[^'\"]+)['\"]")
_LEAST_PACKED = 256  # bytes; what is shorter grows


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent: *packed* by gzip where that is shorter."""

    body: bytes
    packed: bytes | None
    media: str
    etag: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """
    All files at one time.

    *version* is a digest of all of them: a page loads every module from below it, and none of two
    versions meet in one page.
    """

    version: str
    files: dict[str, Asset]


class Assets:
    """The files below *folder*, read again when one of them changed on disk."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._stamp: tuple[tuple[str, int, int], ...] = ()
        self._snapshot: Snapshot | None = None

    def current(self) -> Snapshot:
        """Return the files as they are now."""
        stamp = tuple(self._stamps())
        if self._snapshot is None or stamp != self._stamp:
            # Two threads may both read them, and come to the same.
            self._stamp, self._snapshot = stamp, _read(self._folder, [name for name, *_ in stamp])
        return self._snapshot

    def known(self) -> Snapshot:
        """Return the files as they were at the last look, without another one."""
        return self._snapshot or self.current()

    def _stamps(self) -> Iterator[tuple[str, int, int]]:
        for folder, folders, names in os.walk(self._folder):
            folders.sort()
            for name in sorted(names):
                path = Path(folder, name)
                if path.suffix in _MEDIA:
                    found = path.stat()
                    place = path.relative_to(self._folder).as_posix()
                    yield place, found.st_mtime_ns, found.st_size


def _read(folder: Path, names: Iterable[str]) -> Snapshot:
    contents = {name: (folder / name).read_bytes() for name in names}
    digest = hashlib.sha256()
    for name, body in contents.items():
        digest.update(f"{name} {len(body)}\n".encode())
        digest.update(body)
    version = urlsafe_b64encode(digest.digest()[:12]).decode()
    first = _first_view(contents)
    base = f"/ui/{version}"
    filled = {
        b"{{base}}": base.encode(),
        b"{{version}}": version.encode(),
        b"{{preload}}": "\n".join(_links(base, first)).encode(),
        b'["{{first}}"]': json.dumps([f"{base}/{name}" for name in first]).encode(),
        b'["{{rest}}"]': json.dumps(
            [f"{base}/{name}" for name in contents if "/" in name and name not in first]
        ).encode(),
    }
    files: dict[str, Asset] = {}
    for name, body in contents.items():
        is_template = "/" not in name and name != _ENTRY
        if is_template:
            for mark, text in filled.items():
                body = body.replace(mark, text)  # noqa: PLW2901 - the same file, filled in
        files[name] = _asset(name, body)
    return Snapshot(version, files)


def _asset(name: str, body: bytes) -> Asset:
    packed = gzip.compress(body, 9, mtime=0) if len(body) >= _LEAST_PACKED else body
    media = _MEDIA[PurePosixPath(name).suffix]
    etag = f'"{urlsafe_b64encode(hashlib.sha256(body).digest()[:12]).decode()}"'
    return Asset(body, packed if len(packed) < len(body) else None, media, etag)


def _first_view(contents: dict[str, bytes]) -> list[str]:
    """Return the modules that the page imports at once, and the styles that it links to."""
    found: dict[str, None] = {}
    waiting = [_ENTRY]
    while waiting:
        name = waiting.pop(0)
        if name in found or name not in contents:
            continue
        found[name] = None
        for path in _IMPORT.findall(contents[name].decode()):
            joined = os.path.normpath(f"{PurePosixPath(name).parent}/{path}")
            waiting.append(PurePosixPath(joined).as_posix())
    page = contents.get("index.html", b"").decode()
    styles = [each for each in contents if each.startswith(_STYLE) and f"/{each}" in page]
    return [*found, *styles]


def _links(base: str, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if name.endswith(".js"):
            yield f'<link rel="modulepreload" href="{base}/{name}">'
