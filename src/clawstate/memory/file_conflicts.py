"""`FileConflicts`: where the memory and the files it came from disagree, until a person decides."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

from clawstate.clock import Clock, to_ms
from clawstate.records.contract import CollectionSpec, Json
from clawstate.records.layouts import MapLayout

if TYPE_CHECKING:
    from clawstate.records.contract import Collection as Records

FILE_CONFLICTS: Final = CollectionSpec(
    "memory-conflicts", PurePosixPath("memory/conflicts.json"), MapLayout("conflicts", version=1)
)
"""`{version: 1, conflicts: {<id>: {kind, namespace, source, theirs, follows, atMs}}}`: no texts."""

FileConflictKind: TypeAlias = Literal["edited", "left", "gone"]
"""Both changed; the file does not say it; the file is not there."""

_KINDS: Final = ("edited", "left", "gone")

PLACES: Final = ("heading", "start_line", "end_line")
"""Metadata that tells where a passage stands: its file's, while all other may be a person's."""


@dataclass(frozen=True, slots=True)
class FileConflict:
    """
    A record, or all of a file that is gone, of which a person is to decide what it shall be.

    `record` is empty for a file that is gone. `theirs` is the id of what the file says in the
    place of an edited one; with `follows` the next import compares the file with the edited one.
    """

    kind: FileConflictKind
    record: str
    source: str
    namespace: str = "default"
    theirs: str | None = None
    follows: bool = False

    @property
    def key(self) -> str:
        """What it is kept by: there is one of each record, and of each file that is gone."""
        return self.record or f"{self.namespace}:{self.source}"


class FileConflicts:
    """The conflicts in a collection, which is opened when it is needed. Safe for threads."""

    def __init__(self, collection: Callable[[], Records], clock: Clock) -> None:
        self._collection = collection
        self._clock = clock

    def put(self, found: Iterable[FileConflict]) -> None:
        """Note conflicts, in one step; a later one of the same takes the place of the former."""
        at = to_ms(self._clock())
        added = {each.key: _document(each, at) for each in found}
        if added:
            self._collection().change_some(added, lambda known: ({**known, **added}, None))

    def entries(self, namespace: str | None) -> list[FileConflict]:
        """Return what is noted of *namespace*, or of all, also what is settled by now."""
        found = (_conflict(each.key, each.value) for each in self._collection().scan())
        return [each for each in found if each and namespace in (None, each.namespace)]

    def remove(self, settled: Collection[FileConflict]) -> None:
        """Take away the notes of what is settled."""
        keys = {each.key for each in settled}

        def change(known: Mapping[str, Json]) -> tuple[dict[str, Json], None]:
            return {key: each for key, each in known.items() if key not in keys}, None

        if keys:
            self._collection().change_some(keys, change)


def _document(conflict: FileConflict, at: int) -> Json:
    return {
        "kind": conflict.kind,
        "record": conflict.record,
        "namespace": conflict.namespace,
        "source": conflict.source,
        "theirs": conflict.theirs,
        "follows": conflict.follows,
        "atMs": at,
    }


def _conflict(key: str, value: Json) -> FileConflict | None:
    """Return the conflict of a document; None for what is none."""
    if not isinstance(value, dict) or value.get("kind") not in _KINDS:
        return None
    texts = (value.get("record"), value.get("source"), value.get("namespace"))
    record, source, namespace = (each if isinstance(each, str) else "" for each in texts)
    theirs = value.get("theirs")
    found = FileConflict(
        cast("FileConflictKind", value["kind"]),
        record,
        source,
        namespace,
        theirs if isinstance(theirs, str) else None,
        follows=value.get("follows") is True,
    )
    return found if found.key == key else None
