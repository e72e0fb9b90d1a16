"""What PostgreSQL's errors mean to the caller of clawstate, and which of them pass."""

from __future__ import annotations

import re
from typing import Final

import psycopg

from clawstate.errors import CorruptError, InvalidError, LockTimeoutError, StateError
from clawstate.errors import UnavailableError as Unavailable
from clawstate.postgres.address import Address

_REPEAT = "repeat it"
_REMEDIES: Final[dict[str, tuple[str, str]]] = {
    "28": ("refuses the user or the password", "check both, and what pg_hba.conf says of them"),
    "3D000": ("there is no such database", "create it with createdb, or correct the address"),
    "42501": (
        "the user of the address lacks a right",
        "let the owner run GRANT CREATE ON DATABASE, or make the schema 'clawstate' for that user",
    ),
    "53300": ("has no connection left", "raise max_connections, or put PgBouncer before it"),
    "53100": ("its disk is full", "free some space there and repeat; nothing was lost"),
    "53": ("lacks memory or another resource", "look into its log, then repeat"),
    "25006": (
        "takes no writes, as a standby does",
        "name the primary, or all servers with target_session_attrs=read-write",
    ),
    "57P03": ("is starting up or shutting down", "repeat it in a moment"),
    "57P": ("ended the connection", _REPEAT),
    "25P03": ("ended a transaction that stood still", _REPEAT),
    "58": ("reported an error of its system", "look into its log, then repeat"),
    "0A": ("lacks something that clawstate needs", "use PostgreSQL 15 or newer"),
    "42883": ("lacks a function that clawstate needs", "use PostgreSQL 15 or newer"),
    "58P01": ("a file of the server is missing", "look into its log"),
}
# Of a connection that is refused libpq gives no code, only the words of the server or a pooler.
_REFUSALS: Final[tuple[tuple[str, str], ...]] = (
    ("password authentication failed", "28P01"),
    ("no password supplied", "28P01"),
    ("no pg_hba.conf entry", "28000"),
    ("authentication failed", "28000"),
    ("permission denied for database", "42501"),
    ("too many clients", "53300"),
    ("remaining connection slots", "53300"),
    ("no more connections allowed", "53300"),
    ("query_wait_timeout", "53300"),
    ("starting up", "57P03"),
    ("shutting down", "57P03"),
    ("not yet accepting connections", "57P03"),
    ("in recovery mode", "57P03"),
    ("session is read-only", "25006"),
)
# Whom the server knows, and where its socket lies, is shown as little as in the address itself.
_PLACE: Final = re.compile(
    r"(connection failed: )?(connection to )?server (on socket|at) \"[^\"]*\"[^:]*: (FATAL:\s+)?"
)
_WHO: Final = re.compile(r"\b(user|role) \"[^\"]*\"")
_MISSING = ("42P01", "3F000")  # undefined table, no such schema
_DAMAGED = ("XX001", "XX002", "42703", "42P01", "3F000", "42804", "22P02")
_CONFLICTS = ("40001", "40P01")
# What another connection, or the same in a moment, may do.
_PASSING = ("57P01", "57P02", "57P03", "57P05", "25006", "25P03", "53300", *_CONFLICTS)


def is_conflict(error: BaseException) -> bool:
    """Tell whether *error* asks to repeat the transaction: others changed the same."""
    return isinstance(error, psycopg.Error) and error.sqlstate in _CONFLICTS


def is_lost(error: BaseException) -> bool:
    """Tell whether with *error* the connection is gone, and so is knowledge of what it did."""
    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    state = _code(error)
    return not state or state.startswith(("08", "57P")) or state == "25P03"


def is_passing(error: BaseException) -> bool:
    """Tell whether what failed with *error* may succeed in a moment."""
    if not isinstance(error, psycopg.Error):
        return False
    return is_lost(error) or _code(error) in _PASSING


def is_refused(error: BaseException) -> bool:
    """Tell whether nobody answers at the address, for all that is known."""
    return isinstance(error, psycopg.OperationalError) and not _code(error)


def is_missing(error: BaseException | None) -> bool:
    """Tell whether the tables of ours are not there."""
    return isinstance(error, psycopg.Error) and error.sqlstate in _MISSING


def state_error(error: psycopg.Error, address: Address, waited: float = 0.0) -> StateError:
    """Return what *error* means for the database at *address*; raise *error* when it is a bug."""
    place, state = str(address), _code(error)
    words = _first_line(error, address)
    if state in _CONFLICTS:
        return LockTimeoutError(place, waited, "others change the same; try again")
    if state in {"55P03", "57014"}:
        return LockTimeoutError(place, waited, "others hold what it needs; try again")
    if state in _DAMAGED:
        return CorruptError(place, f"its tables are not as clawstate made them: {words}")
    if state in {"54000", "22001"}:
        return InvalidError("value", f"is too large for the server: {words}", "split it")
    known = max((each for each in _REMEDIES if state.startswith(each)), key=len, default=None)
    if known is not None:
        problem, hint = _REMEDIES[known]
        detail = f": {words}" if known in {"42501", "28", "0A", "42883", "58"} else ""
        return Unavailable(place, f"{problem}{detail}", hint)
    if not state and isinstance(error, psycopg.DataError):
        return InvalidError("value", f"is none that PostgreSQL keeps: {words}", "leave it out")
    # Any other error without a code is one of the driver, about how it was called.
    is_gone = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    if state.startswith("08") or (is_gone and not state):
        hint = "check that the server runs there, and that the address and its TLS settings fit"
        return Unavailable(place, f"cannot be reached: {words}", hint)
    raise error


def unknown_outcome(address: Address) -> StateError:
    """Return that nobody could tell in time whether a change was made."""
    problem = "the connection was lost as it answered, and whether the change was made is unknown"
    return Unavailable(str(address), problem, "read again to see")


def _code(error: psycopg.Error) -> str:
    """Return the SQLSTATE of *error*, "" for a connection that was lost or never made."""
    if error.sqlstate:
        return error.sqlstate
    words = str(error)
    if 'database "' in words and "does not exist" in words:
        return "3D000"
    if 'role "' in words and "does not exist" in words:
        return "28000"
    return next((state for each, state in _REFUSALS if each in words), "")


def _first_line(error: psycopg.Error, address: Address) -> str:
    text = (error.diag.message_primary or str(error)).strip().splitlines()
    if not text:
        return type(error).__name__
    return address.hide_secrets(_WHO.sub(r"\1", _PLACE.sub("", text[0])))
