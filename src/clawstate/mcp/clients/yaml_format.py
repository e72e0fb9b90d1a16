"""Settings in YAML; comments, order and spelling stay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from clawstate.errors import CorruptError, UnavailableError
from clawstate.mcp.clients.formats import (
    Document,
    line_end,
    quote,
    require_meaning,
    require_object,
)

_INDENT: Final = 2


class YamlFormat:
    """YAML in blocks, in which the servers are one mapping at the top."""

    def parse(self, text: str, file: Path) -> Document:
        """Return what *text* means; raises `CorruptError`."""
        try:
            return require_object(yaml.safe_load(text), file)
        except yaml.YAMLError as error:
            line = getattr(getattr(error, "problem_mark", None), "line", None)
            problem = "is no YAML" + ("" if line is None else f" (line {line + 1})")
            raise CorruptError(str(file), problem, "mend it with its own program") from None

    def put(self, text: str, table: tuple[str, ...], name: str, value: Document, file: Path) -> str:
        """Return *text* with *value* as the member *name* of the mapping *table*."""
        self.parse(text, file)
        (key,) = table
        end = line_end(text)
        servers = _member(yaml.compose(text, yaml.SafeLoader), key)
        if servers is None:
            begun = text if not text.strip() or text.endswith("\n") else text + end
            changed = f"{begun}{key}:{end}{_block(name, value, _INDENT, end)}"
        elif isinstance(servers, yaml.MappingNode) and servers.value and not servers.flow_style:
            changed = _put_within(text, servers, name, value)
        elif _is_empty(servers):
            start, finish = servers.start_mark.index, servers.end_mark.index
            block = f"{end}{_block(name, value, _INDENT, end)}".removesuffix(end)
            changed = text[:start].rstrip(" ") + block + text[finish:]
        else:
            raise UnavailableError(str(file), f"has {key} on one line", "write it in lines first")
        return require_meaning((text, changed), value, (*table, name), file, how=self)

    def remove(self, text: str, table: tuple[str, ...], name: str, file: Path) -> str:
        """Return *text* without the member *name* of the mapping *table*."""
        (key,) = table
        servers = _member(yaml.compose(text, yaml.SafeLoader), key)
        member = None if servers is None else _pair(servers, name)
        if servers is None or member is None or servers.flow_style:
            problem = f"has {key} in a form in which {name} cannot be removed alone"
            raise UnavailableError(str(file), problem, "remove it by hand")
        # The last one leaves an empty mapping: a key without a value means something else.
        left = " {}" if len(servers.value) == 1 else ""
        start, finish = _line_start(text, member[0].start_mark.index), _line_end(text, member[1])
        changed = text[:start] + text[finish:]
        if left:
            at = start - len(line_end(text))
            changed = text[:at].rstrip() + left + line_end(text) + text[finish:]
        return require_meaning((text, changed), None, (*table, name), file, how=self)


def _put_within(text: str, servers: yaml.MappingNode, name: str, value: Document) -> str:
    end = line_end(text)
    indent = servers.value[0][0].start_mark.column
    if (member := _pair(servers, name)) is not None:
        start, finish = _line_start(text, member[0].start_mark.index), _line_end(text, member[1])
    else:
        start = finish = _line_end(text, servers.value[-1][1])
    before = text[:start] if not start or text[:start].endswith("\n") else text[:start] + end
    return before + _block(name, value, indent, end) + text[finish:]


def _block(name: str, value: Document, indent: int, end: str) -> str:
    """Return an entry in lines; texts and lists as JSON, which YAML reads as well."""
    lines = [f"{'':{indent}}{name}:"]
    lines += [f"{'':{indent + _INDENT}}{key}: {quote(each)}" for key, each in value.items()]
    return "".join(f"{line}{end}" for line in lines)


def _member(root: Any, key: str) -> Any:
    member = _pair(root, key) if isinstance(root, yaml.MappingNode) else None
    return None if member is None else member[1]


def _pair(mapping: Any, key: str) -> tuple[Any, Any] | None:
    return next((each for each in mapping.value if each[0].value == key), None)


def _is_empty(node: Any) -> bool:
    return not node.value or node.tag == "tag:yaml.org,2002:null"


def _line_start(text: str, index: int) -> int:
    return text.rfind("\n", 0, index) + 1


def _line_end(text: str, node: Any) -> int:
    """Return where the line of the last thing within *node* ends: a block itself ends later."""
    last = max(_ends(node))
    found = text.find("\n", last)
    return len(text) if found < 0 else found + 1


def _ends(node: Any) -> Iterator[int]:
    if isinstance(node, yaml.MappingNode) and not node.flow_style:
        for key, value in node.value:
            yield key.end_mark.index
            yield from _ends(value)
    elif isinstance(node, yaml.SequenceNode) and not node.flow_style:
        for each in node.value:
            yield from _ends(each)
    else:
        # A block scalar ends with its last line end, behind which another line begins.
        yield node.end_mark.index - (getattr(node, "style", None) in {"|", ">"})
