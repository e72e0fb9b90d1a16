from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

from clawstate.json5.key_path import KeyPath, get_at
from clawstate.json5.parse import parse_document
from clawstate.json5.patch import set_text

LINE_ENDS = ["\n", "\r\n"]
WILD = [
    "",
    "",
    " ",
    "\t",
    "\n",
    "\r\n  ",
    "/* c, */",
    "// d]\n",
    "// {\r\n\t",
    "/* e\n e */",
    "\u2028",
    "  \n",
]


class Writer:
    """Writes values as people do: on one line or many, with comments wherever they may stand."""

    def __init__(self, random: Random) -> None:
        self._one_of = random.choice
        self._some_of = lambda each: random.choices(each, k=random.choice([0, 0, 1, 2]))
        self._end = self._one_of(LINE_ENDS)
        self._step = self._one_of(["  ", "\t", "    "])
        self._quote = self._one_of(['"', "'"])
        self._wild = self._one_of([False, False, True])
        self._comments = self._one_of([False, True])

    def document(self, value: Any) -> str:
        head = self._one_of(["", "\ufeff", "// head" + self._end])
        return head + self.value(value, "") + self._one_of(["", self._end])

    def value(self, value: Any, indent: str) -> str:
        if isinstance(value, dict):
            parts = [self._member(key, item, indent + self._step) for key, item in value.items()]
            return self._container("{}", parts, indent)
        if isinstance(value, list):
            parts = [self.value(item, indent + self._step) for item in value]
            return self._container("[]", parts, indent)
        return self._string(value) if isinstance(value, str) else json.dumps(value)

    def _member(self, key: str, value: Any, indent: str) -> str:
        return f"{self._string(key)}{self._gap()}:{self._gap()} {self.value(value, indent)}"

    def _container(self, brackets: str, parts: list[str], indent: str) -> str:
        if self._wild:
            return self._wildly(brackets, parts)
        form = self._one_of(["line", "spread", "comma first", "hugging"])
        last = self._one_of(["", ","]) if parts else ""
        line = self._end + indent
        if form == "line":
            return brackets[0] + ", ".join(parts) + last + brackets[1]
        if form == "comma first":
            middle = f"{line}  , ".join(part + self._comment() for part in parts)
            return f"{brackets[0]}{line}    {middle}{line}{brackets[1]}"
        middle = "".join(
            f"{self._above(line)}{line}{self._step}{part}{comma}{self._comment()}"
            for part, comma in zip(parts, [","] * (len(parts) - 1) + [last], strict=False)
        )
        hugs = form == "hugging" and parts and "//" not in middle
        return brackets[0] + middle + (" " if hugs else self._above(line) + line) + brackets[1]

    def _wildly(self, brackets: str, parts: list[str]) -> str:
        text = brackets[0] + self._gap()
        for index, part in enumerate(parts):
            text += part + self._gap()
            if index < len(parts) - 1 or self._one_of([False, True]):
                text += "," + self._gap()
        return text + brackets[1]

    def _gap(self) -> str:
        return "".join(self._some_of(WILD)) if self._wild else ""

    def _comment(self) -> str:
        if not self._comments:
            return ""
        return self._one_of(["", "", "  ", " // beside", " /* beside */", " /* b */ // c"])

    def _above(self, line: str) -> str:
        if not self._comments:
            return ""
        return self._one_of(["", f"{line}  // above", f"{line}/* above */", line])

    def _string(self, text: str) -> str:
        if self._quote == "'":
            return "'" + json.dumps(text)[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"
        return json.dumps(text, ensure_ascii=False)


def insert_text(text: str, path: KeyPath, value: Any, *, file: Path) -> str:
    """Put *value* before the element that *path* names, as a change of the whole array."""
    *above, index = path
    elements = list(get_at(parse_document(text, path=file).value, tuple(above)))
    elements.insert(index, value)
    return set_text(text, tuple(above), elements, file=file)
