"""`Address`: where a PostgreSQL database is, with a password that nothing shows."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from clawstate.errors import ConfigError

SCHEMES: Final = ("postgresql", "postgres")
_SECRET = ("password", "sslpassword", "passfile", "oauth_client_secret")
_HINT = "give postgresql://USER@HOST:PORT/DATABASE, and the password apart from it"
_PASSWORD = re.compile(r"(://[^/?#@:]*:)[^/?#]*@")
_PARAMETER = re.compile(rf"(?i)\b({'|'.join(_SECRET)})=[^&\s]*")

# Managed servers and balancers drop what is idle for minutes, and tell nobody.
_LIVELY: Final[Mapping[str, Any]] = {
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}


@dataclass(frozen=True, slots=True)
class Address:
    """
    An address `postgresql://user@host:port/database?parameters` as libpq understands it.

    *password* is asked for with each connection, so one that was renewed is used; without it that
    of the address, `PGPASSWORD` or a password file counts. Neither `str`, `repr` nor any error
    shows it.
    """

    url: str = field(repr=False)
    password: Callable[[], str | None] = field(default=lambda: None, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what is no such address, without repeating it."""
        scheme, separator, rest = self.url.partition("://")
        if scheme not in SCHEMES or not separator or not rest or any(map(str.isspace, rest)):
            raise ConfigError("store", "is no address of a PostgreSQL database", _HINT)

    def __str__(self) -> str:
        """Return the address without user, password and parameters, for messages."""
        return mask_address(self.url)

    def parameters(self) -> dict[str, Any]:
        """Return what libpq is told, the password included; raises `ConfigError`."""
        from psycopg import ProgrammingError  # noqa: PLC0415 - an address is known without it
        from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - see above

        try:
            found = conninfo_to_dict(self.url)
        except (ProgrammingError, UnicodeError):
            # The parser's own words repeat the address, and so the password.
            problem = "is no address that libpq understands"
            raise ConfigError("store", problem, _HINT) from None
        given = {**_LIVELY, "application_name": "clawstate", **found}
        # Of several servers only the one that takes writes serves: after a failover that is
        # another one.
        if "," in str(found.get("host", "")):
            given.setdefault("target_session_attrs", "read-write")
        if (password := self.password()) is not None:
            given["password"] = password
        return given

    def hide_secrets(self, text: str) -> str:
        """Return *text*, words of the server or the driver, without the password."""
        secrets = [unquote(urlsplit(self.url).password or "")] if "@" in self.url else []
        secrets += [self.password() or "", os.environ.get("PGPASSWORD", "")]
        for secret in secrets:
            if secret:
                text = text.replace(secret, "***")
        return mask_address(text) if "://" in text else _PARAMETER.sub(r"\1=***", text)


def mask_address(url: str) -> str:
    """Return the address *url* with neither user, password nor parameters."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in SCHEMES:
        return _PARAMETER.sub(r"\1=***", _PASSWORD.sub(r"\1***@", url))
    place = re.split(r"[?#]", rest, maxsplit=1)[0]
    # Behind the last `@`: a password that was not encoded may hold one.
    _, _, place = place.rpartition("@")
    return f"postgresql://{place}"
