"""`Assets`: the files of the web UI in memory, joined and packed, under a version of their own."""

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

from clawstate.gateway.ui.joining import join, strip_comments

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
_ENTRIES: Final = ("main.js", "views/memory.js")  # of the first view: of the shell, and of the home
_HOME_STYLE: Final = "style/memory.css"
HOME: Final = "home.html"  # the page with what the home needs named in it; made of the other
_PAGE: Final = "index.html"
_STYLE = re.compile(rb'<link rel="stylesheet" href="\{\{base\}\}/(style/[\w-]+\.css)">\n?')
_FIRST_STYLE: Final = "style/first.css"  # all that the page links to
_VENDORED: Final = "vendor/"
_WORKER: Final = "sw.js"
_HOME_LINKS: Final = f"""\
<link rel="stylesheet" href="{{{{base}}}}/{_HOME_STYLE}">
<link rel="modulepreload" href="{{{{base}}}}/{_ENTRIES[1]}">
""".encode()
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
    base = f"/ui/{version}"
    _join_modules(contents)
    _join_styles(contents)
    first = [name for name in (*_ENTRIES, _FIRST_STYLE, _HOME_STYLE) if name in contents]
    filled = {
        b"{{base}}": base.encode(),
        b"{{version}}": version.encode(),
        b'["{{first}}"]': json.dumps([f"{base}/{name}" for name in first]).encode(),
        b'["{{rest}}"]': json.dumps(
            [f"{base}/{name}" for name in contents if "/" in name and name not in first]
        ).encode(),
    }
    page = contents.get(_PAGE, b"")
    contents[HOME] = page.replace(b"{{home}}\n", _HOME_LINKS)
    contents[_PAGE] = page.replace(b"{{home}}\n", b"")
    files: dict[str, Asset] = {}
    for name, body in contents.items():
        is_template = "/" not in name and name != _ENTRIES[0]
        if is_template:
            for mark, text in filled.items():
                body = body.replace(mark, text)  # noqa: PLW2901 - the same file, filled in
        files[name] = _asset(name, body)
    return Snapshot(version, files)


def _join_modules(contents: dict[str, bytes]) -> None:
    modules = {
        name: body.decode()
        for name, body in contents.items()
        if name.endswith(".js") and name != _WORKER
    }
    for name, text in join(modules, _ENTRIES).items():
        contents[name] = text.encode()


def _join_styles(contents: dict[str, bytes]) -> None:
    for name, body in contents.items():
        if name.endswith(".css") and not name.startswith(_VENDORED):
            contents[name] = strip_comments(name, body.decode()).encode()
    page = contents.get(_PAGE, b"")
    if first := _STYLE.search(page):
        names = [each.decode() for each in _STYLE.findall(page)]
        contents[_FIRST_STYLE] = b"".join(contents[name] for name in names)
        link = f'<link rel="stylesheet" href="{{{{base}}}}/{_FIRST_STYLE}">\n'.encode()
        rest = _STYLE.sub(b"", page[first.start() :])
        contents[_PAGE] = page[: first.start()] + link + rest


def _asset(name: str, body: bytes) -> Asset:
    packed = gzip.compress(body, 9, mtime=0) if len(body) >= _LEAST_PACKED else body
    media = _MEDIA[PurePosixPath(name).suffix]
    etag = f'"{urlsafe_b64encode(hashlib.sha256(body).digest()[:12]).decode()}"'
    return Asset(body, packed if len(packed) < len(body) else None, media, etag)
