"""Devices, credentials, sessions and other records."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

_FOREIGN = ConfigDict(extra="allow")  # members that other programs noted


class DeviceToken(TypedDict):
    """What is known of a token but the token itself."""

    role: str
    scopes: list[str]
    createdAtMs: int
    rotatedAtMs: NotRequired[int]
    revokedAtMs: NotRequired[int]
    lastUsedAtMs: NotRequired[int]
    expiresAtMs: NotRequired[int]


class Device(TypedDict):
    """A device that was let in, without its tokens."""

    deviceId: str
    userId: str
    accountId: NotRequired[str]
    name: NotRequired[str]
    publicKey: NotRequired[str]
    role: str
    scopes: list[str]
    approvedScopes: list[str]
    createdAtMs: int
    approvedAtMs: int
    lastUsedAtMs: NotRequired[int]
    revokedAtMs: NotRequired[int]
    tokens: list[DeviceToken]


class PairingRequest(TypedDict):
    """A device that asks to be let in."""

    code: str
    userId: str
    deviceId: str
    createdAt: int
    createdAtMs: int
    accountId: NotRequired[str]
    scopes: NotRequired[list[str]]
    name: NotRequired[str]
    publicKey: NotRequired[str]
    collects: NotRequired[bool]
    source: NotRequired[str]
    expiresAt: NotRequired[int]
    expiresAtMs: NotRequired[int]


class Profile(TypedDict):
    """A credential without its secret, and how it stands."""

    id: str
    provider: str
    type: str
    secret: str
    state: str | None
    until: int | None
    reason: str | None
    origin: str
    email: str | None
    expires: int | None
    lastUsed: int | None
    untilMs: int | None
    expiresMs: int | None
    lastUsedMs: int | None
    errorCount: int


class AuthProblem(TypedDict):
    """An entry that cannot be used, and why."""

    place: str
    id: str
    problem: str


class SessionBrief(TypedDict):
    """A session as a list has it."""

    key: str
    sessionId: str
    sessionFile: str | None
    label: NotRequired[str]
    updatedAt: int
    updatedAtMs: int


@with_config(_FOREIGN)
class Session(SessionBrief):
    """All that is kept about a session, with what programs noted."""

    sessionKey: str


class Archived(TypedDict):
    """A session that can be restored."""

    archive: str
    key: str
    sessionId: str
    reason: str
    archivedAt: int
    archivedAtMs: int


class Pruned(TypedDict):
    """The sessions that went, how many for each reason, and what is left."""

    dryRun: bool
    removed: list[str]
    byAge: int
    byCount: int
    bySize: int
    kept: int
    expired: int
    bytesBefore: int
    bytesAfter: int


@with_config(_FOREIGN)
class Message(TypedDict):
    """An entry of a transcript: its place, and all that was said."""

    id: str
    parentId: str | None
    type: str
    timestamp: str
    timestampMs: int


@with_config(_FOREIGN)
class FoundMessage(Message):
    """A message that a search found, and the part of it that shows why."""

    sessionId: str
    score: float
    snippet: str


class TranscriptInfo(TypedDict):
    """The counts and times of one session."""

    sessionId: str
    count: int
    bytes: int
    leaf: str | None
    createdAtMs: int
    updatedAtMs: int


class NamespaceStatistics(TypedDict):
    """How many marks a namespace has, and how old they are."""

    marks: int
    expired: int
    ignored: int
    oldest: str | None
    newest: str | None
    oldestMs: int | None
    newestMs: int | None


class PluginInfo(TypedDict):
    """What is known of a plugin."""

    id: str
    name: str
    version: str
    description: str
    kind: str | None
    origin: str
    place: str
    status: str
    reason: str
    tools: list[str]


class Finding(TypedDict):
    """What is wrong, where, and how it is mended."""

    code: str
    severity: str
    path: str
    message: str
    fix: str


class FileChange(TypedDict):
    """The text of another file before and after a change."""

    file: str
    before: str | None
    after: str


class Change(TypedDict):
    """A change of the configuration."""

    number: int
    at: str
    atMs: int
    file: str
    paths: list[str]
    by: str
    undoes: int | None
    before: str | None
    after: str
    also: list[FileChange]


class Issue(TypedDict):
    """What is wrong with the configuration, and where."""

    path: str
    message: str
    line: int | None
    column: int | None
    hint: str
    file: NotRequired[str]


class WrittenSetting(TypedDict):
    """A setting that is written, and where; of a secret only that there is one."""

    path: str
    value: Any
    template: str | None
    isSecret: bool
    file: str
    line: int
    column: int


class PartChange(TypedDict):
    """A part that moved, and which of its records, if that is known and no secret."""

    part: str
    keys: list[str] | None


class Changes(TypedDict):
    """What moved since a cursor; without *complete* anything may have."""

    cursor: str
    items: list[PartChange]
    complete: bool


class Aside(TypedDict):
    """What is kept of records that lie elsewhere now."""

    places: list[str]
    files: int
    rows: int


class LeftBehind(TypedDict):
    """Records that lie in another engine."""

    engine: str
    records: dict[str, int]


class Summary(TypedDict):
    """How many records lie where."""

    engine: str
    owner: Any
    records: dict[str, int]
    leftBehind: LeftBehind
    setAside: Aside
    replaced: list[str]


class ImportProblem(TypedDict):
    """What could not be taken in."""

    path: str
    line: int | None
    message: str


class FileImport(TypedDict):
    """What an import of files did."""

    files: int
    failedFiles: int
    unchangedFiles: int
    movedFiles: int
    copies: int
    added: int
    updated: int
    unchanged: int
    removed: int
    keptEdits: int
    passedOver: dict[str, int]
    stillForgotten: int
    problems: list[ImportProblem]


class Backup(TypedDict):
    """A backup of a state; of an encrypted one its `state` is not known."""

    path: str
    created: str
    createdMs: int
    verifiedMs: NotRequired[int]
    state: str | None
    bytes: int
    encrypted: bool
    secrets: bool
    digest: str | None


class BackupSchedule(TypedDict):
    """How often backups come by themselves, where to, and which stay."""

    everyMs: int
    keep: str
    to: str
    encrypted: bool
    secrets: bool


class BackupStatus(TypedDict):
    """
    Whether backups come by themselves, made by `systemd` or the `gateway`, and what there is.

    `path`, `lastVerifiedMs` and `ageMs` are of the last one that was proven; `nextMs` is when one
    is due. The `folder` is not known before there is a first one.
    """

    schedule: BackupSchedule | None
    by: Literal["systemd", "gateway"] | None
    timer: bool
    folder: str | None
    path: str | None
    lastVerifiedMs: int | None
    ageMs: int | None
    nextMs: int | None
