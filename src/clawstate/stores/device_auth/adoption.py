"""Taking over the tokens that another program held for this very device."""

from __future__ import annotations

from collections.abc import Mapping

from clawstate.errors import ConflictError, InvalidError
from clawstate.records.adoption import Adopted, adopted
from clawstate.records.contract import Json
from clawstate.stores.device_auth.document import OWNER, held, key_of, owner_of


def adopted_tokens(
    ours: Mapping[str, Json], theirs: Mapping[str, Json], *, replace: bool
) -> tuple[dict[str, Json], Adopted]:
    """
    Return the records *ours* with the tokens of *theirs*, and what became of each, by name.

    They keep their form, with role, scopes and time. What is here stays, unless *replace*. Raises
    `ConflictError` if both sides say whose tokens they are, and disagree.
    """
    if owner_of(ours) is not None and owner_of(theirs) not in {None, owner_of(ours)}:
        raise ConflictError("owner of", "the tokens", "they belong to another device")
    tokens = {key: value for key, value in theirs.items() if key != OWNER}
    records, answer = adopted(
        ours,
        tokens,
        refuse=_refuse,
        is_same=lambda key, old, new: held({key: old}) == held({key: new}),
        gives_way=lambda *_: replace,
    )
    if OWNER in theirs:
        records.setdefault(OWNER, theirs[OWNER])
    return records, answer.without(key_of(""))


def _refuse(key: str, value: Json) -> None:
    if not held({key: value}):
        raise InvalidError("token", "is no text")
