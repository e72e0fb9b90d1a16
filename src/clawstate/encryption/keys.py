"""`Keys`: the data keys in `state/keys.json`, each wrapped with the key-encryption key (KEK)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clawstate.encryption.ciphertext import key_id, key_name, open_text, seal_text
from clawstate.encryption.sources import KeySource
from clawstate.errors import CorruptError, UnavailableError, VersionError
from clawstate.files.json_text import dump_compact, dump_pretty, parse_json_file

FORMAT = 1
_MEMBERS = {"version", "state", "source", "current", "keys", "check"}


@dataclass(frozen=True, slots=True)
class Keys:
    """
    The data keys of *state*, each wrapped under its own name; *current* encrypts what is new.

    The older ones open what was sealed before, until everything is sealed anew.
    """

    state: str
    source: KeySource
    current: str
    sealed: Mapping[str, Mapping[str, Any]]

    @classmethod
    def wrap(
        cls, state: str, source: KeySource, kek: bytes, keys: Mapping[str, bytes], current: bytes
    ) -> Keys:
        """Return *keys* and *current*, sealed with the key *kek* of *source*."""
        every = {**keys, key_id(current): current}
        sealed = {
            name: seal_text(kek, key.hex(), place=_place(state, source, name))
            for name, key in every.items()
        }
        return cls(state, source, key_id(current), sealed)

    @classmethod
    def read(cls, raw: bytes, *, path: Path) -> Keys:
        """Return what `text` wrote; raises `CorruptError`, `VersionError` that name *path*."""
        found = parse_json_file(raw, path=path)
        found = found if isinstance(found, dict) else {}
        version = found.get("version")
        if type(version) is int and version > FORMAT:
            raise VersionError(str(path), version, FORMAT)
        if set(found) != _MEMBERS or version != FORMAT or found["check"] != _check(found):
            raise CorruptError(str(path), "was changed, and the keys in it cannot be trusted")
        source = KeySource.read(found["source"], path=path)
        state, current, keys = found["state"], found["current"], found["keys"]
        # The digest tells an accident only: whoever can write here can make one that fits.
        whole = isinstance(state, str) and isinstance(current, str) and isinstance(keys, dict)
        if not whole or not all(isinstance(each, dict) for each in keys.values()):
            raise CorruptError(str(path), "does not hold keys as they are written")
        return cls(state, source, current, keys)

    def text(self) -> str:
        """Return the content of the file."""
        document: dict[str, Any] = {
            "version": FORMAT,
            "state": self.state,
            "source": self.source.document,
            "current": self.current,
            "keys": self.sealed,
        }
        return dump_pretty({**document, "check": _check(document)}) + "\n"

    def unwrap(self, kek: bytes, *, path: Path) -> dict[str, bytes]:
        """
        Return the keys by their names; *kek* is the key of the source.

        Raises `UnavailableError` for another key than the one they were sealed with, and
        `CorruptError` that names *path*.
        """
        mine = key_id(kek)
        found = {}
        for name, sealed in self.sealed.items():
            place = _place(self.state, self.source, name)
            # By the names: a wrong key is told before anything is decrypted, and not as damage.
            if key_name(sealed, place=str(path)) != mine:
                problem = f"is not the one that {path} was encrypted with"
                raise UnavailableError(str(self.source), problem, "give the one it was made with")
            found[name] = bytes.fromhex(open_text(kek, sealed, place=place))
        return found


def _place(state: str, source: KeySource, name: str) -> str:
    # The state is in it, so the keys of one cannot be put into another, nor under another source.
    return dump_compact(["keys.json", state, source.document, name])


def _check(document: Mapping[str, Any]) -> str:
    """Return a digest of *document*: it tells an accident, not an attack, from a wrong key."""
    rest = {key: value for key, value in document.items() if key != "check"}
    return hashlib.sha256(dump_compact(rest).encode()).hexdigest()[:16]
