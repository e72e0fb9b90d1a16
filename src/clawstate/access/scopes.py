"""What a token allows: scopes, and which of them include others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from clawstate.errors import InvalidError

OPERATOR: Final = "operator"
"""The role of whoever runs the agent; only its scopes include each other."""

DEFAULT_SCOPES: Final = ("operator.read", "operator.write")
"""What a device gets that asks for nothing in particular."""

PAIRING: Final = "operator.pairing"
"""What it takes to let devices in."""

OPERATOR_SCOPES: Final = (
    *("operator.read", "operator.write", "operator.pairing", "operator.admin"),
    # Those of OpenClaw that nothing here asks for: a token may be for its gateway.
    *("operator.approvals", "operator.questions", "operator.talk.secrets"),
)
"""All scopes that an operator can be granted."""

_ADMIN, _READ, _WRITE = "operator.admin", "operator.read", "operator.write"
_MOST = 32
_SCOPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")


def require_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return *scopes* sorted and each once; raises `InvalidError`."""
    if isinstance(scopes, str) or not isinstance(scopes, Iterable):
        raise InvalidError("scopes", "are a list of texts", "give a list")
    found = list(scopes)
    if len(found) > _MOST:
        raise InvalidError("scopes", f"are more than {_MOST}", "give fewer")
    if not all(isinstance(each, str) and _SCOPE.fullmatch(each) for each in found):
        raise InvalidError("scopes", "hold what is no scope", "write them as in operator.read")
    return tuple(sorted(set(found)))


def require_operator_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return *scopes* as `require_scopes` does, if an operator can be granted all of them."""
    found = require_scopes(scopes)
    # One that nothing asks for would be granted, and whoever mistyped it believe that it counts.
    unknown = [each for each in found if each not in OPERATOR_SCOPES]
    if unknown:
        hint = f"use {', '.join(OPERATOR_SCOPES[:4])}"
        raise InvalidError("scopes", f"hold {unknown[0]!r}, which does not exist", hint)
    return found


def covers(granted: Iterable[str], wanted: Iterable[str], *, role: str = OPERATOR) -> bool:
    """
    Tell whether *granted* allows all that is *wanted*.

    For the operator `operator.admin` includes every `operator.*`, and `operator.write` includes
    `operator.read`; in other roles a scope allows itself only.
    """
    have = frozenset(granted)
    return all(each in have or (role == OPERATOR and _includes(each, have)) for each in wanted)


def allowed_scopes(granted: Iterable[str], wanted: Iterable[str], *, role: str) -> tuple[str, ...]:
    """Return those of *wanted* that *granted* allows."""
    have = frozenset(granted)
    return tuple(each for each in wanted if covers(have, (each,), role=role))


def require_within(wanted: Iterable[str], granted: Iterable[str], *, role: str, whose: str) -> None:
    """Raise `InvalidError` if *wanted* is more than *granted*, and say *whose* scopes those are."""
    have = frozenset(granted)
    beyond = [each for each in wanted if not covers(have, (each,), role=role)]
    if beyond:
        problem = f"{', '.join(beyond)} is beyond {whose}"
        raise InvalidError("scopes", problem, "give fewer, or let the owner approve the device")


def _includes(scope: str, have: frozenset[str]) -> bool:
    # By the prefix, so that scopes that are named later are included as well.
    if _ADMIN in have and scope.startswith(f"{OPERATOR}."):
        return True
    return scope == _READ and _WRITE in have
