"""`MatrixCredentials`: the access token of a Matrix account, in the file that OpenClaw has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawstate.clock import Clock, from_iso, system_clock, to_iso
from clawstate.errors import InvalidError, NotFoundError
from clawstate.records.contract import DELETE, Collection, Json, Mark
from clawstate.stores.matrix.documents import ACCESS_TOKEN, CREDENTIALS_KEY, secret_place
from clawstate.stores.matrix.names import MatrixLogin

if TYPE_CHECKING:
    from clawstate.encryption.sealer import FieldSealer


@dataclass(frozen=True, slots=True)
class MatrixCredential:
    """
    With which token the user *user_id* is logged in at *homeserver*, as which device.

    Times are in seconds since the epoch.
    """

    homeserver: str
    user_id: str
    access_token: str = field(repr=False)
    device_id: str | None = None
    created_at: float | None = None
    last_used_at: float | None = None


class MatrixCredentials:
    """
    The credential of one account (`credentials/matrix/credentials.json`). Safe for processes.

    Every change raises `CorruptError` rather than overwrite what cannot be read. What *sealer*
    gives encrypts the token; to read it raises `UnavailableError` without its key.
    """

    def __init__(
        self,
        records: Collection,
        account_id: str,
        *,
        clock: Clock = system_clock,
        sealer: Callable[[], FieldSealer | None] = lambda: None,
    ) -> None:
        self._records = records
        self._account_id = account_id
        self._clock = clock
        self._sealer = sealer
        self._place = secret_place(records.spec, ACCESS_TOKEN)

    def __repr__(self) -> str:
        return f"MatrixCredentials({self._account_id!r})"

    def get(self) -> MatrixCredential | None:
        """Return the credential, or `None` if the account is not logged in."""
        found = self._records.get(CREDENTIALS_KEY)
        return None if found is None else self._credential(found.value)

    def require(self) -> MatrixCredential:
        """Return the credential; raises `NotFoundError` if the account is not logged in."""
        found = self.get()
        if found is None:
            hint = "log in first, or give homeserver, user_id and access_token"
            raise NotFoundError("Matrix credential of", self._account_id, hint)
        return found

    def save(
        self, homeserver: str, user_id: str, access_token: str, *, device_id: str | None = None
    ) -> MatrixCredential:
        """
        Keep the token of a login, and return its credential.

        When it was made, and what other programs noted, stays. A device id that is not given stays
        as long as server and user do. Raises `InvalidError`, which does not repeat the token.
        """
        login = MatrixLogin(homeserver, user_id, access_token, self._account_id, device_id)
        now = to_iso(self._clock())
        if (sealer := self._sealer()) is not None:
            sealer.seal("", place=self._place)  # before the lock: a person may have to be asked

        def change(before: Json | None) -> Json:
            old = before if isinstance(before, Mapping) else {}
            made = {
                "homeserver": homeserver,
                "userId": user_id,
                ACCESS_TOKEN.name: access_token,
                "deviceId": device_id,
                "createdAt": old.get("createdAt", now),
                "lastUsedAt": now,
            }
            is_same = login.is_same_user(old.get("homeserver"), old.get("userId"))
            if device_id is None:
                del made["deviceId"]
            # A device belongs to one user: that of another login would be claimed for this one.
            kept = {k: v for k, v in old.items() if k != "deviceId" or is_same}
            # Asked again under the lock: who turns encryption on or off comes before or after.
            return ACCESS_TOKEN.write(
                {**kept, **made}, access_token, place=self._place, sealer=self._sealer()
            )

        found = self._records.update(CREDENTIALS_KEY, change)
        return self._credential({} if found is None else found.value)

    def mark_used(self) -> bool:
        """Note that the token was used now; False if the account is not logged in."""
        now = to_iso(self._clock())

        def change(before: Json | None) -> Json | Mark:
            return DELETE if before is None else {**before, "lastUsedAt": now}

        return self._records.update(CREDENTIALS_KEY, change) is not None

    def remove(self) -> bool:
        """Forget the credential; False if there was none. The keys of the device stay."""
        return self._records.delete(CREDENTIALS_KEY)

    def _credential(self, document: Json) -> MatrixCredential:
        device = document.get("deviceId")
        return MatrixCredential(
            document["homeserver"],
            document["userId"],
            ACCESS_TOKEN.read(document, place=self._place, sealer=self._sealer()),
            device if isinstance(device, str) and device else None,
            _moment(document.get("createdAt")),
            _moment(document.get("lastUsedAt")),
        )


def _moment(value: Json) -> float | None:
    with suppress(InvalidError):
        return from_iso(value) if isinstance(value, str) else None
    return None
