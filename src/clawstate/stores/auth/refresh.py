"""`Refresher`: new OAuth tokens, asked for once however many processes want them (decision 12)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from clawstate.clock import Clock, system_clock
from clawstate.errors import InvalidError, LockTimeoutError, UnavailableError
from clawstate.files.safe_names import encode_name
from clawstate.records.contract import Collection
from clawstate.stores.auth.codec import CredentialCodec
from clawstate.stores.auth.credentials import OAuth
from clawstate.stores.auth.refresh_answer import Exchange
from clawstate.stores.auth.refresh_flight import Flight, Terms
from clawstate.stores.auth.refresh_profile import RefreshedProfile
from clawstate.stores.auth.refresh_spool import Spools
from clawstate.stores.auth.refresh_turn import Turn
from clawstate.stores.auth.rows import place

__all__ = ["Exchange", "Refresher"]


class Refresher:
    """
    Refreshes the OAuth profiles of one *collection*: that of the store that owns them.

    *locks* is a directory that belongs to this store alone; none from *above* down to it may be a
    link. A refresh that lasts longer than
    *lease* seconds may be repeated by another process, so an exchange should give up well before.
    A token is refreshed when it is good for less than *margin* seconds, or less than a quarter of
    its life. *ticks* is a steady clock that all processes of the machine share.
    """

    def __init__(
        self,
        collection: Collection,
        codec: CredentialCodec,
        *,
        locks: Path,
        above: Path | None = None,
        clock: Clock = system_clock,
        lease: float = 60.0,
        margin: float = 300.0,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._collection = collection
        self._codec = codec
        self._locks = locks
        self._above = above or locks
        self._clock = clock
        self._lease = lease
        self._margin = margin
        self._ticks = ticks

    def refresh(self, profile_id: str, exchange: Exchange, *, force: bool = False) -> OAuth:
        """
        Return the credential of *profile_id* with a good access token, refreshed if need be.

        *exchange* asks the provider; it is called without any lock but the refresh's own, at most
        by one caller of all processes, and the others get its result. With *force* the present
        access token counts as bad, and a login that was refused is tried once more. When the
        provider cannot be asked, a token that has not expired yet is returned all the same,
        unless forced.

        Raises `NotFoundError`; `InvalidError` for a profile that is no OAuth one, whose login was
        refused, or whose new tokens cannot be used; `UnavailableError` when the provider gave no
        answer; `LockTimeoutError` when others take too long.
        """
        key = place("profile", profile_id)
        profile = RefreshedProfile(self._collection, self._codec, profile_id, key)
        first = profile.found()
        folder = self._folder(profile_id)
        spools = self._spools(folder)
        is_fresh = first.is_fresh(self._clock(), self._margin)
        if is_fresh and not force and not spools.are_waiting:
            return first.credential
        terms = Terms(self._clock, self._ticks, self._lease, self._margin, force)
        flight = Flight(profile, first, turn=Turn(folder), spools=spools, terms=terms)
        try:
            return flight.land(exchange)
        except (UnavailableError, LockTimeoutError):
            if force or not first.is_alive(self._clock()):
                raise
        except InvalidError:
            if force or not first.is_doubted(self._clock()):
                raise
        return first.credential

    def held(self, profile_id: str) -> OAuth | None:
        """
        Return the tokens of *profile_id* that this process holds because no disk took them.

        They are written first, if that can be done now. `None` if there are none that are good.
        """
        folder = self._folder(profile_id)
        spools = self._spools(folder)
        if not spools.are_waiting:
            return None
        profile = RefreshedProfile(
            self._collection, self._codec, profile_id, place("profile", profile_id)
        )
        terms = Terms(self._clock, self._ticks, self._lease, self._margin, force=False)
        flight = Flight(profile, profile.found(), turn=Turn(folder), spools=spools, terms=terms)
        return flight.adopted()

    def forget(self, profile_id: str) -> None:
        """Remove what crashes may have left of *profile_id* beside the collection."""
        self._spools(self._folder(profile_id)).forget()

    def _spools(self, folder: Path) -> Spools:
        # Above the locks of this store lie those of all stores, and of the state.
        return Spools(folder, above=self._above)

    def _folder(self, profile_id: str) -> Path:
        return self._locks / encode_name(profile_id)
