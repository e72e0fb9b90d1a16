"""Whether a profile can be used just now, and why not: the one place where that is decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from clawstate.errors import CorruptError, StateError
from clawstate.records.contract import Json
from clawstate.stores.auth.cooldowns import rests_until
from clawstate.stores.auth.credentials import (
    TYPES,
    Credential,
    OAuth,
    Profile,
    Sealed,
    expiry_of,
    kept_secret,
    kept_secrets,
    reference_of,
)
from clawstate.stores.auth.names import is_blank, is_variable
from clawstate.stores.auth.ordering import has_secret, is_refused
from clawstate.stores.auth.settings import Cooldowns

STATES: Final = {
    "good": "good",
    "will-refresh": "expired, will be refreshed",
    "expired": "expired",
    "cooldown": "cooling down",
    "disabled": "disabled",
    "needs-login": "needs login",
    "key-missing": "key missing",
    "damaged": "damaged",
    "missing": "secret missing",
    "not-set": "variable not set",
}
"""All states of a profile, as programs and as people read them."""

USABLE: Final = frozenset({"good", "will-refresh"})
"""The states in which a profile can be used at once."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The *state* of a profile, one of `STATES`, and until when it lasts if that is known."""

    state: str
    until: float | None = None

    @property
    def is_usable(self) -> bool:
        """Whether the profile can be used at once."""
        return self.state in USABLE


def standing_of(
    profile: Profile,
    now: float,
    *,
    cooldowns: Cooldowns,
    may_open: Callable[[], bool],
    resolve: Callable[[], object],
) -> Standing:
    """
    Return how *profile* stands at *now* (in seconds since the epoch).

    Sealed secrets are opened to see whether that works, if *may_open* says that nobody has to be
    asked for it; *resolve* is called where the secret is a variable of the environment.
    """
    credential = profile.credential
    found = _problem_of_secret(credential, may_open, resolve)
    if found is not None:
        return Standing(found)
    if is_refused(credential):
        return Standing("needs-login")
    usage = profile.usage
    until = rests_until(usage, now, provider=profile.provider, cooldowns=cooldowns)
    if until is not None:
        disabled = usage.disabled_until
        is_disabled = disabled is not None and disabled >= until
        return Standing("disabled" if is_disabled else "cooldown", until)
    return Standing(_state_at(credential, now))


def _state_at(credential: Credential, now: float) -> str:
    expires = expiry_of(credential)
    renews = TYPES[credential.type].renews
    if expires is None or expires > now:
        # A login without an access token gets one with the next refresh.
        return "will-refresh" if renews and not kept_secrets(credential)[0] else "good"
    can_renew = isinstance(credential, OAuth) and kept_secret(credential, "refresh")
    return "will-refresh" if can_renew else "expired"


def _problem_of_secret(
    credential: Credential, may_open: Callable[[], bool], resolve: Callable[[], object]
) -> str | None:
    reference = reference_of(credential)
    kept = kept_secrets(credential)
    if reference is None and not has_secret(credential):
        return "missing"
    if _is_of_environment(kept[0] if reference is None else reference):
        return None if _works(resolve) is None else "not-set"
    if reference is not None or not may_open():
        return None
    for each in kept:
        if isinstance(each, Sealed) and (error := _works(each.text)) is not None:
            return "damaged" if isinstance(error, CorruptError) else "key-missing"
        if isinstance(each, Sealed) and is_blank(each.text()):
            return "missing"
    return None


def _is_of_environment(found: Json | Sealed) -> bool:
    if isinstance(found, str):
        return is_variable(found)
    return isinstance(found, dict) and found.get("source") == "env"


def _works(call: Callable[[], object]) -> StateError | None:
    try:
        call()
    except StateError as error:
        return error
    return None
