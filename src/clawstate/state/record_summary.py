"""How many records of each store lie where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawstate.openclaw.description import describe
from clawstate.state.aside import Aside, find_aside
from clawstate.state.engines import FILE, SQLITE
from clawstate.state.left_behind import LeftBehind, left_behind

if TYPE_CHECKING:
    from clawstate.state.ground import Ground


@dataclass(frozen=True, slots=True)
class Summary:
    """
    The *counts* of records by store in the chosen *engine*, and what is *left* in the other.

    *aside* is what was kept when records were moved. *owner* says in one line whose the directory
    is.
    """

    engine: str
    owner: str
    counts: Mapping[str, int]
    left: LeftBehind
    aside: Aside


def summarise(ground: Ground) -> Summary:
    """Return how many records lie where; only looks."""
    engine = ground.engines.choice
    there = left_behind(ground, chosen=FILE if engine == SQLITE else SQLITE)
    return Summary(
        engine.partition("://")[0],  # an address holds a password
        describe(ground.owner).sentence,
        there.counts,
        left_behind(ground),
        find_aside(ground),
    )
