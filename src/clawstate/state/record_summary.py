"""How many records of each store lie where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawstate.openclaw.description import describe
from clawstate.openclaw.owner import Era
from clawstate.state.aside import Aside, find_aside
from clawstate.state.engines import FILE, SQLITE
from clawstate.state.left_behind import LeftBehind, left_behind
from clawstate.state.record_places import CREDENTIALS, credential_places
from clawstate.state.replaced import replaced

if TYPE_CHECKING:
    from clawstate.state.ground import Ground


@dataclass(frozen=True, slots=True)
class Summary:
    """
    The *counts* of records by store in the chosen *engine*, and what is *left* in the other.

    *aside* is what was kept when records were moved, and *replaced* the names of records in it that
    gave way to others. *owner* says in one line whose the directory is.
    """

    engine: str
    owner: str
    counts: Mapping[str, int]
    left: LeftBehind
    aside: Aside
    replaced: tuple[str, ...] = ()


def summarise(ground: Ground) -> Summary:
    """Return how many records lie where; only looks."""
    engine = ground.engines.choice
    there = left_behind(ground, chosen=FILE if engine == SQLITE else SQLITE)
    return Summary(
        engine.partition("://")[0],  # an address holds a password
        describe(ground.owner).sentence,
        {**_credentials(ground), **there.counts},
        left_behind(ground),
        find_aside(ground),
        tuple(dict.fromkeys(each.name for each in replaced(ground))),
    )


def _credentials(ground: Ground) -> dict[str, int]:
    """Return how many there are where their files are OpenClaw's, which makes them no leftovers."""
    if ground.owner.era is not Era.SQLITE or not ground.engines.has_rows:
        return {}
    rows = ground.engines.rows()
    count = sum(rows.collection(each.shape).count() for each in credential_places(ground))
    return {CREDENTIALS: count} if count else {}
