"""What a Matrix login is called in paths, as OpenClaw has it, and which logins are refused."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from clawstate.arguments import require_text
from clawstate.errors import InvalidError
from clawstate.files.paths import normalise_account_id

DEFAULT_ACCOUNT: Final = "default"
"""The account of a program that has one only."""

STORE: Final = "store"
"""The directory that some releases of OpenClaw use for every token of a user."""

_TOKEN_HASH = re.compile(r"[a-f0-9]{16}")
_NOT_IN_NAME = re.compile(r"[^a-z0-9._-]+")
_TOKEN = re.compile(r"[!-~]+")  # what a header can carry
_LONGEST_TOKEN = 1 << 16
_LONGEST_USER_ID = 255  # bytes ("User Identifiers" of the Matrix specification)
_LONGEST_NAME = 200  # of the 255 bytes of a file name
_DIGEST = 32
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class MatrixLogin:
    """
    Who logs in where, with which token; of the account *account_id* of this program.

    Raises `InvalidError`, which never repeats the token, for what cannot be a login.
    """

    homeserver: str
    user_id: str
    access_token: str = field(repr=False)
    account_id: str = DEFAULT_ACCOUNT
    device_id: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is no login."""
        server_key(self.homeserver)
        user_key(self.user_id)
        token_hash(self.access_token)
        account_key(self.account_id)
        if self.device_id is not None and not _is_visible(self.device_id):
            raise InvalidError("device id", "is empty, or holds characters that do not show")

    @property
    def pair_key(self) -> str:
        """The name of the directory that all logins of this user at this server share."""
        return _short(f"{server_key(self.homeserver)}__{user_key(self.user_id)}")

    @property
    def account_key(self) -> str:
        """The name of the directory of the account."""
        return account_key(self.account_id)

    @property
    def token_hash(self) -> str:
        """The name of the directory of this token; it tells nothing of the token."""
        return token_hash(self.access_token)

    def is_same_user(self, homeserver: object, user_id: object) -> bool:
        """Tell whether these are the server and the user of this login."""
        return user_id == self.user_id and is_same_server(homeserver, self.homeserver)


def account_key(account_id: str | None) -> str:
    """
    Return the name of the directory of the account *account_id*; `None` is the only account.

    Raises `InvalidError` for an id that OpenClaw would write like another one, as it does with
    `team/a` and `team_a`, and for one that would lead out of its directory.
    """
    if account_id is None:
        return DEFAULT_ACCOUNT
    plain = require_text("account id", account_id).strip()
    key = normalise_account_id(plain)
    # Lower case makes a plain k of the Kelvin sign.
    if not plain.isascii() or key != plain.lower() or key != _name_of(plain):
        problem = f"{account_id!r} is no name of letters, digits, '_' and '-' alone"
        raise InvalidError("account id", problem, "choose another")
    return key


def server_key(homeserver: str) -> str:
    """
    Return what stands for *homeserver* in paths: its host, with a port that is not the usual one.

    Raises `InvalidError` for what is no URL of a server.
    """
    hint = "give one like https://matrix.example.org"
    text = require_text("homeserver", homeserver)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InvalidError("homeserver", "is no URL", hint) from None
    if parts.username is not None or parts.password is not None:
        raise InvalidError("homeserver", "holds a name or a password", "give the URL without them")
    if parts.scheme not in _DEFAULT_PORTS or not host or not _is_visible(text):
        raise InvalidError("homeserver", "is no URL of http or https", hint)
    if parts.query or parts.fragment or _ascii(host) is None:
        raise InvalidError("homeserver", "is no URL of a server alone", hint)
    shown = f"[{host}]" if ":" in host else _ascii(host) or host
    has_port = port is not None and port != _DEFAULT_PORTS[parts.scheme]
    return _name_of(f"{shown}:{port}" if has_port else shown)


def is_same_server(one: object, other: str) -> bool:
    """Tell whether two URLs are those of one server: case and a slash at the end do not count."""
    return isinstance(one, str) and _canonical(one) == _canonical(other)


def user_key(user_id: str) -> str:
    """Return what stands for *user_id* in paths; raises `InvalidError` for what is no user id."""
    text = require_text("user id", user_id)
    local, colon, server = text.removeprefix("@").partition(":")
    is_whole = text.startswith("@") and local and colon and server and _is_visible(text)
    if not is_whole or len(text.encode()) > _LONGEST_USER_ID:
        raise InvalidError("user id", "is no user id of Matrix", "give one like @bot:example.org")
    return _name_of(text)


def token_hash(access_token: str) -> str:
    """Return the first 16 hex digits of the SHA-256 of *access_token*; raises `InvalidError`."""
    text = require_text("access token", access_token)
    if not _TOKEN.fullmatch(text) or len(text) > _LONGEST_TOKEN:
        problem = "is empty, or holds what no header can carry"
        raise InvalidError("access token", problem, "give it as the server did")
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_storage_name(name: str) -> bool:
    """Tell whether a directory called *name* can be the storage of a login."""
    return name == STORE or _TOKEN_HASH.fullmatch(name) is not None


def _name_of(text: str) -> str:
    # Character for character as OpenClaw does it: both have to come to one directory.
    return _NOT_IN_NAME.sub("_", text.strip().lower()).strip("_") or "unknown"


def _short(name: str) -> str:
    # OpenClaw could make no directory of such a name at all, so there is none to share.
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST]
    return f"{name[: _LONGEST_NAME - _DIGEST - 1]}_{digest}"


def _ascii(host: str) -> str | None:
    try:
        return host.encode("idna").decode()  # as the URL of JavaScript has it
    except UnicodeError:
        return None


def _canonical(homeserver: str) -> str:
    parts = urlsplit(homeserver.strip())
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _is_visible(text: str) -> bool:
    return bool(text) and not any(
        unicodedata.category(each)[0] == "C" or each.isspace() for each in text
    )
