"""What all suites share: laws for engines that declare a capability, and a clock that they move."""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import Enum
from typing import Any, Protocol, TypeVar

import pytest

F = TypeVar("F", bound=Callable[..., Any])

_NEEDED = "clawstate_needs"


class _Engine(Protocol):
    @property
    def capabilities(self) -> Collection[Enum]: ...


def needs(capability: Enum) -> Callable[[F], F]:
    """Keep a law for engines that declare *capability*; others skip it and say so."""

    def mark(law: F) -> F:
        setattr(law, _NEEDED, capability)
        return law

    return mark


def skip_undeclared(request: pytest.FixtureRequest, engine: _Engine) -> None:
    """Skip the law of *request* if it needs what *engine* does not declare."""
    capability: Enum | None = getattr(request.function, _NEEDED, None)
    if capability is not None and capability not in engine.capabilities:
        pytest.skip(f"{type(engine).__name__} does not declare {capability.name}")


class ManualTime:
    """A clock that a law moves: seconds since the epoch."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now
