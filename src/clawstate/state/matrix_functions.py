"""`resolve_matrix_storage_paths`, by its name in the specification; no opened `State` is needed."""

from __future__ import annotations

import os

from clawstate.state.opened import open_state
from clawstate.stores.matrix import MatrixStoragePaths


def resolve_matrix_storage_paths(
    homeserver: str,
    user_id: str,
    access_token: str,
    account_id: str | None = None,
    *,
    state_dir: str | os.PathLike[str] | None = None,
) -> MatrixStoragePaths:
    """
    Return where the storage of a Matrix login lies, and note whose it is.

    After a new login it is the one that the user had before, so that no keys are lost; what the
    first releases of OpenClaw left is moved in. *state_dir* is by default `$OPENCLAW_STATE_DIR`,
    else `~/.openclaw`. Raises `InvalidError`, which does not repeat the token, and what writing
    raises. Source: specification, "Matrix Client Storage".
    """
    with open_state(state_dir) as state:
        opened = state.matrix(
            homeserver=homeserver,
            user_id=user_id,
            access_token=access_token,
            account_id=account_id,
        )
        opened.prepare()
        return opened.paths
