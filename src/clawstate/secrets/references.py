"""References to secrets that are kept elsewhere, and the one place where they become values."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clawstate.errors import (
    ConfigError,
    InvalidError,
    MissingExtraError,
    NotFoundError,
    UnavailableError,
)
from clawstate.interrupts import load_modules
from clawstate.secrets.providers import read_from_command, read_from_file
from clawstate.secrets.redaction import ENVIRONMENT_NAME, is_secret_reference

if TYPE_CHECKING:
    from clawstate.secrets.schema import EnvironmentProvider, KeyringProvider

_LONE_VARIABLE = re.compile(rf"\$\{{({ENVIRONMENT_NAME.strip('^$')})\}}")


@dataclass(frozen=True, slots=True, order=True)
class SecretRef:
    """
    Where a secret is kept: *id* at the *provider*, an alias of `secrets.providers`.

    The *source* is `env`, `file`, `exec` or `keyring`, and says what an id looks like (reference of
    OpenClaw, "Secret refs"; `keyring` is ours). Raises `InvalidError` for anything else, which does
    not repeat it: somebody may have put the secret itself in its place.
    """

    source: str
    provider: str
    id: str

    def __post_init__(self) -> None:
        named = {"source": self.source, "provider": self.provider, "id": self.id}
        if not is_secret_reference(named):
            problem = "its source, provider or id is not one that a reference can have"
            raise InvalidError("secret reference", problem, "write one like env:default:MY_KEY")

    def __str__(self) -> str:
        return f"{self.source}:{self.provider}:{self.id}"


def parse_reference(value: Any, *, defaults: Mapping[str, Any] | None = None) -> SecretRef | None:
    """
    Return the reference that *value* is, or `None` if it is a value of its own.

    It is an object of a source, a provider and an id, or text that is exactly `${NAME}`. Without a
    provider it means the alias that *defaults*, which is `secrets.defaults`, has for its source, or
    else `default`. Raises `InvalidError` if that alias is malformed.
    """
    if isinstance(value, str):
        # A variable within other text is filled in when the configuration is read, and is no
        # reference.
        variable = _LONE_VARIABLE.fullmatch(value)
        return variable and SecretRef("env", _default_alias("env", defaults), variable[1])
    if not is_secret_reference(value):
        return None
    source = value["source"]
    return SecretRef(source, value.get("provider", _default_alias(source, defaults)), value["id"])


class SecretResolver:
    """
    Turns references into secrets, by the section `secrets` of *config*.

    A secret is fetched when it is first asked for, and then kept in memory until the resolver goes:
    make a new one to see a changed secret. What it returns is for use: written anywhere, it would
    lie there in the clear. It does not lock: two threads may fetch the same secret twice. Variables
    are those of *env* when the resolver was made; `OPENCLAW_STATE_DIR` is always *state_dir*.
    *require* is called before a provider is asked, and may refuse it.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        env: Mapping[str, str],
        state_dir: Path,
        require: Callable[[SecretRef], None] | None = None,
    ) -> None:
        secrets = _section(config, "secrets")
        self._providers = _section(secrets, "providers")
        self._defaults = _section(secrets, "defaults")
        self._env = {**env, "OPENCLAW_STATE_DIR": str(state_dir)}
        self._require = require
        self._found: dict[SecretRef, str] = {}

    def __repr__(self) -> str:
        return f"<SecretResolver of {', '.join(map(str, sorted(self._found))) or 'nothing yet'}>"

    def resolve(self, ref: SecretRef) -> str:
        """
        Return the secret that *ref* names; it is never blank.

        Raises `ConfigError` if the configuration has no such provider, or the provider no such id;
        `UnavailableError` if the source fails or has no secret (`MissingExtraError` without the
        extra `keyring`); `NotFoundError` for a missing file or entry; `InvalidError` for a file or
        program that others may use; `CorruptError` for a file that is not JSON; and `LimitError`.
        No error shows a value, or what a program wrote.
        """
        self._fetch((ref,))
        return self._found[ref]

    def resolve_all(self, value: Any) -> Any:
        """
        Return a copy of *value* with a secret in place of each reference in it.

        Hand it the parts of the configuration that hold secrets: text that is `${NAME}` counts
        wherever it stands. A provider is asked once for all its secrets. Raises what `resolve`
        does, for the first secret that cannot be had.
        """
        refs: list[SecretRef] = []
        self._map(value, refs.append)
        self._fetch(refs)
        return self._map(value, self._found.__getitem__)

    def _fetch(self, refs: Iterable[SecretRef]) -> None:
        # One question for all secrets of a provider: a program may take seconds, or ask a person.
        wanted: dict[tuple[str, str], list[SecretRef]] = {}
        for ref in dict.fromkeys(refs):
            if ref not in self._found:
                wanted.setdefault((ref.source, ref.provider), []).append(ref)
        for group in wanted.values():
            answer = self._ask(group[0], tuple(ref.id for ref in group))
            for ref in group:
                self._found[ref] = _secret(answer.get(ref.id), ref)

    def _ask(self, first: SecretRef, ids: tuple[str, ...]) -> Mapping[str, Any]:
        alias = first.provider
        settings = self._settings(first)
        provider: Any = None if settings is None else _provider(first, settings)
        if first.source == "env":
            return _from_environment(alias, ids, provider, self._env)
        if first.source == "file":
            return read_from_file(alias, ids, provider, env=self._env)
        if first.source == "exec":
            return read_from_command(alias, ids, provider, env=self._env)
        return _from_keyring(ids, provider)

    def _settings(self, ref: SecretRef) -> Any:
        """Return the object of the provider of *ref*, or `None` for the one that needs none."""
        settings = self._providers.get(ref.provider)
        if settings is not None:
            if self._require is not None:
                self._require(ref)
            return settings
        if ref.source == "env" and ref.provider == _default_alias("env", self._defaults):
            return None
        raise ConfigError(_name(ref.provider), f"is not configured (ref: {ref})", "add it")

    def _map(self, value: Any, replace: Callable[[SecretRef], Any]) -> Any:
        if (ref := parse_reference(value, defaults=self._defaults)) is not None:
            return replace(ref)
        if not isinstance(value, dict | list):
            return value
        copy: Any = value.copy()
        # No comprehension: it would cost a second frame for each of up to 500 levels.
        for step, item in enumerate(value) if isinstance(value, list) else value.items():
            copy[step] = self._map(item, replace)
        return copy


def _default_alias(source: str, defaults: Mapping[str, Any] | None) -> str:
    alias = (defaults or {}).get(source)
    return alias if isinstance(alias, str) else "default"


def _section(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    section = config.get(key)
    return section if isinstance(section, Mapping) else {}


def _name(alias: str) -> str:
    return f"secrets.providers.{alias}"


def _secret(value: Any, ref: SecretRef) -> str:
    if isinstance(value, str) and value.strip():
        return value
    raise UnavailableError(f"secret {ref}", "is empty, or no text", "store it again")


def _provider(ref: SecretRef, settings: Any) -> Any:
    load_modules("clawstate.secrets.schema")
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 - slow

    from clawstate.secrets.schema import Provider  # noqa: PLC0415 - loaded with it

    name = _name(ref.provider)
    if not isinstance(settings, dict) or settings.get("source") != ref.source:
        raise ConfigError(
            name, f"is of another source than the reference {ref}", "correct one of the two"
        )
    try:
        return TypeAdapter[Any](Provider).validate_python(settings)
    except ValidationError as error:
        # The first step of the place is the tag of the provider (`schema._source`), the next its
        # key.
        key = error.errors(include_input=False)[0]["loc"][1]
    # Outside of the handler: the error that it would chain may hold a secret.
    raise ConfigError(f"{name}.{key}", "is missing, or cannot have this value", "correct it")


def _from_environment(
    alias: str, ids: tuple[str, ...], provider: EnvironmentProvider | None, env: Mapping[str, str]
) -> Mapping[str, Any]:
    # A list that somebody wrote and left empty allows nothing, as in OpenClaw.
    allowed: Iterable[str] = ids
    if provider is not None and "allowlist" in provider.model_fields_set:
        allowed = provider.allowlist
    for name in ids:
        if name not in allowed:
            raise ConfigError(
                f"{_name(alias)}.allowlist", f"does not list the variable {name}", "add it"
            )
        if not env.get(name, "").strip():
            raise UnavailableError(f"environment variable {name}", "is missing or empty", "set it")
    return env


def _from_keyring(ids: tuple[str, ...], provider: KeyringProvider) -> Mapping[str, Any]:
    """Return the passwords of *ids*: a service, a slash, a user; without it, just the user."""
    try:
        keyring = importlib.import_module("keyring")
    except ImportError as error:
        raise MissingExtraError("keyring", "keyring") from error
    found = {}
    for each in ids:
        service, _, user = each.rpartition("/")
        service = service or provider.service
        problem = ""
        try:
            found[each] = keyring.get_password(service, user)
        except Exception as error:  # noqa: BLE001 - each backend has errors of its own
            problem = f"failed with {type(error).__name__}"
        if problem:  # outside of the handler: a backend's error may quote what it read
            raise UnavailableError("keyring", problem, "unlock it, or choose another backend")
        if found[each] is None:
            raise NotFoundError("secret", each, f"run 'keyring set {service} {user}'")
    return found
