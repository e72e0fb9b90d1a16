"""`Part`: one part of a state whose verbs are awaited, each derived from the verb of its pair."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from clawstate.aio.workers import Workers

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")


class Part(Generic[S]):
    """A part that *part* opens when it is first asked for, and the threads that it works in."""

    def __init__(self, part: Callable[[], S], workers: Workers) -> None:
        self._part = part
        self._workers = workers

    def __repr__(self) -> str:
        return f"Async{self._part()!r}"


def verb(
    call: Callable[Concatenate[S, P], R], *, embeds: bool = False
) -> Callable[Concatenate[Part[S], P], Coroutine[Any, Any, R]]:
    """
    Return the method *call* of a part, to be awaited: what it takes, gives and says is the same.

    One that *embeds* texts has threads apart, since a model may be slow.
    """

    # A checker and an editor see the parameters of *call* through P, a reader at run time through
    # `wraps`: a verb that changes changes in one place.
    @wraps(call)
    async def awaited(self: Part[S], /, *args: P.args, **kwargs: P.kwargs) -> R:
        def work() -> R:
            found: Callable[P, R] = getattr(self._part(), call.__name__)
            return found(*args, **kwargs)

        return await self._workers.run(work, embeds=embeds)

    return awaited


def listing(
    call: Callable[Concatenate[S, P], Iterable[T]],
) -> Callable[Concatenate[Part[S], P], Coroutine[Any, Any, list[T]]]:
    """Return the method *call*, which gives one thing after another, so that it gives a list."""

    @wraps(call)
    async def awaited(self: Part[S], /, *args: P.args, **kwargs: P.kwargs) -> list[T]:
        def work() -> list[T]:
            # Each step of an iterator may wait for a disk, so all of them are taken in the thread.
            found: Callable[P, Iterable[T]] = getattr(self._part(), call.__name__)
            return list(found(*args, **kwargs))

        return await self._workers.run(work)

    return awaited
