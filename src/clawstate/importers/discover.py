"""Find the files that can be imported below the paths a user names, and tell their kinds."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from clawstate.errors import NotFoundError, UnavailableError
from clawstate.files.damaged_line import split_damaged
from clawstate.importers.chat_export import is_chat_export, looks_like_export, read_chat_export
from clawstate.importers.encodings import head_as_utf8
from clawstate.importers.export_archive import MAGIC
from clawstate.importers.ignoring import IGNORED, Ignored, ignored_by
from clawstate.importers.jsonl import read_json_lines
from clawstate.importers.lines import open_regular, require_regular, unreadable
from clawstate.importers.markdown import read_markdown
from clawstate.importers.openclaw_transcript import read_openclaw_transcript, session_named_in
from clawstate.importers.passages import Item, Problem
from clawstate.importers.pdf_library import INSTALL, can_read_pdf
from clawstate.importers.plain_text import read_plain_text
from clawstate.interrupts import load_modules

_HEAD = 64 * 1024
_FIRST_LINES = 5

# Texts of programs: they would drown what a person wrote in the same folder.
_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages", "venv"})
_PAGE = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*|<!--.{0,2000}?-->\s*)*<(?:!doctype\s+html|html)[\s>]",
    re.IGNORECASE | re.DOTALL,
)
_PDF = b"%PDF-"
_PARTS = ("_files", ".files", "-Dateien")
_SIGN_OF_VIRTUALENV = "pyvenv.cfg"


class Kind(Enum):
    """What a file can be read as."""

    MARKDOWN = "markdown"
    TEXT = "text"
    JSON_LINES = "json-lines"
    OPENCLAW_TRANSCRIPT = "openclaw-transcript"
    CHAT_EXPORT = "chat-export"
    HTML = "html"
    NOTEBOOK = "notebook"
    PDF = "pdf"

    @property
    def is_document(self) -> bool:
        """Whether it is one text of which the passages are parts."""
        return self in _DOCUMENTS


_DOCUMENTS = frozenset({Kind.MARKDOWN, Kind.TEXT, Kind.HTML, Kind.NOTEBOOK, Kind.PDF})


SUFFIXES: Mapping[str, Kind] = {
    ".md": Kind.MARKDOWN,
    ".markdown": Kind.MARKDOWN,
    ".mdx": Kind.MARKDOWN,
    ".txt": Kind.TEXT,
    ".rst": Kind.TEXT,
    ".org": Kind.TEXT,
    ".jsonl": Kind.JSON_LINES,
    ".ndjson": Kind.JSON_LINES,
    ".html": Kind.HTML,
    ".htm": Kind.HTML,
    ".xhtml": Kind.HTML,
    ".ipynb": Kind.NOTEBOOK,
    ".pdf": Kind.PDF,
    ".json": Kind.CHAT_EXPORT,
    ".zip": Kind.CHAT_EXPORT,
}
"""What is looked for in a folder; JSON Lines may turn out to be a transcript."""


def detect(path: Path) -> Kind:
    """
    Return what *path* is, by its suffix and its first bytes; text, when nothing else fits.

    Raises `UnavailableError` when the file cannot be read.
    """
    by_suffix = SUFFIXES.get(path.suffix.lower())
    # The suffix says enough, and a note may well quote a line of JSON.
    if by_suffix is not None and by_suffix.is_document:
        return by_suffix
    head = _head(path)
    if head.startswith(MAGIC) or looks_like_export(head):
        return Kind.CHAT_EXPORT
    lines = _objects(head)
    if any(map(_is_transcript_line, lines)):
        return Kind.OPENCLAW_TRANSCRIPT
    if by_suffix is not Kind.JSON_LINES and any(map(_is_record, lines[:1])):
        return Kind.JSON_LINES
    if by_suffix is None and _PAGE.match(head.removeprefix(b"\xef\xbb\xbf")):
        return Kind.HTML
    if by_suffix is None and _PDF in head[:1024]:
        return Kind.PDF
    return by_suffix or Kind.TEXT


def read_passages(path: Path, *, kind: Kind | None = None) -> Iterator[Item]:
    """
    Yield the passages of *path* and the problems met, read as *kind* or as `detect` finds.

    The file is read as a stream. A file that cannot be opened, or no longer be read, is a problem.
    """
    try:
        yield from _READERS[kind or detect(path)](path)
    except UnavailableError as error:
        yield problem_of(path, error)
    except OSError as error:
        yield problem_of(path, unreadable(path, error))


def problem_of(path: Path, error: UnavailableError) -> Problem:
    """Return *error* as a problem of the whole file *path*."""
    return Problem(path, None, f"{error.problem}; {error.hint}")


def _head(path: Path) -> bytes:
    with open_regular(path) as stream:
        try:
            return stream.read(_HEAD)
        except OSError as error:
            raise unreadable(path, error) from error


def _objects(head: bytes) -> list[dict[str, object]]:
    head = head_as_utf8(head)
    lines = head.removeprefix(b"\xef\xbb\xbf").splitlines()[:_FIRST_LINES]
    if not head.startswith((b"{", b"\xef\xbb\xbf{")):
        return []
    values = [value for line in lines for value in _values(line)]
    return [value for value in values if isinstance(value, dict)]


def _values(line: bytes) -> list[object]:
    try:
        return [json.loads(line)]
    except (ValueError, RecursionError):
        # A torn first line must not make a transcript another kind of file.
        parts = split_damaged(line.decode(errors="replace"))
        return [json.loads(each.text) for each in parts if each.is_whole]


def _is_transcript_line(value: dict[str, object]) -> bool:
    if value.get("type") == "session":
        return "id" in value
    return value.get("type") == "message" and isinstance(value.get("message"), dict)


def _is_record(value: dict[str, object]) -> bool:
    return isinstance(value.get("text", value.get("content")), str)


# Each loads what it needs, which a folder of notes does not.
def _read_html(path: Path) -> Iterator[Item]:
    load_modules("clawstate.importers.html")
    from clawstate.importers.html import read_html  # noqa: PLC0415

    return read_html(path)


def _read_notebook(path: Path) -> Iterator[Item]:
    load_modules("clawstate.importers.notebook")
    from clawstate.importers.notebook import read_notebook  # noqa: PLC0415

    return read_notebook(path)


def _read_pdf(path: Path) -> Iterator[Item]:
    load_modules("clawstate.importers.pdf")
    from clawstate.importers.pdf import read_pdf  # noqa: PLC0415

    return read_pdf(path)


_READERS: Mapping[Kind, Callable[[Path], Iterator[Item]]] = {
    Kind.MARKDOWN: read_markdown,
    Kind.TEXT: read_plain_text,
    Kind.JSON_LINES: read_json_lines,
    Kind.OPENCLAW_TRANSCRIPT: read_openclaw_transcript,
    Kind.CHAT_EXPORT: read_chat_export,
    Kind.HTML: _read_html,
    Kind.NOTEBOOK: _read_notebook,
    Kind.PDF: _read_pdf,
}


@dataclass(frozen=True, slots=True)
class Found:
    """A file to import, and the folder the user named, or the one the file lies in."""

    path: Path
    root: Path


def discover(
    paths: Sequence[Path],
    *,
    exclude: Sequence[str] = (),
    passed_over: Counter[str] | None = None,
) -> Iterator[Found | Problem]:
    """
    Yield the files that *paths* name or hold, in sorted order and each once.

    A file named by the user is taken whatever its suffix. In folders only known suffixes count
    (`SUFFIXES`; .json and .zip only when they hold a chat export), hidden names, caches and
    virtualenvs are passed over, as is what *exclude* names, or a `.gitignore` or `.clawstateignore`
    there (patterns of gitignore); links are not followed: one that leads out of its folder
    is a problem, as is whatever cannot be read. *passed_over* counts files of other suffixes, by
    suffix, and those that are ignored. Raises `NotFoundError`, before anything is yielded, when a
    path does not exist, and `InvalidError` for a pattern that is none.
    """
    # All are looked at first: a misspelt path must not show after an hour of importing.
    for path in paths:
        _require_existing(path)
    return _Walk(ignored_by(exclude), Counter() if passed_over is None else passed_over).find(paths)


def _require_existing(path: Path) -> None:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        hint = "check the spelling"
        raise NotFoundError("file or folder", str(path), hint) from error
    except OSError:
        # It may well exist; the walk reports why it cannot be read.
        return


class _Walk:
    def __init__(self, ignored: Ignored, passed_over: Counter[str]) -> None:
        self._ignored = ignored
        self._passed_over = passed_over
        self._seen: set[tuple[int, int]] = set()
        self._unread: list[Path] = []

    def find(self, paths: Sequence[Path]) -> Iterator[Found | Problem]:
        yield from self._find(paths)
        if self._unread:
            count = len(self._unread)
            what = "a PDF" if count == 1 else f"one of {count:,} PDF files"
            message = f"is {what} left out for want of a library: {INSTALL}"
            yield Problem(self._unread[0], None, message, is_by_rule=True)

    def _find(self, paths: Sequence[Path]) -> Iterator[Found | Problem]:
        for path in paths:
            try:
                if path.is_dir():
                    yield from self._folder(path)
                else:
                    yield from self._file(path, path.parent)
            except OSError as error:
                yield problem_of(path, unreadable(path, error))

    def _folder(self, root: Path) -> Iterator[Found | Problem]:
        # A list and no recursion, since folders may be nested deeper than Python's stack.
        waiting = [(root, self._ignored.below(root))]
        while waiting:
            path, ignored = waiting.pop()
            try:
                children = self._children(path)
            except OSError as error:
                yield problem_of(path, unreadable(path, error))
                continue
            ignored = ignored.below(path)
            folders = []
            names = {child.name for child in children}
            for child in children:
                is_folder = child.is_dir(follow_symlinks=False)
                if (is_folder and _is_of_page(child.name, names)) or ignored.has(
                    child.path, is_folder=is_folder
                ):
                    self._passed_over[IGNORED] += 1
                    continue
                yield from self._child(child, root)
                if is_folder:
                    folders.append((Path(child.path), ignored))
            waiting.extend(reversed(folders))

    def _children(self, path: Path) -> list[os.DirEntry[str]]:
        # By device and inode: folders that are mounted, or named, twice are walked once.
        if not self._is_new(path.stat()):
            return []
        with os.scandir(path) as entries:
            children = sorted(entries, key=lambda entry: entry.name)
        if any(child.name == _SIGN_OF_VIRTUALENV for child in children):
            return []
        return [each for each in children if each.name[0] != "." and each.name not in _SKIPPED]

    def _child(self, entry: os.DirEntry[str], root: Path) -> Iterator[Found | Problem]:
        path = Path(entry.path)
        # Not followed: a link may lead to any file of the user, or in a circle.
        if entry.is_symlink():
            yield from _outward_link(path, root)
        elif entry.is_dir():
            return
        elif path.suffix.lower() in SUFFIXES:
            yield from self._suitable(path, root)
        else:
            self._passed_over[path.suffix.lower()] += 1

    def _suitable(self, path: Path, root: Path) -> Iterator[Found | Problem]:
        if SUFFIXES[path.suffix.lower()] is Kind.PDF and not can_read_pdf():
            # Told once, and no failure: nobody named them.
            self._passed_over[path.suffix.lower()] += 1
            self._unread.append(path)
            return
        original = None
        try:
            wanted = SUFFIXES[path.suffix.lower()] is not Kind.CHAT_EXPORT or is_chat_export(path)
            original = _original_of(path)
        except UnavailableError as error:
            yield problem_of(path, error)
            return
        except OSError as error:
            yield problem_of(path, unreadable(path, error))
            return
        if original is not None:
            message = f"is another copy of {original.name}; name it to import it as well"
            yield Problem(path, None, message, is_by_rule=True)
        elif wanted:
            yield from self._file(path, root)
        else:
            self._passed_over[path.suffix.lower()] += 1

    def _file(self, path: Path, root: Path) -> Iterator[Found | Problem]:
        try:
            status = path.stat()
            require_regular(path, status.st_mode)
        except OSError as error:
            yield problem_of(path, unreadable(path, error))
        except UnavailableError as error:
            yield problem_of(path, error)
        else:
            if self._is_new(status):
                yield Found(path, root)

    def _is_new(self, status: os.stat_result) -> bool:
        identity = (status.st_dev, status.st_ino)
        is_new = identity not in self._seen
        self._seen.add(identity)
        return is_new


def _is_of_page(name: str, names: AbstractSet[str]) -> bool:
    """Tell whether the folder *name* holds the parts of a web page that was saved beside it."""
    page = next((name.removesuffix(end) for end in _PARTS if name.endswith(end)), None)
    return page is not None and not names.isdisjoint({f"{page}.html", f"{page}.htm"})


def _original_of(path: Path) -> Path | None:
    """Return the transcript beside *path* that *path* is a copy of, as sync programs leave them."""
    if SUFFIXES[path.suffix.lower()] is not Kind.JSON_LINES:
        return None
    with open_regular(path) as stream:
        session_id = session_named_in(stream, name=path.name)
    # The id becomes a name beside this file, so it must not lead elsewhere.
    if session_id is None or "/" in session_id or session_id == path.stem:
        return None
    original = path.with_name(f"{session_id}{path.suffix}")
    return original if os.path.lexists(original) else None


def _outward_link(path: Path, root: Path) -> Iterator[Problem]:
    target = Path(os.path.realpath(path))
    if target.is_relative_to(os.path.realpath(root)):
        return
    if target.is_dir() or target.suffix.lower() in SUFFIXES:
        message = "is a link out of the folder and was not followed; name its target to import it"
        yield Problem(path, None, message, is_by_rule=True)
