"""Which writes of many writers survived, and who overwrote those that did not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

START = None  # the base of who found no document


@dataclass(frozen=True)
class Write:
    """
    One acknowledged replacement of the document, as its writer tells it.

    Times are seconds of the clock that processes share: the lock was held since *entered*, and
    the rename happened between *started* and *ended*. *base* is the write that was read before,
    *locked* whether the lock file of the writer still lay there at the rename.
    """

    write: str
    base: str | None
    writer: str
    entered: float
    started: float
    ended: float
    locked: bool = True

    @property
    def by_node(self) -> bool:
        return self.writer.startswith("node")


@dataclass(frozen=True)
class Stray:
    """
    A removal, by an OpenClaw, of a lock file that need not have been its own.

    One that was its *own* when it looked may have been another's by the time that it was removed,
    if somebody else removed its own meanwhile.
    """

    by: str
    started: float
    ended: float
    own: bool = False

    def meets(self, other: Stray) -> bool:
        """Tell whether the two came at the same time, from two programs."""
        together = self.started <= other.ended and other.started <= self.ended
        return together and self.by != other.by

    def hits(self, write: Write) -> bool:
        """Tell whether it may have removed the lock under which that write was made."""
        together = self.started <= write.ended and write.entered <= self.ended
        return together and self.by != write.writer


@dataclass(frozen=True)
class Loss:
    """
    An acknowledged write that is not in the final document, and the write that wiped it.

    Who waits for a lock in OpenClaw may remove one that somebody else has just made. *strays* are
    the removals that hit one of the two writers.
    """

    lost: Write
    overwriter: Write | None
    strays: Sequence[Stray]

    @property
    def is_of_node_only(self) -> bool:
        """Whether OpenClaw alone is to blame; never for what we took from each other."""
        by = self.overwriter
        return by is not None and bool(self.strays) and (by.by_node or self.lost.by_node)

    def __str__(self) -> str:
        lost, by = self.lost, self.overwriter
        if by is None:
            return f"{lost.write} vanished"
        late = 1000 * (by.started - lost.started)
        removed = ", ".join(each.by for each in self.strays) or "nobody"
        return (
            f"{lost.write}, from base {lost.base}, was overwritten {late:.1f} ms later by"
            f" {by.write}, from base {by.base}; a lock was removed meanwhile by {removed}"
        )


class Ledger:
    """All acknowledged writes to one document, of which *tip* is the last."""

    def __init__(
        self,
        writes: Iterable[dict[str, Any]],
        tip: str | None,
        strays: Iterable[Stray] = (),
    ) -> None:
        self.writes = sorted(map(_write, writes), key=lambda each: each.started)
        self.tip = tip
        every = tuple(strays)
        foreign = [each for each in every if not each.own]
        self.strays = tuple(each for each in every if not each.own or any(map(each.meets, foreign)))
        self._by_id = {each.write: each for each in self.writes}

    @cached_property
    def surviving(self) -> frozenset[str]:
        """The writes on whose result the final document stands."""
        return frozenset(self._line_of(self.tip))

    @cached_property
    def losses(self) -> tuple[Loss, ...]:
        """What was acknowledged and is gone."""
        return tuple(self._loss(each) for each in self.writes if each.write not in self.surviving)

    @property
    def robbed(self) -> tuple[Write, ...]:
        """Those whose lock was taken by somebody, but by no OpenClaw."""
        bare = (each for each in self.writes if not each.locked)
        return tuple(each for each in bare if not any(stray.hits(each) for stray in self.strays))

    @property
    def meetings(self) -> int:
        """How often one of us wrote right after an OpenClaw, or the other way round."""
        return sum(a.by_node != b.by_node for a, b in pairwise(self.writes))

    def report(self) -> str:
        """Return how much was lost by whom to whom, and each case that is not OpenClaw's own."""
        pairs = Counter(
            (_side(each.lost), _side(each.overwriter), each.is_of_node_only) for each in self.losses
        )
        lines = [
            f"{count} of {lost} lost to {by}{', by OpenClaw alone' if alone else ''}"
            for (lost, by, alone), count in sorted(pairs.items())
        ]
        blamed = [str(each) for each in self.losses if not each.is_of_node_only]
        robbed = [f"{each.write} was robbed of its lock by one of us" for each in self.robbed]
        return "\n  ".join([*(lines or ["nothing lost"]), *blamed, *robbed])

    def _line_of(self, write: str | None) -> list[str]:
        line = []
        while write is not START:
            line.append(write)
            write = self._by_id[write].base
        return line

    def _loss(self, lost: Write) -> Loss:
        by = self._overwriter(lost)
        hit = (each for each in self.strays if each.hits(lost) or (by and each.hits(by)))
        return Loss(lost, by, tuple(hit))

    def _overwriter(self, lost: Write) -> Write | None:
        before = set(self._line_of(lost.write))
        later = (each for each in self.writes if each.started > lost.started)
        # Two renames at about the same time may have happened in either order.
        beside = (each for each in self.writes if each.started < lost.started < each.ended)
        for each in (*later, *beside):
            if each.write not in before and lost.write not in self._line_of(each.write):
                return each
        return None


def strays_of(answer: dict[str, Any], writer: str) -> list[Stray]:
    """Return the removals that the *answer* of a counting OpenClaw tells of."""
    removals = answer["strays"]
    return [Stray(writer, each["started"], each["ended"], each["own"]) for each in removals]


def _write(told: dict[str, Any]) -> Write:
    return Write(**{name: told[name] for name in Write.__dataclass_fields__ if name in told})


def _side(write: Write | None) -> str:
    if write is None:
        return "nobody"
    return "OpenClaw" if write.by_node else "ours"
