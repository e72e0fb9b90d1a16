"""`KnownSecrets`: the secrets of a state that an audit came across, and where they belong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from clawstate.quantities import number_of
from clawstate.secret_rules import mask

SHORTEST = 8
"""Characters; a shorter text is found by chance in any large file."""


@dataclass(slots=True)
class KnownSecret:
    """A secret by its *label*, such as `openai:default`, and the files it is known to be in."""

    value: str = field(repr=False)
    label: str
    homes: set[Path] = field(default_factory=set)
    _forms: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def shown(self) -> str:
        """What may be shown of it."""
        return mask(self.value)

    def forms(self) -> tuple[bytes, ...]:
        """Return the bytes by which it stands in a text, in JSON, in an address, or in UTF-16."""
        if not self._forms:
            self._forms = self._encode()
        return self._forms

    def _encode(self) -> tuple[bytes, ...]:
        raw = self.value.encode("utf-8", "surrogatepass")
        quoted = json.dumps(self.value)[1:-1].encode()
        unescaped = json.dumps(self.value, ensure_ascii=False)[1:-1]
        wide = (self.value.encode(each, "surrogatepass") for each in ("utf-16-le", "utf-16-be"))
        plain = (
            raw,
            quoted,
            unescaped.encode("utf-8", "surrogatepass"),
            quote(raw, safe="").encode(),
        )
        return tuple(dict.fromkeys((*plain, *wide)))


class KnownSecrets:
    """What was learned; it shows none of it."""

    def __init__(self) -> None:
        self._by_value: dict[str, KnownSecret] = {}

    def __repr__(self) -> str:
        return f"<{number_of(len(self._by_value), 'secret')}>"

    def __iter__(self) -> Iterator[KnownSecret]:
        return iter(self._by_value.values())

    def __len__(self) -> int:
        return len(self._by_value)

    def learn(self, value: str, label: str, *, home: Path | None) -> None:
        """Note that *value* is a secret, called *label*, and is stored in *home*."""
        text = value.strip()
        if len(text) < SHORTEST:
            return
        found = self._by_value.setdefault(text, KnownSecret(text, label))
        if home is not None:
            found.homes.add(home)

    def add_all(self, others: KnownSecrets) -> None:
        """Note all that *others* know."""
        for each in others:
            self.learn(each.value, each.label, home=None)
            self._by_value[each.value].homes |= each.homes
