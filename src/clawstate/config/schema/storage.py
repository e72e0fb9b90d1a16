"""`state`, `pairing`, `caches` and `locks`: sections of clawstate that OpenClaw does not know."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from clawstate.config.settings import ENGINE_NAMES, default_of
from clawstate.documents import (
    AboveZero,
    Count,
    Document,
    Duration,
    Like,
    Maybe,
    NotNegative,
    Positive,
    Text,
)
from clawstate.secrets.schema import Reference

KEY = r"^(off|keyring|file|file:(/|~/).+|passphrase)$"
STORE = rf"^({'|'.join(ENGINE_NAMES)}|postgres(ql)?://\S+)$"
NAMES = ", ".join(f'"{each}"' for each in ENGINE_NAMES)

StoreChoice = Annotated[str, Like(STORE, f"{NAMES} or an address postgresql://...")]


KeyChoice = Annotated[str, Like(KEY, '"off", "keyring", "file", "file:/path" or "passphrase"')]


class Encryption(Document):
    """Encryption of the credentials on disk. OpenClaw cannot read what is encrypted."""

    key: KeyChoice = Field(
        default=default_of("state.encryption.key"),
        description="Where the key is kept that everything is encrypted with; "
        "'clawstate auth encrypt' sets it.",
    )
    passphrase: Maybe[Reference] = Field(
        default=None, description="A reference to the passphrase, where nobody can be asked."
    )


class StateSection(Document):
    """Where records are kept: credentials, sessions, pairing, devices."""

    store: StoreChoice = Field(
        default=default_of("state.store"),
        description="The engine: `file`, `sqlite` or `postgresql://user@host/name`.",
    )
    encryption: Encryption = Field(
        default_factory=Encryption, description="Encryption of the credentials on disk."
    )


class Pairing(Document):
    """Requests of devices that want to be paired (specification section 4)."""

    path: Maybe[Text] = Field(
        default=None,
        description="The file; `state/pairing.json` in the state directory if not given.",
    )
    ttl: Duration = Field(
        default=default_of("pairing.ttl"),
        description="How long a request waits; a number without a unit counts seconds.",
    )
    limit: Positive = Field(
        default=default_of("pairing.limit"), description="The requests that may wait at once."
    )


class QueryCache(Document):
    """Recent searches and what they found."""

    ttl: Duration = Field(
        default=default_of("caches.query.ttl"),
        description="How long an answer is kept; a number without a unit counts seconds.",
    )
    max_entries: Count = Field(
        default=default_of("caches.query.maxEntries"),
        description="The answers that are kept; 0 for none.",
    )


class DirectoryCacheSection(Document):
    """Listings of directories with models and resources."""

    ttl: Duration = Field(
        default=default_of("caches.directory.ttl"),
        description="How long a listing is kept; a number without a unit counts seconds.",
    )
    max_entries: Count = Field(
        default=default_of("caches.directory.maxEntries"),
        description="The listings that are kept; 0 for none.",
    )


class Dedupe(Document):
    """Marks of what was handled already (specification, "Persistent Dedupe")."""

    ttl_ms: Count = Field(
        default=default_of("caches.dedupe.ttlMs"),
        description="How long a mark holds, milliseconds.",
    )
    memory_max_size: Count = Field(
        default=default_of("caches.dedupe.memoryMaxSize"),
        description="The marks that are kept in memory.",
    )
    file_max_entries: Count = Field(
        default=default_of("caches.dedupe.fileMaxEntries"),
        description="The marks of one namespace on disk.",
    )


class Caches(Document):
    """How much is kept at hand."""

    query: QueryCache = Field(
        default_factory=QueryCache, description="Recent searches and what they found."
    )
    directory: DirectoryCacheSection = Field(
        default_factory=DirectoryCacheSection, description="Listings of directories."
    )
    dedupe: Dedupe = Field(default_factory=Dedupe, description="Marks of what was handled.")


class LockRetries(Document):
    """How often and how soon a lock is tried again."""

    retries: Count = Field(
        default=default_of("locks.retries.retries"), description="How often it is tried again."
    )
    factor: NotNegative = Field(
        default=default_of("locks.retries.factor"),
        description="How much longer each pause is than the last one.",
    )
    min_timeout: NotNegative = Field(
        default=default_of("locks.retries.minTimeout"), description="The first pause, milliseconds."
    )
    max_timeout: NotNegative = Field(
        default=default_of("locks.retries.maxTimeout"),
        description="The longest pause, milliseconds.",
    )
    randomize: bool = Field(
        default=default_of("locks.retries.randomize"), description="Vary the pauses."
    )


class Locks(Document):
    """How long to wait for a file lock (specification, "File Locking Strategy")."""

    retries: LockRetries = Field(
        default_factory=LockRetries, description="How often and how soon it is tried again."
    )
    stale: AboveZero = Field(
        default=default_of("locks.stale"),
        description="When an owner without a sign of life counts as gone, milliseconds.",
    )
