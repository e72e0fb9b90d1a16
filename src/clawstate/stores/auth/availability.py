"""Which profiles can be used, and in which order they are tried (reference, section 7.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from clawstate.errors import CorruptError, StateError
from clawstate.records.contract import Json
from clawstate.stores.auth.credentials import (
    TYPES,
    Credential,
    EncryptedSecret,
    OAuth,
    Profile,
    expiry_of,
    raw_secret,
    raw_secrets,
    reference_of,
)
from clawstate.stores.auth.names import is_blank, is_variable, normalise_provider
from clawstate.stores.auth.refresh_marks import failure_of
from clawstate.stores.auth.settings import AuthSettings, Cooldowns
from clawstate.stores.auth.usage import UNUSED, Usage, rests_until

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
class Candidates:
    """The input of an order: the credentials, the orders that were set, and the usage of each."""

    credentials: Mapping[str, Credential]
    orders: Mapping[str, tuple[str, ...]]
    usage: Mapping[str, Usage]


def resolve_order(
    provider: str,
    candidates: Candidates,
    settings: AuthSettings,
    now: float,
    *,
    preferred: str | None = None,
) -> tuple[str, ...]:
    """
    Return the ids of the usable profiles of *provider*, the one to try first in front.

    An order that was set counts before that of the configuration, and that before the profiles
    which the configuration names. Without any of them all profiles take part: by the rank of their
    type, and within a rank the one first that was not used for longest. Profiles in a cooldown come
    last, the one whose cooldown ends next in front; ties are broken by id. Profiles that cannot be
    used are left out; no secret is decrypted or resolved to tell. *preferred* comes first if it is
    in the order.
    """
    explicit = _explicit(provider, candidates, settings)
    base = _base(provider, candidates, settings, explicit)
    usable = dict.fromkeys(
        each for each in base if _is_usable(each, provider, candidates, settings, now)
    )
    ends = {
        each: rests_until(
            candidates.usage.get(each, UNUSED),
            now,
            provider=candidates.credentials[each].provider,
            cooldowns=settings.cooldowns,
        )
        for each in usable
    }
    # A profile in a cooldown is not left out: where all of them rest, a request that may fail is
    # better than none.
    free = [each for each, end in ends.items() if end is None]
    if not explicit:
        free.sort(key=lambda each: _turn(each, candidates, now))
    resting = sorted((end, place) for place, end in enumerate(ends.values()) if end is not None)
    ids = list(ends)
    order = [*free, *(ids[place] for _, place in resting)]
    first = [preferred] if preferred in order else []
    return tuple(dict.fromkeys([*first, *order])) if preferred else tuple(order)


def _explicit(
    provider: str, candidates: Candidates, settings: AuthSettings
) -> tuple[str, ...] | None:
    kept = _of_provider(candidates.orders, provider)
    if kept is not None:
        return kept
    if settings.order is None or isinstance(settings.order, Mapping):
        return _of_provider(settings.order or {}, provider)
    # OpenClaw takes one list for all providers as well as one for each.
    found = tuple(each for each in settings.order if _is_of(each, provider, candidates))
    return found or None  # one list for all need not name every provider


def _of_provider(orders: Mapping[str, tuple[str, ...]], provider: str) -> tuple[str, ...] | None:
    wanted = normalise_provider(provider)
    return next((ids for name, ids in orders.items() if normalise_provider(name) == wanted), None)


def _is_of(profile_id: str, provider: str, candidates: Candidates) -> bool:
    found = candidates.credentials.get(profile_id)
    name = profile_id.partition(":")[0] if found is None else found.provider
    return normalise_provider(name) == normalise_provider(provider)


def _base(
    provider: str,
    candidates: Candidates,
    settings: AuthSettings,
    explicit: tuple[str, ...] | None,
) -> Iterable[str]:
    wanted = normalise_provider(provider)
    declared = [
        each
        for each, profile in settings.profiles.items()
        if normalise_provider(profile.provider) == wanted
    ]
    base = explicit if explicit is not None else declared
    # The configuration may name profiles that a person logged in to under another name; an order of
    # profiles that do not exist would leave the provider without any.
    is_dead = bool(base and declared) and candidates.credentials.keys().isdisjoint(base)
    if explicit is not None and not is_dead:
        return explicit
    if declared and not is_dead:
        return declared
    return sorted(
        each
        for each, credential in candidates.credentials.items()
        if normalise_provider(credential.provider) == wanted
    )


def _is_usable(
    profile_id: str, provider: str, candidates: Candidates, settings: AuthSettings, now: float
) -> bool:
    credential = candidates.credentials.get(profile_id)
    wanted = normalise_provider(provider)
    if credential is None or normalise_provider(credential.provider) != wanted:
        return False
    declared = settings.profiles.get(profile_id)
    if declared is not None:
        if normalise_provider(declared.provider) != wanted:
            return False
        if declared.mode not in TYPES[credential.type].modes:
            return False
    expires = expiry_of(credential)
    if TYPES[credential.type].renews:
        is_over = (expires or 0.0) <= now and is_refused(credential)
    else:
        is_over = expires is not None and expires <= now
    return not is_over and has_secret(credential)


def is_refused(credential: Credential) -> bool:
    """Tell whether the provider refused to refresh *credential*, so that only a login helps."""
    failed = failure_of(credential.extra) if isinstance(credential, OAuth) else None
    if failed is None or not failed.final:
        return False
    refresh = raw_secret(credential, "refresh")
    # An order is asked for at each request, so no token is decrypted for it: an encrypted one
    # counts as the token that was refused. A new login removes the mark.
    return not isinstance(refresh, str | None) or failed.bars(refresh)


def has_secret(credential: Credential) -> bool:
    """Tell whether there is something to make a request with, without opening or resolving it."""
    if reference_of(credential) is not None:
        return True
    return any(
        each is not None and not (isinstance(each, str) and is_blank(each))
        for each in raw_secrets(credential)
    )


def _turn(profile_id: str, candidates: Candidates, now: float) -> tuple[int, float]:
    used = candidates.usage.get(profile_id, UNUSED).last_used or 0.0
    return TYPES[candidates.credentials[profile_id].type].rank, min(used, now)


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

    Encrypted secrets are opened to see whether that works, if *may_open* says that nobody has to be
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
        # An import may bring a login without an access token; the next refresh gets one.
        return "will-refresh" if renews and not raw_secrets(credential)[0] else "good"
    can_renew = isinstance(credential, OAuth) and raw_secret(credential, "refresh")
    return "will-refresh" if can_renew else "expired"


def _problem_of_secret(
    credential: Credential, may_open: Callable[[], bool], resolve: Callable[[], object]
) -> str | None:
    reference = reference_of(credential)
    kept = raw_secrets(credential)
    if reference is None and not has_secret(credential):
        return "missing"
    if _is_of_environment(kept[0] if reference is None else reference):
        return None if _works(resolve) is None else "not-set"
    if reference is not None or not may_open():
        return None
    for each in kept:
        if isinstance(each, EncryptedSecret) and (error := _works(each.text)) is not None:
            return "damaged" if isinstance(error, CorruptError) else "key-missing"
        if isinstance(each, EncryptedSecret) and is_blank(each.text()):
            return "missing"
    return None


def _is_of_environment(found: Json | EncryptedSecret) -> bool:
    if isinstance(found, str):
        return is_variable(found)
    return isinstance(found, dict) and found.get("source") == "env"


def _works(call: Callable[[], object]) -> StateError | None:
    try:
        call()
    except StateError as error:
        return error
    return None
