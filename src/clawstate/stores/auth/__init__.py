"""The credentials of one agent (specification section 2)."""

from clawstate.stores.auth.profiles import AuthProfiles

__all__ = ["AuthProfiles"]
