"""The manifest of a plugin that is a folder: `clawstate.plugin.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clawstate.errors import InvalidError
from clawstate.files.regular import read_regular
from clawstate.plugins.schemas import validator_of

MANIFEST = "clawstate.plugin.json"
OPENCLAW_MANIFEST = "openclaw.plugin.json"
"""What a plugin of OpenClaw has: a program of Node, which only OpenClaw runs."""

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LARGEST = 1 << 20
_ENTRY = "plugin.py"


@dataclass(frozen=True, slots=True)
class Manifest:
    """
    What the folder of a plugin says of it before its code is run.

    *config_schema* is the JSON Schema of its settings, *entry* the file below the folder that has
    `plugin`, a `Plugin`, or a function `register`.
    """

    id: str
    config_schema: Mapping[str, Any]
    entry: str = _ENTRY
    name: str = ""
    description: str = ""
    version: str = ""
    kind: str | None = None


def require_id(name: str, value: Any) -> str:
    """Return *value* if it can be the id of a plugin; raises `InvalidError`."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        hint = "use lower-case letters, digits, '.', '_' and '-', at most 64"
        raise InvalidError(name, "is no id of a plugin", hint)
    return value


def read_manifest(path: Path) -> Manifest:
    """Return the manifest at *path*; raises `InvalidError` that names all that is wrong in it."""
    try:
        document = json.loads(read_regular(path, limit=_LARGEST))
    except (ValueError, RecursionError):
        raise InvalidError(str(path), "is no JSON", "mend it, or remove the plugin") from None
    if not isinstance(document, dict):
        raise InvalidError(str(path), "is no JSON object of at most 1 MB")
    if mistakes := list(_mistakes(path, document)):
        raise _join_mistakes(path, mistakes)
    texts = {key: document.get(key, "") for key in ("name", "description", "version")}
    return Manifest(
        document["id"],
        document["configSchema"],
        document.get("entry", _ENTRY),
        **texts,
        kind=document.get("kind") or None,
    )


def _mistakes(path: Path, document: Mapping[str, Any]) -> Iterator[InvalidError]:
    """Yield what is wrong with each member of *document*."""
    schema = document.get("configSchema")
    if isinstance(schema, dict):
        try:
            validator_of(f"{path}: configSchema", schema)
        except InvalidError as error:
            yield error
    else:
        hint = 'write {"type": "object", "additionalProperties": false} for one without settings'
        yield InvalidError(f"{path}: configSchema", "is missing, or no object", hint)
    for key in ("name", "description", "version", "kind", "entry"):
        value = document.get(key)
        if key in document and not isinstance(value, str) and (key, value) != ("kind", None):
            yield InvalidError(f"{path}: {key}", "is no text")
    entry = document.get("entry", _ENTRY)
    if isinstance(entry, str):
        place = Path(entry)
        if place.is_absolute() or ".." in place.parts or not entry.endswith(".py"):
            hint = "name a .py file below the folder of the plugin"
            yield InvalidError(f"{path}: entry", "leads elsewhere, or is no Python", hint)
    try:
        require_id(f"{path}: id", document.get("id"))
    except InvalidError as error:
        yield error


def _join_mistakes(path: Path, mistakes: Sequence[InvalidError]) -> InvalidError:
    """Return *mistakes* as one error."""
    if len(mistakes) == 1:
        return mistakes[0]
    told = [str(each).removeprefix(f"{path}: ") for each in mistakes]
    return InvalidError(str(path), f"has {len(mistakes)} mistakes: {' | '.join(told)}")
