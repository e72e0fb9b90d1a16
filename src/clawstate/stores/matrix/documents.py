"""How what a Matrix client keeps lies in its files: those of OpenClaw and of matrix-bot-sdk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Final

from clawstate.encryption.member import SecretMember
from clawstate.errors import InvalidError
from clawstate.records.contract import CollectionSpec, FileForm, Json

SYNC_TOKEN, FILTER = "syncToken", "filter"
USERS, TRANSACTIONS, VALUES = "user/", "transaction/", "value/"
"""What the keys of these records begin with."""

_SECTIONS: Final = {
    USERS: "appserviceUsers",
    TRANSACTIONS: "appserviceTransactions",
    VALUES: "kvStore",
}
_EMPTY: Final[Mapping[str, Json]] = {
    SYNC_TOKEN: None,
    FILTER: None,
    **{section: {} for section in _SECTIONS.values()},
}


class BotStorageLayout:
    """
    The document of matrix-bot-sdk's `SimpleFsStorageProvider`.

    Its records are `syncToken`, `filter`, and `user/…`, `transaction/…` and `value/…` for the
    members of its objects. What it holds beside these stays.
    """

    def decode(self, document: Json) -> dict[str, Json]:
        """Return the records; raises `InvalidError` for a document that cannot be one."""
        if document is None:
            return {}
        if not isinstance(document, dict):
            raise InvalidError("document", "is not an object")
        token = document.get(SYNC_TOKEN)
        if token is not None and not isinstance(token, str):
            # Not taken for none: the client would fetch, and answer, everything once more.
            raise InvalidError("document", f"its {SYNC_TOKEN!r} is not a text")
        found: dict[str, Json] = {SYNC_TOKEN: token} if token else {}
        if document.get(FILTER) is not None:
            found[FILTER] = document[FILTER]
        for prefix, section in _SECTIONS.items():
            members = document.get(section)
            if members is not None and not isinstance(members, dict):
                raise InvalidError("document", f"its {section!r} is not an object")
            found.update((prefix + key, value) for key, value in (members or {}).items())
        return found

    def encode(self, document: Json, records: Mapping[str, Json]) -> Json:
        """Return the document with *records*, in the order in which the SDK writes it."""
        # Of the SDK's defaults none may be missing: it looks into these objects without asking.
        made = {**_EMPTY, **(document or {})}
        made.update({each: records.get(each) for each in (SYNC_TOKEN, FILTER)})
        parts: dict[str, dict[str, Json]] = {prefix: {} for prefix in _SECTIONS}
        for key, value in records.items():
            prefix = key[: key.find("/") + 1]
            if prefix in parts:
                parts[prefix][key.removeprefix(prefix)] = value
            elif key not in {SYNC_TOKEN, FILTER}:
                raise InvalidError(
                    key, "is nothing that a Matrix client keeps", "keep it elsewhere"
                )
        for prefix, section in _SECTIONS.items():
            old = made[section] or {}
            kept = {key: parts[prefix][key] for key in old if key in parts[prefix]}
            made[section] = {**kept, **parts[prefix]}
        if records.get(SYNC_TOKEN) is not None and not isinstance(records[SYNC_TOKEN], str):
            raise InvalidError(SYNC_TOKEN, "is not a text", "give the token that the server gave")
        return made


@dataclass(frozen=True, slots=True)
class ObjectLayout:
    """
    The document, an object, is the one record *key*; the members *texts* are texts in it.

    So is *secret*, or it is encrypted.
    """

    key: str
    texts: tuple[str, ...]
    secret: SecretMember | None = None

    def decode(self, document: Json) -> dict[str, Json]:
        """Return the document as its record; raises `InvalidError` without one of its texts."""
        if document is None or document == {}:
            return {}
        if not isinstance(document, dict):
            raise InvalidError("document", "is not an object")
        if missing := [each for each in self.texts if not isinstance(document.get(each), str)]:
            raise InvalidError("document", f"has no text {missing[0]!r}")
        if self.secret is not None and self.secret.found(document) is None:
            raise InvalidError("document", f"has no text {self.secret.name!r}")
        return {self.key: document}

    def encode(self, document: Json, records: Mapping[str, Json]) -> Json:  # noqa: ARG002 - a layout
        """Return the record; raises `InvalidError` for another one."""
        if not records:
            return {}
        if records.keys() != {self.key}:
            raise InvalidError("record", f"is not {self.key!r}", "keep it elsewhere")
        self.decode(records[self.key])
        # It was made of the document: members that other programs added are in it, in their order.
        return dict(records[self.key])


META_KEY, CREDENTIALS_KEY, PICKLE_KEY = "login", "credentials", "key"
"""The keys of the one record of each of these documents."""

ACCESS_TOKEN, PICKLE_SECRET = SecretMember("accessToken"), SecretMember("pickleKey")
"""The secrets in them."""

_ACCOUNTS = PurePosixPath("matrix/accounts/*/*/*")
_AS_NODE_WRITES = FileForm(newline=False)

BOT_STORAGE: Final = CollectionSpec(
    "matrix:*/*/*", _ACCOUNTS / "bot-storage.json", BotStorageLayout(), file=_AS_NODE_WRITES
)
META: Final = CollectionSpec(
    "matrix-login:*/*/*",
    _ACCOUNTS / "storage-meta.json",
    ObjectLayout(META_KEY, ("homeserver", "userId")),
    file=_AS_NODE_WRITES,
)
PICKLE: Final = CollectionSpec(
    "matrix-key:*/*/*",
    _ACCOUNTS / "crypto" / "nio-key.json",
    ObjectLayout(PICKLE_KEY, ("userId", "deviceId"), PICKLE_SECRET),
)
CREDENTIALS: Final = CollectionSpec(
    "matrix-credentials:*",
    PurePosixPath("credentials/matrix/credentials-*.json"),
    ObjectLayout(CREDENTIALS_KEY, ("homeserver", "userId"), ACCESS_TOKEN),
    file=_AS_NODE_WRITES,
)
DEFAULT_CREDENTIALS: Final = replace(
    CREDENTIALS,
    kind="matrix-credentials:default",
    path=PurePosixPath("credentials/matrix/credentials.json"),
)
DOCUMENTS: Final = (BOT_STORAGE, META, PICKLE, CREDENTIALS, DEFAULT_CREDENTIALS)
"""All of them."""

DATABASE: Final = "nio.db"
"""The name of the database of keys, beside `nio-key.json`."""


def secret_place(spec: CollectionSpec, member: SecretMember) -> str:
    """Return where the secret *member* of the document of *spec* lies: it opens nowhere else."""
    return f"{spec.kind}/{member.name}"


def spec_of(pattern: CollectionSpec, *names: str) -> CollectionSpec:
    """Return *pattern* with *names*, which are safe in paths, in the place of its stars."""
    kind, path = pattern.kind, str(pattern.path)
    for each in names:
        kind, path = kind.replace("*", each, 1), path.replace("*", each, 1)
    return replace(pattern, kind=kind, path=PurePosixPath(path))


def credentials_spec(account_key: str) -> CollectionSpec:
    """Return where the credentials of an account lie."""
    # Only the account without a name has the file without one.
    is_default = DEFAULT_CREDENTIALS.kind == spec_of(CREDENTIALS, account_key).kind
    return DEFAULT_CREDENTIALS if is_default else spec_of(CREDENTIALS, account_key)
