"""A state for programs with an event loop: the same verbs, awaited."""

from clawstate.aio.state import AsyncState, open_async

__all__ = ["AsyncState", "open_async"]
