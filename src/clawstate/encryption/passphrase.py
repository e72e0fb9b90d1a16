"""The key that is made of a passphrase, and who is asked for it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from clawstate.encryption.ciphertext import KEY_BYTES
from clawstate.encryption.key_file import read_private
from clawstate.errors import CorruptError, InvalidError, UnavailableError
from clawstate.files.paths import expand_path

PRESENT = "CLAWSTATE_PASSPHRASE_FILE"
NEXT = "CLAWSTATE_NEW_PASSPHRASE_FILE"

Ask: TypeAlias = Callable[[str, bool], str]
"""Asks a person for the passphrase with a title; twice when the flag says that it is a new one."""

_SHORTEST = 8  # characters
_SALT_BYTES = 16
# A cost from a file that was tampered with must neither weaken the key nor fill the memory.
_COSTS = frozenset(2**each for each in range(14, 21))
_NOBODY = "name a private file in {}, or use a terminal"

_ask: ContextVar[Ask | None] = ContextVar("ask", default=None)


@contextmanager
def ask_with(ask: Ask) -> Iterator[None]:
    """Let *ask* be asked for passphrases within the block, in this thread."""
    # A context variable, as threads of a server must not ask the person at another terminal.
    token = _ask.set(ask)
    try:
        yield
    finally:
        _ask.reset(token)


@dataclass(frozen=True, slots=True)
class Stretching:
    """
    How a passphrase becomes a key: scrypt (RFC 7914), 128 MB and half a second with the default.

    *cost* is the N of scrypt; r is 8 and p is 1.
    """

    salt: bytes
    cost: int = 2**17

    @classmethod
    def new(cls) -> Stretching:
        """Return one with a new salt."""
        return cls(os.urandom(_SALT_BYTES))

    @classmethod
    def read(cls, document: Mapping[str, Any], *, path: Path) -> Stretching:
        """Return what `document` wrote; raises `CorruptError` that names *path*."""
        salt, cost = document.get("salt"), document.get("cost")
        try:
            raw = base64.b64decode(salt if isinstance(salt, str) else "", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != _SALT_BYTES or type(cost) is not int or cost not in _COSTS:
            raise CorruptError(str(path), "says nothing sound of how the passphrase is stretched")
        return cls(raw, cost)

    @property
    def document(self) -> dict[str, Any]:
        """What `read` reads."""
        return {"salt": base64.b64encode(self.salt).decode(), "cost": self.cost}

    def key(self, passphrase: str) -> bytes:
        """Return the key that *passphrase* gives."""
        secret = passphrase.encode("utf-8", "surrogatepass")
        bound = 256 * 8 * self.cost  # bytes; OpenSSL allows 32 MB by itself
        return hashlib.scrypt(
            secret, salt=self.salt, n=self.cost, r=8, p=1, maxmem=bound, dklen=KEY_BYTES
        )


def present_passphrase(
    given: Callable[[], str | None], env: Mapping[str, str] | None = None
) -> str:
    """
    Return the passphrase from the file in `CLAWSTATE_PASSPHRASE_FILE`, *given*, or a person.

    Raises `UnavailableError` if nobody can be asked, and what reading a private file raises.
    """
    found = _from_file(PRESENT, env) or given()
    return found or _from_person("passphrase of this state", PRESENT, new=False)


def has_present(given: Callable[[], str | None], env: Mapping[str, str] | None = None) -> bool:
    """Tell whether `present_passphrase` would ask no person."""
    variables = os.environ if env is None else env
    return bool(variables.get(PRESENT, "").strip() or given())


def new_passphrase(
    given: Callable[[], str | None], env: Mapping[str, str] | None = None, *, again: bool
) -> str:
    """
    Return a passphrase to seal with from now on; *again* if there was another one before.

    Raises what `present_passphrase` does, and `InvalidError` for fewer than eight characters.
    """
    found = _from_file(NEXT, env)
    # In a rotation the present passphrase is no new one, so it is not taken for that in silence.
    if not found and not again:
        found = _from_file(PRESENT, env) or given() or ""
    found = found or _from_person("new passphrase", NEXT if again else PRESENT, new=True)
    if len(found) < _SHORTEST:
        raise InvalidError("passphrase", f"is shorter than {_SHORTEST:,} characters", "take more")
    return found


def _from_file(name: str, env: Mapping[str, str] | None) -> str:
    variables = os.environ if env is None else env
    path = variables.get(name, "").strip()
    if not path:
        return ""
    text = read_private(expand_path(path, env=env), missing=f"correct {name}")
    # One line end only, which editors add; blanks may belong to the passphrase.
    return text.removesuffix("\n").removesuffix("\r")


def _from_person(title: str, variable: str, *, new: bool) -> str:
    ask = _ask.get()
    found = ask(title, new) if ask is not None else ""
    if not found:
        problem = "is needed, and cannot be asked for: this is no terminal"
        raise UnavailableError("passphrase", problem, _NOBODY.format(variable))
    return found
