"""`Instance`: that at most one gateway serves a state, and where it is."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import dataclass

from clawstate.errors import StateError, UnavailableError
from clawstate.files.atomic import create_private_file, write_json_file_atomically
from clawstate.files.paths import StatePaths
from clawstate.files.regular import read_regular

_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that runs: its process, and its address once it listens."""

    pid: int
    url: str


class Instance:
    """
    The one gateway of the state with *paths*.

    A kernel lock on a file tells: it ends with the process, however that ends, so nothing stale is
    ever believed.
    """

    def __init__(self, paths: StatePaths) -> None:
        folder = paths.locks_dir / "gateway"
        self._lock = folder / "running"
        self._place = folder / "running.json"
        self._held: int | None = None

    def claim(self) -> None:
        """Be the gateway of the state; raises `UnavailableError` that names the one there is."""
        create_private_file(self._lock)
        number = os.open(self._lock, os.O_RDWR | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(number)
            found = self._read()
            told = "" if found is None else f" by process {found.pid}, at {found.url}"
            hint = "open it with 'clawstate gateway open', or stop it first"
            raise UnavailableError("this state", f"is served already{told}", hint) from error
        self._held = number
        self._place.unlink(missing_ok=True)

    def tell(self, url: str) -> None:
        """Let others know that it listens at *url*."""
        write_json_file_atomically(self._place, {"pid": os.getpid(), "url": url})

    def running(self) -> Running | None:
        """Return the gateway that serves the state now, or `None`."""
        try:
            number = os.open(self._lock, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return self._read()
        finally:
            os.close(number)
        return None

    def release(self) -> None:
        """Be it no more."""
        if self._held is not None:
            self._place.unlink(missing_ok=True)
            os.close(self._held)
            self._held = None

    def _read(self) -> Running | None:
        with suppress(StateError, ValueError, KeyError, TypeError):
            told = json.loads(read_regular(self._place, limit=_LONGEST))
            return Running(int(told["pid"]), str(told["url"]))
        return None
