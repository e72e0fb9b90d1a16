"""Pairing codes: eight characters that are told from each other at a glance."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Iterable
from typing import Final

from clawstate.errors import InvalidError, UnavailableError

ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""A to Z and 2 to 9, less I and O: 32 characters, so that a code has 40 bits (decision 9)."""

CODE_LENGTH: Final = 8

_IGNORED = re.compile(r"[\s-]+")  # people write ABCD-2345
_LONGEST = 64  # characters of what is given as a code that are looked at
_SHOWN = 2  # characters of a code that an error may repeat
_CANDIDATES = 16


def candidates() -> tuple[str, ...]:
    """Return new codes, from the operating system's randomness, of which the first free counts."""
    return tuple(
        "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH)) for _ in range(_CANDIDATES)
    )


def first_free(offered: Iterable[str], taken: Collection[str]) -> str:
    """Return the first of *offered* that is not *taken*; raises `UnavailableError` if none is."""
    for code in offered:
        if code not in taken:
            return code
    raise UnavailableError("pairing", "found no code that is free", "try again")


def normalised(code: str) -> str:
    """Return *code* as it is kept: without spaces and hyphens, in capitals."""
    if not isinstance(code, str):
        raise InvalidError("code", f"a code is text, not {type(code).__name__}", "give the code")
    return _IGNORED.sub("", code[:_LONGEST]).upper()


def matching(code: str, pending: Iterable[str]) -> str | None:
    """Return the one of *pending* that is *code*; takes as long whichever it is, or none."""
    given = code.encode("utf-8", "replace")
    found = None
    for each in pending:
        if hmac.compare_digest(each.encode("utf-8", "replace"), given):
            found = each
    return found


def mark_of(code: str) -> str:
    """Return by what a used *code* is known again; the code cannot be used any more."""
    return hashlib.sha256(f"pairing code {code}".encode("utf-8", "replace")).hexdigest()[:32]


def hinted(code: str) -> str:
    """Return the start of *code*, for an error: the rest may be right but for a letter."""
    return f"{code[:_SHOWN]}…" if len(code) > _SHOWN else "…"
