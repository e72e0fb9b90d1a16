"""`SessionEntry`, and how it stands in a document."""

from __future__ import annotations

import hashlib
import marshal
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from clawstate.clock import from_ms, is_moment, to_ms
from clawstate.errors import CorruptError, InvalidError
from clawstate.files.json_text import dump_compact, is_same_json
from clawstate.quantities import number_of

Document = dict[str, Any]
"""An entry as it stands in the index."""

MOST_BYTES: Final = 1 << 20
"""How long the JSON text of one entry may be."""

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})

# The id becomes a file name (`<id>.jsonl`), so no separator and no leading dot.
_SESSION_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}", re.ASCII | re.IGNORECASE)
_OWN = ("sessionId", "sessionKey", "sessionFile", "updatedAt")

TOPIC = "-topic-"
_LONGEST = 100  # characters of the part before a topic


class EntryCopy:
    """An entry as it was kept, whatever is done to *document*, which came from JSON."""

    __slots__ = ("_said", "is_session", "session_id")

    def __init__(self, document: Any) -> None:
        # Three times as fast as JSON text, for all entries at each change of all. Version 2 gives
        # equal values equal bytes; the later ones tell which objects are shared.
        self._said = marshal.dumps(document, 2)
        self.is_session = isinstance(document, dict)
        self.session_id = document.get("sessionId") if self.is_session else None

    def value(self) -> Any:
        """Return it again."""
        return marshal.loads(self._said)  # noqa: S302 - of this object alone

    def is_same(self, new: Any) -> bool:
        """Tell whether *new* says the same in JSON."""
        try:
            if marshal.dumps(new, 2) == self._said:
                return True
        except ValueError:
            pass  # a mapping of another class
        return is_same_json(self.value(), new)


@dataclass(frozen=True, slots=True)
class SessionEntry:
    """
    One conversation: the routing key, the id of its transcript, and what programs noted about it.

    `session_file` is relative to the directory of the index. `updated_at` is in seconds since the
    epoch, 0.0 if the document does not tell. `fields` are all other members, as in the document.
    """

    session_key: str
    session_id: str
    session_file: str
    updated_at: float
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)

    def document(self) -> Document:
        """Return the entry as a JSON object."""
        return {
            "sessionId": self.session_id,
            "sessionKey": self.session_key,
            "sessionFile": self.session_file,
            "updatedAt": to_ms(self.updated_at),
            **self.fields,
        }


def entry_of(
    key: str, document: Document, *, session_file: str, extra: Mapping[str, Any]
) -> SessionEntry:
    """
    Return the entry that *document* holds under *key*; *extra* members fill its gaps.

    Raises `CorruptError` for a session id that could lead out of a directory.
    """
    fields = {name: value for name, value in document.items() if name not in _OWN}
    for name, value in extra.items():
        if name not in _OWN:
            # The index counts where both say something: profiles are written after it.
            fields.setdefault(name, value)
    session_id = require_stored_id(key, document)
    moment = from_ms(updated_ms(document))
    return SessionEntry(key, session_id, session_file, moment, fields)


def has_id(document: Any) -> bool:
    """Tell whether *document* names a session, by a usable id or not."""
    # An entry without an id is no session yet; its members stay for when it becomes one.
    return not isinstance(document, dict) or document.get("sessionId") is not None


def is_session_id(value: object) -> bool:
    """Tell whether *value* can be the id of a session: it names a file as well."""
    return isinstance(value, str) and _SESSION_ID.fullmatch(value) is not None


def require_session_id(value: object) -> str:
    """Return *value*, which a caller gave; raises `InvalidError` if it is no session id."""
    if not isinstance(value, str) or not is_session_id(value):
        problem = "is not 1 to 128 letters, digits, '.', '_' and '-'"
        raise InvalidError("sessionId", problem, "give a UUID, or leave it out")
    return value


def require_stored_id(key: str, document: Any) -> str:
    """Return the session id of *document*; raises `CorruptError` if it cannot be used."""
    found = document.get("sessionId") if isinstance(document, dict) else None
    if not isinstance(found, str) or not is_session_id(found):
        problem = f"the session {key!r} has no usable sessionId"
        hint = "run 'clawstate sessions reset' or 'delete' with its key"
        raise CorruptError("the session index", problem, hint)
    return found


def updated_ms(document: Any) -> int:
    """Return when *document* was updated, in milliseconds; 0 if it does not tell."""
    return moment_ms(document.get("updatedAt") if isinstance(document, dict) else None) or 0


def moment_ms(value: object) -> int | None:
    """Return *value* if it is a time in milliseconds, as documents have it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        # A time that no calendar has would be the newest for ever, and win every comparison.
        return int(value) if math.isfinite(value) and is_moment(from_ms(value)) else None
    except OverflowError:
        return None


def require_small(key: str, document: Document) -> None:
    """Raise `InvalidError` for an entry that every read and write of the index would drag along."""
    size = len(dump_compact(document).encode("utf-8", "surrogatepass"))
    if size <= MOST_BYTES:
        return
    largest = max(document, key=lambda name: len(dump_compact(document[name])))
    problem = (
        f"would be {number_of(size, 'byte')}, more than {MOST_BYTES:,}; the most is in {largest!r}"
    )
    raise InvalidError(f"session {key!r}", problem, "keep large values in a file of their own")


def session_of_name(stem: str) -> str:
    """Return the session that a file called *stem* is of, if nothing else names one."""
    if is_session_id(stem):
        return stem
    # A topic may hold what an id cannot.
    start = stem.partition(TOPIC)[0]
    digest = hashlib.sha256(stem.encode(errors="surrogateescape")).hexdigest()[:16]
    return f"{start}{TOPIC}{digest}" if is_session_id(start) and len(start) < _LONGEST else digest
