"""`Part`: one part of a state, whose verbs run in the worker threads of that state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")


class Run(Protocol):
    """Calls a function in a worker thread."""

    def __call__(self, call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        """Return what *call* returns, or raise what it raises."""


class Part(Generic[S]):
    """A part that *part* opens when it is first asked for, and the thread pool's *run*."""

    def __init__(self, part: Callable[[], S], run: Run) -> None:
        self._part = part
        self._run = run

    def __repr__(self) -> str:
        return f"Async{self._part()!r}"
