"""How many records of each store lie where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawstate.openclaw.description import describe
from clawstate.openclaw.owner import Era
from clawstate.state.aside import Aside, find_aside
from clawstate.state.left_behind import LeftBehind, count_records, left_behind
from clawstate.state.record_places import CREDENTIALS, credential_places
from clawstate.state.replaced import replaced

if TYPE_CHECKING:
    from clawstate.state.context import Context


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


def summarise(context: Context) -> Summary:
    """Return how many records lie where; only looks."""
    engine = context.backends.engine
    return Summary(
        engine.name,
        describe(context.owner).sentence,
        {**_credentials(context), **count_records(context, engine)},
        left_behind(context),
        find_aside(context),
        tuple(dict.fromkeys(each.name for each in replaced(context))),
    )


def _credentials(context: Context) -> dict[str, int]:
    """Return how many there are where their files are OpenClaw's, which makes them no leftovers."""
    if context.owner.era is not Era.SQLITE or not context.backends.has_rows:
        return {}
    rows = context.backends.rows()
    count = sum(rows.collection(each.shape).count() for each in credential_places(context))
    return {CREDENTIALS: count} if count else {}
