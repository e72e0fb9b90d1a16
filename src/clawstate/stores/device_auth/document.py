"""How the held tokens lie in their file, in the specification's form and in OpenClaw's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final, Self, TypeGuard

from clawstate.clock import from_ms, to_ms
from clawstate.errors import ConflictError, InvalidError, VersionError
from clawstate.records.contract import CollectionSpec, Json
from clawstate.records.merging import MergeResult, merge_records

OWNER: Final = "deviceId"
"""The key of the record that says whose tokens these are."""

_VERSION = 1
_TOKEN = "token/"  # noqa: S105 - the start of keys


class StoredToken(str):
    """
    A token that this device holds: a text, to be used as it is, whose repr hides it.

    *role*, *scopes* and *updated_at* (seconds since the epoch) are known for OpenClaw's form.
    """

    __slots__ = ("role", "scopes", "updated_at")

    role: str | None
    scopes: tuple[str, ...]
    updated_at: float | None

    def __new__(
        cls,
        token: str,
        *,
        role: str | None = None,
        scopes: tuple[str, ...] = (),
        updated_at: float | None = None,
    ) -> Self:
        """Return *token* with what is known of it."""
        made = super().__new__(cls, token)
        made.role, made.scopes, made.updated_at = role, scopes, updated_at
        return made

    def __repr__(self) -> str:
        return f"StoredToken(…, scopes={self.scopes!r})"


class TokensLayout:
    """
    Records `deviceId`, whose tokens these are, and `token/<name>`.

    Raises `InvalidError` for a document that cannot hold them, `VersionError` for a newer one.
    """

    def decode(self, document: Json) -> dict[str, Json]:
        """Return the owner and the tokens."""
        if document is None:
            return {}
        tokens = document.get("tokens", {}) if isinstance(document, dict) else None
        if not isinstance(tokens, dict):
            raise InvalidError("document", "is not an object with tokens")
        version = document.get("version")
        # Only a newer version is refused: OpenClaw's file, and one edited by hand, may have none.
        if isinstance(version, int | float) and version > _VERSION:
            raise VersionError("document", int(min(version, 2**53)), _VERSION)
        owner = document.get(OWNER)
        if owner is not None and not isinstance(owner, str):
            raise InvalidError("document", f"its {OWNER!r} is not a text")
        named = {_TOKEN + name: token for name, token in tokens.items()}
        return named if owner is None else {OWNER: owner, **named}

    def encode(self, document: Json, records: Mapping[str, Json]) -> Json:
        """Return the document with the owner and the tokens of *records*."""
        tokens = {}
        for key, value in records.items():
            if key.startswith(_TOKEN):
                tokens[key.removeprefix(_TOKEN)] = value
            elif key != OWNER:
                raise InvalidError(key, "is neither the owner nor a token", "keep it elsewhere")
        # In the order of the specification's example, with unknown members after it.
        found = {"version": _VERSION, **(document or {})}
        found.pop(OWNER, None)
        found.pop("tokens", None)
        version = {"version": found.pop("version")}
        owner = {OWNER: records[OWNER]} if OWNER in records else {}
        return {**version, **owner, "tokens": tokens, **found}


HELD: Final = CollectionSpec(
    "device-auth", PurePosixPath("state/identity/device-auth.json"), TokensLayout()
)
"""`{version: 1, deviceId, tokens: {<name>: "..."}}` (section 5)."""

OPENCLAW_HELD: Final = CollectionSpec(
    "device-auth-openclaw", PurePosixPath("identity/device-auth.json"), TokensLayout()
)
"""Where OpenClaw keeps them, each as `{token, role, scopes, updatedAtMs}`; only read."""


def key_of(name: str) -> str:
    """Return the key of the record that holds the token *name*."""
    return _TOKEN + name


def read_tokens(records: Mapping[str, Json]) -> dict[str, StoredToken]:
    """Return the usable tokens in *records* by their names."""
    found = {
        key.removeprefix(_TOKEN): _token(value)
        for key, value in records.items()
        if key.startswith(_TOKEN)
    }
    return {name: token for name, token in found.items() if token}


def owner_of(records: Mapping[str, Json]) -> str | None:
    """Return the device whose tokens *records* are."""
    owner = records.get(OWNER)
    return owner if isinstance(owner, str) else None


def write_token(
    before: Json | None, name: str, token: str, scopes: tuple[str, ...], *, now: float
) -> str | dict[str, Any]:
    """Return *token* in the form that *before* had; with *scopes* in OpenClaw's."""
    old = before if isinstance(before, Mapping) else {}
    # The specification's plain text, unless there is something to tell beside it.
    if not old and not scopes:
        return token
    given = {"token": token, "role": old.get("role", name), "scopes": list(scopes)}
    # A renewed token allows what the old one did, unless the caller says otherwise.
    if not scopes and isinstance(old.get("scopes"), list):
        given["scopes"] = old["scopes"]
    return {**old, **given, "updatedAtMs": to_ms(now)}


def _token(value: Json) -> StoredToken | None:
    if isinstance(value, str):
        return StoredToken(value)
    token = value.get("token") if isinstance(value, Mapping) else None
    if not isinstance(token, str):
        return None
    role, scopes, updated = (value.get(name) for name in ("role", "scopes", "updatedAtMs"))
    texts = [each for each in scopes if isinstance(each, str)] if isinstance(scopes, list) else []
    return StoredToken(
        token,
        role=role if isinstance(role, str) else None,
        scopes=tuple(texts),
        updated_at=from_ms(updated) if _is_moment(updated) else None,
    )


def _is_moment(value: Json) -> TypeGuard[float]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) < 2**53 and math.isfinite(value)


def merge_tokens(
    ours: Mapping[str, Json], theirs: Mapping[str, Json], *, replace: bool
) -> tuple[dict[str, Json], MergeResult]:
    """
    Return the records *ours* with the tokens of *theirs*, and what became of each, by name.

    They keep their form, with role, scopes and time. What is here stays, unless *replace*. Raises
    `ConflictError` if both sides say whose tokens they are, and disagree.
    """
    # Tokens are good for one key pair only: mixed, all of one side would be refused by gateways.
    if owner_of(ours) is not None and owner_of(theirs) not in {None, owner_of(ours)}:
        raise ConflictError("owner of", "the tokens", "they belong to another device")
    tokens = {key: value for key, value in theirs.items() if key != OWNER}
    records, answer = merge_records(
        ours,
        tokens,
        refuse=_refuse,
        is_same=lambda key, old, new: read_tokens({key: old}) == read_tokens({key: new}),
        gives_way=lambda *_: replace,
    )
    if OWNER in theirs:
        records.setdefault(OWNER, theirs[OWNER])
    return records, answer.without(key_of(""))


def _refuse(key: str, value: Json) -> None:
    if not read_tokens({key: value}):
        raise InvalidError("token", "is no text")
