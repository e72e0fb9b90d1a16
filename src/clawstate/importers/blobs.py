"""What lies in a text and is none: pictures and drawings, packed into letters and digits."""

from __future__ import annotations

import re
from collections.abc import Iterator

from clawstate.importers.lines import TextLine
from clawstate.importers.passages import Problem
from clawstate.quantities import number_of

_DATA = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.+-]+)*;base64,[A-Za-z0-9+/=_-]{64,}")
# No list of checksums: those have no capitals beside their small letters.
_PACKED = re.compile(r"(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z])(?=\D*\d)[A-Za-z0-9+/=_-]{60,}\s*$")
_FEWEST = 3  # lines of such letters on end
_DRAWN = re.compile(r"excalidraw-plugin\s*:")
_DRAWING = re.compile(r"#{1,6}\s+Drawing\s*$")
_LAST_HEAD = 60  # lines within which the front matter of a drawing tells what it is


class Blobs:
    """Leaves out of lines what is no text, and counts it."""

    def __init__(self) -> None:
        self._count = 0
        self._characters = 0

    def leave_out(self, lines: Iterator[TextLine | Problem]) -> Iterator[TextLine | Problem]:
        """Yield *lines* without what is packed in them; numbers stay."""
        packed: list[TextLine] = []
        is_drawn = is_drawing = False
        for line in lines:
            if isinstance(line, Problem):
                yield line
                continue
            number, text = line
            is_drawn = is_drawn or (number < _LAST_HEAD and _DRAWN.match(text) is not None)
            if is_drawn and not is_drawing and _DRAWING.match(text):
                is_drawing = True
                self._count += 1
            if is_drawing:
                self._characters += len(text)
            elif len(text) >= 60 and _PACKED.match(text):
                packed.append(line)
            else:
                yield from self._flush(packed)
                yield number, self._without_data(text)
        yield from self._flush(packed)

    def describe(self) -> str | None:
        """Return a sentence about what was left out; None where that was nothing."""
        if not self._count:
            return None
        what = number_of(self._count, "embedded file or drawing", "embedded files or drawings")
        return f"{what} ({number_of(self._characters, 'character')}) left out"

    def _flush(self, packed: list[TextLine]) -> Iterator[TextLine]:
        if len(packed) < _FEWEST:
            yield from packed
        else:
            self._count += 1
            self._characters += sum(len(text) for _, text in packed)
        packed.clear()

    def _without_data(self, text: str) -> str:
        if ";base64," not in text:
            return text

        def shorten(found: re.Match[str]) -> str:
            self._count += 1
            self._characters += len(found[0])
            return f"data:{found[1] or ''}"

        return _DATA.sub(shorten, text)
