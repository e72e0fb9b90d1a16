"""`Encryption`: turning the encryption of the secrets on, off, and over to another key."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clawstate.config.settings import ENCRYPTION_KEY
from clawstate.encryption.ciphertext import key_name
from clawstate.encryption.passphrase import PRESENT
from clawstate.encryption.sealer import FieldSealer
from clawstate.encryption.sources import require_choice
from clawstate.errors import NotFoundError, StateError, UnavailableError
from clawstate.health import Finding
from clawstate.quantities import number_of
from clawstate.state.agents import agents_of
from clawstate.state.auth import profile_store
from clawstate.state.matrix_secrets import matrix_secrets
from clawstate.state.plaintext import scrub_plaintext
from clawstate.state.secrets import OFF, SETTING, is_on, resolver_of, sealer_of
from clawstate.stores.auth.codec import CredentialCodec
from clawstate.stores.auth.credentials import TYPES, EncryptedSecret, raw_secrets
from clawstate.stores.auth.names import is_blank, is_variable
from clawstate.stores.auth.profile_store import record_key

if TYPE_CHECKING:
    from clawstate.encryption.sources import KeySource
    from clawstate.records.contract import Json
    from clawstate.state.context import Context
    from clawstate.stores.auth.codec import Sealer
    from clawstate.stores.auth.credentials import Credential

_PROFILES = record_key("profile", "")


@dataclass(frozen=True, slots=True)
class EncryptionSummary:
    """How many secrets lie in the clear, how many are encrypted, and with which keys."""

    clear: int = 0
    sealed: int = 0
    keys: frozenset[str] = frozenset()

    def __add__(self, other: EncryptionSummary) -> EncryptionSummary:
        """Return what both count together."""
        counts = self.clear + other.clear, self.sealed + other.sealed
        return EncryptionSummary(*counts, self.keys | other.keys)


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What a change did: secrets that were *changed* in all *agents*, and the *source* of the key.

    *matrix* of these are access tokens and keys of Matrix clients. *failed* are the secrets that
    were left as they are, and why; *remains* says where text in the clear may still be.
    """

    changed: int
    agents: tuple[str, ...]
    source: KeySource | None
    failed: tuple[str, ...] = ()
    remains: tuple[str, ...] = ()
    matrix: int = 0


@dataclass(slots=True)
class _Resealed:
    """What one pass over all secrets did."""

    agents: tuple[str, ...]
    changed: int = 0
    matrix: int = 0
    failed: tuple[str, ...] = ()


class Encryption:
    """
    The encryption of the credentials of *context*, and of what opens Matrix (decisions 12, 72).

    Each change can be killed at any point and repeated: at every moment each secret is in the clear
    or sealed, and both can be read.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._key_store = context.key_store

    @property
    def is_on(self) -> bool:
        """Whether new secrets are sealed."""
        return is_on(self._context.config)

    @property
    def choice(self) -> str:
        """What `state.encryption.key` says now."""
        return ENCRYPTION_KEY.of(self._context.config.view())

    @property
    def path(self) -> Path:
        """The file of the keys."""
        return self._key_store.path

    def keys(self) -> frozenset[str]:
        """Return the names of the keys that are there; raises `CorruptError`."""
        return frozenset(self._key_store.names())

    def sealer(self) -> FieldSealer | None:
        """Return what opens sealed secrets; `None` without encryption. Asking unlocks no key."""
        return sealer_of(self._context)()

    def resolve(self, reference: Any) -> str:
        """Return the secret that a reference in a credential stands for; see `resolver_of`."""
        return resolver_of(self._context)(reference)

    def source(self) -> KeySource | None:
        """Return where the key comes from, or `None` without keys; raises `CorruptError`."""
        return self._key_store.source()

    def unlock(self) -> None:
        """Get the key; raises `UnavailableError`, `NotFoundError`, `CorruptError`."""
        self._key_store.current()

    def problem(self) -> str | None:
        """Return why the key is not to be had where it is needed; nobody is asked for it."""
        try:
            if (self.is_on or self._key_store.exists) and self._key_store.asks_nobody():
                self.unlock()
        except StateError as error:
            return str(error)
        return None

    def summary(self) -> EncryptionSummary:
        """Return how the secrets lie on disk; no key is needed."""
        return self._of_agents() + self._of_matrix()

    def _of_agents(self) -> EncryptionSummary:
        found = EncryptionSummary()
        for agent_id in agents_of(self._context):
            for record in profile_store(self._context, agent_id).collection.scan(_PROFILES):
                for each in _secrets(agent_id, record.key, record.value):
                    sealed = each.document if isinstance(each, EncryptedSecret) else None
                    found += _one(sealed, place=record.key)
        return found

    def _of_matrix(self) -> EncryptionSummary:
        found = EncryptionSummary()
        for each in matrix_secrets(self._context):
            if (secret := each.found()) is not None:
                sealed = None if isinstance(secret, str) else secret
                found += _one(sealed, place=str(each.path))
        return found

    def check(self) -> Iterator[Finding]:
        """Give keys that are missing, and secrets that lie otherwise than the settings say."""
        yield from self._check_keys()
        paths = self._context.paths
        for path, look in (
            (paths.root / "agents", self._of_agents),
            (paths.matrix_dir, self._of_matrix),
        ):
            try:
                yield from self._check_secrets(str(path), look())
            except StateError as error:
                yield Finding.of(error, str(paths.root), "see the message")

    def _check_secrets(self, path: str, summary: EncryptionSummary) -> Iterator[Finding]:
        if self.is_on and summary.clear:
            message = f"{_count(summary.clear)} in the clear, although encryption is on"
            remedy = "run 'clawstate auth encrypt'"
            yield Finding(
                *("clear-text", "warning", path, message, remedy),
                repair=lambda: f"encrypted {self.turn_on(self.choice).changed}",
            )
        if not self.is_on and summary.sealed:
            message = f"{_count(summary.sealed)} encrypted, although encryption is off"
            remedy = "run 'clawstate auth decrypt', or 'clawstate auth encrypt'"
            yield Finding("sealed-text", "warning", path, message, remedy)

    def _check_keys(self) -> Iterator[Finding]:
        path = str(self.path)
        try:
            source, summary = self.source(), self.summary()
            if source is None:
                if summary.sealed:
                    message = f"is missing, and {_count(summary.sealed)} encrypted with it"
                    yield Finding("key", "error", path, message, "restore it from a backup")
                elif self.is_on:
                    message = "is missing: encryption is on, and there is no key yet"
                    yield Finding("key", "error", path, message, "run 'clawstate auth encrypt'")
                return
            for name in sorted(summary.keys - self.keys()):
                message = f"has no key {name}, with which secrets are encrypted"
                yield Finding("key", "error", path, message, "restore the file that had it")
            # A check asks nobody for a passphrase.
            if source.kind != "passphrase" or os.environ.get(PRESENT):
                self.unlock()
        except StateError as error:
            yield Finding("key", "error", path, str(error), "see the message")

    def turn_on(self, choice: str) -> Outcome:
        """
        Seal all secrets of all agents and Matrix clients, and each that comes, with a key.

        It comes from *choice*.

        That is `keyring`, `file`, `file:/path` or `passphrase`. Keys that are there stay in use.
        Raises `InvalidError`, also if the key comes from elsewhere already, `UnavailableError` and
        `MissingExtraError`.
        """
        sealed = 0 if self._key_store.exists else self.summary().sealed
        if sealed:  # new keys would stand in the way of the old ones
            problem = f"is missing, and {_count(sealed)} encrypted with it"
            hint = "restore it from a backup, or remove these profiles"
            raise UnavailableError(str(self._key_store.path), problem, hint)
        source = self._key_store.prepare(choice)
        self._set(choice)
        made = self._reseal(FieldSealer(self._key_store))
        remains = scrub_plaintext(self._context, made.agents, tuple(matrix_secrets(self._context)))
        return _outcome(made, source, remains=remains)

    def turn_off(self) -> Outcome:
        """
        Write all secrets in the clear again, and each that comes.

        The keys stay: they open older backups. Raises `NotFoundError` if there never were any.
        """
        if not self._key_store.exists:
            raise NotFoundError("key", str(self._key_store.path), "nothing was ever encrypted here")
        self.unlock()
        first = self._reseal(None)
        self._set(OFF)
        # Once more: until just now others went on sealing.
        second = self._reseal(None)
        second.changed += first.changed
        second.matrix += first.matrix
        return _outcome(second, self.source())

    def rekey(self, choice: str | None = None) -> Outcome:
        """
        Seal everything with a new key, which a new outer one from *choice* opens.

        By default that is of the kind that there is. Raises what `turn_on` and `turn_off` raise.
        """
        source = self.source()
        if source is None:
            raise NotFoundError(
                "key", str(self._key_store.path), "run 'clawstate auth encrypt' first"
            )
        chosen = require_choice(choice or source.kind)
        made = self._key_store.rotate(chosen)
        self._set(chosen)
        return _outcome(self._reseal(FieldSealer(self._key_store)), made)

    def _set(self, choice: str) -> None:
        if self.choice != choice:
            # Forced: it goes together with what is sealed and opened here (`setting_guards`).
            self._context.config.set(SETTING, choice, force=True)

    def _reseal(self, sealer: FieldSealer | None) -> _Resealed:
        self.unlock()  # before any lock: a person may have to be asked
        opener, current = FieldSealer(self._key_store), self._key_store.names()[-1]
        made, failed = _Resealed(agents_of(self._context)), list[str]()
        for agent_id in made.agents:
            reencryption = Reencryption(agent_id, opener, sealer, current)
            count, problems = profile_store(self._context, agent_id).change_all(reencryption.change)
            made.changed += count
            failed += problems
        for each in matrix_secrets(self._context):
            try:
                made.matrix += each.reseal(opener, sealer, current)
            except StateError as error:
                failed.append(str(error))
        made.changed += made.matrix
        made.failed = tuple(failed)
        return made


@dataclass(frozen=True, slots=True)
class Reencryption:
    """How the profiles of one agent change: opened by *opener*, and sealed by *sealer* if any."""

    agent_id: str
    opener: Sealer
    sealer: Sealer | None
    current: str

    def change(self, records: dict[str, Json]) -> tuple[Mapping[str, Json], tuple[int, list[str]]]:
        """Return all records as they shall be, how many secrets change, and what cannot."""
        made, count, failed = {}, 0, []
        for key, record in records.items():
            made[key] = record
            if not key.startswith(_PROFILES):
                continue
            waiting = [each for each in _secrets(self.agent_id, key, record) if self._is_due(each)]
            if not waiting:
                continue
            try:
                made[key] = self._reencrypt(key.removeprefix(_PROFILES), record)
                count += len(waiting)
            except StateError as error:
                failed.append(str(error))
        return made, (count, failed)

    def _is_due(self, found: str | EncryptedSecret) -> bool:
        if isinstance(found, str):
            return self.sealer is not None and not is_variable(found)
        if self.sealer is None:
            return True
        try:
            return key_name(found.document, place="") != self.current
        except StateError:
            return True  # damaged: opening it will tell

    def _reencrypt(self, profile_id: str, record: Json) -> Json:
        found = self._codec(self.opener).read(profile_id, record)
        names = (each.attribute for each in TYPES[found.type].secrets)
        texts = {name: getattr(found, name) for name in names}
        opened: Credential = replace(found, **texts)
        # By way of clear text, so that whatever is sealed is sealed anew.
        clear = self._codec(None).write(profile_id, opened, old=record)
        return self._codec(self.sealer).write(profile_id, opened, old=clear)

    def _codec(self, sealer: Sealer | None) -> CredentialCodec:
        return CredentialCodec(self.agent_id, lambda: sealer)


def _outcome(
    made: _Resealed, source: KeySource | None, *, remains: tuple[str, ...] = ()
) -> Outcome:
    return Outcome(made.changed, made.agents, source, made.failed, remains, made.matrix)


def _one(sealed: Mapping[str, Any] | None, *, place: str) -> EncryptionSummary:
    if sealed is None:
        return EncryptionSummary(clear=1)
    return EncryptionSummary(sealed=1, keys=frozenset({key_name(sealed, place=place)}))


def _count(count: int) -> str:
    return number_of(count, "secret is", "secrets are")


def _secrets(agent_id: str, key: str, record: Json) -> Iterator[str | EncryptedSecret]:
    """Yield the secrets of a record as they lie there, unless it is no credential."""
    try:
        credential: Any = CredentialCodec(agent_id).read(key.removeprefix(_PROFILES), record)
    except StateError:
        return
    for found in raw_secrets(credential):
        if isinstance(found, EncryptedSecret) or (isinstance(found, str) and not is_blank(found)):
            yield found
