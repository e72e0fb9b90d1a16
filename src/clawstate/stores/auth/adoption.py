"""Taking over a document of credentials that another program kept (reference, section 7)."""

from __future__ import annotations

from collections.abc import Mapping

from clawstate.errors import InvalidError
from clawstate.records.adoption import Adopted, adopted
from clawstate.records.contract import Json
from clawstate.records.layouts import SEPARATOR
from clawstate.stores.auth.codec import CredentialCodec
from clawstate.stores.auth.names import require_profile_id
from clawstate.stores.auth.rows import LAYOUT, place

_PROFILE = place("profile", "")
_USAGE = place("usage", "")


def adopted_document(
    ours: Mapping[str, Json],
    document: Mapping[str, Json],
    codec: CredentialCodec,
    *,
    replace: bool,
) -> tuple[dict[str, Json], Adopted]:
    """
    Return the records *ours* with those of *document*, and what became of its profiles.

    What is here stays, unless *replace*. Orders, the profiles that worked last and the usage of
    profiles fill gaps alike; usage that is of no profile here is left.
    """
    theirs = LAYOUT.decode(document)
    profiles = {key: value for key, value in theirs.items() if key.startswith(_PROFILE)}
    rules = _Rules(codec)
    records, answer = adopted(
        ours,
        profiles,
        refuse=rules.refuse,
        is_same=rules.says_the_same,
        gives_way=lambda *_: replace,
    )
    for key in (*answer.new, *answer.changed):
        records[key] = rules.written(key, records[key])
    for key in theirs.keys() - profiles.keys():
        if SEPARATOR not in key or (key in ours and not replace):
            continue
        if not key.startswith(_USAGE) or _PROFILE + key.removeprefix(_USAGE) in records:
            records[key] = theirs[key]
    return records, answer.without(_PROFILE)


class _Rules:
    def __init__(self, codec: CredentialCodec) -> None:
        self._codec = codec

    def refuse(self, key: str, record: Json) -> None:
        name = key.removeprefix(_PROFILE)
        require_profile_id(name)
        self._codec.read(name, record)

    def says_the_same(self, key: str, old: Json, new: Json) -> bool:
        name = key.removeprefix(_PROFILE)
        try:
            return bool(old == new or self._codec.read(name, old) == self._codec.read(name, new))
        except InvalidError:
            return False

    def written(self, key: str, record: Json) -> Json:
        """Return *record* as it is kept: cleaned, and sealed where secrets are."""
        name = key.removeprefix(_PROFILE)
        return self._codec.write(name, self._codec.read(name, record), old=record)
