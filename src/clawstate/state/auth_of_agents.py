"""`AuthOfAgents`: the credentials of each agent of a state, opened when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawstate.arguments import require_text
from clawstate.files.paths import is_agent_id, normalise_agent_id
from clawstate.interrupts import load_modules

if TYPE_CHECKING:
    from clawstate.state.context import Context
    from clawstate.stores.auth import AuthProfiles


class AuthOfAgents:
    """Call it for the credentials of an agent: `state.auth()`, `state.auth(agent_id="work")`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._opened: dict[str, AuthProfiles] = {}

    def __call__(self, agent_id: str = "main") -> AuthProfiles:
        """Return the credentials of one agent (specification section 2)."""
        load_modules("clawstate.state.auth")
        from clawstate.state.auth import open_auth  # noqa: PLC0415 - most programs need none

        if not is_agent_id(require_text("agent id", agent_id)):
            return open_auth(self._context, agent_id)  # which can be read, and is not kept
        name = normalise_agent_id(agent_id)
        if name not in self._opened:
            self._opened[name] = open_auth(self._context, name)
        return self._opened[name]

    def __repr__(self) -> str:
        return "<the credentials of agents; call it: state.auth(agent_id='main')>"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            """Tell how to reach *name*, which the credentials of an agent may have."""
            raise AttributeError(f"credentials belong to an agent: write state.auth().{name}")
