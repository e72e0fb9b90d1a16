"""Records that gave way to others of the same key when records were moved: kept, and put back."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clawstate.clock import to_iso
from clawstate.errors import NotFoundError, StateError
from clawstate.files.atomic import write_atomic
from clawstate.files.json_text import dump_pretty, parse_json
from clawstate.files.regular import read_regular
from clawstate.openclaw.owner import Era
from clawstate.records.contract import Collection
from clawstate.state.record_places import Place, credential_places, record_places

if TYPE_CHECKING:
    from clawstate.state.context import Context

_FOLDER = "state/set-aside"
_MOST = 256 << 20


@dataclass(frozen=True, slots=True)
class Replaced:
    """The record *key* of *kind* that gave way to another; it is kept in the file *path*."""

    kind: str
    key: str
    path: Path
    value: Any = field(repr=False)

    @property
    def name(self) -> str:
        """How it is called, also where several stores have the key."""
        return name_of(self.kind, self.key)


def aside_folder(context: Context) -> Path:
    """Return where what is put aside at this moment goes."""
    return context.paths.root / _FOLDER / to_iso(context.clock()).replace(":", "-")


def name_of(kind: str, key: str) -> str:
    """Return how the record *key* of *kind* is called."""
    return f"{kind}/{key}"


def command_for(kind: str, key: str) -> str:
    """Return the command that puts the record *key* of *kind* back."""
    return f"clawstate store restore {shlex.quote(name_of(kind, key))}"


def keep(place: Place, records: Mapping[str, Any], folder: Path, *, is_missed: bool = True) -> None:
    """
    Keep *records* of *place* that give way to others, beside those that are in *folder*.

    Those that nobody would miss are kept apart: they are neither listed nor put back.
    """
    prefix = "replaced" if is_missed else "passing"
    path = folder / f"{prefix}-{place.kind.replace('/', '-').replace(':', '-')}.json"
    known = _read(path)
    document = {"kind": place.kind, "records": {**known.get("records", {}), **records}}
    write_atomic(path, dump_pretty(document).encode("utf-8", "surrogatepass"))


def replaced(context: Context) -> Iterator[Replaced]:
    """Yield the records that gave way to others, the last first."""
    for path in sorted((context.paths.root / _FOLDER).glob("*/replaced-*.json"), reverse=True):
        found = _read(path)
        for key, value in found.get("records", {}).items():
            yield Replaced(found["kind"], key, path, value)


def put_back(context: Context, name: str) -> Replaced:
    """
    Put the record called *name* back, and return it; what has its place is kept in turn.

    Raises `NotFoundError` for one that did not give way to another, or whose store is gone.
    """
    _find(context, name)  # the lock makes a directory, and nothing may be there
    with context.backends.moving():
        found, place = _find(context, name)
        target, folder = _chosen(context, place), aside_folder(context)

        def change(there: dict[str, Any]) -> tuple[dict[str, Any], None]:
            if found.key in there and there[found.key] != found.value:
                keep(place, {found.key: there[found.key]}, folder)
            return {**there, found.key: found.value}, None

        target.change_all(change)
        _forget(found, is_kept_anew=found.path.parent == folder)
    return found


def _find(context: Context, name: str) -> tuple[Replaced, Place]:
    found = next((each for each in replaced(context) if each.name == name), None)
    places = {each.kind: each for each in (*record_places(context), *_more(context))}
    if found is None or found.kind not in places:
        hint = "'clawstate store status' names those that were replaced"
        raise NotFoundError("replaced record", name, hint)
    return found, places[found.kind]


def _more(context: Context) -> Iterator[Place]:
    if context.owner.era is Era.SQLITE:
        yield from credential_places(context)


def _chosen(context: Context, place: Place) -> Collection:
    backends = context.backends
    return backends.records(backends.choice, root=place.root).collection(place.shape)


def _forget(found: Replaced, *, is_kept_anew: bool) -> None:
    document = _read(found.path)
    left = {key: each for key, each in document.get("records", {}).items() if key != found.key}
    if is_kept_anew:
        return  # the file holds what was replaced just now
    if left:
        write_atomic(found.path, dump_pretty({**document, "records": left}).encode())
    else:
        with suppress(OSError):
            found.path.unlink()


def _read(path: Path) -> dict[str, Any]:
    with suppress(StateError):
        found = parse_json(read_regular(path, limit=_MOST), path=path)
        if isinstance(found, dict) and isinstance(found.get("records"), dict):
            return found if isinstance(found.get("kind"), str) else {}
    return {}
