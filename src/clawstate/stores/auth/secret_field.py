"""Secrets as members of a value: opened when they are read, and shown by nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from clawstate.records.contract import Json


class Sealed:
    """
    A secret that is encrypted for one *place*, with the way to open it.

    That way is gone once, and only when the secret is asked for.
    """

    __slots__ = ("_open", "_text", "document", "place")

    def __init__(
        self, document: Mapping[str, Json], place: str, open_it: Callable[[], str]
    ) -> None:
        self.document = document
        self.place = place
        self._open = open_it
        self._text: str | None = None

    def text(self) -> str:
        """Return the secret; raises what `Sealer.open` does."""
        if self._text is None:
            self._text = self._open()
        return self._text

    def __repr__(self) -> str:
        return "<sealed>"


class SecretField:
    """
    Descriptor of a secret in a frozen dataclass: takes text or `Sealed`, and gives text.

    To be the default of a `field(repr=False)`; an object made without it has `None`.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        found = instance.__dict__.get(self._name)
        return found.text() if isinstance(found, Sealed) else found

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self._name] = None if value is self else value


def kept_secret(credential: object, name: str) -> str | Sealed | None:
    """Return the secret *name* of *credential* as it is kept, without opening it."""
    found: str | Sealed | None = vars(credential)[name]
    return found
