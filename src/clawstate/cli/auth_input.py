"""Secrets as people hand them over: on standard input or at a prompt, never as an argument."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from clawstate.cli.printing import inline
from clawstate.errors import InvalidError
from clawstate.secrets.redaction import is_secret_reference
from clawstate.stores.auth.credentials import TYPES, CredentialType, require_type

_LONGEST = 1 << 20  # bytes


def ask_credential(name: str, profile_id: str, *, ref: str | None) -> dict[str, Any]:
    """Return the members of a credential of the type *name* with its secret or a reference."""
    kind = require_type(name)
    if ref is not None:
        if kind.reference is None:
            able = [each for each, other in TYPES.items() if other.reference is not None]
            hint = f"only {' and '.join(able)} do"
            raise click.UsageError(f"{name} takes no reference in place of its secret; {hint}")
        return {kind.reference.name: _reference(ref)}
    text = _secret(f"{kind.prompt} of {profile_id} (not shown)")
    return _from_json(text, kind) if kind.asks_json else {kind.secrets[0].name: text}


def _reference(text: str) -> dict[str, str]:
    found = dict(zip(("source", "provider", "id"), text.split(":", 2), strict=False))
    if "id" not in found or not is_secret_reference(found):
        # Not repeated: it may be the secret itself.
        problem = "is not of the form source:provider:id"
        raise InvalidError("--ref", problem, "write one like env:default:OPENAI_API_KEY")
    return found


def _secret(title: str) -> str:
    if sys.stdin.isatty():
        asked: str = click.prompt(inline(title), hide_input=True, err=True)
        return asked
    raw = sys.stdin.buffer.read(_LONGEST + 1)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"stdin is not UTF-8 (byte {error.start})") from None
    if len(raw) > _LONGEST or not text.strip():
        problem = "is too large" if raw.strip() else "is empty"
        raise click.UsageError(f"stdin {problem}; the secret is read from it")
    return text


def _from_json(text: str, kind: CredentialType) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        # Outside of the handler: the error that it would chain holds the text.
        names = [*kind.secrets, *([kind.expiry] if kind.expiry else [])]
        members = ", ".join(f'"{each.name}": ...' for each in names)
        raise InvalidError("stdin", "is no JSON object", f"write {{{members}}}")
    return {key: value for key, value in found.items() if key not in {"type", "provider"}}
