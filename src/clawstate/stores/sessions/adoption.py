"""Taking over entries that another program's index holds, with their ids and times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from clawstate.arguments import require_mapping
from clawstate.errors import InvalidError
from clawstate.records.adoption import Adopted, adopted
from clawstate.records.contract import Shape
from clawstate.records.rules import kept
from clawstate.stores.sessions.archive import Archive
from clawstate.stores.sessions.entry import is_session_id, require_small, updated_ms
from clawstate.stores.sessions.forms import Form
from clawstate.stores.sessions.index import Index


def adopting(
    theirs: Mapping[str, Any], index: Index, archive: Archive, *, replace: bool
) -> Callable[[dict[str, Any]], tuple[dict[str, Any], Adopted]]:
    """Return the change of *index* that takes *theirs* in, but for what lies in *archive*."""
    form, shape = index.form, index.collection.shape

    def change(ours: dict[str, Any]) -> tuple[dict[str, Any], Adopted]:
        return adopted_entries(
            ours, theirs, form, shape, replace=replace, is_archived=archive.holds
        )

    return change


def adopted_entries(
    ours: Mapping[str, Any],
    theirs: Mapping[str, Any],
    form: Form,
    shape: Shape,
    *,
    replace: bool,
    is_archived: Callable[[str, Any], bool] = lambda *_: False,
) -> tuple[dict[str, Any], Adopted]:
    """
    Return *ours* with those of *theirs* that were updated later, and what became of each.

    Ours stays at the same time, unless *replace*; so does the gap that a session left which
    *is_archived*, since it was deleted here.
    """
    named = {
        form.key(key): _identified(form, key, entry)
        for key, entry in require_mapping("entries", theirs).items()
    }
    missing = () if replace else named.keys() - ours.keys()
    gaps = {key for key in missing if is_archived(key, named[key])}

    def refuse(key: str, entry: Any) -> None:
        if not isinstance(entry, dict):
            raise InvalidError("entry", "is no object")
        if not is_session_id(entry.get("sessionId")):
            raise InvalidError("entry", "has no usable sessionId")
        require_small(key, entry)
        kept(shape, key, entry)

    records, answer = adopted(
        ours,
        {key: entry for key, entry in named.items() if key not in gaps},
        refuse=refuse,
        is_same=lambda _, old, new: bool(old == new),
        gives_way=lambda _, old, new: replace or updated_ms(new) > updated_ms(old),
    )
    left = (*answer.kept, *sorted(gaps))
    return records, Adopted(answer.new, answer.changed, answer.same, left, answer.refused)


def _identified(form: Form, key: str, entry: Any) -> Any:
    if not isinstance(entry, dict) or not is_session_id(entry.get("sessionId")):
        return entry
    return form.identified(form.key(key), entry)
