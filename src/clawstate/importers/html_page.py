"""What a page of HTML says: its text in blocks, and what it tells of itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from clawstate.importers.html_flow import Flow
from clawstate.importers.html_tokens import Start, Token, Tokens
from clawstate.importers.packing import Block

_VOID = frozenset(
    {
        *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param"),
        *("source", "track", "wbr"),
    }
)
# Elements that stand within a line: where their tags cross those of others, these stay open.
_INLINE = frozenset(
    {
        *(
            "a",
            "abbr",
            "b",
            "bdi",
            "bdo",
            "big",
            "cite",
            "code",
            "data",
            "del",
            "dfn",
            "em",
            "font",
        ),
        *(
            "i",
            "ins",
            "kbd",
            "label",
            "mark",
            "q",
            "rp",
            "rt",
            "ruby",
            "s",
            "samp",
            "small",
            "span",
        ),
        *("strike", "strong", "sub", "sup", "time", "tt", "u", "var"),
    }
)
# Of a control, a menu or what is only there for a browser without scripts nobody made a note.
_BOILERPLATE = frozenset(
    {
        *("audio", "button", "canvas", "datalist", "nav", "noscript", "object", "rp", "select"),
        *("svg", "template", "video"),
    }
)
_BOILERPLATE_ROLES = {"menu", "menubar", "navigation", "search", "toolbar"}
_UNSEEN = re.compile(r"(?:^|[;\s])(?:display\s*:\s*none|visibility\s*:\s*hidden)\b", re.IGNORECASE)
_MAIN = {"article", "main"}
_BESIDE = {"aside", "footer"}
_FARTHEST = 64  # elements above the end tag of a word in bold that are looked through
_DEEPEST = 64  # parts within parts that may be left out; those below go with the one above
_SAVED = re.compile(r"saved from url=\(\d+\)(\S+)|(?:^|\s)url:\s*(https?://\S+)")
_DATES = (
    "article:published_time",
    "datepublished",
    "dcterms.created",
    "dc.date",
    "dcterms.date",
    "date",
    "pubdate",
)


@dataclass(slots=True)
class PageFacts:
    """What a page tells of itself, outside of its text."""

    title: str = ""
    meta: dict[str, str] = field(default_factory=dict)
    address: str = ""

    @property
    def date(self) -> str:
        """When it was published, as it says; empty where it does not."""
        return next((self.meta[name] for name in _DATES if name in self.meta), "")


@dataclass(slots=True)
class _Part:
    """A stretch that may be left out; *depth* is how many elements were open before it."""

    depth: int
    flow: Flow
    is_beside: bool = False


class Page:
    """
    A page that is read tag by tag.

    Menus, controls and what is not shown are left out, and notes beside the main text where there
    is one; but a part that is never closed is kept, since nobody knows where it ends. With
    *everything* all text is kept.
    """

    def __init__(self, *, is_xml: bool = False, everything: bool = False) -> None:
        self.facts = PageFacts()
        self.left_out = 0
        """Characters of parts that were left out."""
        self._is_xml = is_xml
        self._everything = everything
        self._tokens = Tokens()
        self._open: list[str] = []
        self._count: Counter[str] = Counter()
        self._parts = [_Part(0, Flow())]
        self._in_title = False
        self._has_main = False
        self._beside: list[tuple[int, int]] = []

    def feed(self, text: str, *, is_last: bool = False) -> None:
        """Take the next part of the source."""
        for token in self._tokens.feed(text, is_last=is_last):
            self._take(token)
        if is_last:
            self._close_to(0)
            self._flow.close()

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks of the text, numbered as the lines of a file would be."""
        left = set()
        if self._has_main and not self._everything:
            left = {at for first, end in self._beside for at in range(first, end)}
        line = 1
        for at, block in enumerate(self._flow.blocks):
            if at in left:
                self.left_out += block.size
                continue
            gap = ("",) if line > 1 else ()
            first = line + len(gap)
            yield Block(first, block.lines, gap, block.pauses, block.level, block.title)
            line = first + len(block.lines)

    @property
    def _flow(self) -> Flow:
        return self._parts[-1].flow

    def _take(self, token: Token) -> None:
        if isinstance(token, str):
            if self._in_title:
                self.facts.title = self.facts.title or " ".join(token.split())
                self._in_title = False
            else:
                self._flow.add_text(token.replace("\0", ""))
        elif isinstance(token, Start):
            self._start(token)
        else:
            self._end(token.name)

    def _start(self, tag: Start) -> None:
        self._in_title = tag.name == "title" and len(self._parts) == 1
        self._look_at(tag)
        if tag.name in _VOID or (tag.is_closed and self._is_xml):
            self._flow.start(tag)
            return
        if tag.name in _MAIN or tag.attributes.get("role") == "main":
            self._has_main = True
        if len(self._parts) < _DEEPEST and not self._everything:
            self._begin_part(tag)
        self._open.append(tag.name)
        self._count[tag.name] += 1
        self._flow.start(tag)

    def _begin_part(self, tag: Start) -> None:
        if _is_boilerplate(tag):
            self._parts.append(_Part(len(self._open), Flow()))
        elif tag.name in _BESIDE and not any(self._count[each] for each in _MAIN):
            self._parts.append(_Part(len(self._open), Flow(), is_beside=True))

    def _end(self, name: str) -> None:
        self._in_title = False
        if not self._count[name]:
            if name in {"p", "br"}:
                self._flow.end(name)
            return
        depth = self._depth_of(name)
        if depth is None:
            return
        self._close_to(depth + 1)
        self._pop(is_named=True)

    def _depth_of(self, name: str) -> int | None:
        # What is passed on the way to the element is closed with it, so no step is taken twice; but
        # words in bold close nothing, and are looked for nearby alone.
        is_inline = name in _INLINE
        for depth in range(len(self._open) - 1, -1, -1):
            each = self._open[depth]
            if each == name:
                return depth
            if is_inline and (each not in _INLINE or len(self._open) - depth > _FARTHEST):
                return None
        return None

    def _close_to(self, depth: int) -> None:
        while len(self._open) > depth:
            self._pop(is_named=False)

    def _pop(self, *, is_named: bool) -> None:
        name = self._open.pop()
        self._count[name] -= 1
        self._flow.end(name)
        if len(self._parts) > 1 and self._parts[-1].depth == len(self._open):
            part = self._parts.pop()
            part.flow.close()
            if is_named and not part.is_beside:
                self.left_out += sum(each.size for each in part.flow.blocks)
                return
            first = self._flow.take(part.flow.blocks)
            if is_named and len(self._parts) == 1:
                self._beside.append((first, len(self._flow.blocks)))

    def _look_at(self, tag: Start) -> None:
        facts, attributes = self.facts, tag.attributes
        if tag.name == "meta":
            name = (
                attributes.get("property") or attributes.get("name") or attributes.get("itemprop")
            )
            content = " ".join(attributes.get("content", "").split())
            if name and content:
                facts.meta.setdefault(name.lower(), content)
        elif tag.name == "link" and attributes.get("rel", "").lower() == "canonical":
            facts.address = facts.address or attributes.get("href", "")
        if tag.name in {"head", "html", "meta"} and not facts.address:
            found = _SAVED.search(self._tokens.remark)
            facts.address = (found[1] or found[2]) if found else ""


def _is_boilerplate(tag: Start) -> bool:
    attributes = tag.attributes
    return (
        tag.name in _BOILERPLATE
        or attributes.get("hidden", "until-found") != "until-found"
        or attributes.get("aria-hidden", "").lower() == "true"
        or attributes.get("role", "").lower() in _BOILERPLATE_ROLES
        or (tag.name == "dialog" and "open" not in attributes)
        or ("style" in attributes and _UNSEEN.search(attributes["style"]) is not None)
    )
