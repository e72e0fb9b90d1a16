"""Encryption and secret references of one state, as its store of credentials asks for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from clawstate.config.settings import ENCRYPTION_KEY
from clawstate.encryption.sealer import FieldOpener, FieldSealer
from clawstate.errors import InvalidError, StateError
from clawstate.secrets.references import SecretResolver, parse_reference

if TYPE_CHECKING:
    from clawstate.config.service import Config
    from clawstate.state.context import Context
    from clawstate.stores.auth.codec import Resolve

OFF = "off"
SETTING = ENCRYPTION_KEY.path


def sealer_of(context: Context) -> Callable[[], FieldSealer | None]:
    """
    Return what gives the sealer of *context* as configured now (decision 12).

    With `state.encryption.key` "off" it gives `None`; or, where keys are left from before, one that
    opens what is sealed and seals nothing. A configuration that cannot be read counts as "on" where
    there are keys. Asking unlocks no key: that is done by `seal` and `open`.
    """
    key_store, config = context.key_store, context.config

    def sealer() -> FieldSealer | None:
        try:
            seals = is_on(config)
        except StateError:
            seals = key_store.exists
        if seals:
            return FieldSealer(key_store)
        return FieldOpener(key_store) if key_store.exists else None

    return sealer


def resolver_of(context: Context) -> Resolve:
    """
    Return what resolves a secret reference by the configuration of now.

    The secret is asked from its source each time. What it returns raises `InvalidError` for what is
    no reference, and all that `SecretResolver.resolve` raises; no error shows a secret.
    """
    config, paths = context.config, context.paths

    def resolve(reference: Any) -> str:
        loaded = config.view().loaded
        found = parse_reference(reference, defaults=_defaults(loaded.value))
        if found is None:
            problem = "is neither ${NAME} nor an object of source, provider and id"
            raise InvalidError("secret reference", problem, "write it again")
        resolver = SecretResolver(
            loaded.value,
            env=loaded.variables,
            state_dir=paths.root,
            require=loaded.require_provider,
        )
        return resolver.resolve(found)

    return resolve


def is_on(config: Config) -> bool:
    """Tell whether new secrets are to be encrypted."""
    return ENCRYPTION_KEY.of(config.view()) != OFF


def _defaults(config: Any) -> Any:
    secrets = config.get("secrets")
    return secrets.get("defaults") if isinstance(secrets, dict) else None
