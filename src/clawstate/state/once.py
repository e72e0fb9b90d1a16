"""`once`: a part of a state that is made when first asked for, and only once among all threads."""

from __future__ import annotations

import os
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    once = cached_property
else:

    class once(cached_property):  # noqa: N801 - a decorator, like the one it is
        """A `cached_property` with the lock that Python 3.12 did away with."""

        def __get__(self, instance: Any, owner: type | None = None) -> Any:
            """Return the part, made if need be."""
            with _making:
                return super().__get__(instance, owner)


_making = threading.RLock()  # one part may ask for another while it is made


def _forget() -> None:
    global _making  # noqa: PLW0603 - its holder is not in a forked child
    _making = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
