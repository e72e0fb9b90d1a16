"""`once`: a part of a state that is made when first asked for, and only once among all threads."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

from clawstate.interrupts import Mutex

if TYPE_CHECKING:
    from collections.abc import Callable

    once = cached_property
else:

    class once:  # noqa: N801 - a decorator, like the one that it is for a type checker
        """A `cached_property` that threads share, and that an interrupt leaves unmade or made."""

        def __init__(self, make: Callable[[Any], Any]) -> None:
            self._make = make
            self.__doc__ = make.__doc__

        def __set_name__(self, owner: type, name: str) -> None:
            self._name = name

        def __get__(self, instance: Any, owner: type | None = None) -> Any:
            """Return the part, made if need be."""
            if instance is None:
                return self
            with _making:
                made = instance.__dict__
                if self._name not in made:
                    made[self._name] = self._make(instance)
                return made[self._name]


_making = Mutex()  # one part may ask for another while it is made


def _forget() -> None:
    global _making  # noqa: PLW0603 - its holder is not in a forked child
    _making = Mutex()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
