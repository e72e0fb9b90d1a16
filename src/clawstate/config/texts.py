"""Two texts of a configuration compared, without the secrets that they hold."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from clawstate.errors import CorruptError
from clawstate.json5.key_path import KeyPath
from clawstate.json5.parse import Node, parse_document
from clawstate.secret_rules import without_secrets
from clawstate.secrets.redaction import SENTINEL, literal_secrets

_HIDDEN = "(a text that is not JSON5, and is not shown)\n"


def difference(before: bytes | None, after: bytes, *, old: str, new: str) -> str:
    """Return what changed from *before* to *after* as a unified diff; *old*, *new* name them."""
    lines = (
        _shown(before or b"").splitlines(keepends=True),
        _shown(after).splitlines(keepends=True),
    )
    return "".join(_ended(line) for line in difflib.unified_diff(*lines, old, new))


def _ended(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n"


def _shown(raw: bytes) -> str:
    """Return the text with its literal secrets replaced; nothing of a text that cannot be read."""
    text = raw.decode("utf-8", "replace")
    if not text.strip():
        return text
    try:
        document = parse_document(text, path=Path("configuration"))
    except CorruptError:
        return _HIDDEN
    # A lone text that is included may stand for anything, also for a secret.
    is_tree = isinstance(document.value, dict | list)
    secret: set[KeyPath] = set(literal_secrets(document.value)) if is_tree else {()}
    spans = sorted(_spans(document, (), secret), reverse=True)
    for start, end in spans:
        text = f'{text[:start]}"{SENTINEL}"{text[end:]}'
    return without_secrets(text, SENTINEL)  # comments, and keys, may hold one as well


def _spans(node: Node, path: KeyPath, secret: set[KeyPath]) -> Iterator[tuple[int, int]]:
    if path in secret:
        yield node.start, node.end
        return
    for index, item in enumerate(node.items):
        step = index if item.key is None else item.key
        if item.key is not None and item.node.value is not node.value[item.key]:
            yield item.node.start, item.node.end  # a later one counts; this may be a secret
            continue
        yield from _spans(item.node, (*path, step), secret)
