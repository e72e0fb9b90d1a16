"""`DedupeSettings`: how long marks hold, and how many are kept."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from clawstate.arguments import describe
from clawstate.clock import to_ms
from clawstate.errors import InvalidError
from clawstate.stores.dedupe.expiry import ExpiryPolicy, now_ms

DAY = 86_400.0


@dataclass(frozen=True)
class DedupeSettings:
    """
    Marks hold for *ttl* seconds (0: for ever).

    *memory_max_size* of them are remembered in the process (0: none), *file_max_entries* of each
    namespace on disk (at least 1). Raises `InvalidError` for values that make no sense.
    """

    ttl: float = DAY
    memory_max_size: int = 100
    file_max_entries: int = 1000
    ttl_ms: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse what nothing can be kept by."""
        require_number("ttl", self.ttl)
        if not 0 <= self.ttl < math.inf:
            raise InvalidError("ttl", f"{self.ttl} is no length of time", "give seconds, 0 or more")
        for name in ("memory_max_size", "file_max_entries"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise InvalidError(name, f"{describe(value)} is no count", "give 0 or more")
        # A time below a millisecond is short, not endless.
        least = 1 if self.ttl else 0
        object.__setattr__(self, "ttl_ms", max(least, to_ms(self.ttl)))

    def policy(self, now: float) -> ExpiryPolicy:
        """Return what counts at the moment *now*, in seconds since the epoch."""
        # At least one, or each new mark would be swept by its own write.
        return ExpiryPolicy(now_ms(now), self.ttl_ms, max(1, self.file_max_entries))


def require_number(name: str, value: object) -> None:
    """Refuse a *value* of the setting *name* that no time can be made of."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidError(name, f"{describe(value)} is no number", "give a length of time")
    if isinstance(value, int) and abs(value) >= 1 << 63:
        raise InvalidError(name, "is too large a number", "give a length of time")
