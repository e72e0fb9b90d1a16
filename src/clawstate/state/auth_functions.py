"""
The specification's functions on the store of credentials, for programs that open no `State`.

Each looks at the state directory afresh, and sees what other programs wrote.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from clawstate.files.paths import normalise_agent_id
from clawstate.state.auth import MAIN, open_auth, profile_store
from clawstate.state.context import Context
from clawstate.state.opened import open_state
from clawstate.stores.auth.documents import AuthProfileStore, save_document
from clawstate.stores.auth.profiles import AuthProfiles

StateDir = str | os.PathLike[str] | None


def load_auth_profile_store(
    agent_id: str = "main", *, state_dir: StateDir = None
) -> AuthProfileStore:
    """
    Return the document of an agent, laid over that of the main agent; secrets are in it.

    It is a dict of `version`, `profiles` and, where there are any, `order`, `lastGood` and
    `usageStats`. *state_dir* is by default `$OPENCLAW_STATE_DIR`, else `~/.openclaw`. Profiles of
    older releases are in it before they are imported. A damaged file gives its last good state,
    with a `CorruptWarning`.
    """
    with _open_profiles(agent_id, state_dir) as (_, profiles):
        return AuthProfileStore(profiles.document("merged"))


def reload_auth_profile_store(
    agent_id: str = "main", *, state_dir: StateDir = None
) -> AuthProfileStore:
    """Return what `load_auth_profile_store` does; nothing is kept between two calls."""
    return load_auth_profile_store(agent_id, state_dir=state_dir)


def upsert_auth_profile(
    profile_id: str,
    credential: Mapping[str, Any],
    *,
    agent_id: str = "main",
    state_dir: StateDir = None,
) -> dict[str, Any]:
    """
    Keep *credential* under *profile_id* and return its record, as `AuthProfiles.upsert` does.

    Raises `InvalidError` for what cannot be a credential, `CorruptError` rather than overwrite a
    damaged file, `LockTimeoutError`, `UnavailableError`.
    """
    with _open_profiles(agent_id, state_dir) as (_, profiles):
        return profiles.keep(profile_id, credential)


def save_auth_profile_store(
    store: Mapping[str, Any], agent_id: str = "main", *, state_dir: StateDir = None
) -> None:
    """
    Save the changes of *store*, durably and in one step.

    Of what `load_auth_profile_store` returned only the differences since are written, so what
    others changed meanwhile stays, and what is inherited is not copied. Any other document replaces
    what the agent keeps, but for entries of an unknown type. Raises what `upsert_auth_profile`
    does.
    """
    with _open_profiles(agent_id, state_dir) as (context, _):
        name = normalise_agent_id(agent_id)
        main = {} if name == MAIN else open_auth(context, MAIN).document()
        save_document(profile_store(context, agent_id), store, inherited=main or {"profiles": {}})


@contextmanager
def _open_profiles(agent_id: str, state_dir: StateDir) -> Iterator[tuple[Context, AuthProfiles]]:
    with open_state(state_dir) as state:
        yield state._context, state.auth(agent_id)  # noqa: SLF001 - of the same package
