"""Descriptors that no interrupt loses: opening and noting one, or closing one, is a single step."""

from __future__ import annotations

import contextlib
import fcntl
import os
import weakref
from functools import partial
from types import TracebackType


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
        if _lost:
            _close_lost()
        opened = os.open if folder is None else partial(os.open, dir_fd=folder)
        # The callback is a method in C. In one of Python, or in `__del__`, a signal handler could
        # raise, and what is raised there is printed and lost.
        _open[id(self)] = note = _Note(self, _lose)
        note.numbers = numbers = self._numbers
        try:
            numbers.extend(map(opened, (path,), (flags,), (mode,)))
        except BaseException:
            self.close()
            raise
        return numbers[0]

    def unlock(self) -> None:
        """Give back the kernel's lock on it, which a copy in a forked child would keep."""
        for number in self._numbers:
            try:
                fcntl.flock(number, fcntl.LOCK_UN)
            except OSError:
                continue

    def close(self) -> None:
        """Close it if it is open."""
        if self._numbers:
            _close(self._numbers)
        _open.pop(id(self), None)

    def __enter__(self) -> int:
        return self.number

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Note(weakref.ref[Descriptor]):
    """Has the numbers of a descriptor that nobody knows any longer."""

    __slots__ = ("numbers",)

    numbers: list[int]


_open: dict[int, _Note] = {}
_lost: list[weakref.ref[Descriptor]] = []
_lose = _lost.append


def _close(numbers: list[int]) -> None:
    while numbers:
        # Taken out and closed in one step: a number that stayed would be somebody else's.
        try:
            for _ in map(os.close, map(list.pop, (numbers,))):
                pass
        except OSError:  # what was written is synced, or does not matter
            continue


def _close_lost() -> None:
    while _lost:
        note = _lost[-1]
        if isinstance(note, _Note):
            # It has none where an interrupt came before they were noted: nothing was opened then.
            _close(getattr(note, "numbers", []))
        with contextlib.suppress(IndexError, ValueError):
            _lost.remove(note)


def _forget_all() -> None:
    for note in list(_open.values()):
        _close(getattr(note, "numbers", []))
    _open.clear()
    _lost.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
