"""`Survey`: an audit under way, which gathers exposures, secrets, and what was looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clawstate.doctor.audit.known import KnownSecrets
from clawstate.doctor.audit.report import Code, Exposure
from clawstate.errors import NotFoundError, StateError
from clawstate.files.regular import read_regular
from clawstate.health import Severity
from clawstate.json5.parse import parse_json5
from clawstate.secret_rules import mask

if TYPE_CHECKING:
    from clawstate.state import State
    from clawstate.stores.auth.codec import Resolve

LIMIT = 16 << 20
"""Bytes of a document that is understood; a larger one is only searched."""

_LAST_GOOD = ".lastgood"
_DIGEST = 32  # bytes behind the text of a last good copy


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a *file*; *label* is what a secret there is known by."""

    file: Path
    where: str = ""
    label: str = ""
    provider: str | None = None
    profile_id: str | None = None

    def at(self, member: str) -> Spot:
        """Return the spot of *member* below this one."""
        return replace(self, where=f"{self.where}.{member}" if self.where else member)


class Survey:
    """What one audit of *state* has seen so far; *resolve* turns references into secrets."""

    def __init__(self, state: State, resolve: Resolve) -> None:
        self.state = state
        self.root = state.paths.root
        self.known = KnownSecrets()
        self.exposures: list[Exposure] = []
        self.scanned: set[Path] = set()
        self.notes: dict[str, None] = {}
        self._resolve = resolve

    def add(self, code: Code, severity: Severity, spot: Spot, message: str) -> None:
        """Note one exposure."""
        self.exposures.append(
            Exposure(code, severity, spot.file, spot.where, message, spot.provider, spot.profile_id)
        )

    def clear_text(self, value: str, spot: Spot, *, what: str) -> None:
        """Note the secret *value*, which is *what* and not encrypted at *spot*."""
        self.add("PLAINTEXT_FOUND", "warning", spot, f"{what} in the clear ({mask(value)})")
        self.known.learn(value, spot.label, home=spot.file)

    def reference(self, reference: Any, spot: Spot) -> None:
        """Resolve *reference*; note that it leads nowhere, or learn the secret."""
        try:
            value = self._resolve(reference)
        except StateError as error:
            self.add("REF_UNRESOLVED", "error", spot, str(error))
        else:
            self.known.learn(value, spot.label, home=None)

    def document(self, path: Path) -> Any:
        """Return the JSON or JSON5 in the file *path*, or `None`; a failure becomes a note."""
        try:
            raw = read_regular(path, limit=LIMIT)
        except NotFoundError:
            return None
        except StateError as error:
            self.note(str(error))
            return None
        if path.parent.name == _LAST_GOOD:
            raw = raw[:-_DIGEST]
        self.scanned.add(path)
        try:
            return parse_json5(raw, path=path) if raw.strip() else None
        except StateError:
            self.note(f"{path} is damaged: it was searched for known secrets only")
            return None

    def note(self, message: str) -> None:
        """Note something that could not be looked at."""
        self.notes[message] = None
