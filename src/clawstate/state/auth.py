"""The credentials of a state, wired to its files, its configuration and its keys."""

from __future__ import annotations

from clawstate.config.settings import (
    AUTH_BILLING,
    AUTH_BILLING_MOST,
    AUTH_BILLING_OF,
    AUTH_ORDER,
    AUTH_PROFILES,
    AUTH_WINDOW,
)
from clawstate.config.view import Decoded, View
from clawstate.files.paths import normalise_agent_id, require_agent_id
from clawstate.records.contract import Collection, CollectionSpec
from clawstate.records.layouts import MapLayout
from clawstate.state.agents import auth_cache, auth_profiles, refresh_dir
from clawstate.state.context import Context, split_root
from clawstate.state.secrets import resolver_of, sealer_of
from clawstate.stores.auth.codec import CredentialCodec
from clawstate.stores.auth.legacy import (
    LEDGER,
    Legacy,
    LegacySource,
    from_agent_file,
    from_oauth_file,
)
from clawstate.stores.auth.profile_store import LAYOUT, ProfileStore
from clawstate.stores.auth.profiles import AuthProfiles
from clawstate.stores.auth.refresh import Refresher
from clawstate.stores.auth.settings import AuthSettings, Cooldowns, Declared

MAIN = "main"
"""The agent whose credentials all others inherit."""


def open_auth(context: Context, agent_id: str) -> AuthProfiles:
    """
    Return the credentials of the agent *agent_id* on *context*; nothing is read yet.

    Under an id that may be another agent's they can be read, and every change raises
    `InvalidError`; see `require_agent_id`.
    """
    name = normalise_agent_id(agent_id)
    return AuthProfiles(
        profile_store(context, agent_id),
        base=None if name == MAIN else profile_store(context, MAIN),
        settings=Decoded(context.config.view, auth_settings),
        refreshing=lambda store: _refresher(context, store),
        may_open=lambda: context.key_store.asks_nobody(),  # noqa: PLW0108 - a key store once it is needed
        clock=context.clock,
    )


def profile_store(context: Context, agent_id: str) -> ProfileStore:
    """Return what an agent keeps itself; it is changed as `open_auth` says."""
    name = normalise_agent_id(agent_id)
    codec = CredentialCodec(name, sealer_of(context), resolver_of(context))
    return ProfileStore(
        name,
        auth_collection(context, name),
        codec,
        legacy=Legacy(
            _sources(context, name), context.backends.records().collection(LEDGER), codec
        ),
        clock=context.clock,
        require_writable=lambda: require_agent_id(agent_id),
    )


def auth_collection(context: Context, name: str) -> Collection:
    """Return the records of the agent *name*, in the engine of the state."""
    root, path = split_root(auth_profiles(context, name), context.paths.root)
    return context.backends.records(root=root).collection(
        CollectionSpec(f"auth:{name}", path, LAYOUT)
    )


def auth_settings(view: View) -> AuthSettings:
    """Return what *view* says about credentials; raises `ConfigError` for what it cannot mean."""
    return AuthSettings(
        order=AUTH_ORDER.of(view),
        profiles={name: Declared(*each) for name, each in AUTH_PROFILES.of(view).items()},
        cooldowns=Cooldowns(
            billing=AUTH_BILLING.of(view),
            billing_by_provider=AUTH_BILLING_OF.of(view),
            billing_max=AUTH_BILLING_MOST.of(view),
            failure_window=AUTH_WINDOW.of(view),
        ),
    )


def _sources(context: Context, name: str) -> tuple[LegacySource, ...]:
    files = [("auth.json", auth_cache(context, name), from_agent_file)]
    if name == MAIN:  # all others inherit what belongs to no agent
        files.append(("oauth.json", context.paths.legacy_oauth, from_oauth_file))
    sources = []
    for file_name, file, convert in files:
        key = f"auth:{name}/{file_name}"
        root, path = split_root(file, context.paths.root)
        spec = CollectionSpec(f"legacy:{key}", path, MapLayout())
        collection = context.backends.files(root).collection(spec)
        sources.append(LegacySource(key, collection, convert))
    return tuple(sources)


def _refresher(context: Context, store: ProfileStore) -> Refresher:
    locks = refresh_dir(context, store.name)
    above = context.paths.locks_dir
    return Refresher(store.collection, store.codec, locks=locks, above=above, clock=context.clock)
