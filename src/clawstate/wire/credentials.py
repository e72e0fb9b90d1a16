"""The JSON form of credentials, without their secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clawstate.clock import to_ms
from clawstate.secret_rules import mask
from clawstate.stores.auth.availability import Standing
from clawstate.stores.auth.credentials import (
    TYPES,
    AuthProblem,
    EncryptedSecret,
    expiry_of,
    raw_secrets,
    reference_of,
)
from clawstate.stores.auth.names import is_variable
from clawstate.wire.members import Members, times

if TYPE_CHECKING:
    from clawstate.state.encryption import EncryptionSummary, Outcome
    from clawstate.state.openclaw_view import OpenClawCredential
    from clawstate.stores.auth.credentials import Credential, Profile
    from clawstate.stores.auth.legacy import AuthImport
    from clawstate.stores.auth.usage import Usage

_MISSING = "missing"  # what stands for a secret that is not there


def write_credential(credential: Credential) -> dict[str, Any]:
    """Return what *credential* is for; of its secret the ends, or where it is kept."""
    return {
        "provider": credential.provider,
        "type": credential.type,
        "secret": _secret_text(credential),
        "email": credential.email,
        **times(expires=expiry_of(credential)),
    }


def write_profile(profile: Profile, *, standing: Standing | None = None) -> dict[str, Any]:
    """Return *profile* with its *standing*; moments in milliseconds, as in the file."""
    credential, usage = profile.credential, profile.usage
    state = None if standing is None else standing.state
    until = None if standing is None else standing.until
    expires = expiry_of(credential)
    return {
        "id": profile.id,
        "provider": profile.provider,
        "type": profile.type,
        "secret": _secret_text(credential),
        "state": state,
        "until": _ms(until),
        # Usage remembers why; told once it is over, it would look as if it still were.
        "reason": usage.disabled_reason if state == "disabled" else None,
        "origin": profile.origin,
        "email": credential.email,
        "expires": _ms(expires),
        "lastUsed": _ms(usage.last_used),
        **times(until=until, expires=expires, lastUsed=usage.last_used),
        "errorCount": usage.error_count,
    }


def write_openclaw_credential(found: OpenClawCredential, *, now: float = 0.0) -> dict[str, Any]:
    """Return *found* as profiles are, with how it stands *now*, and whose it is."""
    is_over = found.expires is not None and found.expires <= now
    renews = found.type in TYPES and TYPES[found.type].renews
    # A credential with a refresh token is renewed when it is used, so its end is no fault.
    expired = "will-refresh" if renews else "expired"
    return {
        "id": found.id,
        "provider": found.provider,
        "type": found.type,
        "secret": found.secret,
        "state": _MISSING if found.secret == _MISSING else expired if is_over else "good",
        "until": None,
        "reason": None,
        "origin": "openclaw",
        "email": found.email,
        "expires": _ms(found.expires),
        "lastUsed": None,
        "errorCount": 0,
        "owner": "openclaw",
    }


def write_usage(usage: Usage) -> dict[str, Any]:
    """Return how a profile fared."""
    return {
        **times(
            lastUsed=usage.last_used,
            cooldownUntil=usage.cooldown_until,
            disabledUntil=usage.disabled_until,
            lastFailureAt=usage.last_failure_at,
        ),
        "disabledReason": usage.disabled_reason,
        "errorCount": usage.error_count,
        "failureCounts": dict(usage.failure_counts),
    }


def write_standing(standing: Standing) -> dict[str, Any]:
    """Return whether a profile can be used, and until when that lasts."""
    return {"state": standing.state, **times(until=standing.until)}


def read_standing(document: Any) -> Standing:
    """Return the standing of *document*."""
    told = Members(document, "standing")
    return Standing(told.text("state"), told.maybe_moment("until"))


def write_problem(problem: AuthProblem) -> dict[str, Any]:
    """Return which entry cannot be used, and why."""
    return {"place": problem.place, "id": problem.key, "problem": problem.reason}


def read_problem(document: Any) -> AuthProblem:
    """Return the problem of *document*."""
    told = Members(document, "problem")
    return AuthProblem(told.text("place"), told.text("id"), told.text("problem"))


def write_legacy_import(made: AuthImport) -> dict[str, Any]:
    """Return how many credentials of older releases were taken over."""
    return {"imported": made.imported, "present": made.present, "invalid": made.invalid}


def write_encryption_summary(found: EncryptionSummary) -> dict[str, Any]:
    """Return how many secrets are encrypted, and the names of the keys that they need."""
    return {"clear": found.clear, "encrypted": found.sealed, "keys": sorted(found.keys)}


def write_outcome(made: Outcome) -> dict[str, Any]:
    """Return what a change of the encryption did."""
    source = made.source
    return {
        "changed": made.changed,
        "matrix": made.matrix,
        "agents": list(made.agents),
        "key": None if source is None else {"kind": source.kind, "place": source.place},
        "failed": list(made.failed),
        "remains": list(made.remains),
    }


def _secret_text(credential: Credential) -> str:
    reference = reference_of(credential)
    if isinstance(reference, dict):
        return ":".join(str(reference.get(each, "")) for each in ("source", "provider", "id"))
    if reference is not None:
        # A reference that is no plain `${NAME}` may be a secret in the wrong place.
        return str(reference) if is_variable(str(reference)) else "***"
    found = raw_secrets(credential)[0]
    if isinstance(found, EncryptedSecret):
        return "encrypted"
    if not found:
        return _MISSING
    # The name of a variable is no secret, and tells where to look.
    return found if is_variable(found) else mask(found)


def _ms(moment: float | None) -> int | None:
    return None if moment is None else to_ms(moment)
