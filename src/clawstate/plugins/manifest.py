"""The manifest of a plugin that is a folder: `clawstate.plugin.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clawstate.errors import InvalidError
from clawstate.files.regular import read_regular

MANIFEST = "clawstate.plugin.json"
OPENCLAW_MANIFEST = "openclaw.plugin.json"
"""What a plugin of OpenClaw has: a program of Node, which only OpenClaw runs."""

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """
    What the folder of a plugin says of it before its code is run.

    *config_schema* is the JSON Schema of its settings, *entry* the file below the folder that has
    `plugin`, a `Plugin`, or a function `register`.
    """

    id: str
    config_schema: Mapping[str, Any]
    entry: str = "plugin.py"
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
    """Return the manifest at *path*; raises `InvalidError` that names the file and the member."""
    try:
        document = json.loads(read_regular(path, limit=_LARGEST))
    except (ValueError, RecursionError):
        raise InvalidError(str(path), "is no JSON", "mend it, or remove the plugin") from None
    if not isinstance(document, dict):
        raise InvalidError(str(path), "is no JSON object of at most 1 MB")
    schema = document.get("configSchema")
    if not isinstance(schema, dict):
        hint = 'write {"type": "object", "additionalProperties": false} for one without settings'
        raise InvalidError(f"{path}: configSchema", "is missing, or no object", hint)
    texts = {key: document.get(key, "") for key in ("name", "description", "version")}
    kind, entry = document.get("kind"), document.get("entry", "plugin.py")
    for key, value in {**texts, "kind": kind or "", "entry": entry}.items():
        if not isinstance(value, str):
            raise InvalidError(f"{path}: {key}", "is no text")
    if Path(entry).is_absolute() or ".." in Path(entry).parts or not entry.endswith(".py"):
        hint = "name a .py file below the folder of the plugin"
        raise InvalidError(f"{path}: entry", "leads elsewhere, or is no Python", hint)
    plugin_id = require_id(f"{path}: id", document.get("id"))
    return Manifest(plugin_id, schema, entry, **texts, kind=kind or None)
