"""Descriptors that no interrupt loses: opening and noting one, or closing one, is a single step."""

from __future__ import annotations

import contextlib
import fcntl
import os
import weakref
from functools import partial


class Descriptor:
    """
    One descriptor, from `open` to `close` or until nobody knows it; a forked child lets go of it.

    There is no instruction between the system call and the note of it, before which an exception
    could come.
    """

    __slots__ = ("__weakref__", "_numbers")

    def __init__(self) -> None:
        self._numbers: list[int] = []

    @property
    def number(self) -> int:
        """The descriptor; -1 when there is none."""
        return self._numbers[0] if self._numbers else -1

    def open(
        self, path: str | os.PathLike[str], flags: int, mode: int = 0, *, folder: int | None = None
    ) -> int:
        """Open *path*, relative to the descriptor *folder*; raises `OSError`."""
        opened = os.open if folder is None else partial(os.open, dir_fd=folder)
        _open.add(self)
        try:
            self._numbers.extend(map(opened, (path,), (flags,), (mode,)))
        except BaseException:
            self.close()
            raise
        return self._numbers[0]

    def unlock(self) -> None:
        """Give back the kernel's lock on it, which a copy in a forked child would keep."""
        for number in self._numbers:
            with contextlib.suppress(OSError):
                fcntl.flock(number, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close it if it is open."""
        while self._numbers:
            # Taken out and closed in one step: a number that stayed would be somebody else's.
            with contextlib.suppress(OSError):  # what was written is synced, or does not matter
                for _ in map(os.close, map(list.pop, (self._numbers,))):
                    pass
        _open.discard(self)

    def __del__(self) -> None:
        if getattr(self, "_numbers", None):
            self.close()


_open: weakref.WeakSet[Descriptor] = weakref.WeakSet()


def _forget_all() -> None:
    for descriptor in list(_open):
        descriptor.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
