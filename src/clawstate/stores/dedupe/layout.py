"""How marks lie in a file: a flat object from key to milliseconds, as OpenClaw has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from clawstate.files.safe_names import encode_name
from clawstate.records.contract import Json, Shape
from clawstate.records.layouts import MapLayout
from clawstate.stores.dedupe.rules import Rules

_PLAIN = MapLayout()
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class MarksLayout:
    """
    A flat object of marks, which each write tidies by the *rules* of that moment.

    A file is written whole anyway, so its marks never are too many. Members that are no marks
    stay. A mark that was made or renewed lies last.
    """

    rules: Callable[[], Rules]

    def decode(self, document: Json) -> dict[str, Json]:
        """Return the members of the object; raises `InvalidError` for anything else."""
        return _PLAIN.decode(document)

    def encode(self, document: Json, records: Mapping[str, Json]) -> Json:
        """Return the marks among *records* that still hold, and whatever is no mark."""
        if document is None and len(records) == 1:
            return dict(records)  # asked of each single record, whatever the engine
        old = _PLAIN.decode(document)
        kept = dict(records)
        for key in [key for key, value in records.items() if old.get(key, _ABSENT) != value]:
            kept[key] = kept.pop(key)
        return self.rules().tidied(kept)


def marks_shape(namespace: str, path: PurePosixPath, rules: Callable[[], Rules]) -> Shape:
    """Return the shape of the marks of *namespace*, which lie in the file *path*."""
    return Shape(f"dedupe:{encode_name(namespace)}", path, MarksLayout(rules))
