"""Where the key-encryption key (KEK) of a state comes from: a file, a keyring, a passphrase."""

from __future__ import annotations

import base64
import binascii
import importlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clawstate.arguments import require_text
from clawstate.encryption.ciphertext import KEY_BYTES, new_key
from clawstate.encryption.key_file import default_key_file, make_key_file, read_key_file
from clawstate.encryption.passphrase import Stretching, new_passphrase, present_passphrase
from clawstate.errors import CorruptError, InvalidError, MissingExtraError, UnavailableError
from clawstate.files.paths import expand_path, is_nameable

SERVICE = "clawstate"
"""What the entries in the keyring of the operating system are called (extra `keyring`)."""

OFF = "off"
CHOICES = "keyring, file, file:/path, or passphrase"
OVERRIDE = "CLAWSTATE_KEY_FILE"

Given = Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class KeySource:
    """
    One place that a key comes from, as it is noted in `state/keys.json`; it holds no secret.

    *kind* is `file`, `keyring` or `passphrase`; *place* the path, the name of the entry, or empty.
    """

    kind: str
    place: str = ""
    stretching: Stretching | None = None

    def __str__(self) -> str:
        names = {"file": f"key file {self.place}", "keyring": f"keyring entry {self.place}"}
        return names.get(self.kind, "passphrase")

    @classmethod
    def read(cls, document: Any, *, path: Path) -> KeySource:
        """Return what `document` wrote; raises `CorruptError` that names *path*."""
        found = document if isinstance(document, dict) else {}
        kind, place = found.get("kind"), found.get("place")
        if kind == "passphrase":
            return cls("passphrase", stretching=Stretching.read(found, path=path))
        if not isinstance(kind, str) or not isinstance(place, str) or not place:
            raise CorruptError(str(path), "names no source of its key")
        if kind not in {"file", "keyring"}:
            raise CorruptError(str(path), "names no source of its key")
        # A relative path would depend on where a program was started.
        if kind == "file" and not (Path(place).is_absolute() and is_nameable(place)):
            raise CorruptError(str(path), "names a key file that cannot be")
        return cls(kind, place)

    @property
    def document(self) -> dict[str, Any]:
        """What `read` reads."""
        if self.stretching is not None:
            return {"kind": self.kind, **self.stretching.document}
        return {"kind": self.kind, "place": self.place}

    def key(self, given: Given) -> bytes:
        """
        Return the key; a passphrase may be *given*, or a person is asked for it.

        Raises `UnavailableError`, `InvalidError`.
        """
        if self.stretching is not None:
            return self.stretching.key(present_passphrase(given))
        if self.kind == "keyring":
            return _read_entry(self.place.removeprefix(f"{SERVICE}/"))
        # The file may lie elsewhere on another machine, while `keys.json` goes along with the
        # state.
        other = os.environ.get(OVERRIDE, "").strip()
        return read_key_file(expand_path(other) if other else Path(self.place))


def require_choice(choice: str) -> str:
    """Return *choice* if it names a source; raises `InvalidError`."""
    kind, _, place = require_text("key", choice).partition(":")
    if choice in {"keyring", "file", "passphrase"} or (kind == "file" and _is_absolute(place)):
        return choice
    raise InvalidError("key", f"{choice!r} is no source of a key", f"write {CHOICES}")


def kind_of_choice(choice: str) -> str:
    """Return the kind of the source that *choice* means."""
    return require_choice(choice).partition(":")[0]


def new_source(
    choice: str,
    name: str,
    *,
    state: Path,
    given: Given,
    again: bool = False,
    env: Mapping[str, str] | None = None,
) -> tuple[KeySource, bytes]:
    """
    Return the source that *choice* means, and its key, made and kept there if there was none.

    *name* is that of a default file or entry. With *again* another passphrase is asked for than the
    present one. Raises `InvalidError`, `UnavailableError`, `MissingExtraError`.
    """
    kind = kind_of_choice(choice)
    if kind == "passphrase":
        stretching = Stretching.new()
        key = stretching.key(new_passphrase(given, env, again=again))
        return KeySource(kind, stretching=stretching), key
    if kind == "keyring":
        return KeySource(kind, f"{SERVICE}/{name}"), _make_entry(name, new_key())
    place = choice.partition(":")[2]
    path = expand_path(place, env=env) if place else default_key_file(name, env=env)
    return KeySource(kind, str(path)), make_key_file(path, new_key(), state=state)


def _is_absolute(place: str) -> bool:
    return place.startswith(("/", "~/")) and is_nameable(place)


def _make_entry(user: str, key: bytes) -> bytes:
    """
    Keep *key* as the entry *user*, and return it; a key that is there is returned instead.

    Raises `MissingExtraError`, and `UnavailableError` for a keyring that does not keep it.
    """
    if _call("get_password", SERVICE, user) is None:
        _call("set_password", SERVICE, user, base64.b64encode(key).decode())
    # Read back: some keyrings keep nothing, and say nothing; and another process may have been
    # first.
    return _read_entry(user)


def _read_entry(user: str) -> bytes:
    """Return the key in the entry *user*; raises `MissingExtraError`, `UnavailableError`."""
    text = _call("get_password", SERVICE, user)
    key = b""
    try:
        key = base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        problem = f"has no key {SERVICE}/{user}"
        raise UnavailableError("keyring", problem, "log in as the user who made it, or restore it")
    return key


def _call(verb: str, *arguments: str) -> Any:
    try:
        keyring = importlib.import_module("keyring")
    except ImportError as error:
        raise MissingExtraError("keyring", "keyring") from error
    try:
        return getattr(keyring, verb)(*arguments)
    except Exception as error:  # noqa: BLE001 - each backend has errors of its own
        problem = f"failed with {type(error).__name__}"
    # Outside of the handler: a backend's error may quote what it read.
    raise UnavailableError("keyring", problem, "unlock it, or encrypt with --key file")
