"""`state`, `pairing`, `caches`, `locks`: unknown to OpenClaw, made of the table of settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, create_model

from clawstate.config.settings import ENGINE_NAMES, MOST, SETTINGS, Setting
from clawstate.documents import WHOLE, Document, Duration, Like, Maybe, Text
from clawstate.quantities import LONGEST
from clawstate.secrets.schema import Reference

KEY = r"^(off|keyring|file|file:(/|~/).+|passphrase)$"
STORE = rf"^({'|'.join(ENGINE_NAMES)}|postgres(ql)?://\S+)$"
NAMES = ", ".join(f'"{each}"' for each in ENGINE_NAMES)

MaybeText = Maybe[Text]
MaybeReference = Maybe[Reference]

_LONGEST = LONGEST * 1000  # milliseconds
_TYPES: Mapping[str, Any] = {
    "count": Annotated[int, Field(ge=0, le=MOST), WHOLE],
    "duration": Duration,
    "engine": Annotated[str, Like(STORE, f"{NAMES} or an address postgresql://...")],
    "key": Annotated[str, Like(KEY, '"off", "keyring", "file", "file:/path" or "passphrase"')],
    "maybe text": MaybeText,
    "milliseconds": Annotated[float, Field(ge=0, le=_LONGEST)],
    "milliseconds above 0": Annotated[float, Field(gt=0, le=_LONGEST)],
    "number": Annotated[float, Field(ge=0, le=MOST)],
    "positive": Annotated[int, Field(ge=1, le=MOST), WHOLE],
    "reference": MaybeReference,
    "switch": bool,
    "whole milliseconds": Annotated[int, Field(ge=0, le=int(_LONGEST)), WHOLE],
}
_ABOUT = {
    "state": "Where records are kept: credentials, sessions, pairing, devices.",
    "state.encryption": "Encryption of the credentials on disk. OpenClaw cannot read what is"
    " encrypted.",
    "state.history": "What is kept of configuration, sessions and memory as they were.",
    "pairing": "Requests of devices that want to be paired (specification section 4).",
    "caches": "How much is cached.",
    "caches.query": "Recent searches and what they found.",
    "caches.directory": "Listings of directories with models and resources.",
    "caches.dedupe": 'Marks of what was handled already (specification, "Persistent Dedupe").',
    "locks": 'How long to wait for a file lock (specification, "File Locking Strategy").',
    "locks.retries": "How often and how soon a lock is tried again.",
}


def _section(path: str) -> Any:
    """Return the document of the section *path*, with the settings and sections below it."""
    fields: dict[str, Any] = {}
    for setting in SETTINGS.values():
        if setting.path.startswith(f"{path}."):
            name, _, deeper = setting.path.removeprefix(f"{path}.").partition(".")
            if name not in fields:
                fields[name] = _below(f"{path}.{name}") if deeper else _field(setting)
    title = "".join(each.capitalize() for each in path.split("."))
    return create_model(
        title, __base__=Document, __doc__=_ABOUT[path], __module__=__name__, **fields
    )


def _below(path: str) -> tuple[Any, Any]:
    section = _section(path)
    return section, Field(default_factory=section, description=_ABOUT[path])


def _field(setting: Setting[Any]) -> tuple[Any, Any]:
    kind = _TYPES[setting.kind.name]
    return kind, Field(default=setting.default, description=setting.about)


if TYPE_CHECKING:

    class StateSection(Document):
        """What `_section` makes; a checker of types need not know its members."""

    class Pairing(Document):
        """As `StateSection`."""

    class Caches(Document):
        """As `StateSection`."""

    class Locks(Document):
        """As `StateSection`."""

else:
    StateSection, Pairing, Caches, Locks = map(_section, ("state", "pairing", "caches", "locks"))
