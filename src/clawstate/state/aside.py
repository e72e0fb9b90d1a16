"""What was set aside when records were moved: found, counted, and removed for good when asked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clawstate.errors import StateError
from clawstate.files.refusals import translated
from clawstate.records.last_good import copy_path
from clawstate.state.record_places import record_places
from clawstate.state.traces import compacted

if TYPE_CHECKING:
    from clawstate.state.ground import Ground


@dataclass(frozen=True, slots=True)
class Aside:
    """
    What is kept of records that lie elsewhere now: *places*, how many *files* in them, and *rows*.

    *problems* says what of it could not be removed for good.
    """

    places: tuple[Path, ...] = ()
    files: int = 0
    rows: int = 0
    problems: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """Return what is kept, and what removes it."""
        kept = [f"{self.files} files in {', '.join(map(str, self.places))}"] if self.places else []
        kept += [f"{self.rows} rows of state/records.db"] if self.rows else []
        told = "what records lay in before they were moved is kept, secrets included"
        return f"{told}: {' and '.join(kept)}; 'clawstate store clean' removes it"

    def __bool__(self) -> bool:
        """Tell whether there is anything."""
        return bool(self.places or self.rows)


def find_aside(ground: Ground) -> Aside:
    """Return what was set aside; only looks."""
    places = tuple(dict.fromkeys(_places(ground)))
    rows = ground.engines.rows().count_aside() if ground.engines.has_rows else 0
    return Aside(places, sum(_files(each) for each in places), rows)


def remove_aside(ground: Ground) -> Aside:
    """
    Remove what was set aside, and return what that was.

    Files are unlinked. Rows are deleted, and the database is rewritten without its free pages.
    Raises `UnavailableError` and `LockTimeoutError`; what is left then is found by the next call.
    """
    with ground.engines.moving():
        found = find_aside(ground)
        for each in found.places:
            with translated(each, "was not removed"):
                if each.is_dir() and not each.is_symlink():
                    shutil.rmtree(each)
                else:
                    each.unlink(missing_ok=True)
        problems: tuple[str, ...] = ()
        if ground.engines.has_rows:
            ground.engines.rows().remove_aside()
            problems = tuple(compacted(ground.paths.records_db))
    return Aside(found.places, found.files, found.rows, problems)


def _places(ground: Ground) -> Iterator[Path]:
    folder = ground.paths.root / "state" / "set-aside"
    if os.path.lexists(folder):
        yield folder
    with suppress(StateError):  # told where the records are looked for
        for place in record_places(ground):
            for file in (place.file, copy_path(place.file)):
                # What lies on another file system is renamed where it is.
                yield from sorted(file.parent.glob(f"{file.name}.moved-*"))


def _files(place: Path) -> int:
    if not place.is_dir() or place.is_symlink():
        return 1
    return sum(len(names) for _, _, names in os.walk(place))
