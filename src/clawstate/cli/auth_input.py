"""Secrets as people hand them over: on standard input or at a prompt, never as an argument."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from clawstate.cli.printing import inline
from clawstate.errors import InvalidError
from clawstate.secrets.redaction import is_secret_reference

_MEMBERS = {"api_key": ("key", "keyRef"), "token": ("token", "tokenRef")}
_PROMPTS = {"api_key": "API key", "token": "token", "oauth": "tokens as JSON"}
_LONGEST = 1 << 20  # bytes


def credential_of(kind: str, profile_id: str, *, ref: str | None) -> dict[str, Any]:
    """Return the members of a credential of *kind* that hold the secret, or refer to it."""
    if ref is not None:
        if kind not in _MEMBERS:
            raise click.UsageError("a reference takes the place of a key or token, not of oauth")
        return {_MEMBERS[kind][1]: _reference(ref)}
    text = _secret(f"{_PROMPTS[kind]} of {profile_id} (not shown)")
    return _tokens(text) if kind == "oauth" else {_MEMBERS[kind][0]: text}


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


def _tokens(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        # Outside of the handler: the error that it would chain holds the text.
        hint = 'write {"access": ..., "refresh": ..., "expires": ...}'
        raise InvalidError("stdin", "is no JSON object", hint)
    return {key: value for key, value in found.items() if key not in {"type", "provider"}}
