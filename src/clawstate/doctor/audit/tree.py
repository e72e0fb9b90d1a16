"""Everything that lies in a state directory, without following links."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_DATABASES = (".db", ".sqlite", ".sqlite3")
_OF_AGENT = re.compile(r"(auth-profiles|auth|models|config)\.json")
_ASIDE = (".lastgood", ".quarantine")
_BESIDE = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, directory or link, and what the system says of it; *place* is below the root."""

    path: Path
    place: str
    status: os.stat_result

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.status.st_mode)

    @property
    def is_folder(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.status.st_mode)

    @property
    def is_database(self) -> bool:
        """Whether its name is that of a database, which is opened by SQLite only (decision 2)."""
        return self.is_file and self.path.name.endswith(_DATABASES)

    @property
    def is_beside_database(self) -> bool:
        """Whether its name is that of a file which SQLite keeps beside a database."""
        return self.path.name.endswith(tuple(a + b for a in _DATABASES for b in _BESIDE))

    @property
    def mode(self) -> int:
        """The permissions."""
        return stat.S_IMODE(self.status.st_mode)


def walk(root: Path, *, on_error: Callable[[OSError, Path], object]) -> Iterator[Entry]:
    """
    Yield *root* and all that lies below it, each directory before what is in it.

    What the system refuses to show goes to *on_error*, and is skipped.
    """
    waiting = [(root, "")]
    yield from _entry(root, "", on_error)
    while waiting:
        folder, prefix = waiting.pop()
        try:
            names = sorted(each.name for each in folder.iterdir())
        except OSError as error:
            on_error(error, folder)
            continue
        for name in names:
            for entry in _entry(folder / name, f"{prefix}{name}", on_error):
                if entry.is_folder:
                    waiting.append((entry.path, f"{entry.place}/"))
                yield entry


def walk_agent(
    folder: Path, agent_id: str, *, on_error: Callable[[OSError, Path], object]
) -> Iterator[Entry]:
    """
    Yield the directory of an agent that lies outside of the state, and what is an agent's in it.

    The places are those that all this would have in a state. Whatever else is there is no state.
    """
    place = f"agents/{agent_id}/agent"
    yield from _entry(folder, place, on_error)
    for name in ("", *_ASIDE):
        aside = folder / name
        try:
            names = sorted(each.name for each in aside.iterdir() if _OF_AGENT.match(each.name))
        except FileNotFoundError:
            continue
        except OSError as error:
            on_error(error, aside)
            continue
        inner = f"{place}/{name}" if name else place
        if name:
            yield from _entry(aside, inner, on_error)
        for each in names:
            yield from _entry(aside / each, f"{inner}/{each}", on_error)


def is_of_agent(path: Path, folder: Path) -> bool:
    """Tell whether *path* by its name is an agent's, whose directory is *folder*, or put aside."""
    if _OF_AGENT.match(path.name) is None:
        return False
    return path.parent == folder or path.parent in [folder / name for name in _ASIDE]


def _entry(path: Path, place: str, on_error: Callable[[OSError, Path], object]) -> Iterator[Entry]:
    try:
        # The state directory itself may be reached by a link.
        status = path.lstat() if place else path.stat()
    except FileNotFoundError:
        return  # gone since
    except OSError as error:
        on_error(error, path)
        return
    yield Entry(path, place, status)
