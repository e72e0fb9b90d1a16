"""Where the database of memory and transcripts lies, and where it may lie as well."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from clawstate.config.settings import MEMORY_PATH, MEMORY_TYPE
from clawstate.errors import ConfigError, StateError, UnavailableError
from clawstate.files.atomic import create_private_file, make_private_dir
from clawstate.files.os_errors import os_errors
from clawstate.files.paths import expand_below, is_nameable

if TYPE_CHECKING:
    from clawstate.state.context import Context


def memory_db(context: Context) -> Path:
    """
    Return the database that `memory.store.path` names, by default the one in the state directory.

    `~` is the home, and a relative path begins in the state directory. Raises `ConfigError`. A
    configuration that cannot be read must cost no message: they go to the default place then.
    """
    try:
        view = context.config.view()
    except StateError:
        return context.paths.memory_db
    chosen = MEMORY_PATH.of(view)
    if chosen is None or MEMORY_TYPE.of(view) != MEMORY_TYPE.default:
        return context.paths.memory_db
    if not is_nameable(chosen):
        raise ConfigError(MEMORY_PATH.path, "holds what no path can", "give the path of a file")
    path = expand_below(chosen, context.paths.root)
    # A directory in the usual place is an error only once it is used.
    if path != context.paths.memory_db and os.path.isdir(path):  # noqa: PTH112 - never raises
        raise ConfigError(MEMORY_PATH.path, f"{path} is a directory", "give the path of a file")
    return path


def find_left_behind(context: Context) -> Path | None:
    """Return the database at the default place, if it is there and another place is chosen."""
    usual, chosen = context.paths.memory_db, memory_db(context)
    if not os.path.isfile(usual) or os.path.realpath(usual) == os.path.realpath(chosen):  # noqa: PTH113 - never raises
        return None
    return usual


def move_memory(old: Path, new: Path) -> Path:
    """
    Move the database *old* to *new*, where nothing is, and return what *old* is called now.

    It is copied through SQLite, as it was at one moment, while nobody else writes it; a kill leaves
    it where it was. Raises `UnavailableError`.
    """
    import apsw  # noqa: PLC0415 - rarely needed

    make_private_dir(new.parent)
    copy, aside = new.with_name(f".{new.name}.moving"), old.with_name(f"{old.name}.moved")
    with os_errors(new, "was not written"):
        copy.unlink(missing_ok=True)
        create_private_file(copy)
    try:
        source, target = apsw.Connection(str(old)), apsw.Connection(str(copy))
        try:
            source.execute("BEGIN IMMEDIATE")
            reader = apsw.Connection(str(old), flags=apsw.SQLITE_OPEN_READONLY)
            with target.backup("main", reader, "main") as backup:
                backup.step()
            reader.close()
            target.close()
            with os_errors(new, "was not written"):
                os.link(copy, new)  # never over another one
                copy.unlink()
                old.rename(aside)
        finally:
            source.close()
    except apsw.Error as error:
        problem = f"was not moved: {error}"
        raise UnavailableError(str(old), problem, "end what uses it, and try again") from error
    return aside
