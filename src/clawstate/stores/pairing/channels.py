"""Who may write to the agent on a channel, and who asked to: lists that OpenClaw has as well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from clawstate.errors import InvalidError
from clawstate.records.contract import CollectionSpec, Json
from clawstate.records.layouts import ListLayout
from clawstate.records.rules import is_key

CHANNEL_KIND = "channel:"
"""What the kinds of these records begin with; the name of their file follows."""

ALLOWED, REQUESTED = "-allowFrom.json", "-pairing.json"
"""How the names of the files end, in `credentials/`."""

_FOLDER = "credentials"
_VERSION = 1


def allow_spec(file: str) -> CollectionSpec:
    """Return the spec of the allow list in `credentials/`*file*; its keys are those allowed."""
    return CollectionSpec(
        f"{CHANNEL_KIND}{file}", PurePosixPath(_FOLDER, file), _NamesLayout("allowFrom")
    )


def pairing_spec(file: str) -> CollectionSpec:
    """Return the spec of the pending requests in `credentials/`*file*, by their codes."""
    layout = ListLayout("requests", "code", _VERSION)
    kind, path = f"{CHANNEL_KIND}{file}", PurePosixPath(_FOLDER, file)
    return CollectionSpec(kind, path, layout, secret_keys=True)


def channel_spec(file: str) -> CollectionSpec | None:
    """Return the spec of what `credentials/`*file* holds; `None` for something else."""
    # The name becomes a path below `credentials/`, and must not lead out of it.
    if file.startswith(".") or "/" in file:
        return None
    if file.endswith(ALLOWED):
        return allow_spec(file)
    return pairing_spec(file) if file.endswith(REQUESTED) else None


@dataclass(frozen=True, slots=True)
class _NamesLayout:
    """The member *section* is a list of names, each a record without content."""

    section: str

    def decode(self, document: Json) -> dict[str, Json]:
        return {name: {} for name in _names(document, self.section)}

    def encode(self, document: Json, records: Mapping[str, Json]) -> Json:
        old = _names(document, self.section)
        # In the order of the file, new names last: OpenClaw shows lists as they are written.
        kept = [name for name in old if name in records]
        new = [name for name in records if name not in old]
        before = document if isinstance(document, dict) else {"version": _VERSION}
        return {**before, self.section: [*kept, *new]}


def _names(document: Json, section: str) -> list[str]:
    if document is None:
        return []
    found = document.get(section, []) if isinstance(document, dict) else None
    if not isinstance(found, list):
        raise InvalidError("document", f"holds no list {section!r}")
    return [each for each in found if is_key(each)]
