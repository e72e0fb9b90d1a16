"""Settings in TOML; comments, order and spelling stay."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Final

from clawstate.errors import CorruptError
from clawstate.mcp.clients.formats import Document, line_end, quote, require_meaning

_STEP: Final = r"""(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_HEADER: Final = re.compile(rf"\s*\[\[?\s*({_STEP}(?:\s*\.\s*{_STEP})*)\s*\]\]?\s*(?:#.*)?\r?\n?")
_TRIPLE: Final = re.compile("\"{3}|'{3}")
_STEPS: Final = re.compile(_STEP)


class TomlFormat:
    """TOML, in which an entry is a table with a header of its own."""

    def parse(self, text: str, file: Path) -> Document:
        """Return what *text* means; raises `CorruptError`."""
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            problem, hint = f"is no TOML: {error}", "mend it with its own program"
            raise CorruptError(str(file), problem, hint) from None

    def put(self, text: str, table: tuple[str, ...], name: str, value: Document, file: Path) -> str:
        """Return *text* with *value* as the table *name* of *table*, in its place or at the end."""
        self.parse(text, file)
        end = line_end(text)
        lines = [f"[{'.'.join((*table, name))}]"]
        lines += [f"{key} = {_inline(each)}" for key, each in value.items()]
        block = end.join(lines) + end
        kept, place = _split(text, (*table, name))
        if place is None:
            kept = kept.rstrip("\r\n") + end + end if kept.strip() else ""
            place = len(kept)
        behind = kept[place:]
        gap = end if behind and not behind.startswith(("\n", "\r\n")) else ""
        changed = kept[:place] + block + gap + behind
        return require_meaning((text, changed), value, (*table, name), file, how=self)

    def remove(self, text: str, table: tuple[str, ...], name: str, file: Path) -> str:
        """Return *text* without the table *name* of *table* and what lies below it."""
        changed, _ = _split(text, (*table, name))
        return require_meaning((text, changed), None, (*table, name), file, how=self)


def _split(text: str, path: tuple[str, ...]) -> tuple[str, int | None]:
    """Return *text* without the tables of *path* and below, and where the first one stood."""
    kept: list[str] = []
    place: int | None = None
    is_within = False
    quotes = ""  # of the text of several lines within which a line stands
    for line in text.splitlines(keepends=True):
        was_text = bool(quotes)
        for found in _TRIPLE.findall(line):
            quotes = found if not quotes else "" if found == quotes else quotes
        if was_text:
            pass  # what looks like a header is a part of a text
        elif header := _HEADER.fullmatch(line):
            steps = tuple(_plain(each) for each in _STEPS.findall(header[1]))
            is_within = steps[: len(path)] == path
            if is_within and place is None:
                place = sum(map(len, kept))
        if not is_within:
            kept.append(line)
    return "".join(kept), place


def _inline(value: Any) -> str:
    """Return *value* on one line; what TOML alone has stays as Python prints it, and is checked."""
    if isinstance(value, dict):
        return (
            "{ "
            + ", ".join(f"{quote(key)} = {_inline(each)}" for key, each in value.items())
            + " }"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return quote(value) if isinstance(value, str | bool) else str(value)


def _plain(step: str) -> str:
    if step.startswith(('"', "'")):
        found: str = next(iter(tomllib.loads(f"{step} = 0")))
        return found
    return step
