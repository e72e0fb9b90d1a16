"""An agent's document as a whole, as other programs know it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping

from clawstate.records.contract import Json
from clawstate.records.layouts import SEPARATOR
from clawstate.stores.auth.rows import LAYOUT, place
from clawstate.stores.auth.shelf import Shelf


def document_of(shelves: Iterable[Shelf]) -> dict[str, Json]:
    """Return a copy of what *shelves* hold, each of which hides what those before it hold."""
    records: dict[str, Json] = {}
    for shelf in shelves:
        rows = shelf.rows()
        legacy = shelf.legacy_rows(rows)
        records |= {place("profile", each): row.record for each, row in legacy.items()}
        records = _over(records, rows.records)
    document: dict[str, Json] = copy.deepcopy(LAYOUT.encode(None, records))
    return document


def _over(below: dict[str, Json], above: Mapping[str, Json]) -> dict[str, Json]:
    # A section that is no object hides all of that section, and is hidden by any part of it.
    whole = {key for key in above if SEPARATOR not in key}
    parted = {key.partition(SEPARATOR)[0] for key in above} - whole
    left = {
        key: value
        for key, value in below.items()
        if key not in parted and key.partition(SEPARATOR)[0] not in whole
    }
    return {**left, **above}
