"""HTML as tags and text, whatever is wrong with it, in time that grows with its length alone."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

_LONGEST = 64 << 20
"""Characters above which a tag, a comment or a script is taken to have no end."""
_NAME = re.compile(r"[a-zA-Z][^\t\n\f\r /<>]*")
_SPACE = re.compile(r"[\t\n\f\r /]*")
_ATTRIBUTE = re.compile(r"[^\t\n\f\r />][^\t\n\f\r />=]*")
_EQUALS = re.compile(r"[\t\n\f\r ]*=[\t\n\f\r ]*")
_UNQUOTED = re.compile(r"[^\t\n\f\r >]*")
_BEGUN_ENTITY = re.compile(r"&[^\t\n\f <&;]{0,40}\Z")
# What the module cannot make a number of, and no character has.
_NO_CHARACTER = re.compile(r"&#(?:0*[1-9]\d{7,}|[xX]0*[1-9a-fA-F][0-9a-fA-F]{7,});?")
# What the standard calls raw text: no tag begins there but the one that ends it.
_RAW = {"script", "style", "iframe", "noembed", "noframes", "xmp", "title", "textarea"}
_WITH_ENTITIES = {"title", "textarea"}
_LEFT_OUT = {"script", "style", "iframe", "noembed", "noframes"}
_LONGEST_VALUE = 4096  # characters of a value; what is longer is the data of a picture
_WANTED = frozenset(
    {
        *("alt", "aria-hidden", "charset", "checked", "content", "href", "hidden", "itemprop"),
        *("name", "open", "property", "rel", "role", "style", "type"),
    }
)


@dataclass(frozen=True, slots=True)
class Start:
    """The tag that begins an element, in small letters, with those attributes that matter."""

    name: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """The tag that ends an element."""

    name: str


Token: TypeAlias = Start | End | str
"""A tag, or text in which entities are characters."""


def decode_entities(text: str) -> str:
    """Return *text* with characters in the place of entities."""
    return html.unescape(_NO_CHARACTER.sub("\ufffd", text)) if "&" in text else text


class Tokens:
    """
    The tokens of a document that comes in parts.

    As a browser does it (HTML standard, section 13.2.5), but what is never closed hides nothing: a
    comment or a tag without an end is over at the next `>`, and a `<` without one is text. Scripts
    and styles are left out.
    """

    def __init__(self) -> None:
        self._buffer = ""
        self._at = 0
        self._is_last = False
        self._raw = ""
        self._is_in_tag = False
        # Up to where something was looked for in vain, so that nothing is looked through twice.
        self._free: dict[str, int] = {}
        self.remark = ""
        """The last comment, of those that are short."""

    def feed(self, text: str, *, is_last: bool = False) -> Iterator[Token]:
        """Yield the tokens that are whole now that *text* follows."""
        self._free = {what: max(0, end - self._at) for what, end in self._free.items()}
        self._buffer, self._at = self._buffer[self._at :] + text, 0
        self._is_last = is_last
        while self._at < len(self._buffer):
            before = self._at, self._raw
            if self._is_in_tag:
                self._drop_tag()
            else:
                yield from self._raw_text() if self._raw else self._next()
            if (self._at, self._raw) == before:
                break

    def _drop_tag(self) -> None:
        end = self._past(">", self._at)
        self._is_in_tag = not end
        self._at = end or len(self._buffer)

    def _next(self) -> Iterator[Token]:
        start = self._find("<", self._at)
        if start < 0:
            yield from self._text(len(self._buffer), is_whole=self._is_last)
            return
        if start > self._at:
            yield from self._text(start, is_whole=True)
        # Four signs tell what it is; fewer are there at the end of a part only.
        if len(self._buffer) < start + 4 and not self._is_last:
            return
        is_end = self._buffer.startswith("/", start + 1)
        if _NAME.match(self._buffer, start + 1 + is_end):
            yield from self._tag(start, start + 1 + is_end)
        elif is_end or self._buffer[start + 1 : start + 2] in {"!", "?"}:
            yield from self._comment(start)
        else:
            yield from self._sign(start)

    def _text(self, end: int, *, is_whole: bool) -> Iterator[str]:
        if not is_whole and (begun := _BEGUN_ENTITY.search(self._buffer, max(self._at, end - 48))):
            end = begun.start()
        text, self._at = self._buffer[self._at : end], end
        if text:
            yield decode_entities(text)

    def _sign(self, start: int) -> Iterator[str]:
        self._at = start + 1
        yield "<"

    def _comment(self, start: int) -> Iterator[str]:
        is_comment = self._buffer.startswith("<!--", start)
        end = self._past("-->", start + 2) if is_comment else self._past(">", start)
        if not end:
            if self._waits(start):
                return
            end = self._past(">", start)
        if not end:
            yield from self._sign(start)
            return
        self.remark = self._buffer[start:end] if end - start < _LONGEST_VALUE else ""
        self._at = end

    def _tag(self, start: int, name_at: int) -> Iterator[Token]:
        name_end = self._end_of(_NAME, name_at)
        found = self._attributes(name_end)
        if found is None:
            if self._waits(start):
                return
            # A quote that is never closed: the tag ends where it would without it.
            end = self._past(">", start)
            if not end and self._is_last:
                yield from self._sign(start)
                return
            # Of a film that is packed into a tag all is dropped, up to where the tag ends.
            self._is_in_tag = not end
            found = {}, end or len(self._buffer), False
        attributes, self._at, is_closed = found
        name = self._buffer[name_at:name_end].lower()
        if name_at == start + 2:
            yield End(name)
            return
        yield Start(name, attributes, is_closed)
        if name in _RAW and not is_closed:
            self._raw = name

    def _attributes(self, at: int) -> tuple[dict[str, str], int, bool] | None:
        """Return the attributes from *at*, where their tag ends, and whether the element does."""
        found: dict[str, str] = {}
        buffer, size = self._buffer, len(self._buffer)
        # Without it no tag ends: looked for once, and not from each sign that may begin one.
        if self._find(">", at) < 0:
            return None
        while (at := self._end_of(_SPACE, at)) < size:
            if buffer[at] == ">":
                return found, at + 1, buffer[at - 1] == "/"
            end = self._end_of(_ATTRIBUTE, at)
            name, equals = buffer[at : min(end, at + 64)].lower(), _EQUALS.match(buffer, end)
            first = last = at = end
            if equals is not None:
                at = equals.end()
                if (quote := buffer[at : at + 1]) in {'"', "'"}:
                    first, last = at + 1, self._find(quote, at + 1)
                    if last < 0:
                        return None
                    at = last + 1
                else:
                    first, last = at, self._end_of(_UNQUOTED, at)
                    at = last
            if name in _WANTED and name not in found:
                found[name] = decode_entities(buffer[first : min(last, first + _LONGEST_VALUE)])
        return None

    def _end_of(self, pattern: re.Pattern[str], at: int) -> int:
        matched = pattern.match(self._buffer, at)
        return at if matched is None else matched.end()

    def _raw_text(self) -> Iterator[Token]:
        name = self._raw
        end = self._find_end_tag(name)
        if end < 0 and not self._is_last and name in _LEFT_OUT:
            # Nothing of it is needed but its end, and it may be all the chats that somebody had.
            self._at = max(self._at, len(self._buffer) - len(name) - 2)
            return
        if end < 0 and self._waits(self._at):
            return
        self._raw = ""
        if end < 0 and name in _LEFT_OUT:
            end = len(self._buffer)  # cut off in the middle of a script
        if end < 0:
            return  # a title that is never closed: what follows is the page
        text, self._at = self._buffer[self._at : end], end
        if name not in _LEFT_OUT:
            yield decode_entities(text) if name in _WITH_ENTITIES else text

    def _find_end_tag(self, name: str) -> int:
        known = self._free.get(name, 0)
        start = max(self._at, known - len(name) - 3)
        found = _END_TAGS[name].search(self._buffer, start)
        if found is None:
            self._free[name] = len(self._buffer)
            return -1
        return found.start()

    def _find(self, what: str, start: int) -> int:
        known = self._free.get(what, 0)
        found = self._buffer.find(what, max(start, known - len(what) + 1))
        if found < 0:
            self._free[what] = len(self._buffer)
        return found

    def _past(self, what: str, start: int) -> int:
        found = self._find(what, start)
        return 0 if found < 0 else found + len(what)

    def _waits(self, start: int) -> bool:
        return not self._is_last and len(self._buffer) - start < _LONGEST


_END_TAGS = {name: re.compile(rf"</{name}(?=[\t\n\f\r />])", re.IGNORECASE) for name in _RAW}
