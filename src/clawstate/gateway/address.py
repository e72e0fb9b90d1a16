"""`Address`: where a gateway listens, as settings say, and which names of it requests may use."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from clawstate.config.service import Config
from clawstate.config.settings import (
    GATEWAY_BIND,
    GATEWAY_BIND_HOST,
    GATEWAY_CERTIFICATE,
    GATEWAY_HOST,
    GATEWAY_KEY,
    GATEWAY_MODE,
    GATEWAY_ORIGINS,
    GATEWAY_PORT,
    GATEWAY_TLS,
    Setting,
    Values,
)
from clawstate.errors import ConfigError
from clawstate.files.paths import expand_below

PORT: Final[int] = GATEWAY_PORT.default
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_BINDS: Final = {"loopback": "localhost", "auto": "localhost", "lan": "0.0.0.0"}  # noqa: S104
_WIDE: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104


@dataclass(frozen=True, slots=True)
class Address:
    """
    Where a gateway listens.

    *names* are what a `Host` header may say, *origins* whose pages may ask; *certificate* and *key*
    are files for TLS.
    """

    host: str
    port: int
    names: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host in _LOOPBACK:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_wide(self) -> bool:
        """Whether it listens at each address of this machine."""
        return self.host in _WIDE

    @property
    def url(self) -> str:
        """Its address for people on this machine."""
        scheme = "http" if self.certificate is None else "https"
        host = "localhost" if self.host in _WIDE else self.host
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"


def address_from(
    config: Config, root: Path, *, host: str | None = None, port: int | None = None
) -> Address:
    """
    Return where the gateway of *config* listens; *host* and *port* count before settings.

    Raises `ConfigError` for a gateway of another machine, and for one that others could reach
    without TLS: the error says how to get that (decision 057).
    """
    view = config.view()
    if GATEWAY_MODE.of(view) == "remote":
        hint = "run it there, or set gateway.mode to local"
        raise ConfigError("gateway.mode", "says that the gateway runs on another machine", hint)
    has_tls = GATEWAY_TLS.of(view)
    certificate = _file(view, GATEWAY_CERTIFICATE, root) if has_tls else None
    key = _file(view, GATEWAY_KEY, root) if has_tls else None
    wanted = _host(view) if host is None else host
    origins = GATEWAY_ORIGINS.of(view) or ()
    found = Address(
        wanted,
        GATEWAY_PORT.of(view) if port is None else port,
        names=(*sorted(_LOOPBACK), wanted, *_names(origins)),
        origins=origins,
        certificate=certificate,
        key=key,
    )
    if not found.is_loopback and certificate is None:
        raise _tls_error(found)
    return found


def _names(origins: Iterable[str]) -> Iterator[str]:
    """Give the names in *origins*: who may show our pages there may also ask us by that name."""
    for each in origins:
        with suppress(ValueError):
            if name := urlsplit(each).hostname:
                yield name


def unfollowed_settings(config: Config) -> tuple[str, ...]:
    """Return the settings of how clients prove who they are, which are OpenClaw's gateway's."""
    names = ("mode", "token", "password", "trustedProxy")
    view, paths = config.view(), [f"gateway.auth.{each}" for each in names]
    return tuple(each for each in paths if view.get(each) is not None)


def _host(view: Values) -> str:
    bind = GATEWAY_BIND.of(view)
    if bind == "custom":
        found = GATEWAY_BIND_HOST.of(view)
        if found is None:
            raise ConfigError(GATEWAY_BIND_HOST.path, "is missing", "name the address")
        return found
    if bind is not None and bind not in _BINDS:
        hint = "set gateway.bind to loopback, lan or custom"
        raise ConfigError("gateway.bind", f"{bind!r} is not known to this gateway", hint)
    return GATEWAY_HOST.of(view) if bind is None else _BINDS[bind]


def _file(view: Values, setting: Setting[str | None], root: Path) -> Path:
    found = setting.of(view)
    if found is None:
        hint = "name the PEM files in gateway.tls.certPath and gateway.tls.keyPath"
        raise ConfigError(setting.path, "is missing", hint)
    return expand_below(found, root)


def _tls_error(address: Address) -> ConfigError:
    problem = f"{address.host} can be reached by others, who could read every token on the way"
    hint = (
        "set gateway.tls.enabled, certPath and keyPath to a certificate of yours; or keep it on "
        "localhost behind a reverse proxy, an SSH tunnel or a private network such as Tailscale"
    )
    return ConfigError("gateway.host", problem, hint)
