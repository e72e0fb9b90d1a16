"""Every path of a state, from its one directory (specification, "State Directory Override")."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clawstate.arguments import require_text
from clawstate.errors import InvalidError
from clawstate.files.safe_names import encode_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NEW_DIRECTORY = ".openclaw"
_OLD_DIRECTORIES = (".clawdbot", ".moldbot", ".moltbot")
_STATE_VARIABLES = ("OPENCLAW_STATE_DIR", "CLAWDBOT_STATE_DIR")
_HOME_VARIABLES = ("HOME", "USERPROFILE")
_AGENT_VARIABLES = ("OPENCLAW_AGENT_DIR", "PI_CODING_AGENT_DIR")

# Not `~name`, which a shell takes for the home of another user: that is a plain name here.
_TILDE = re.compile(r"~(?=$|[\\/])")
_PLAIN_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_NOT_IN_ID = re.compile(r"[^a-z0-9_-]+")
_ID_LENGTH = 64
# Node programs keep accounts in objects, where these names reach the prototype.
_REFUSED_ACCOUNTS = frozenset({"__proto__", "prototype", "constructor"})


def resolve_state_dir(env: Mapping[str, str] | None = None) -> Path:
    """
    Return the absolute state directory that *env* (default: the process environment) names.

    `OPENCLAW_STATE_DIR` wins over `CLAWDBOT_STATE_DIR`. Without either it is `.openclaw` in the
    home, or the directory of an older release if only that exists. Nothing is created or moved.
    """
    variables = os.environ if env is None else env
    chosen = _first_set(variables, _STATE_VARIABLES)
    if chosen is not None:
        return expand_path(chosen, env=variables)
    home = effective_home(variables)
    candidates = (home / name for name in (_NEW_DIRECTORY, *_OLD_DIRECTORIES))
    return next(filter(_exists, candidates), home / _NEW_DIRECTORY)


def resolve_main_agent_dir(env: Mapping[str, str] | None = None) -> Path | None:
    """
    Return the absolute directory that *env* names for what belongs to the main agent, if any.

    `OPENCLAW_AGENT_DIR` wins over `PI_CODING_AGENT_DIR`.
    """
    variables = os.environ if env is None else env
    chosen = _first_set(variables, _AGENT_VARIABLES)
    return None if chosen is None else expand_path(chosen, env=variables)


def expand_path(text: str, *, env: Mapping[str, str] | None = None) -> Path:
    """Return *text* as an absolute path; a leading `~` alone or before a separator is the home."""
    return _absolute(_without_tilde(text.strip(), str(effective_home(env))))


def expand_below(text: str, root: Path, *, env: Mapping[str, str] | None = None) -> Path:
    """Return *text* as `expand_path` does, but that a relative path begins at *root*."""
    plain = text.strip()
    return expand_path(plain if _TILDE.match(plain) else str(root / plain), env=env)


def is_nameable(text: str) -> bool:
    """Tell whether the system can take *text* for a path: no null, no half of a surrogate pair."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def as_file_path(given: object, name: str) -> Path:
    """Return what was *given* as *name* as the path of a file; raises `InvalidError` if none."""
    if not isinstance(given, str | os.PathLike):
        raise InvalidError(name, f"is {type(given).__name__}, no path", "give the path of a file")
    text = os.fspath(given)
    if not isinstance(text, str):
        raise InvalidError(name, "is a path of bytes", "give it as text, or a Path")
    if not is_nameable(text):
        raise InvalidError(repr(text), "cannot be the path of a file", "give one")
    path = given if isinstance(given, Path) else Path(text)
    if not path.name:
        raise InvalidError(repr(text), "cannot be the path of a file", "give one")
    return path


def as_directory(given: object, name: str) -> Path:
    """Return what was *given* as *name* as an absolute directory; raises `InvalidError`."""
    if not isinstance(given, str | os.PathLike) or not isinstance(os.fspath(given), str):
        raise InvalidError(name, f"is {type(given).__name__}", "give a str or a Path")
    if not is_nameable(text := str(os.fspath(given))):
        raise InvalidError(name, "holds what no file name can", "name a directory")
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        raise InvalidError(
            name, "begins with the home of an unknown user", "name it whole"
        ) from None


def effective_home(env: Mapping[str, str] | None = None) -> Path:
    """Return the absolute home: `OPENCLAW_HOME`, `HOME`, `USERPROFILE`, else the system's."""
    variables = os.environ if env is None else env
    home = _first_set(variables, _HOME_VARIABLES) or _system_home()
    own = _first_set(variables, ("OPENCLAW_HOME",))
    return _absolute(home if own is None else _without_tilde(own, home))


def normalise_agent_id(agent_id: str) -> str:
    """Return *agent_id* as it stands in paths: lower case, at most 64 characters, else `main`."""
    return _plain_id(require_text("agent id", agent_id)) or "main"


def is_agent_id(agent_id: str) -> bool:
    """
    Tell whether *agent_id* names one agent: as it stands in paths, but for case and outer blanks.

    Of any other id OpenClaw makes one that may be another agent's: `team/a`, `team a` and `team-a`
    are one for it, and what has no Latin letter or digit, such as `..`, is `main`.
    """
    plain = require_text("agent id", agent_id).strip()
    return plain.isascii() and plain.lower() == normalise_agent_id(agent_id)


def require_agent_id(agent_id: str) -> str:
    """
    Return *agent_id* as it stands in paths, for whoever writes there.

    Raises `InvalidError` for one that `is_agent_id` does not accept: what is written for it would
    be another agent's.
    """
    name = normalise_agent_id(agent_id)
    if is_agent_id(agent_id):
        return name
    problem = f"{agent_id!r} would be the agent {name!r}, as other names would"
    raise InvalidError("agent id", problem, f"write {name!r} if you mean that one")


def normalise_account_id(account_id: str) -> str:
    """
    Return *account_id* as it stands in paths: lower case, at most 64 characters, else `default`.

    Raises `InvalidError` for `__proto__`, `prototype` and `constructor`.
    """
    plain = _plain_id(account_id) or "default"
    if plain in _REFUSED_ACCOUNTS:
        raise InvalidError("account id", f"{plain!r} is reserved", "choose another name")
    return plain


SHARED_INDEX = "agents/{agentId}/sessions/sessions.json"
"""Where OpenClaw of the file era keeps the sessions of each agent, below the state directory."""


@dataclass(frozen=True)
class StatePaths:
    """
    The paths below *root*; none leaves it, whatever the ids and keys. Nothing is created.

    Names and places are those of the specification, sections 1 to 7.
    """

    root: Path

    @property
    def config(self) -> Path:
        """The configuration of the whole state."""
        return self.root / "openclaw.json"

    def agent_dir(self, agent_id: str = "main") -> Path:
        """Return the directory of what belongs to one agent, unless settings name another."""
        return self.root / "agents" / normalise_agent_id(agent_id) / "agent"

    def agent_config(self, agent_id: str = "main") -> Path:
        """Return the overrides of one agent."""
        return self.agent_dir(agent_id) / "config.json"

    def auth_profiles(self, agent_id: str = "main") -> Path:
        """Return the credentials of one agent."""
        return self.agent_dir(agent_id) / "auth-profiles.json"

    def auth_cache(self, agent_id: str = "main") -> Path:
        """Return the credentials of an older release; they are only read (see decision 13)."""
        return self.agent_dir(agent_id) / "auth.json"

    @property
    def credentials_dir(self) -> Path:
        """The directory of credentials that belong to no agent."""
        return self.root / "credentials"

    @property
    def legacy_oauth(self) -> Path:
        """The credentials of older releases, which are only imported."""
        return self.credentials_dir / "oauth.json"

    @property
    def sessions_dir(self) -> Path:
        """The directory of the sessions."""
        return self.root / "sessions"

    @property
    def sessions_index(self) -> Path:
        """The index from session key to session."""
        return self.sessions_dir / "sessions.json"

    def agent_sessions_index(self, agent_id: str = "main") -> Path:
        """Return the index of one agent's sessions, where OpenClaw of the file era keeps it."""
        return self.root / "agents" / normalise_agent_id(agent_id) / "sessions" / "sessions.json"

    def session_profile(self, session_key: str) -> Path:
        """Return the file of one session."""
        return self.sessions_dir / "profile" / f"{encode_name(session_key)}.json"

    @property
    def pairing(self) -> Path:
        """The pending pairing requests."""
        return self.root / "state" / "pairing.json"

    @property
    def devices(self) -> Path:
        """The paired devices."""
        return self.root / "state" / "devices.json"

    @property
    def records_db(self) -> Path:
        """The database of the records, where SQLite keeps them."""
        return self.root / "state" / "records.db"

    @property
    def device_identity(self) -> Path:
        """The key pair of this device, where OpenClaw keeps it."""
        return self.root / "identity" / "device.json"

    @property
    def device_auth(self) -> Path:
        """The tokens that this device holds."""
        return self.root / "state" / "identity" / "device-auth.json"

    @property
    def memory_dir(self) -> Path:
        """The directory of the memory."""
        return self.root / "memory"

    @property
    def memory_db(self) -> Path:
        """The database of the memory."""
        return self.memory_dir / "memory.db"

    @property
    def lancedb_dir(self) -> Path:
        """The directory of LanceDB."""
        return self.memory_dir / "lancedb"

    def vectors(self, scope: int) -> Path:
        """Return where releases with format 1 of `memory.db` kept the vector index of a scope."""
        return self.memory_dir / "vectors" / str(int(scope))

    def dedupe(self, namespace: str) -> Path:
        """Return the marks of one namespace."""
        return self.root / "dedupe" / f"{encode_name(namespace)}.json"

    @property
    def matrix_dir(self) -> Path:
        """The directory of the Matrix client."""
        return self.root / "matrix"

    def matrix_account(self, account_id: str = "default") -> Path:
        """Return the directory of one Matrix account."""
        return self.matrix_dir / "accounts" / normalise_account_id(account_id)

    @property
    def logs_dir(self) -> Path:
        """The directory of logs and audit trails."""
        return self.root / "logs"

    @property
    def locks_dir(self) -> Path:
        """The directory of locks that belong to no single file."""
        return self.root / "locks"


def _first_set(variables: Mapping[str, str], names: Iterable[str]) -> str | None:
    if not hasattr(variables, "get"):
        raise InvalidError("env", f"is {type(variables).__name__}, no mapping", "give a dict")
    values = (require_text(name, variables.get(name, "")).strip() for name in names)
    return next(filter(None, values), None)


def _exists(path: Path) -> bool:
    with suppress(OSError):
        return path.exists()
    return False


def _without_tilde(text: str, home: str) -> str:
    return home + text[1:] if _TILDE.match(text) else text


def _absolute(text: str) -> Path:
    # By the text alone, as Node resolves paths: `..` is applied before any link is followed.
    return Path(os.path.normpath(Path(text).absolute()))


def _system_home() -> str:
    try:
        # Raises where the user has no entry in the password database, as in many containers.
        return str(Path.home())
    except RuntimeError:
        return "."


def _plain_id(text: str) -> str:
    lower = text.strip().lower()
    # OpenClaw's pattern ignores case as JavaScript does, for which nothing beyond ASCII is like an
    # ASCII letter; Python's `lower` makes a plain k of the Kelvin sign.
    if _PLAIN_ID.fullmatch(lower) and text.strip().isascii():
        return lower
    return _NOT_IN_ID.sub("-", lower).strip("-")[:_ID_LENGTH]
