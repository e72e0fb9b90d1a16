"""`DeviceAuth`: the tokens by which other machines let this device in."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from clawstate.arguments import require_text, require_texts
from clawstate.clock import Clock, system_clock
from clawstate.errors import ConflictError, InvalidError
from clawstate.health import Finding
from clawstate.records.contract import Collection, Json
from clawstate.records.merging import MergeResult, merge_into
from clawstate.stores.device_auth.document import (
    OWNER,
    StoredToken,
    TokensLayout,
    key_of,
    merge_tokens,
    owner_of,
    read_tokens,
    write_token,
)

_LONGEST_NAME = 256  # characters
_LONGEST_TOKEN = 8192
_MOST_SCOPES = 32
_TOKEN = re.compile(r"[!-~]+")  # what a header can carry
_SCOPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")


class DeviceOwner(Protocol):
    """Who this device is."""

    @property
    def device_id(self) -> str:
        """The id of this device, which is made if there is none yet."""

    def known_id(self) -> str | None:
        """Return the id of this device, or `None` if it has none yet."""


class DeviceAuth:
    """
    The tokens of this device by name (specification section 5, decision 13). Safe for threads.

    Tokens that belong to another device id are not used, and stay where they are until
    `discard_foreign`. As long as nothing was set here, those that OpenClaw holds are given
    (*fallback*); the first change takes them over. Its file is never written.
    """

    def __init__(
        self,
        tokens: Collection,
        *,
        owner: DeviceOwner,
        fallback: Collection | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self._tokens = tokens
        self._owner = owner
        self._fallback = fallback
        self._clock = clock

    def __repr__(self) -> str:
        return f"DeviceAuth({str(self._tokens.spec.path)!r})"

    @property
    def device_id(self) -> str | None:
        """The device whose tokens are used; `None` if there is neither a key pair nor a token."""
        return self._owner.known_id() or owner_of(self._records())

    def tokens(self) -> dict[str, StoredToken]:
        """Return the tokens by their names; each is a text whose repr hides it."""
        records = self._records()
        return {} if self._is_foreign(records) else read_tokens(records)

    def get(self, name: str) -> StoredToken | None:
        """Return the token *name*, or `None`."""
        return self.tokens().get(require_text("name", name))

    def set(self, name: str, token: str, scopes: Iterable[str] = ()) -> None:
        """
        Keep *token* as *name*; with *scopes* in the form that OpenClaw reads.

        Raises `InvalidError` that does not repeat the token, `ConflictError` while the file holds
        tokens of another device.
        """
        _require_name(name)
        _require_token(token)
        allowed = _scopes(scopes)
        # Outside of the change, which is pure: naming the owner may have to make the key pair.
        owner, taken_over, now = self._named_owner(), self._fallback_records(), self._clock()

        def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], None]:
            # The first change copies what OpenClaw holds, since its file stops counting with this.
            found = records or taken_over
            self._require_ours(found)
            key = key_of(name)
            value = write_token(found.get(key), name, token, allowed, now=now)
            return {OWNER: owner, **found, key: value}, None

        self._tokens.change_all(change)

    def merge(self, document: Json, *, replace: bool = False, dry_run: bool = False) -> MergeResult:
        """
        Merge the tokens of *document*, in either form.

        What is here stays, unless *replace*; a *dry_run* writes nothing. Raises `InvalidError` for
        what is no such document, and `ConflictError` if either side's tokens are of another device.
        """
        theirs = TokensLayout().decode(document)
        self._require_ours(theirs)
        taken_over = self._fallback_records()

        def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], MergeResult]:
            found = records or taken_over
            self._require_ours(found)
            return merge_tokens(found, theirs, replace=replace)

        return merge_into(self._tokens, change, dry_run=dry_run)

    def remove(self, name: str) -> bool:
        """Forget the token *name*; False if there was none. Raises `ConflictError` as `set`."""
        if not isinstance(name, str) or key_of(name) not in self._records():
            return False
        owner, taken_over = self._named_owner(), self._fallback_records()

        def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], bool]:
            found = records or taken_over
            if key_of(name) not in found:
                return records, False
            self._require_ours(found)
            # The owner stays: tokens that are set later must not be mixed with those of another
            # device.
            left = {key: value for key, value in found.items() if key != key_of(name)}
            # Never nothing: what OpenClaw holds would count again, and bring the token back.
            return left or {OWNER: owner}, True

        return self._tokens.change_all(change)

    def foreign(self) -> str | None:
        """Return the other device whose tokens lie here, or `None`."""
        records = self._records()
        return owner_of(records) if self._is_foreign(records) else None

    def discard_foreign(self) -> tuple[str, ...]:
        """Forget the tokens of another device, and return their names."""

        def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], tuple[str, ...]]:
            return ({}, tuple(read_tokens(records))) if self._is_foreign(records) else (records, ())

        return self._tokens.change_all(change)

    def check(self) -> Iterator[Finding]:
        """Give that the tokens belong to another device; raises what reading raises."""
        if (owner := self.foreign()) is not None:
            path = str(self._tokens.spec.path)
            message = f"holds tokens of another device, {owner[:12]}…, which are not used"
            remedy = "restore the identity they belong to, or move the file away"
            yield Finding("foreign-tokens", "warning", path, message, remedy)

    def _records(self) -> dict[str, Json]:
        found = {each.key: each.value for each in self._tokens.scan()}
        if found or self._fallback is None:
            return found
        return {each.key: each.value for each in self._fallback.scan()}

    def _named_owner(self) -> str:
        return self._owner.known_id() or owner_of(self._records()) or self._owner.device_id

    def _fallback_records(self) -> dict[str, Json]:
        """Return what OpenClaw holds, if it is ours: it counts until something is set here."""
        found = {} if self._fallback is None else {e.key: e.value for e in self._fallback.scan()}
        return {} if self._is_foreign(found) else found

    def _is_foreign(self, records: Mapping[str, Json]) -> bool:
        # Without a key pair nothing is foreign yet, and tokens that name no owner count as ours.
        return owner_of(records) not in {None, self._owner.known_id() or owner_of(records)}

    def _require_ours(self, records: Mapping[str, Json]) -> None:
        if self._is_foreign(records):
            hint = f"they belong to {owner_of(records)}; discard them first"
            raise ConflictError("tokens in", str(self._tokens.spec.path), hint)


def _require_name(name: str) -> None:
    if not isinstance(name, str) or not name or name != name.strip():
        raise InvalidError("name", "is empty, or has spaces around it", "give a plain name")
    if len(name) > _LONGEST_NAME:
        raise InvalidError("name", f"has more than {_LONGEST_NAME:,} characters", "shorten it")
    if any(unicodedata.category(each)[0] == "C" for each in name):
        raise InvalidError("name", "holds characters that do not show", "give a plain name")


def _require_token(token: str) -> None:
    if not isinstance(token, str) or not _TOKEN.fullmatch(token) or len(token) > _LONGEST_TOKEN:
        problem = f"is not 1 to {_LONGEST_TOKEN} visible ASCII characters"
        raise InvalidError("token", problem, "give it as it was shown")


def _scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    found = require_texts("scopes", scopes)
    whole = all(_SCOPE.fullmatch(each) for each in found)
    if not whole or len(found) > _MOST_SCOPES:
        raise InvalidError("scopes", "are no list of scopes", "write them as in operator.read")
    return tuple(sorted(set(found)))
