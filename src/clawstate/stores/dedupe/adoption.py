"""Taking over marks that another program made, at their moments."""

from __future__ import annotations

from collections.abc import Mapping

from clawstate.arguments import require_mapping
from clawstate.errors import InvalidError
from clawstate.records.adoption import Adopted, adopted
from clawstate.records.contract import Json
from clawstate.records.rules import require_key
from clawstate.stores.dedupe.rules import Rules, is_mark


def adopted_marks(
    ours: Mapping[str, Json], theirs: Mapping[str, Json], rules: Rules
) -> tuple[dict[str, Json], Adopted]:
    """
    Return *ours*, tidied, with those marks of *theirs* that hold, and what became of each.

    A mark is kept that expired by *rules*, or would be one too many; a mark that is here stays,
    whenever it was made.
    """
    holding = {
        key: value for key, value in ours.items() if not is_mark(value) or rules.holds(value)
    }
    valid = {
        key: value
        for key, value in require_mapping("marks", theirs).items()
        if not is_mark(value) or rules.holds(value)
    }
    records, answer = adopted(
        holding,
        valid,
        refuse=_refuse,
        is_same=lambda *_: True,
        gives_way=lambda *_: False,
    )
    tidy = rules.tidied(records)
    left = [key for key in theirs if key not in valid]
    left += [key for key in answer.new if key not in tidy]
    new = tuple(key for key in answer.new if key in tidy)
    return tidy, Adopted(new, same=answer.same, kept=tuple(left), refused=answer.refused)


def _refuse(key: str, value: Json) -> None:
    require_key(key)
    if not is_mark(value):
        raise InvalidError("mark", "is no time")
