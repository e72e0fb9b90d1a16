"""
The marks of a refresh in the record of a profile: one is under way, or the last one failed.

OpenClaw keeps members that it does not know, and so may leave our marks beside newer tokens. So
each has the digest of the refresh token that it is about, and counts for that token only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from clawstate.clock import from_ms, to_ms
from clawstate.files.lock_owner import Tenure, tenure_of
from clawstate.records.contract import Json

PENDING, FAILED, REFRESHED = "refreshPending", "refreshFailed", "refreshedAt"
REFRESH_MEMBERS = (PENDING, FAILED, REFRESHED)
"""The members of a record that are the refresh's own; a new login starts without them."""

_OAUTH = "oauth"
_DIGEST = 8  # bytes: enough to tell two tokens apart, too few to be of use to anybody
_MOST = 2**53  # milliseconds


@dataclass(frozen=True, slots=True)
class Pending(Tenure):
    """
    A refresh whose request may have been sent, and by whom: a lease that lies in its profile.

    *generation* is the digest of the refresh token that it was sent with. *repeated* tells that an
    earlier one never reported.
    """

    # Judged as any lease is, but kept in the record that it speaks of: so one compare-and-set
    # proves both that the token is still this one and that nobody else asks (decision 34).

    generation: str = ""
    repeated: bool = False

    def is_of(self, refresh: str | None) -> bool:
        """Tell whether it was sent with the token *refresh*."""
        return self.generation == generation_of(refresh, self.nonce)


@dataclass(frozen=True, slots=True)
class Failure:
    """How the refresh *nonce* failed; a *final* one cannot be mended but by a new login."""

    nonce: str
    generation: str
    problem: str
    final: bool = False

    def bars(self, refresh: str | None) -> bool:
        """Tell whether the token *refresh* was refused for good."""
        return self.final and self.generation == generation_of(refresh, self.nonce)


def generation_of(refresh: str | None, nonce: str) -> str:
    """Return the digest of a refresh token, another one for each *nonce*."""
    key = hashlib.sha256(nonce.encode("utf-8", "surrogatepass")).digest()
    token = (refresh or "").encode("utf-8", "surrogatepass")
    return hashlib.blake2b(token, key=key, digest_size=_DIGEST).hexdigest()


def pending_of(record: Json) -> Pending | None:
    """Return the refresh that *record* says is under way."""
    found = _member(record, PENDING)
    tenure = tenure_of(found)
    if tenure is None:
        return None
    repeated = found.get("repeated") is True
    return Pending(tenure.owner, tenure.ticks, _text(found, "generation"), repeated)


def failure_of(record: Json) -> Failure | None:
    """Return how the last refresh of *record* failed, if it did."""
    found = _member(record, FAILED)
    if not found:
        return None
    nonce, generation = _text(found, "nonce"), _text(found, "generation")
    return Failure(nonce, generation, _text(found, "problem"), found.get("final") is True)


def lifetime_of(record: Json, expires: float) -> float | None:
    """Return how many seconds the access token was good for when it came, if that is known."""
    came = refreshed_at(record)
    return expires - came if came is not None and came < expires else None


def refreshed_at(record: Json) -> float | None:
    """Return when the tokens of *record* came, if a refresh brought them."""
    return _seconds(record, REFRESHED) if isinstance(record, Mapping) else None


def with_pending(record: Mapping[str, Json], pending: Pending) -> dict[str, Json]:
    """Return *record* with the mark of a refresh under way."""
    mark = {
        **pending.members(),
        "generation": pending.generation,
        **({"repeated": True} if pending.repeated else {}),
    }
    return {**record, PENDING: mark}


def with_failure(record: Mapping[str, Json], failure: Failure) -> dict[str, Json]:
    """Return *record* with the mark of the failure, and without that of the refresh itself."""
    found = pending_of(record)
    ours = found is None or found.nonce == failure.nonce
    rest = {key: value for key, value in record.items() if key != PENDING or not ours}
    mark = {
        "nonce": failure.nonce,
        "generation": failure.generation,
        "problem": failure.problem,
        **({"final": True} if failure.final else {}),
    }
    return {**rest, FAILED: mark}


def with_refreshed(record: Mapping[str, Json], now: float) -> dict[str, Json]:
    """Return *record* with the moment *now* at which its tokens came, and no other mark."""
    return {**without_marks(record), REFRESHED: to_ms(now)}


def reset_marks(record: Mapping[str, Json], old: Json) -> dict[str, Json]:
    """
    Return *record* as a person stored it in place of *old*: without the mark of a failure.

    A refresh that is under way stays so: it may be using the very token that was stored again.
    What has no token to refresh has no mark of a refresh.
    """
    rest = {key: value for key, value in record.items() if key not in {PENDING, FAILED}}
    if rest.get("type", rest.get("mode", _OAUTH)) != _OAUTH:
        return without_marks(rest)
    under_way = _member(old, PENDING)
    return {**rest, PENDING: dict(under_way)} if under_way else rest


def without_marks(record: Mapping[str, Json]) -> dict[str, Json]:
    """Return *record* as a new login has it."""
    return {key: value for key, value in record.items() if key not in REFRESH_MEMBERS}


def _member(record: Json, name: str) -> Mapping[str, Json]:
    found = record.get(name) if isinstance(record, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _text(found: Mapping[str, Json], name: str) -> str:
    value = found.get(name)
    return value if isinstance(value, str) else ""


def _seconds(found: Mapping[str, Json], name: str) -> float | None:
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return from_ms(value) if abs(value) < _MOST else None
