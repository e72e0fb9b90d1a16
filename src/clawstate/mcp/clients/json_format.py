"""Settings in JSON and JSON5; comments, order and spelling stay."""

from __future__ import annotations

import json
from pathlib import Path

from clawstate.json5.parse import parse_json5
from clawstate.json5.patch import set_text, unset_text
from clawstate.mcp.clients.formats import Document, require_meaning, require_object


class JsonFormat:
    """JSON, also with comments."""

    def parse(self, text: str, file: Path) -> Document:
        """Return what *text* means; raises `CorruptError`."""
        return require_object(parse_json5(text, path=file) if text.strip() else None, file)

    def put(self, text: str, table: tuple[str, ...], name: str, value: Document, file: Path) -> str:
        """Return *text* with *value* as the member *name* of *table*."""
        self.parse(text, file)
        # Plain JSON to begin with: not every client reads more than that.
        begun = text if text.strip() else f"{json.dumps({}, indent=2)}\n"
        changed = set_text(begun, (*table, name), value, file=file)
        return require_meaning((text, changed), value, (*table, name), file, how=self)

    def remove(self, text: str, table: tuple[str, ...], name: str, file: Path) -> str:
        """Return *text* without the member *name* of *table*."""
        changed = unset_text(text, (*table, name), file=file).text
        return require_meaning((text, changed), None, (*table, name), file, how=self)
