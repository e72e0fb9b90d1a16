"""What a migration of records has done so far, for the one that carries it on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from clawstate.errors import StateError
from clawstate.files.atomic import write_atomic
from clawstate.files.json_text import dump_compact, dump_pretty, parse_json
from clawstate.files.regular import read_regular

COPYING: Final = "copying"
"""The phase in which the source is what counts; after it that is the target."""

_CHOSEN = "chosen"
_MOST = 256 << 20


@dataclass(slots=True)
class MoveLedger:
    """
    What a migration to *to* has done so far, for the one that carries it on.

    *kinds* holds the digest of each record that it copied. Once the target is the engine in use,
    they are not copied again: what was deleted there since would come back.
    """

    path: Path
    to: str
    phase: str | None = None
    kinds: dict[str, dict[str, str]] = field(default_factory=dict)

    def load(self, *, is_chosen: bool) -> None:
        """Read what an earlier one did; *is_chosen* tells whether the target counts by now."""
        with suppress(StateError):
            found = parse_json(read_regular(self.path, limit=_MOST), path=self.path)
            if not isinstance(found, dict):
                return
            is_same = found.get("to") == self.to
            if is_same or is_chosen:
                # Killed just before the setting changed, the source went on being used. One that
                # is given up left copies there: what was deleted since must not come from them.
                phase = str(found["phase"]) if is_same else _CHOSEN
                self.phase = phase if is_chosen else COPYING
                self.kinds = {str(kind): dict(each) for kind, each in found["kinds"].items()}

    def moved_digests(self, kind: str) -> Mapping[str, str]:
        """Return the digests of records of *kind* that were moved for good."""
        return self.kinds.get(kind, {}) if self.phase == _CHOSEN else {}

    def begin(self, kinds: Mapping[str, dict[str, str]]) -> None:
        """Note the digests of what is to be copied."""
        if self.phase != _CHOSEN:
            self.phase, self.kinds = COPYING, dict(kinds)
            self._write()

    def advance(self) -> None:
        """Note that all is copied, and the target about to be chosen."""
        self.phase = _CHOSEN
        self._write()

    def remove(self) -> None:
        """Forget it, at the end."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _write(self) -> None:
        document = {"version": 1, "to": self.to, "phase": self.phase, "kinds": self.kinds}
        write_atomic(self.path, dump_pretty(document).encode())


def digests_of(records: Mapping[str, Any]) -> dict[str, str]:
    """Return the digest of each of *records*."""
    return {key: digest_of(each) for key, each in records.items()}


def digest_of(value: Any) -> str:
    """Return what tells the JSON value *value* from all others."""
    return hashlib.sha256(dump_compact(value).encode("utf-8", "surrogatepass")).hexdigest()
